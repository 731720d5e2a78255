"""Comparisons of what goforensics reads with what Go's own packages and tools read, and of its sums.

Each check returns how many things it compared and what differs, so that the tests and scripts/verify.py share it.
"""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import builds
import numpy as np
import oracle
import toolchains

import goforensics.binary
from goforensics.analysis.inspect import inspect
from goforensics.binary import Binary
from goforensics.report import Inspection
from goforensics.sections import buildinfo as info_section
from goforensics.sections import functions as placed_section
from goforensics.sections import pclntab as table_section
from goforensics.sections import symtab as symtab_section
from goforensics.sections.arrays import strings

CI_RELEASES = ("1.18", "1.22", "1.26", "1.27")
PIE = ("-buildmode=pie",)
COLUMNS = ("section", "structure", "module", "package", "symbol")
# nm's address (an undefined symbol has none), size, type and name (a section's symbol has none)
NM_LINE = re.compile(r"^ *([0-9a-f]*?) +(\d+) [A-Za-z?_] ?(.*)$", re.MULTILINE)
MOST = 5  # differences of one kind that are spelled out
# Sections that only a system linker writes: where .text begins with its code, Go's text begins later.
STARTUP = (".init", ".fini")


@dataclass(frozen=True)
class Result:
    """How many things were compared, what differs, and what had to be assumed for it."""

    count: int
    differences: list[str]
    note: str = ""


@dataclass(frozen=True)
class Subject:
    """A file to check: `reference` holds the same bytes with its headers whole, `twin` the same build unstripped."""

    label: str
    path: Path
    reference: Path | None = None
    twin: Path | None = None

    @functools.cached_property
    def binary(self) -> Binary:
        """The file, its structures read once for all checks."""
        return goforensics.binary.open(self.path)

    @property
    def whole(self) -> Path:
        """The file that the oracle is asked about."""
        return self.reference or self.path


def compare(what: str, ours: Sequence[Any], theirs: Sequence[Any]) -> list[str]:
    """The first few places where two listings differ, and how many there are."""
    found = [f"{what}: {len(ours)} of ours, {len(theirs)} of Go's"] if len(ours) != len(theirs) else []
    wrong = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b]
    found += [f"{what}[{i}]: {ours[i]!r}, Go has {theirs[i]!r}" for i in wrong[:MOST]]
    return [*found, f"{what}: {len(wrong)} differ in all"] if len(wrong) > MOST else found


def _ours(text: str) -> str:
    r"""The oracle's text as goforensics spells it: an undecodable byte is \xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _address(path: Path, name: str) -> int | None:
    return next((value for symbol, value, _, _ in oracle.symbols(path) if symbol == name), None)


def _places(subject: Subject) -> tuple[int | None, tuple[int, int] | None, str]:
    """(text, pclntab, note) to give to the oracle: nothing where it finds them itself, by symbol or by section.

    Without symbols it takes .text for the beginning of Go's code.  A system linker puts its own code there first, so
    the address is then the unstripped twin's; only where there is no twin is it ours, and the note says so.
    """
    image, path = subject.binary.image, subject.whole
    if _address(path, "runtime.text") is not None:
        return None, None, ""
    names = {section.name for section in goforensics.binary.open(path).image.sections}
    text, note = None, ""
    if names & set(STARTUP) or not any("text" in name for name in names):
        text = _address(subject.twin, "runtime.text") if subject.twin else None
        note = "text from the twin" if text is not None else "text from ours"
        text = subject.binary.read(placed_section.PARSER).text[0] if text is None else text
    if any("gopclntab" in name for name in names):
        return text, None, note
    table = subject.binary.read(table_section.PARSER)
    return text, (image.base + table.offset, len(table.data)), f"{note}, pclntab from ours".removeprefix(", ")


def functions(subject: Subject) -> Result:
    """Entry, end, name, file and line at the entry of every function, against debug/gosym.

    gosym's PCToLine knows nothing of an empty function (no address is in it): file "" and line 0, so that of an empty
    function only entry, end and name are compared.  For a function without a file or a line gosym has "" and -1, as
    goforensics does; in layout 1.2 it takes the header for the line table of a function that has none (the runtime
    does not) and gives a number below -1, which is taken for -1.
    """
    text, place, note = _places(subject)
    table, placed = subject.binary.read(table_section.PARSER), subject.binary.read(placed_section.PARSER)
    theirs = [
        (a, b, _ours(name), _ours(file), max(line, -1))
        for a, b, name, file, line in oracle.functions(subject.whole, text, place)
    ]
    starts = placed.address.tolist()
    ends = [a + size for a, size in zip(starts, placed.size.tolist(), strict=True)]
    files = _files(table)
    ours = [
        (a, b, name, file, line) if a < b else (a, b, name, "", 0)
        for a, b, name, file, line in zip(starts, ends, table.names, files, table.entry_line.tolist(), strict=True)
    ]
    if theirs and not any(entry for entry, *_ in theirs):
        return Result(0, [], "gosym cannot read it: the entries are relocated at load time")
    return Result(len(theirs), compare("function", ours, theirs), note)


def _files(table: table_section.Pclntab) -> list[str]:
    offsets = table.entry_file
    known = sorted(set(offsets.tolist()) - {0})
    names = dict(zip(known, strings(table.data, np.array(known, np.int64)), strict=True))
    return [names.get(offset, "") for offset in offsets.tolist()]


def buildinfo(subject: Subject) -> Result:
    """Every line of the build information, against debug/buildinfo, which `go version -m` prints."""
    ours = subject.binary.maybe(info_section.PARSER)
    try:
        theirs = _their_lines(oracle.buildinfo(subject.whole))
    except oracle.OracleError as error:
        return Result(1, [f"buildinfo: Go has none ({error})"] if ours else [], "no build information")
    if ours is None:
        return Result(len(theirs), ["buildinfo: not found, Go reads it"])
    lines: list[tuple[str, ...]] = [("go", ours.go_version), ("path", ours.mod.path)]
    lines += _our_module("mod", ours.mod.main) if ours.mod.main else [("mod", "", "", "")]
    lines += [line for module in ours.mod.modules for line in _our_module("dep", module)]
    lines += [("build", s.key, s.value) for s in ours.mod.settings]
    return Result(len(theirs), compare("buildinfo", lines, theirs))


def _our_module(word: str, module: info_section.Module) -> list[tuple[str, ...]]:
    line = (word, module.path, module.version, module.sum)
    return [line, *(_our_module("=>", module.replace) if module.replace else [])]


def _their_lines(info: dict[str, Any]) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = [("go", info.get("GoVersion", "")), ("path", info.get("Path", ""))]
    lines += _their_module("mod", info.get("Main") or {})
    lines += [line for module in info.get("Deps") or () for line in _their_module("dep", module)]
    return [*lines, *(("build", s.get("Key", ""), s.get("Value", "")) for s in info.get("Settings") or ())]


def _their_module(word: str, module: dict[str, Any]) -> list[tuple[str, ...]]:
    line = (word, module.get("Path", ""), module.get("Version", ""), module.get("Sum", ""))
    return [line, *(_their_module("=>", module["Replace"]) if module.get("Replace") else [])]


def symbols(subject: Subject) -> Result:
    """Name, value and size of every symbol in the file's order, against debug/elf, debug/macho and debug/pe."""
    theirs = [(_ours(name), value, size) for name, value, size, _ in oracle.symbols(subject.path)]
    found = subject.binary.maybe(symtab_section.PARSER)
    if found is None:
        return Result(len(theirs), ["symbols: none of ours"] if theirs else [], "no symbols")
    names = found.names()
    if found.table.record == "nlist":  # the oracle takes off an underscore of whatever debug/macho has left
        names = [name.removeprefix("_") for name in names]
    ours = list(zip(names, found.value.tolist(), found.size.tolist(), strict=True))
    return Result(len(theirs), compare("symbol", ours, theirs))


def nm(subject: Subject, minor: str = toolchains.NEWEST) -> Result:
    """Every symbol as `go tool nm` lists it, by address and name: nm sorts whatever it is asked.

    Only ELF has sizes; nm infers those of the other formats.
    """
    theirs = _nm_rows(subject.path, minor)
    found = subject.binary.maybe(symtab_section.PARSER)
    if found is None:
        return Result(len(theirs), ["nm: no symbols of ours"] if theirs else [], "no symbols")
    elf, macho = found.table.record == "elf", found.table.record == "nlist"
    rows = zip(
        found.names(),
        found.value.tolist(),
        found.size.tolist(),
        found.kind.tolist(),
        found.section.tolist(),
        strict=True,
    )
    ours = [
        (-1 if section == 0 else value, size if elf else 0, name)
        for name, value, size, kind, section in rows
        if not (macho and kind & 0xE0)  # nm leaves debugging records out
    ]
    want = [(address, size if elf else 0, name) for address, size, name in theirs]
    return Result(len(want), compare("nm", sorted(ours), sorted(want)))


def _nm_rows(path: Path, minor: str) -> list[tuple[int, int, str]]:
    """(address, size, name) by `go tool nm`; -1 for an undefined symbol's address, "" for the name of a section's."""
    go = str(toolchains.goroot(minor) / "bin" / "go")
    command = [go, "tool", "nm", "-size", "-sort", "none", str(path.absolute())]
    result = subprocess.run(command, env=toolchains.go_env(minor), capture_output=True, check=False)
    if result.returncode and b"no symbol" not in result.stderr:
        raise oracle.OracleError(result.stderr.decode("utf-8", "replace").strip())
    found = NM_LINE.findall(result.stdout.decode("utf-8", "surrogateescape"))
    return [(int(address, 16) if address else -1, int(size), _ours(name)) for address, size, name in found]


@functools.lru_cache(maxsize=1)
def _inspected(subject: Subject) -> Inspection:
    return inspect(subject.binary)


def sums(subject: Subject, columns: Iterable[str] = COLUMNS) -> Result:
    """Rows of the byte map by each column, by all columns, and the parts of the pclntab: each sums exactly."""
    wanted, document = [(column,) for column in columns], _inspected(subject)
    size, found = subject.path.stat().st_size, []
    for by in (*wanted, tuple(columns)):
        sizes = inspect(subject.binary, by).sizes
        total = sum(row.bytes for row in sizes.rows)
        if total != size or document.file.size != size or any(row.bytes < 0 for row in sizes.rows):
            found.append(f"sizes by {','.join(by)}: {total} bytes, the file has {size}")
    if document.pclntab is not None:
        found += _parts(document)
    return Result(len(wanted) + 1 + int(document.pclntab is not None), found)


def _parts(document: Inspection) -> list[str]:
    table = document.pclntab
    assert table is not None
    total = sum(table.parts.values())
    found = [f"pclntab.parts: {total} bytes, the table has {table.size}"] if total != table.size else []
    return found + [f"pclntab.parts: {n} bytes unknown" for name, n in table.parts.items() if name == "unknown" and n]


def unread(subject: Subject) -> Result:
    """Nothing there that could not be read, and no byte that two structures claim."""
    document = _inspected(subject)
    found = [f"unread {row.structure} at {row.offset:#x}: {row.reason}" for row in document.unread]
    found += [f"disputed at {row.offset:#x}: {row.size} bytes, {row.claimants}" for row in document.disputes[:MOST]]
    return Result(1, found)


ALL = {
    "functions": functions,
    "buildinfo": buildinfo,
    "symbols": symbols,
    "nm": nm,
    "sums": sums,
    "unread": unread,
}


def everything(subject: Subject) -> dict[str, Result]:
    """Every check; an exception is a difference like any other."""
    results = {}
    for name, check in ALL.items():
        try:
            results[name] = check(subject)
        except Exception as error:
            results[name] = Result(0, [f"{name}: {type(error).__name__}: {str(error)[:300]}"])
    return results


def loses_headers(build: builds.Build) -> bool:
    """Builds that are checked once more without their section headers: one of every layout of ELF."""
    return build.goos == "linux" and build.program in ("hello", "cgo") and build.flags in ((), (builds.STRIP,), PIE)


def ci_builds() -> list[builds.Build]:
    """What CI has time for: four releases, every program and set of flags once, every architecture and system."""
    chosen = [
        builds.Build(program, go, flags=flags, cgo=program == "cgo")
        for go in CI_RELEASES
        for program in ("hello", "cgo")
        for flags in ((), (builds.STRIP,), ("-trimpath",), PIE)
    ]
    chosen += [build for go in CI_RELEASES for build in builds.zoo_builds(go)[::3]]
    chosen += [builds.Build("app", "1.26", flags=flags) for flags in ((), (builds.STRIP,))]
    chosen += [builds.Build("hello", toolchains.NEWEST, goarch=goarch) for goarch in builds.ARCHES]
    return list(dict.fromkeys([*chosen, *builds.os_matrix((toolchains.NEWEST,))]))
