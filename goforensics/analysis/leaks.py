"""Paths of the build machine that the file carries: where, how many, how many bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from operator import itemgetter
from typing import NamedTuple, TypeVar

import msgspec

from goforensics.analysis.paths import Roots, classify, in_text, is_leak
from goforensics.binary import Binary
from goforensics.containers.image import Image, Problem
from goforensics.errors import FormatError
from goforensics.report import LeakGroup, Leaks, PathKind
from goforensics.sections import buildinfo, dwarf, pclntab
from goforensics.sections.dwarf import DwarfTables
from goforensics.sections.dwarf_lines import LineStrings, file_names, name_counts

EXAMPLES = 3
SCRIPTS = ".debug_gdb_scripts"
DWARF = "dwarf"
T = TypeVar("T")
SHOWN = itemgetter(0, 1, 2)  # of a Found: path, bytes, where


class Found(NamedTuple):
    """One path as often as it is there.  `leakplaces` finds its offset."""

    path: str
    size: int  # bytes of its text, inflated
    where: str
    section: str  # that `at` is relative to, inflated; "" for the image
    at: int  # where it is, or where what holds it begins; -1 if it must be looked for
    length: int  # bytes of what holds it
    unit: int  # DWARF: the compile unit; -1 for none


Fields = tuple[str, int, str, str, int, int, int]  # a Found that is only counted: a large program has ten thousand


class _Group(msgspec.Struct):
    count: int = 0
    bytes: int = 0
    where: Counter[str] = msgspec.field(default_factory=Counter)
    examples: list[str] = []

    def add(self, path: str, size: int, where: str, count: int) -> None:
        """Count one path as often as it is there."""
        self.count += count
        self.bytes += count * size
        self.where[where] += count
        if len(self.examples) < EXAMPLES and path not in self.examples:
            self.examples.append(path)


def leaks(binary: Binary, directories: dict[str, str]) -> Leaks:
    """Every absolute build-machine path, grouped by prefix; `directories` tells where packages' files are."""
    roots = roots_of(directories)
    groups: dict[tuple[str, PathKind], _Group] = {}
    for (path, size, where), count in _counted(binary, roots).items():
        if is_leak(path):
            groups.setdefault(classify(path, roots), _Group()).add(path, size, where, count)
    rows = [
        LeakGroup(
            prefix, kind, g.count, g.bytes, [place for place, _ in g.where.most_common()], g.examples, dict(g.where)
        )
        for (prefix, kind), g in groups.items()
    ]
    rows.sort(key=lambda row: (-row.count, row.prefix))
    return Leaks(paths=sum(row.count for row in rows), bytes=sum(row.bytes for row in rows), groups=rows)


def roots_of(directories: dict[str, str]) -> Roots:
    """GOROOT is what precedes src/runtime; main's directory is where its files are."""
    runtime, main = directories.get("runtime", ""), directories.get("main", "")
    goroot = runtime.removesuffix("/src/runtime") if runtime.endswith("/src/runtime") else ""
    return Roots(goroot if is_leak(goroot) else None, main if is_leak(main) else None)


def found(binary: Binary, roots: Roots) -> Iterator[Found]:
    """Everything that may be a path, those that `is_leak` would not call one included."""
    lines = _in_lines(binary, _line_names)
    return map(Found._make, chain(_filetab(binary), _units(binary), lines, _others(binary, roots)))


def _counted(binary: Binary, roots: Roots) -> Counter[tuple[str, int, str]]:
    """How often each (path, bytes, where) is in the file."""
    total = Counter(map(SHOWN, chain(_filetab(binary), _units(binary))))
    for name, size, count in _in_lines(binary, _line_counts):
        total[name, size - 1, DWARF] += count
    total.update(map(SHOWN, _others(binary, roots)))
    return total


def _filetab(binary: Binary) -> Iterator[Fields]:
    table = binary.maybe(pclntab.PARSER)
    if table is None:
        return
    for path, at in zip(table.files, table.file_offsets.tolist(), strict=True):
        size = _size(path)
        yield path, size, "filetab", "", table.offset + at, size, -1


def _units(binary: Binary) -> Iterator[Fields]:
    tables = binary.maybe(dwarf.PARSER)
    for number, unit in enumerate(tables.units if tables else ()):
        for text in (unit.comp_dir, unit.name):
            if text:
                yield text, _size(text), DWARF, "", -1, 0, number


def _in_lines(binary: Binary, read: Callable[[LineStrings, DwarfTables, str, list[str]], Iterator[T]]) -> Iterator[T]:
    """What `read` makes of the line programs; its complaints are the image's."""
    tables, problems = binary.maybe(dwarf.PARSER), list[str]()
    if tables is None:
        return
    image = binary.image
    try:
        parts = (dwarf.section_bytes(image, tables, name) for name in (".debug_line", ".debug_line_str", ".debug_str"))
        yield from read(LineStrings(*parts), tables, image.order, problems)
    except FormatError as error:
        problems.append(error.reason)
    image.problems += [Problem(".debug_line", 0, reason) for reason in problems]


def _line_names(strings: LineStrings, tables: DwarfTables, order: str, problems: list[str]) -> Iterator[Fields]:
    for entry in file_names(strings, tables.units, order, problems):
        size = entry.size - 1
        yield entry.name, size, DWARF, entry.where, entry.offset, size, entry.unit


def _line_counts(
    strings: LineStrings, tables: DwarfTables, order: str, problems: list[str]
) -> Iterator[tuple[str, int, int]]:
    for (name, size), count in name_counts(strings, tables.units, order, problems).items():
        yield name, size, count


def _others(binary: Binary, roots: Roots) -> Iterator[Fields]:
    yield from _scripts(binary)
    yield from _build(binary)
    yield from _goroot(binary.image, roots)
    yield from _run_paths(binary.image)


def _scripts(binary: Binary) -> Iterator[Fields]:
    """A type byte, then the path of a script for gdb, NUL-ended: see cmd/link/internal/ld/dwarf.go (writegdbscript)."""
    tables, at = binary.maybe(dwarf.PARSER), 0
    try:
        raw = dwarf.section_bytes(binary.image, tables, SCRIPTS) if tables else b""
    except FormatError as error:
        binary.image.problems.append(Problem(SCRIPTS, 0, error.reason))
        return
    for entry in raw.split(b"\0"):
        size = len(entry) - 1
        yield entry[1:].decode("utf-8", "backslashreplace"), size, SCRIPTS, SCRIPTS, at + 1, size, -1
        at += len(entry) + 1


def _build(binary: Binary) -> Iterator[Fields]:
    info = binary.maybe(buildinfo.PARSER)
    if info is None:
        return
    for setting in info.mod.settings:
        for path in in_text(setting.value):
            yield path, _size(path), f"buildinfo:{setting.key}", "", setting.offset, setting.size, -1
    for module in info.mod.modules:
        swap = module.replace
        if swap:
            yield swap.path, _size(swap.path), "buildinfo:replace", "", swap.offset, swap.size, -1


def _goroot(image: Image, roots: Roots) -> Iterator[Fields]:
    """runtime.defaultGOROOT among the string constants: the root by itself, not the start of a file's path."""
    if roots.goroot is None:
        return
    needle = roots.goroot.encode()
    constants = [s for s in image.sections if s.role == "data" and not s.name.endswith(("gopclntab", "buildinfo"))]
    for hit in re.finditer(re.escape(needle) + rb"(?![/\\])", image.data):
        if any(s.offset <= hit.start() < s.offset + s.file_size for s in constants):
            yield roots.goroot, len(needle), "rodata", "", hit.start(), len(needle), -1
            return


def _run_paths(image: Image) -> Iterator[Fields]:
    try:
        dynamic = image.dynamic()
    except FormatError:
        return
    for where, paths in (("rpath", dynamic.rpath), ("runpath", dynamic.runpath)):
        yield from ((path, _size(path), where, "", -1, 0, -1) for path in paths)


def _size(path: str) -> int:
    return len(path.encode("utf-8", "surrogateescape"))
