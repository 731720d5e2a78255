"""dwarf: the debug sections, what they take in the file and inflated, and their compile units.

Source of truth: Go's cmd/link/internal/ld/dwarf.go (the writer), src/debug/dwarf (the reader).  Sections are found by
name in any container: ELF and PE ".debug_info", ".zdebug_info", Mach-O "__DWARF,__debug_info", "__DWARF,__zdebug_info".
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from goforensics.bytemap import Claims, Level
from goforensics.containers.image import Image, Section
from goforensics.errors import FormatError
from goforensics.sections import compression, dwarf_units
from goforensics.sections.dwarf_forms import INFO, Abbreviations
from goforensics.sections.dwarf_reader import Budget
from goforensics.sections.dwarf_units import Root, Unit
from goforensics.sections.protocol import Parser, Source

# A Mach-O section's name has 16 bytes: "__debug_str_offsets" ends as "__debug_str_offs".
CUT = {
    name[:length]: name
    for name in (".debug_str_offsets", ".debug_gdb_scripts", ".debug_line_str", ".debug_loclists", ".debug_rnglists")
    for length in (14, 15)
}
LARGE = (
    INFO,
    ".debug_line",
    ".debug_loclists",
    ".debug_loc",
    ".debug_frame",
)  # of those that are inflated, as they are asked for


class DebugSection(msgspec.Struct, frozen=True):
    """One debug section; sizes in bytes."""

    name: str  # canonical: ".debug_info", whatever the container calls it and however it is compressed
    section: Section
    file_bytes: int
    uncompressed_bytes: int  # as declared; that of the file where the declaration cannot be read


class DwarfTables(msgspec.Struct, frozen=True):
    """The debug sections in file order, and the compile units in the order of .debug_info."""

    sections: tuple[DebugSection, ...]
    units: tuple[Unit, ...]
    problems: tuple[str, ...]  # why units may be missing, empty if none are

    @property
    def file_bytes(self) -> int:
        """Bytes in the file, all sections together."""
        return sum(s.file_bytes for s in self.sections)

    @property
    def uncompressed_bytes(self) -> int:
        """Bytes as declared, inflated."""
        return sum(s.uncompressed_bytes for s in self.sections)


def canonical(section: Section) -> str | None:
    """DWARF's own name for a section; None if it is no debug section."""
    name = section.name
    segment, comma, rest = name.partition(",")
    if comma:
        name = "." + rest.removeprefix("__") if segment == "__DWARF" else ""
    for prefix in (".debug_", ".zdebug_"):
        if name.startswith(prefix):
            found = ".debug_" + name.removeprefix(prefix)
            return CUT.get(found, found) if comma else found
    return None


def decode(source: Source) -> DwarfTables:
    """Decode the units.  FormatError (absent) if there are no debug sections; what is broken in them is a problem."""
    image = source.image
    problems: list[str] = []
    sections = tuple(_sections(image, problems))
    if not sections:
        raise FormatError("no debug sections", structure="DWARF", absent=True)
    budget = Budget()
    found = _roots(image, sections, budget, problems)

    def content(name: str) -> bytes | bytearray:
        return _content(image, sections, name, problems)

    units = dwarf_units.resolve(found, content, image.order, budget) if found else []
    return DwarfTables(sections, tuple(units), tuple(problems))


def ahead(image: Image) -> None:
    """Begin to inflate what takes long, in the order in which it is asked for."""
    large = {canonical(section): section for section in image.sections if section.compression}
    compression.ahead(image, [large[name] for name in LARGE if name in large])


def section_bytes(image: Image, tables: DwarfTables, name: str) -> bytes | bytearray:
    """A debug section's inflated bytes by canonical name; empty if there is none.  FormatError if it is broken."""
    return _inflated(image, tables.sections, name)


def _sections(image: Image, problems: list[str]) -> Iterator[DebugSection]:
    for section in sorted(image.sections, key=lambda s: s.offset):
        name = canonical(section)
        if name is None or not section.file_size:
            continue
        try:
            size = compression.uncompressed_size(image, section)
        except FormatError as error:
            problems.append(str(error))
            size = section.file_size
        yield DebugSection(name, section, section.file_size, size)


def _roots(image: Image, sections: tuple[DebugSection, ...], budget: Budget, problems: list[str]) -> list[Root]:
    """Root entries up to the first broken unit; the inflated .debug_info is let go of before any other is needed."""
    info = _content(image, sections, INFO, problems)
    abbreviations = Abbreviations(_content(image, sections, ".debug_abbrev", problems), image.order, budget)
    found: list[Root] = []
    try:
        for root in dwarf_units.roots(info, abbreviations, image.order, budget):
            found.append(root)
    except FormatError as error:
        problems.append(str(error))
    return found


def _content(image: Image, sections: tuple[DebugSection, ...], name: str, problems: list[str]) -> bytes | bytearray:
    try:
        return _inflated(image, sections, name)
    except FormatError as error:
        problems.append(str(error))
        return b""


def _inflated(image: Image, sections: tuple[DebugSection, ...], name: str) -> bytes | bytearray:
    found = next((s for s in sections if s.name == name), None)
    return b"" if found is None else compression.content(image, found.section)


def claims(source: Source, tables: DwarfTables) -> Iterator[Claims]:
    """Each debug section, under its canonical name."""
    ranges = [(s.section.offset, s.section.offset + s.file_bytes) for s in tables.sections]
    names = [s.name for s in tables.sections]
    yield Claims.of("dwarf", Level.TABLE, ranges, structure=names, kind="debug", origin="debug")


PARSER = Parser("dwarf", decode, claims)
