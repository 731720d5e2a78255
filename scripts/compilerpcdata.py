"""Compares the pc-value tables and function data of finished, stripped binaries with what the compiler printed.

    compilerpcdata.py                        hello on the newest release, amd64 and arm64
    compilerpcdata.py --slice full           hello and app on 1.22, 1.25, 1.26, 1.27, amd64 and arm64
    compilerpcdata.py --functions 0          every function instead of a sample of each combination

`go build -gcflags=PACKAGE=-S` prints each instruction, PCDATA and FUNCDATA of a function with its offset, file and
line, and the content of the symbols that FUNCDATA names.  -d=pctab prints the two tables that are no pseudo-instruction
(pcsp and InlTreeIndex) byte by byte, and inline trees.  Which function is where is told by `go tool nm` on the
unstripped twin.  Left out, and counted by name: functions that the linker dropped, and wrappers between calling
conventions, which share the name of what they call.  Assembly functions are never in the compiler's listing.

Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import asmlisting  # noqa: E402 - the package is in reach only from here
import builds  # noqa: E402
import numpy as np  # noqa: E402
import oracle  # noqa: E402
from asmlisting import Step, Symbol, Written  # noqa: E402

import goforensics.binary  # noqa: E402
from goforensics.binary import Binary  # noqa: E402
from goforensics.sections import funcdata, functions, inltree, pclntab  # noqa: E402
from goforensics.sections.arrays import Offsets, strings  # noqa: E402
from goforensics.sections.inltree import FUNCDATA_TREE, PCDATA_INDEX, Steps  # noqa: E402
from goforensics.sections.pctables import SLOTS  # noqa: E402

RELEASES, ARCHES = ("1.22", "1.25", "1.26", "1.27"), ("amd64", "arm64")
STD = ("fmt", "strconv", "reflect", "sort", "os", "time", "sync", "internal/poll", "runtime")
PATTERNS = {
    "hello": ("./...", *STD),
    "app": (
        "./...",
        *STD,
        "net/http",
        "encoding/json",
        "crypto/tls",
        "google.golang.org/grpc",
        "github.com/rs/zerolog",
    ),
}
PCDATA = ("UnsafePoint", "StackMapIndex", "InlTreeIndex", "ArgLiveIndex", "PanicBounds")
SAMPLE, SEED, SHOWN = 400, 7, 12
PCTAB = {"pcsp": "pctospadj", "InlTreeIndex": "pctoinline"}  # our name of a table: -d=pctab's


@dataclass
class Report:
    """What came of one combination."""

    label: str
    compared: Counter[str] = field(default_factory=Counter)  # by what: tables, transitions, bytes
    left_out: Counter[str] = field(default_factory=Counter)  # functions by why
    differences: list[str] = field(default_factory=list)

    def differ(self, what: str, ours: object, theirs: object) -> None:
        """Note what differs, at the first place where two lists do."""
        if ours == theirs:
            return
        if isinstance(ours, list) and isinstance(theirs, list):
            pairs = list(zip(ours, theirs, strict=False))
            at = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
            ours, theirs = f"[{at}:] {ours[at : at + 2]} of {len(ours)}", f"{theirs[at : at + 2]} of {len(theirs)}"
        self.differences.append(f"{what}: {ours}, the compiler has {theirs}")


class Decoded:
    """Our reading of a stripped binary, function by function."""

    def __init__(self, binary: Binary) -> None:
        self.binary, self.table = binary, binary.read(pclntab.PARSER)
        self.placed = binary.read(functions.PARSER)
        self.address = [int(address) for address in self.placed.address]
        self.blobs, self.trees = binary.read(funcdata.PARSER), binary.read(inltree.PARSER)
        self._steps: dict[int, tuple[Offsets, Steps, Offsets]] = {}
        self._funcdata: dict[int, dict[int, int]] = defaultdict(dict)
        uses = self.table.funcdata
        for owner, kind, at in zip(uses.owner, uses.kind, inltree.places(binary, self.table, uses.value), strict=True):
            self._funcdata[int(owner)][int(kind)] = int(at)
        nodes = self.trees.nodes(self.trees.count)
        first = np.searchsorted(nodes.owner, np.arange(len(self.address) + 1))
        self._nodes, self._first, self._names = nodes, first, strings(self.table.data, nodes.name)

    def code(self, function: int, size: int) -> bytes:
        """The first `size` bytes of it."""
        at = int(self.placed.offset[function])
        return bytes(self.binary.image.data[at : at + size]) if at >= 0 else b""

    def steps(self, slot: int, function: int) -> list[tuple[int, int]]:
        """(value, offset in bytes where it ends) of the table in a slot; none without a table."""
        if slot not in self._steps:
            which, found = inltree.steps_of(self.table, slot)
            self._steps[slot] = which, found, np.searchsorted(found.table, np.arange(int(which.max(initial=-1)) + 2))
        which, found, first = self._steps[slot]
        if which[function] < 0:
            return []
        low, high = first[which[function]], first[which[function] + 1]
        ends = found.key[low:high] % found.width * self.table.header.quantum
        return list(zip(found.values[low:high].tolist(), ends.tolist(), strict=True))

    def raw(self, slot: int, function: int) -> bytes:
        """The bytes of the table in a slot."""
        uses = self.table.tables
        rows = np.flatnonzero((uses.owner == function) & (uses.slot == slot))
        if not len(rows):
            return b""
        number = uses.table[rows[0]]
        return bytes(self.table.data[uses.start[number] : uses.end[number]])

    def pcdata(self, function: int) -> dict[int, list[tuple[int, int]]]:
        """By index, those that there are; not the inline tree's, which no PCDATA instruction makes."""
        found = {number: self.steps(len(SLOTS) + number, function) for number in range(len(PCDATA))}
        return {number: steps for number, steps in found.items() if steps and number != PCDATA_INDEX}

    def funcdata(self, function: int) -> dict[int, bytes]:
        """Content by kind, as far as `funcdata` measured it; not the inline tree, which the linker writes."""
        found = {}
        for kind, at in self._funcdata[function].items():
            blob = int(np.searchsorted(self.blobs.start, at))
            if kind != FUNCDATA_TREE:
                found[kind] = bytes(self.binary.image.data[at : int(self.blobs.end[blob])])
        return found

    def files(self, function: int) -> list[tuple[str, int]]:
        """The table of files with names for numbers: cutab and filetab."""
        header, unit = self.table.header, int(self.table.funcs.cu[function])
        cutab = np.frombuffer(self.table.data[header.tables["cutab"] : header.tables["filetab"]], f"{header.order}u4")
        steps = self.steps(SLOTS.index("pcfile"), function)
        offsets = np.array([int(cutab[unit + value]) + header.tables["filetab"] for value, _ in steps], np.int64)
        return list(zip(strings(self.table.data, offsets), (end for _, end in steps), strict=True))

    def tree(self, function: int) -> list[tuple[str, int]]:
        """(name, parent pc) of each node of the inline tree."""
        low, high = self._first[function], self._first[function + 1]
        return list(zip(self._names[low:high], self._nodes.parent_pc[low:high].tolist(), strict=True))


# One function ------------------------------------------------------------------------------------------------------


def check_listing(report: Report, ours: Decoded, row: int, symbol: Symbol, known: dict[str, Symbol]) -> None:
    """PCDATA, FUNCDATA, lines and files of one function."""
    theirs, mine = asmlisting.pcdata(symbol), ours.pcdata(row)
    report.differ(f"{symbol.name}: PCDATA tables", sorted(mine), sorted(theirs))
    pairs: list[tuple[str, Sequence[Step], Sequence[Step]]] = [
        (PCDATA[number], mine.get(number, []), steps) for number, steps in theirs.items()
    ]
    pairs.append(("pcln", ours.steps(SLOTS.index("pcln"), row), asmlisting.positions(symbol, "line")))
    pairs.append(("pcfile", ours.files(row), asmlisting.positions(symbol, "file")))
    for name, decoded, printed in pairs:
        report.compared[name] += len(printed)
        report.differ(f"{symbol.name}: {name}", list(decoded), list(printed))
    _check_funcdata(report, symbol, ours.funcdata(row), asmlisting.funcdata(symbol), known)


def _check_funcdata(
    report: Report, symbol: Symbol, mine: dict[int, bytes], theirs: dict[int, str], known: dict[str, Symbol]
) -> None:
    """Kinds, and content but for what relocations fill in; a symbol that was not printed here is counted."""
    report.differ(f"{symbol.name}: FUNCDATA kinds", sorted(mine), sorted(theirs))
    for kind, name in theirs.items():
        report.compared["FUNCDATA"] += 1
        if name not in known:
            report.compared["FUNCDATA not printed"] += 1
            continue
        content, skipped = known[name].content, known[name].relocated
        report.compared["FUNCDATA bytes"] += len(content) - len(skipped)
        got = bytes(0 if i in skipped else byte for i, byte in enumerate(mine.get(kind, b"")))
        report.differ(f"{symbol.name}: FUNCDATA {kind} {name}", got.hex(), content.hex())


def check_written(report: Report, ours: Decoded, row: int, table: str, theirs: Written) -> None:
    """The bytes of pcsp or InlTreeIndex, and the inline tree.

    Without a node the linker drops the table, which says -1 throughout: cmd/link/internal/ld/pcln.go (NumInlTree).
    """
    slot = SLOTS.index(table) if table in SLOTS else len(SLOTS) + PCDATA.index(table)
    expected = theirs.table if table in SLOTS or theirs.tree else b""
    report.compared[f"{table} bytes"] += len(expected)
    report.differ(f"{theirs.name}: {table}", ours.raw(slot, row).hex(), expected.hex())
    if table not in SLOTS:
        report.compared["inline nodes"] += len(theirs.tree)
        report.differ(f"{theirs.name}: inline tree", ours.tree(row), list(theirs.tree))


# One combination ---------------------------------------------------------------------------------------------------


def places(twin: Path, stripped: Decoded) -> dict[str, int]:
    """The row of each function of the stripped binary by its whole name, from the unstripped twin's symbols."""
    row = {address: i for i, address in enumerate(stripped.address)}
    return {name: row[at] for at, _, kind, name in oracle.nm(twin) if kind in "tT" and at in row}


def compared(build: builds.Build, patterns: Sequence[str], sample: int, path: Path | None = None) -> Report:
    """Everything about one program, read from `path` if it is not what was built."""
    ours = Decoded(goforensics.binary.open(path or builds.executable(build)))
    row = places(builds.executable(dataclasses.replace(build, flags=())), ours)
    report = Report(f"{build.program} {build.go} {build.goarch}")
    printed = asmlisting.packages(asmlisting.listing(build, patterns, "-S"))
    found = {package: list(asmlisting.symbols(text)) for package, text in printed.items()}
    known = {symbol.name: symbol for symbols in found.values() for symbol in symbols}
    every = [(package, symbol) for package, symbols in found.items() for symbol in symbols if symbol.is_function]
    chosen = _chosen(report, every, row, ours, sample)
    for symbol in chosen:
        report.compared["functions"] += 1
        check_listing(report, ours, row[symbol.name], symbol, known)
    names = {symbol.name for symbol in chosen}
    for table in PCTAB:
        for written in _written(build, patterns, PCTAB[table]):
            if written.name in names:
                check_written(report, ours, row[written.name], table, written)
    return report


def is_linked(symbol: Symbol, code: bytes) -> bool:
    """The code is what was printed, but for what relocations fill in: it is this package's copy that was linked.

    Instances of generic functions and closures within inlined functions are compiled wherever they are needed; the
    linker takes one of them (cmd/link/internal/loader/loader.go, addSym), not always one that was listed.
    """
    skipped = symbol.relocated
    return len(code) == symbol.size and all(
        i in skipped or ours == theirs for i, (ours, theirs) in enumerate(zip(code, symbol.content, strict=True))
    )


def _chosen(
    report: Report, every: Sequence[tuple[str, Symbol]], row: dict[str, int], ours: Decoded, sample: int
) -> list[Symbol]:
    """A sample of the functions that can be told apart, in the order in which they were printed."""
    often = Counter(symbol.name for _, symbol in every)
    fit = []
    for package, symbol in every:
        if symbol.name not in row:
            report.left_out["dropped by the linker"] += 1
        elif symbol.is_wrapper:
            report.left_out["wrapper between calling conventions"] += 1
        elif often[symbol.name] > 1:
            report.left_out["compiled in several of these packages"] += 1
        elif symbol.is_dupok and package == "runtime":
            # All code of the runtime is an unsafe point (allUnsafe in cmd/compile/internal/liveness/plive.go), so that
            # another package's copy of the same code has another table.
            report.left_out["compiled in the runtime, whose PCDATA differs, and perhaps elsewhere"] += 1
        elif not is_linked(symbol, ours.code(row[symbol.name], symbol.size)):
            report.left_out["compiled in another package, too, whose copy was linked"] += 1
        else:
            fit.append(symbol)
    picked = random.Random(f"{SEED} {report.label}").sample(range(len(fit)), min(sample or len(fit), len(fit)))
    return [fit[i] for i in sorted(picked)]


def _written(build: builds.Build, patterns: Sequence[str], table: str) -> Iterator[Written]:
    text = asmlisting.listing(build, patterns, f"-d=pctab={table}")
    for part in asmlisting.packages(text).values():
        yield from asmlisting.written(part)


def combinations(name: str) -> list[tuple[builds.Build, tuple[str, ...]]]:
    """(program, packages) of a slice."""
    full = name == "full"
    programs, releases = (("hello", "app"), RELEASES) if full else (("hello",), RELEASES[-1:])
    return [
        (builds.Build(program, go, goarch=goarch, flags=(builds.STRIP,)), PATTERNS[program])
        for program in programs
        for go in releases
        for goarch in ARCHES
    ]


def show(reports: Sequence[Report]) -> None:
    """A line per combination and figure, then what differs."""
    columns = list(dict.fromkeys(name for report in reports for name in report.compared))
    head = ("program", *columns, "differences")
    rows = [[r.label, *(f"{r.compared[name]:,}" for name in columns), f"{len(r.differences):,}"] for r in reports]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for cells in (head, *rows):
        print("  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    for report in reports:
        print(f"{report.label}: left out: {', '.join(f'{n:,} {why}' for why, n in report.left_out.items()) or 'none'}")
        for line in report.differences[:SHOWN]:
            print(f"! {line[:300]}")
        if len(report.differences) > SHOWN:
            print(f"! and {len(report.differences) - SHOWN} more")


def main(arguments: Iterable[str]) -> int:
    """Compare what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slice", choices=("quick", "full"), default="quick")
    parser.add_argument("--functions", type=int, default=SAMPLE, metavar="N", help="of each combination; 0: all")
    parser.add_argument("--only", default="", metavar="TEXT", help="combinations with TEXT in their name")
    options = parser.parse_args(list(arguments))
    reports = []
    for build, patterns in combinations(options.slice):
        if options.only in build.label():
            reports.append(compared(build, patterns, options.functions))
            print(reports[-1].label, file=sys.stderr, flush=True)
    show(reports)
    return int(any(report.differences for report in reports) or not reports)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
