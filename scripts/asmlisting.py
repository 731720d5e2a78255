"""What the compiler prints of each function with -S and with -d=pctab, as records, and the pc-value tables in it.

Source of truth: Go's src/cmd/internal/obj/objfile.go (writeSymDebugNamed, what -S prints), pcln.go (funcpctab, which
is transcribed here, and what -d=pctab prints of it) and inl.go (dumpInlTree).  These read the same in 1.22 to 1.27.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import builds
import toolchains

SYMBOL = re.compile(r"(?P<name>\S.*?) (?P<kind>S[A-Z]+)(?P<words>(?: [a-z]+)*) size=(?P<size>\d+)\b")
INSTRUCTION = re.compile(r"\t0x[0-9a-f]+ (?P<pc>\d{5,}) \((?P<at>.*?)\)\t(?P<op>[\w.]+)(?:\t(?P<rest>.*))?")
HEX = re.compile(r"\t0x(?P<at>[0-9a-f]+)(?P<bytes>(?: [0-9a-f]{2}){1,16})  ")
RELOCATION = re.compile(r"\trel (?P<at>\d+)\+(?P<size>\d+) t=")
POSITION = re.compile(r"(?P<file>.*?):(?P<line>\d+)(?:\[.*\])?")  # a //line directive's, the real one in brackets
PCDATA = re.compile(r"\$(\d+), \$(-?\d+)")
FUNCDATA = re.compile(r"\$(\d+), (.*)\(SB\)")
PCTAB = re.compile(r"funcpctab (?P<name>.*) \[valfunc=(?P<table>\w+)\]")
WROTE = re.compile(r"wrote (?P<count>\d+) bytes to ")
TREE = re.compile(r"-- inlining tree for (?P<name>.*):")
NODE = re.compile(r"\d+ \| (?P<parent>-?\d+) \| (?P<name>.*) \((?P<at>[^()]*)\) pc=(?P<pc>-?\d+)")

INLINE_HASH = re.compile(r"([^#]*)#.{12}#")

Value = int | str  # a file is a name until the linker numbers it
Step = tuple[Value, int]  # a value, and the offset in bytes where it ends


class Prog(NamedTuple):
    """An instruction or pseudo-instruction, as obj.Prog: its offset in bytes and its innermost position."""

    pc: int
    at: str
    op: str
    rest: str


@dataclass
class Symbol:
    """A symbol of one package's object file; the lines about it are read only where somebody asks."""

    name: str
    kind: str
    words: str
    size: int
    lines: list[str] = field(default_factory=list)

    @functools.cached_property
    def progs(self) -> list[Prog]:
        """A function's instructions in order."""
        found = (INSTRUCTION.fullmatch(line) for line in self.lines)
        return [Prog(int(m["pc"]), m["at"], m["op"], m["rest"] or "") for m in found if m]

    @property
    def content(self) -> bytes:
        """Its bytes, those not printed being zero."""
        content = bytearray(self.size)
        for found in filter(None, map(HEX.match, self.lines)):
            at, raw = int(found["at"], 16), bytes.fromhex(found["bytes"])
            content[at : at + len(raw)] = raw
        return bytes(content)

    @property
    def relocated(self) -> set[int]:
        """Offsets of the bytes that the linker decides."""
        found = [(int(m["at"]), int(m["size"])) for m in map(RELOCATION.match, self.lines) if m]
        return {at + i for at, size in found for i in range(size)}

    @property
    def is_function(self) -> bool:
        """It is code."""
        return self.kind.startswith("STEXT")

    @property
    def is_wrapper(self) -> bool:
        """It goes between the two calling conventions, under the name of what it calls."""
        return self.is_function and bool(self.progs) and "ABIWRAPPER" in self.progs[0].rest

    @property
    def is_dupok(self) -> bool:
        """Each package that needs it compiles its own, and the linker takes one of them."""
        return "dupok" in self.words


def trimmed(name: str) -> str:
    """A closure's name as the object file has it: without the hash of the calls that it was inlined through.

    Source of truth: TrimInlineHash in src/cmd/internal/obj/objfile.go, since Go 1.27.
    """
    found = INLINE_HASH.match(name)
    return found[1] + name[found.end() :] if found else name


def symbols(text: str) -> Iterator[Symbol]:
    """Every symbol in what -S prints for one package, in that order."""
    symbol: Symbol | None = None
    for line in text.split("\n"):
        if line.startswith("\t"):
            if symbol is not None:
                symbol.lines.append(line)
            continue
        if symbol is not None:
            yield symbol
        found = SYMBOL.match(line)
        symbol = Symbol(trimmed(found["name"]), found["kind"], found["words"], int(found["size"])) if found else None
    if symbol is not None:
        yield symbol


def packages(text: str) -> dict[str, str]:
    """What was printed for each package: the go command puts its import path above it."""
    parts = re.split(r"^# (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


Phase = Callable[[Value, Prog], Value]

# The tables --------------------------------------------------------------------------------------------------------


def funcpctab(symbol: Symbol, before: Phase, after: Phase) -> list[Step]:
    """obj.funcpctab: what one table of a function says.

    `before` and `after` are valfunc's phases 0 and 1.  Of instructions at one offset the last one counts, unless the
    value is what it was: a PCDATA that nothing comes of is seen by both sides alike.
    """
    value: Value = -1
    old, started, progs = value, False, symbol.progs
    steps: list[Step] = []
    for i, prog in enumerate(progs):
        value = before(value, prog)
        same = value == old and started
        if not same and not (i + 1 < len(progs) and progs[i + 1].pc == prog.pc):
            if started:
                steps.append((old, prog.pc))
            old, started = value, True
        value = after(value, prog)
    return [*steps, (old, symbol.size)] if started else []


def _kept(value: Value, prog: Prog) -> Value:
    return value


def pcdata(symbol: Symbol) -> dict[int, list[Step]]:
    """The table of each PCDATA that is ever other than -1: pctopcdata; linkpcln leaves the rest empty."""
    given = [PCDATA.fullmatch(prog.rest) for prog in symbol.progs if prog.op == "PCDATA"]
    numbers = {int(found[1]) for found in given if found and found[2] != "-1"}

    def after(number: int) -> Phase:
        start = f"${number}, $"
        return lambda value, prog: (
            int(prog.rest.removeprefix(start)) if prog.op == "PCDATA" and prog.rest.startswith(start) else value
        )

    return {number: funcpctab(symbol, _kept, after(number)) for number in sorted(numbers)}


def funcdata(symbol: Symbol) -> dict[int, str]:
    """The symbol of each FUNCDATA, by its index."""
    given = [FUNCDATA.fullmatch(prog.rest) for prog in symbol.progs if prog.op == "FUNCDATA"]
    return {int(found[1]): found[2] for found in given if found}


def positions(symbol: Symbol, part: str) -> list[Step]:
    """The table of "file" (as names) or "line": pctofileline, which passes over TEXT, NOP and unknown positions."""

    def before(value: Value, prog: Prog) -> Value:
        found = None if prog.op in ("TEXT", "NOP") else POSITION.fullmatch(prog.at)
        if found is None or found["line"] == "0":
            return value
        return int(found["line"]) if part == "line" else found["file"]

    return funcpctab(symbol, before, _kept)


# What -d=pctab prints ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A table as the compiler wrote it, and the function's inline tree where it was printed: (name, parent pc)."""

    name: str
    table: bytes
    tree: tuple[tuple[str, int], ...] = ()


def written(text: str) -> Iterator[Written]:
    """Every function's table in what -d=pctab prints for one package."""
    current: Written | None = None
    lines = iter(text.split("\n"))
    for line in lines:
        if found := PCTAB.fullmatch(line):
            if current is not None:
                yield current
            current = Written(trimmed(found["name"]), b"")
        elif current is not None and WROTE.match(line):
            current = replace(current, table=bytes.fromhex(next(lines)))
        elif current is not None and TREE.fullmatch(line):
            current = replace(current, tree=tuple(_nodes(lines)))
    if current is not None:
        yield current


def _nodes(lines: Iterator[str]) -> Iterator[tuple[str, int]]:
    for line in lines:
        found = NODE.fullmatch(line)
        if found is None:
            return
        yield trimmed(found["name"]), int(found["pc"])


# Listings, cached --------------------------------------------------------------------------------------------------


def listing(build: builds.Build, patterns: Sequence[str], flag: str) -> str:
    """What the compiler prints with `flag` for the packages that `patterns` name, while `build` is built.

    Raises BuildError.  The go command keeps what a compiler printed with what it compiled, and prints it again.
    """
    recipe = f"{builds.cached_path(build).parent.name} {patterns} {flag}"
    name = f"{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.gz"
    final = toolchains.cache_root() / "listings" / f"{build.program}_go{build.go}_{build.goarch}_{name}"
    if not final.is_file():
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_suffix(".part")
        temporary.write_bytes(gzip.compress(_printed(build, patterns, flag), 1))
        temporary.replace(final)
    return gzip.decompress(final.read_bytes()).decode("utf-8", "surrogateescape")


def _printed(build: builds.Build, patterns: Sequence[str], flag: str) -> bytes:
    env = toolchains.go_env(build.go) | {"GOOS": build.goos, "GOARCH": build.goarch, "CGO_ENABLED": "0"}
    flags = [f"-gcflags={pattern}={flag}" for pattern in patterns]
    command = [str(builds.go_command(build.go)), "build", "-mod=readonly", "-buildvcs=false", *flags]
    with tempfile.TemporaryDirectory(prefix="goforensics-") as work:
        done = subprocess.run(
            [*command, "-o", f"{work}/out", "."],
            cwd=builds.source_directory(build.program),
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise builds.BuildError(f"{build.label()}:\n{done.stdout[-2000:].decode('utf-8', 'replace')}")
        return done.stdout
