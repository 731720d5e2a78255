"""The file and directory names in the line programs' headers: where source paths are in DWARF.

Source of truth: DWARF 5, section 6.2.4; Go's src/debug/dwarf/line.go (LineReader), cmd/link/internal/ld/dwarf.go
(writelines).  Go writes whole paths as file names; C compilers write directories and names by number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

import msgspec

from goforensics.errors import FormatError
from goforensics.sections.dwarf_forms import LINE_STR, STR, Ref, Shape, value
from goforensics.sections.dwarf_paths import is_absolute, join
from goforensics.sections.dwarf_reader import LONGEST, Budget, Reader, string_at
from goforensics.sections.dwarf_units import Unit
from goforensics.sections.search import text

Counted = tuple[str, int]  # a name, its bytes with the NUL
Formats = tuple[tuple[int, int], ...]
LINE = ".debug_line"
LNCT_PATH, LNCT_DIRECTORY = 1, 2
FORM_STRING, FORM_UDATA = 0x08, 0x0F
# How Go describes its directories and its files, and such an entry: a name, of a file its directory if below 128.
PLAIN = {
    ((LNCT_PATH, FORM_STRING),): re.compile(rb"([^\0]{0,%d})\0()" % (LONGEST - 1)),
    ((LNCT_PATH, FORM_STRING), (LNCT_DIRECTORY, FORM_UDATA)): re.compile(
        rb"([^\0]{0,%d})\0([\0-\x7f])" % (LONGEST - 1)
    ),
}


class LineName(NamedTuple):
    """One name of a line program's header.  Units that share a program have its names once, under the first."""

    unit: int  # index in `units`
    kind: Literal["directory", "file"]
    number: int  # as the line program counts it: files from 1 before DWARF 5, from 0 since
    directory: str  # that it is relative to; "" for none
    name: str  # as written
    where: str  # the section that holds the name's bytes: ".debug_line", ".debug_line_str" or ".debug_str"
    offset: int  # in that section, inflated
    size: int  # bytes there, the NUL included

    @property
    def path(self) -> str:
        """The name joined with its directory; a program has tens of thousands, and few are ever shown."""
        return join(self.directory, self.name) if self.directory else self.name


class LineStrings(msgspec.Struct, frozen=True):
    """The inflated sections that names lie in."""

    line: bytes | bytearray
    line_str: bytes | bytearray
    str: bytes | bytearray


class _Name(NamedTuple):
    name: str
    where: str
    offset: int
    size: int
    directory: int


NO_NAME = _Name("", LINE, 0, 0, 0)


def file_names(strings: LineStrings, units: Iterable[Unit], order: str, problems: list[str]) -> Iterator[LineName]:
    """The names in every line program's header that a unit has, in the order of units.

    A program whose header is broken adds to `problems` and gives the names up to the fault.
    """
    budget = Budget()
    seen: set[int] = set()
    for number, unit in enumerate(units):
        if unit.stmt_list is None or unit.stmt_list in seen:
            continue
        seen.add(unit.stmt_list)
        try:
            yield from _program(strings, unit, number, order, budget)
        except FormatError as error:
            problems.append(str(error))


def name_counts(strings: LineStrings, units: Iterable[Unit], order: str, problems: list[str]) -> Counter[Counted]:
    """How often each name is in the headers, with its bytes: what `file_names` finds, in a fifth of the time.

    Go's own programs are counted as bytes, a header at a time.
    """
    first = {unit.stmt_list: unit for unit in reversed(list(units)) if unit.stmt_list is not None}
    plain, others, budget = Counter[bytes](), list[Unit](), Budget()
    for unit in reversed(first.values()):
        try:
            plain.update(_raw_names(strings, unit, order, budget))
        except FormatError:
            others.append(unit)
    found = Counter({(text(raw), len(raw) + 1): count for raw, count in plain.items()})
    found.update((name.name, name.size) for name in file_names(strings, others, order, problems))
    return found


def _raw_names(strings: LineStrings, unit: Unit, order: str, budget: Budget) -> list[bytes]:
    """The names of a program whose tables are as Go writes them.  FormatError for any other: it is read in full."""
    reader = Reader(strings.line, order, LINE, unit.stmt_list or 0)
    if _header(reader, unit).version != 5:
        raise reader.error("tables of an earlier DWARF")
    directories, files = _raw_table(reader, budget), _raw_table(reader, budget)
    if max((entry[2] for entry in files), default=b"") >= bytes([min(len(directories), 255)]):
        raise reader.error("a directory that is not there")
    return [entry[1] for entry in (*directories, *files)]


def _raw_table(reader: Reader, budget: Budget) -> list[re.Match[bytes]]:
    """The entries of the table at the reader."""
    formats, count = _description(reader)
    if formats not in PLAIN:
        raise reader.error("entries with other fields")
    start = reader.offset
    entries = list(islice(PLAIN[formats].finditer(reader.raw, start, reader.end), count))
    size = sum(len(entry[0]) for entry in entries)
    if len(entries) < count or (entries and entries[-1].end() != start + size):
        raise reader.error("entries that are longer, or broken")
    budget.step(LINE, start, 3 * count)
    budget.keep(size, LINE, start)
    reader.offset += size
    return entries


def _description(reader: Reader) -> tuple[Formats, int]:
    """What a table of DWARF 5 says of its entries: (kind of content, form) of each field, and how many there are."""
    formats = tuple((reader.uleb(), reader.uleb()) for _ in range(reader.number(1)))
    count = reader.uleb()
    if count > reader.end - reader.offset:
        raise reader.error(f"{count} entries do not fit")
    return formats, count


def _program(strings: LineStrings, unit: Unit, number: int, order: str, budget: Budget) -> Iterator[LineName]:
    """The names of the program at the unit's stmt_list."""
    reader = Reader(strings.line, order, LINE, unit.stmt_list or 0)
    shape = _header(reader, unit)
    directories: list[str] = []
    names = _counted(reader, shape, strings, budget) if shape.version == 5 else _ended(reader, unit, budget)
    for kind, index, name in names:
        parent = _parent(name, directories, kind, shape.version, reader)
        found = LineName(number, kind, index, parent, name.name, name.where, name.offset, name.size)
        if kind == "directory":
            directories.append(found.path)
        if name.size:
            yield found


def _header(reader: Reader, unit: Unit) -> Shape:
    """Read up to the names; what the sizes of their forms depend on."""
    size, offset_size = reader.length()
    if size > reader.end - reader.offset:
        raise reader.error(f"a line program of {size} bytes does not fit")
    reader.end = reader.offset + size
    version = reader.number(2)
    if not 2 <= version <= 5:
        raise reader.error(f"line program of version {version}")
    reader.skip(2 if version == 5 else 0)  # address and segment selector sizes
    program = reader.number(offset_size)
    if program > reader.end - reader.offset:
        raise reader.error(f"a header of {program} bytes does not fit")
    reader.end = reader.offset + program
    reader.skip(5 if version >= 4 else 4)  # instruction length, (operations,) default_is_stmt, line base and range
    opcodes = reader.number(1)
    reader.skip(max(opcodes - 1, 0))
    return Shape(version, offset_size, unit.address_size)


Entry = tuple[Literal["directory", "file"], int, _Name]


def _ended(reader: Reader, unit: Unit, budget: Budget) -> Iterator[Entry]:
    """DWARF 2 to 4: lists that an empty name ends; directory 0, which is not written, is the unit's comp_dir."""
    yield "directory", 0, NO_NAME._replace(name=unit.comp_dir or "")
    index = 1
    while (name := _inline(reader, budget)).size > 1:
        yield "directory", index, name
        index += 1
    index = 1
    while (name := _inline(reader, budget)).size > 1:
        directory, _, _ = reader.uleb(), reader.uleb(), reader.uleb()  # time and length follow
        yield "file", index, name._replace(directory=directory)
        index += 1


def _inline(reader: Reader, budget: Budget) -> _Name:
    """A name in the header itself."""
    budget.step(LINE, reader.offset)
    start = reader.offset
    name, size = reader.string(budget)
    return _Name(name, LINE, start, size, 0)


def _counted(reader: Reader, shape: Shape, strings: LineStrings, budget: Budget) -> Iterator[Entry]:
    """DWARF 5: two counted tables, each after a description of its entries."""
    kinds: tuple[Literal["directory", "file"], ...] = ("directory", "file")
    for kind in kinds:
        formats, count = _description(reader)
        plain = _plain(reader, PLAIN[formats], count, budget) if formats in PLAIN else []
        yield from ((kind, index, name) for index, name in enumerate(plain))
        for index in range(len(plain), count):
            budget.step(LINE, reader.offset, 1 + len(formats))
            yield kind, index, _described(reader, shape, formats, strings, budget)


def _plain(reader: Reader, entry: re.Pattern[bytes], count: int, budget: Budget) -> list[_Name]:
    """The entries at the reader that are as Go writes them, all at once: a big program has 20,000."""
    names: list[_Name] = []
    start = at = reader.offset
    for found in islice(entry.finditer(reader.raw, at, reader.end), count):
        if found.start() != at:
            break  # what lies between is no such entry
        names.append(_Name(text(found[1]), LINE, at, len(found[1]) + 1, ord(found[2] or b"\0")))
        at = found.end()
    budget.step(LINE, start, 3 * len(names))
    budget.keep(at - start, LINE, start)
    reader.offset = at
    return names


def _described(reader: Reader, shape: Shape, formats: Formats, strings: LineStrings, budget: Budget) -> _Name:
    """One entry of a DWARF 5 table."""
    found = NO_NAME
    directory = 0
    for content, form in formats:
        if content == LNCT_PATH and form == FORM_STRING:
            found = _inline(reader, budget)
            continue
        got = value(reader, shape, form, 0)
        if content == LNCT_PATH and isinstance(got, Ref) and not got.indexed:
            found = _elsewhere(got, strings, budget)
        elif content == LNCT_DIRECTORY and isinstance(got, int):
            directory = got
    return found._replace(directory=directory)


def _elsewhere(ref: Ref, strings: LineStrings, budget: Budget) -> _Name:
    """A name in a string section."""
    raw = {STR: strings.str, LINE_STR: strings.line_str}[ref.where]
    name, size = string_at(raw, ref.at, ref.where, budget)
    return _Name(name, ref.where, ref.at, size, 0)


def _parent(name: _Name, directories: Sequence[str], kind: str, version: int, reader: Reader) -> str:
    """The directory that a name is in: a file in the one it names, a directory before DWARF 5 in the first."""
    if not name.name or is_absolute(name.name) or not directories:
        return ""
    if kind == "directory":
        return directories[0] if version < 5 else ""
    if name.directory >= len(directories):
        raise reader.error(f"directory {name.directory} of {len(directories)}")
    return directories[name.directory]
