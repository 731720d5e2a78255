"""The points about the byte map, 12.1 to 12.5: what scripts/verify.py prints of them."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import builds
import checks
import corpus
import linktruth
import numpy as np
import ownership
import toolchains
from builds import STRIP, Build
from linktruth import Bools, Ints

import goforensics.binary
from goforensics.analysis.listing import labels
from goforensics.analysis.mapping import bytemap_of
from goforensics.analysis.packages import declaring, package_of, packages
from goforensics.analysis.pclntab_bytes import FUNCDATA
from goforensics.binary import Binary
from goforensics.bytemap import ByteMap
from goforensics.sections import functions, moduledata, pcitems, pclntab

JOBS = 2
PIE = ("-buildmode=pie", STRIP)
QUICK, FULL = ("1.22", "1.27"), ("1.18", "1.22", "1.25", "1.26", "1.27")
APP_DATA, OTHER_DATA, LOADED = 99.5, 98.0, 99.5  # percent at least
SAME_SIZE = 99.9  # percent at least, of functions
INTERNAL, ELSEWHERE = 0.1, 1.0  # percent at most
PARTS = (ownership.CODE, ownership.TABLES_PART, ownership.GAPS)
CAUSES = 4  # that are listed of one file
NOT_GO = (".wasm", "gofmt-12")
UNSURE = ("", "unknown", "section-only")
OWNERLESS = ("variable", "read-only data")

Tell = Callable[[str], None]
Cells = tuple[str, ...]


class Table(NamedTuple):
    """What a point prints."""

    title: str
    header: Cells
    rows: list[Cells]
    misses: list[str]


@dataclass(frozen=True)
class Job:
    """A file to look at, built or fetched where it is looked at."""

    label: str
    build: Build | None = None
    entry: corpus.Entry | None = None
    limit: float = 0.0

    @classmethod
    def of(cls, build: Build, limit: float = 0.0) -> Job:
        """A build's executable."""
        return cls(build.label(), build, limit=limit)

    def path(self) -> Path:
        """Where it is; raises BuildError, ToolchainError or CorpusError."""
        if self.build is not None:
            return builds.executable(self.build)
        assert self.entry is not None
        return corpus.obtain(self.entry)


@dataclass(frozen=True)
class Found:
    """The rows of one file, and what they miss."""

    rows: list[Cells]
    misses: list[str] = field(default_factory=list)


Check = Callable[[Job], Found]


def _guarded(check: Check, job: Job) -> Found:
    """An exception is a miss like any other."""
    try:
        return check(job)
    except Exception as error:
        return Found([], [f"{type(error).__name__}: {str(error)[-200:]}"])


def tabulated(title: str, header: Cells, check: Check, jobs: Sequence[Job], tell: Tell) -> Table:
    """Look at every file."""
    rows: list[Cells] = []
    misses: list[str] = []
    with ProcessPoolExecutor(JOBS) as pool:
        for job, found in zip(jobs, pool.map(functools.partial(_guarded, check), jobs), strict=True):
            rows += found.rows
            misses += [f"{job.label}: {line}" for line in found.misses]
            tell(job.label)
    return Table(title, header, rows, misses if jobs else ["nothing was looked at"])


def _releases(first: str) -> list[str]:
    return [go for go in toolchains.minors() if toolchains.at_least(go, first)]


def with_text(jobs: Iterable[Job], text: str | None) -> list[Job]:
    """Each job once, with `text` in its name."""
    return [job for job in dict.fromkeys(jobs) if not text or text in job.label]


# 12.1 -----------------------------------------------------------------------------------------------------------------


def sums(quick: bool, only: str | None, tell: Tell) -> Table:
    """Every listing sums to the file's size."""
    jobs = with_text(_summed(quick), only)
    header = ("file", "bytes", *(f"{view} by {by}" for by in ("module", "package") for view in ("owned", "shared out")))
    return tabulated("12.1 sums equal the file's size: difference 0", header, _sums, jobs, tell)


def _summed(quick: bool) -> Iterator[Job]:
    for go in _releases("1.16"):
        yield from (Job.of(Build("hello", go, flags=flags)) for flags in ((), (STRIP,)))
    for build in [*builds.arch_matrix(), *builds.os_matrix()]:
        if build.go == "1.27" or not quick:
            yield Job.of(build)
    for entry in corpus.entries():
        if not entry.path.endswith(NOT_GO) and not (quick and "typescript" in entry.package):
            yield Job(entry.name, entry=entry)


def _sums(job: Job) -> Found:
    path = job.path()
    size, columns = path.stat().st_size, ("module", "package", "origin", "users")
    found = bytemap_of(goforensics.binary.open(path), columns)
    off = [_difference(found, by, apportioned, size) for by in columns[:2] for apportioned in (False, True)]
    misses = [f"sums are off by {off}"] if any(off) else []
    return Found([(job.label, str(size), *map(str, off))], [*misses, *_robbed(found)])


def _difference(found: ByteMap, by: str, apportioned: bool, size: int) -> int:
    rows = found.group((by,), apportioned=apportioned)
    return sum(row.bytes for row in rows) - size if all(row.bytes > 0 for row in rows) else -size


def _robbed(found: ByteMap) -> Iterator[str]:
    """Packages that have less when shared bytes are divided among them than without."""
    whole = {(row.path, row.origin): row.bytes for row in found.group(("package",), apportioned=True)}
    for row in found.group(("package",)):
        if not row.path[0].startswith("(") and whole.get((row.path, row.origin), 0) < row.bytes - 1:
            yield f"{row.path[0]}: {row.bytes} bytes owned, {whole.get((row.path, row.origin), 0)} when shared out"


# 12.2 -----------------------------------------------------------------------------------------------------------------


def code_sizes(quick: bool, only: str | None, tell: Tell) -> Table:
    """Code bytes of functions and packages against the symbols of the unstripped twin."""
    header = ("file", "functions", "same size %", "of", "bytes off", "packages", "that differ", "bytes")
    title = "12.2 code: stripped functions against their symbols; packages against go tool nm, difference 0"
    return tabulated(title, header, _code_sizes, with_text(_sized(quick), only), tell)


def _sized(quick: bool) -> Iterator[Job]:
    arches = ("amd64", "arm64", "386", "arm")
    for go in QUICK if quick else FULL:
        yield from (Job.of(Build("hello", go, goarch=arch, flags=(STRIP,))) for arch in arches)
    for go in QUICK[1:] if quick else FULL:
        yield Job.of(Build("app", go, flags=(STRIP,)))
    if not quick:
        yield from (Job.of(Build("app", "1.27", goarch=arch, flags=(STRIP,))) for arch in arches[1:])


def _code_sizes(job: Job) -> Found:
    assert job.build is not None
    twin = builds.executable(dataclasses.replace(job.build, flags=()))
    symbols = _sizes_by_address(twin, job.build.go)
    binary = goforensics.binary.open(job.path())
    placed = binary.read(functions.PARSER)
    ours = dict(zip(placed.address.tolist(), placed.code.tolist(), strict=True))
    theirs = {at: symbols.get(at, (0, ""))[0] for at in ours}
    wrong = {at: ours[at] - size for at, size in theirs.items() if ours[at] != size}
    percent = 100 * (1 - len(wrong) / max(len(ours), 1))
    count, differ = _by_package(twin, symbols)
    off = str(sum(map(abs, wrong.values()))), str(count), str(len(differ)), str(sum(map(abs, differ.values())))
    misses = [f"{percent:.3f} % of functions"] * (percent < SAME_SIZE or not ours)
    misses += [f"{name}: the map's code differs by {by} bytes from nm's" for name, by in list(differ.items())[:3]]
    return Found([(job.label, str(len(ours)), f"{percent:.3f}", f">= {SAME_SIZE}", *off)], misses)


def _sizes_by_address(twin: Path, go: str) -> dict[int, tuple[int, str]]:
    """Size and name of the largest symbol at each address."""
    found: dict[int, tuple[int, str]] = {}
    for address, size, name in checks._nm_rows(twin, go):
        if size > found.get(address, (0, ""))[0]:
            found[address] = size, name
    return found


def _by_package(twin: Path, symbols: dict[int, tuple[int, str]]) -> tuple[int, dict[str, int]]:
    """(packages, those whose code in the map has other bytes than by nm); names without a package are by file."""
    binary = goforensics.binary.open(twin)
    by_file = packages(binary.read(pclntab.PARSER))
    known, theirs = set(by_file.names), Counter[str]()
    for at, code in zip(binary.read(functions.PARSER).address.tolist(), by_file.codes.tolist(), strict=True):
        size, name = symbols.get(at, (0, ""))
        theirs[declaring(package_of(name), known) or by_file.names[code]] += size
    rows = bytemap_of(binary, ("package", "kind", "origin")).group(("package", "kind"))
    ours = {row.path[0]: row.bytes for row in rows if row.path[1] == "code" and row.origin != "c"}
    del theirs[""]
    return len(theirs), {name: ours.get(name, 0) - size for name, size in theirs.items() if ours.get(name, 0) != size}


# 12.3 -----------------------------------------------------------------------------------------------------------------


def owners(quick: bool, only: str | None, tell: Tell) -> Table:
    """Bytes that the map gives to a package that they belong to, by the linker's own truth."""
    judged = (f"{part} %" for part in PARTS)
    header = ("file", "data", "right %", "of", "loaded", "right %", "of", *judged, "wrong bytes by cause")
    return tabulated("12.3 owners against the linker's truth", header, _owners, with_text(_scored(quick), only), tell)


def _scored(quick: bool) -> Iterator[Job]:
    for program in ("hello", "app", "go"):
        for go in QUICK if quick else FULL:
            for arch in ("amd64",) if quick and program != "hello" else ("amd64", "arm64"):
                build = Build(program, go, goarch=arch, flags=linktruth.STRIPPED)
                yield Job.of(build, APP_DATA if program == "app" else OTHER_DATA)


def truth_of(build: Build) -> linktruth.Truth:
    """Of a build, or of the go command itself, which is called a program named "go"."""
    return linktruth.truth_of_go(build.go, build.goarch) if build.program == "go" else linktruth.truth(build)


def scored(build: Build) -> ownership.Score:
    """The score of a build's map."""
    truth = truth_of(build)
    binary = goforensics.binary.open(truth.path)
    return ownership.score(truth, bytemap_of(binary, ownership.COLUMNS), binary.image)


def _owners(job: Job) -> Found:
    assert job.build is not None
    score = scored(job.build)
    data, loaded = score.percent(ownership.DATA), score.percent()
    others = (f"{score.percent(part):.2f}" for part in PARTS)
    sizes = str(score.size[ownership.DATA]), str(sum(score.size.values()))
    cells = (sizes[0], f"{data:.3f}", f">= {job.limit}", sizes[1], f"{loaded:.3f}", f">= {LOADED}", *others)
    misses = [f"data {data:.3f} %, {_causes(score, (ownership.DATA,), True)}"] * (data < job.limit)
    misses += [f"loaded {loaded:.3f} %, {_causes(score, tuple(score.size), True)}"] * (loaded < LOADED)
    return Found([(job.label, *cells, _causes(score, (ownership.DATA, ownership.CODE)))], misses)


def _causes(score: ownership.Score, parts: Iterable[str], examples: bool = False) -> str:
    """The causes with their bytes, and the largest symbol of each."""
    found = [(part, *cause) for part in parts for cause in score.causes(part)]
    found.sort(key=lambda each: -each[2])
    return "; ".join(
        f"{part}: {cause} {count:.0f}" + (f" ({w.name[:50]} of {w.package}: {w.given[:40]})" if examples else "")
        for part, cause, count, w in found[:CAUSES]
    )


# 12.4 -----------------------------------------------------------------------------------------------------------------


def unknown(quick: bool, only: str | None, tell: Tell) -> Table:
    """Bytes of which nothing, or only the section, is known."""
    header = ("file", "bytes", "unknown", "section only", "%", "at most", "no owner", "most of it")
    title = "12.4 unknown and section-only bytes; of externally linked files in Go's part"
    return tabulated(title, header, _unknown, with_text(_stripped(quick), only), tell)


def _stripped(quick: bool) -> Iterator[Job]:
    releases = QUICK if quick else _releases("1.18")
    for go in releases:
        yield from (Job.of(Build(name, go, flags=(STRIP,)), INTERNAL) for name in ("hello", "app"))
        yield Job.of(Build("hello", go, flags=PIE), ELSEWHERE)
        yield Job.of(Build("cgo", go, flags=(STRIP,), cgo=True), ELSEWHERE)
    for go in QUICK[1:] if quick else FULL:
        yield Job.of(Build("go", go, flags=linktruth.STRIPPED), INTERNAL)
    for build in [*builds.arch_matrix(), *builds.os_matrix()]:
        if build.flags and (build.go == "1.27" or not quick):
            yield Job.of(build, INTERNAL if build.goos == "linux" else ELSEWHERE)


def _unknown(job: Job) -> Found:
    assert job.build is not None
    path = truth_of(job.build).path if job.build.program == "go" else job.path()
    binary = goforensics.binary.open(path)
    found = bytemap_of(binary, ("section", "structure", "package", "origin"))
    part = _in_go(found, binary) if job.build.cgo else np.ones(len(found.bounds) - 1, bool)
    size = np.where(part, np.diff(found.bounds), 0)
    nobody, only = (_having(found, "origin", names) for names in (UNSURE[:2], UNSURE[2:]))
    ownerless = _having(found, "structure", OWNERLESS) & _having(found, "package", ("",))
    counts = [int(size[rows].sum()) for rows in (nobody, only, ownerless)]
    percent = 100 * (counts[0] + counts[1]) / max(int(size.sum()), 1)
    where = _largest(found, size, nobody | only)
    numbers = map(str, (size.sum(), *counts[:2]))
    misses = [f"{percent:.3f} %: {where}"] * (percent > job.limit)
    return Found([(job.label, *numbers, f"{percent:.3f}", str(job.limit), str(counts[2]), where)], misses)


def _having(found: ByteMap, column: str, values: Sequence[str]) -> Bools:
    code, names = labels(found, column)
    return np.isin(code, [i for i, name in enumerate(names) if name in values])


def _largest(found: ByteMap, size: Ints, rows: Bools) -> str:
    """The sections that most of the rows' bytes are in."""
    code, names = labels(found, "section")
    total = Counter[str]()
    for i, count in enumerate(np.bincount(code[rows], size[rows], len(names)).tolist()):
        total[names[i] or "(no section)"] += int(count)
    return ", ".join(f"{name} {count}" for name, count in total.most_common(3) if count)


def _in_go(found: ByteMap, binary: Binary) -> Bools:
    """Cells of which moduledata or pclntab says that they are Go's."""
    module, table = binary.read(moduledata.PARSER), binary.read(pclntab.PARSER)
    spans = (("text", "etext"), ("types", "etypes"), ("noptrdata", "enoptrdata"), ("data", "edata"))
    inside = (found.bounds[:-1] >= table.offset) & (found.bounds[:-1] < table.offset + len(table.data))
    for pair in spans:
        low, high = module.range(*pair) or (0, 0)
        start, last = (binary.image.offset_of(at) for at in (low, max(high - 1, low)))
        if low < high and start is not None and last is not None:
            inside |= (found.bounds[:-1] >= start) & (found.bounds[:-1] <= last)
    return inside


# 12.5 -----------------------------------------------------------------------------------------------------------------


def tables(quick: bool, only: str | None, tell: Tell) -> Table:
    """Every byte of pclntab is a function's, or of a remainder with a name."""
    programs = [Job.of(Build("hello", go)) for go in toolchains.minors()]
    for go in QUICK[1:] if quick else _releases("1.18"):
        programs.append(Job.of(Build("app", go, flags=(STRIP,))))
    if not quick:
        programs += [Job.of(build) for build in [*builds.arch_matrix(), *builds.os_matrix()]]
    header = ("file", "section", "unknown", "of functions", "remainder", "difference", "the remainder")
    title = "12.5 pclntab: unknown 0; functions' bytes and the remainder are the section's size"
    return tabulated(title, header, _pclntab, with_text(programs, only), tell)


def _pclntab(job: Job) -> Found:
    binary = goforensics.binary.open(job.path())
    table = binary.read(pclntab.PARSER)
    section = next((s for s in binary.image.sections if "pclntab" in s.name and s.file_size), None)
    low, size = (section.offset, section.file_size) if section else (table.offset, len(table.data))
    inside = [_inside(sort, low, low + size) for sort in binary.read(pcitems.PARSER)]
    used = float(pcitems.per_function(inside, len(table.funcs.record)).sum())
    found = bytemap_of(binary, ("structure", "origin"))
    rest = _remainder(found, inside, low, low + size)
    nameless = sum(n for name, n in rest.items() if not name or name.endswith("unknown"))
    off = size - used - sum(rest.values())
    negative = [f"functions use more of {name} than the map has" for name, count in rest.items() if count < 0]
    misses = [f"{nameless} bytes unknown"] * bool(nameless) + [f"off by {off:.1f} bytes"] * (abs(off) > 0.5)
    misses += negative
    named = ", ".join(f"{name or '(nothing)'} {count}" for name, count in rest.items())
    numbers = (str(size), str(nameless), f"{used:.0f}", str(sum(rest.values())), f"{abs(off):.1f}")
    return Found([(job.label, *numbers, named)], misses)


def _inside(sort: pcitems.Items, low: int, high: int) -> pcitems.Items:
    return pcitems._some(sort, (sort.starts >= low) & (sort.starts < high), sort.structure)


def _remainder(found: ByteMap, sorts: Sequence[pcitems.Items], low: int, high: int) -> dict[str, int]:
    """By structure the bytes that no function uses: those that the map has there but for the items in use."""
    code, names = labels(found, "structure")
    size = np.clip(found.bounds[1:], low, high) - np.clip(found.bounds[:-1], low, high)
    total = Counter(dict(zip(names, np.bincount(code, size, len(names)).astype(np.int64).tolist(), strict=True)))
    for sort in sorts:
        used = np.unique(sort.item)
        structure = sort.structure if sort.structure.startswith(FUNCDATA) else f"pclntab/{sort.structure}"
        total[structure] -= int((sort.ends[used] - sort.starts[used]).sum())
    return {name: count for name, count in total.most_common() if count}


POINTS: dict[str, Callable[[bool, str | None, Tell], Table]] = {
    "12.1": sums,
    "12.2": code_sizes,
    "12.3": owners,
    "12.4": unknown,
    "12.5": tables,
}
