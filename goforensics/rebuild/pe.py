"""The layout of a PE file that Go's linker writes by itself: a run of sections, each rounded up to 512 bytes.

Source of truth: cmd/link/internal/ld/pe.go (asmbPe, addSection, addPEBaseReloc, writeSymbolTableAndStringTable) and
data.go (dodata, address): what ELF files have as sections of their own lies in .rdata and .data, without a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from goforensics.containers.image import Image, Section
from goforensics.containers.pe import DEBUG, SYMBOL, PeImage
from goforensics.errors import FormatError
from goforensics.rebuild.base_relocations import Relocated, relocated, relocations_size
from goforensics.rebuild.contents import Contents, Declined, Part
from goforensics.rebuild.moves import (
    GOROOT,
    Debug,
    Moves,
    Removed,
    changed,
    inside,
    per_image,
    removed,
    resized,
    rounded,
    signs,
)
from goforensics.sections import moduledata, pcheader, symtab
from goforensics.sections.pcheader import PcHeader
from goforensics.sections.protocol import Parser, T

FILE_ALIGN, SECTION_ALIGN = 512, 4096  # PEFILEALIGN, PESECTALIGN
LARGE = 32  # cmd/link's alignment of large objects, in bytes
DATA_ALIGN = 32  # of what follows the build information: fipsinfo, moduledata or noptrdata; and of .bss
SAME_SIZE = (".text", ".pdata", ".xdata", ".idata")  # code, its unwinding, imports: no flag here changes them
LAID = (".text", ".rdata", ".data")  # what holds the pointers that .reloc lists
WRITTEN = {*SAME_SIZE, *LAID, ".reloc", ".symtab"}
SCRIPTS = "debug_gdb_scripts"
STRINGS = 4  # bytes of the string table's own size


def size(image: Image, contents: Contents, debug: Debug | None = None) -> int:
    """Bytes of the file that a rebuild with these contents is; `debug`, where debug sections get other sizes.

    Declined, with the reason, where the file is not as Go's linker writes it or no rule is known.
    """
    return next(_layouts(image, contents, resized(debug, 0))).size()


def bounds(image: Image, contents: Contents, debug: Debug | None = None) -> tuple[int, int]:
    """(least, most) bytes of that file: the doubt of `debug`, and of what moves with GOROOT's variable."""
    sizes = [x.size() for sign in signs(debug) for x in _layouts(image, contents, resized(debug, sign))]
    return min(sizes), max(sizes)


def _layouts(image: Image, contents: Contents, debug: Mapping[str, int]) -> Iterator[_Layout]:
    """The layouts that the file in hand allows, likeliest first."""
    pe = _checked(image)
    if contents.build_id:
        raise Declined("the build ID is a function of PE files, in all their tables: no rule for what goes")
    follower = _follower(pe, contents.pclntab)
    for gone in removed(pe, contents):
        yield _Layout(pe, contents, debug, follower, gone)


class _Follower(msgspec.Struct, frozen=True):
    """What follows the pclntab in .rdata: where it starts, and its alignment in bytes."""

    address: int
    align: int


class _Layout:
    """One layout: what follows the pclntab, and what leaves .data with GOROOT's string, are as given."""

    def __init__(
        self, image: PeImage, contents: Contents, debug: Mapping[str, int], follower: _Follower | None, gone: Removed
    ) -> None:
        self.image, self.contents, self.debug, self.gone = image, contents, debug, gone
        self.moves = Moves()
        parts = [self._padded(p, follower) for p in changed(contents)] + list(gone.parts)
        start = _named(image, ".text").address
        for name in LAID:
            section = _named(image, name)
            start = rounded(self.moves.add(section, start, [p for p in parts if inside(p, section)]), SECTION_ALIGN)
        if len(self.moves.parts) != len(parts):
            raise Declined("what changes is not all in .rdata and .data")

    def _padded(self, part: Part, follower: _Follower | None) -> Part:
        """A part with the zeros up to what follows it: after the build information and after the pclntab."""
        if part is self.contents.buildinfo:
            if part.address % DATA_ALIGN:
                raise Declined("the build information is not where Go's linker puts it")
            return Part(part.address, rounded(part.size, DATA_ALIGN), rounded(part.new_size, DATA_ALIGN))
        if part is not self.contents.pclntab or follower is None:
            return part
        strings = (self.contents.strings, self.contents.root_string)
        moved = sum(p.new_size - p.size for p in strings if p is not None and p.address < part.address)
        new = rounded(part.address + moved + part.new_size, follower.align) - moved
        return Part(part.address, follower.address - part.address, new - part.address)

    def size(self) -> int:
        """The headers and every section that is written."""
        sections = self.image.sections
        return sections[0].offset + sum(rounded(self._section(s), FILE_ALIGN) for s in sections)

    def _section(self, section: Section) -> int:
        """Bytes that a section has in the new file, before they are rounded up."""
        name = section.name
        if name.startswith(DEBUG):
            shrunk = self.contents.gdb_scripts if name.endswith(SCRIPTS) else 0
            size = self.debug.get(name, section.memory_size) - shrunk
            return max(size, 0) if self.contents.dwarf else 0
        if name == ".rdata":
            return section.memory_size + self._grown(section)
        if name == ".data":
            return self._data_size(section)
        if name == ".reloc":
            return relocations_size(_relocated(self.image, section), self.moves, self.gone.pointer)
        return self._symbols(section) if name == ".symtab" else section.file_size

    def _grown(self, section: Section) -> int:
        return sum(p.new_size - p.size for p in self.moves.parts if inside(p, section))

    def _data_size(self, section: Section) -> int:
        """.data ends where .bss begins, which only the moduledata tells: its bytes in the file are rounded up."""
        grown = self._grown(section)
        if not grown:
            return section.file_size
        bss = _bss(self.image, self.contents.pclntab)
        if not section.address < bss <= section.address + section.file_size:
            raise Declined("nothing tells where .data ends and .bss begins")
        return rounded(bss - section.address + grown, DATA_ALIGN)

    def _symbols(self, section: Section) -> int:
        """The symbol records and the string table, in which debug sections have their names too."""
        names = sum(len(s.name) + 1 for s in self.image.sections if s.name.startswith(DEBUG))
        if not self.contents.symbols:
            return STRINGS + (names if self.contents.dwarf else 0)
        lost = SYMBOL + len(GOROOT + ".str") + 1 if self.contents.goroot else 0
        return section.memory_size - lost - (0 if self.contents.dwarf else names)


class _Known(msgspec.Struct, frozen=True):
    """A Source for a pclntab whose place is known: it need not be searched for again."""

    image: Image
    table: int  # address of the pclntab, 0 if it is to be searched for
    size: int

    def read(self, parser: Parser[T]) -> T:
        """Decode one structure, the header of the pclntab where it is known to be."""
        header = self._header() if parser.name == pcheader.PARSER.name else None
        return parser.decode(self) if header is None else cast(T, header)

    def _header(self) -> PcHeader | None:
        at = self.image.offset_of(self.table) if self.table else None
        return None if at is None else pcheader.header_at(self.image, at, at + self.size, None)


def _facts(image: PeImage, table: Part | None) -> dict[str, int]:
    """The moduledata's words by name; none of them if it cannot be found."""
    return _moduledata(image, *((table.address, table.size) if table else (0, 0)))


@per_image
def _moduledata(image: PeImage, table: int, size: int) -> dict[str, int]:
    try:
        return moduledata.decode(_Known(image, table, size)).fields
    except FormatError:
        return {}


def _bss(image: PeImage, table: Part | None) -> int:
    """Where .bss begins: by its symbol, which is found at once, else by the moduledata; 0 if nothing tells."""
    return _bss_symbol(image) or _facts(image, table).get("bss", 0)


@per_image
def _bss_symbol(image: PeImage) -> int:
    table = image.symbol_table()
    symbols = symtab.decode_table(image, table) if table is not None else None
    found = symbols.find("runtime.bss") if symbols is not None else []
    return int(symbols.value[found[0]]) if symbols is not None and found else 0


@per_image
def _relocated(image: PeImage, section: Section) -> Relocated:
    return relocated(image.bytes_at(section.offset, section.memory_size, section.name), image.image_base)


def _follower(image: PeImage, table: Part | None) -> _Follower | None:
    """What follows the pclntab; None where it ends .rdata or does not change.

    Since Go 1.27 that is .go.type, which moduledata.types finds and which is aligned to two words on every machine (the
    ELF headers of 13 say so), in Go 1.26 .typelink.
    """
    section = _named(image, ".rdata")
    if table is None:
        return None
    end, last = table.address + table.size, section.address + section.memory_size
    if end == last:
        return None
    facts, aligns = _facts(image, table), {"types": 2 * image.pointer_size, "typelinks": LARGE}
    found = [_Follower(facts[name], align) for name, align in aligns.items() if end <= facts.get(name, 0) <= last]
    first = min(found, key=lambda f: f.address, default=None)
    if first is None or rounded(end, first.align) != first.address:
        raise Declined("what follows the pclntab in .rdata is not known")
    return first


def _named(image: PeImage, name: str) -> Section:
    section = image.section(name)
    if section is None:
        raise Declined(f"there is no section {name}")
    return section


def _checked(image: Image) -> PeImage:
    """The image, if Go's linker may have written all of it."""
    if not isinstance(image, PeImage):
        raise Declined("it is no PE file")
    if image.problems:
        raise Declined(f"it is damaged: {image.problems[0].reason}")
    other = [s.name for s in image.sections if s.name not in WRITTEN and not s.name.startswith(DEBUG)]
    if other:
        raise Declined(f"it has sections that Go's linker does not write by itself: {other[0]}")
    _named(image, ".symtab")
    at = image.sections[0].offset
    for section in image.sections:
        if section.offset != at:
            raise Declined(f"{section.name} is not where Go's linker puts it")
        at += rounded(section.file_size, FILE_ALIGN)
    return image
