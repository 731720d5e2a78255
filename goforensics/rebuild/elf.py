"""The size of an ELF file that Go's own linker writes, position-independent or not.

Segments follow one another, each at the next multiple of FlagRound, which is the alignment that the file's own
segments have; in a segment each section stands at its own alignment.  Source of truth: Go's
cmd/link/internal/ld/data.go (address, layout) and elf.go (asmbElf, doelf).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import msgspec

from goforensics.containers.image import Image
from goforensics.rebuild import elf_headers, goroot, guess
from goforensics.rebuild.contents import MAX_ALIGN, STRING_ALIGN, Contents, Declined, Part
from goforensics.rebuild.elf_headers import DEBUG, SHT_NOBITS, SHT_REL, SHT_RELA, ElfHeaders, ElfSection, up
from goforensics.rebuild.goroot import Losses

NOTES = (b".note.go.buildid", b".note.gnu.build-id")
SYMBOL_NAMES = (b".symtab", b".strtab")
DEBUG_NAMES = tuple(name.encode() for name in DEBUG)
NOTHING: Mapping[int, int] = {}
MOST_UNUSED = 32  # bytes
MOST_ALIGN = 1 << 24  # a segment's alignment beyond it is no linker's


class _Held(msgspec.Struct, frozen=True):
    """A section that a segment holds, with the address and the alignment that the linker gave it."""

    index: int
    name: str
    address: int
    size: int  # bytes in memory
    align: int
    zeros: bool  # the file does not hold it


class _Segment(msgspec.Struct, frozen=True):
    """What one PT_LOAD holds: sections by address, and .shstrtab where Go 1.21 and before put it in between."""

    address: int
    sections: tuple[_Held, ...]
    unused: tuple[int, ...]  # bytes before each section that its alignment does not ask for


def size(image: Image, contents: Contents) -> int:
    """Bytes in the rebuilt file.  Declined where the file in hand is not laid out as Go's linker does."""
    return span(image, contents)[0]


def span(
    image: Image, contents: Contents, *, names: Mapping[str, str] | None = None, inflate: bool = True
) -> tuple[int, int]:
    """(bytes in the rebuilt file, by how much that may be off at the most): 0 where every length is known.

    `names` says what source files are called now and after -trimpath, for .debug_line where it stays.  Without
    `inflate` debug data is not inflated; where that would be needed the bound is wider.
    """
    layout = _Layout(elf_headers.read(image), contents)
    debug, slack = _debug(image, contents, (names or {}) if inflate else None)
    likely = layout.size(debug)
    return likely, slack + max(abs(likely - layout.size(debug, doubt)) for doubt in layout.doubts())


class _Layout:
    """The layout of one rebuild."""

    def __init__(self, headers: ElfHeaders, contents: Contents) -> None:
        self.headers, self.contents, self.align = headers, contents, _round_to(headers)
        self.segments = _segments(headers)
        self.losses = goroot.losses(headers, contents)
        self.lengths = _lengths(headers, contents, self.losses)

    def doubts(self) -> Iterator[dict[int, int]]:
        """Bytes that sections may be longer by, by index: none, and every combination of what is not known."""
        choices = [[(index, 0), (index, -more)] for index, more in self.losses.doubts]
        for chosen in product(*choices):
            more = dict.fromkeys((index for index, _ in chosen), 0)
            for index, change in chosen:
                more[index] += change
            yield more

    def size(self, debug: int, more: Mapping[int, int] = NOTHING) -> int:
        """Bytes of the file if its debug sections take `debug` and sections are longer by `more`."""
        lengths = {index: length + more.get(index, 0) for index, length in self.lengths.items()}
        address, offset = self.segments[0].address, 0
        for segment in self.segments:
            start = up(address, self.align)
            address, file_end = _laid(segment, lengths, start)
            offset = up(offset, self.align) + file_end - start
        end = up(offset, self.align) + debug
        after = self._after(lengths)
        return up(end, self.headers.image.pointer_size) + after if after else end

    def _after(self, lengths: Mapping[int, int]) -> int:
        """Bytes of the tables that follow what is loaded and the debug sections."""
        kept = set(self.headers.symbol_sections()) if self.contents.symbols else set()
        inside = {s.index for segment in self.segments for s in segment.sections}
        return sum(lengths[index] for index in kept | {self.headers.names} - inside)


def _debug(image: Image, contents: Contents, names: Mapping[str, str] | None) -> tuple[int, int]:
    """(bytes of the debug sections, by how much that may be off)."""
    if not contents.dwarf:
        return 0, 0
    sections = {s.name: (s.file_size, 0) for s in image.sections if s.role == "debug"}
    found = sections | guess.debug_sizes(image, contents, names)
    return sum(size for size, _ in found.values()) - contents.gdb_scripts, sum(doubt for _, doubt in found.values())


def _round_to(headers: ElfHeaders) -> int:
    """FlagRound: all loaded segments have it as their alignment."""
    aligns = {align for _, _, align in headers.loads()}
    if len(aligns) != 1 or not 1 <= max(aligns) <= MOST_ALIGN:
        raise Declined("loaded segments of different alignment: not linked by Go's linker")
    return max(aligns)


def _segments(headers: ElfHeaders) -> list[_Segment]:
    """The loaded segments in address order, each with its sections."""
    starts = sorted(address for address, _, _ in headers.loads())
    held: list[list[_Held]] = [[] for _ in starts]
    for section in sorted(headers.sections, key=lambda s: (s.offset, s.address, s.index)):
        placed = _placed(headers, section)
        if placed is None:
            continue
        address = placed.address
        number = sum(start <= address for start in starts) - 1
        if number < 0:
            raise Declined(f"{section.name} is loaded below all segments")
        held[number].append(placed)
    if not held or not held[-1]:
        raise Declined("no loaded sections")
    return [_Segment(start, tuple(s), tuple(_unused(s))) for start, s in zip(starts, held, strict=True)]


def _unused(sections: list[_Held]) -> Iterator[int]:
    """The linker lays .hash out longer than it is in the end."""
    end = 0
    for number, section in enumerate(sections):
        unused = section.address - up(end, section.align) if number else 0
        if not 0 <= unused < MOST_UNUSED:
            raise Declined(f"{section.name} does not follow the section before it")
        yield unused
        end = section.address + section.size


def _placed(headers: ElfHeaders, section: ElfSection) -> _Held | None:
    """The section if a segment holds it: .shstrtab, up to Go 1.21, and .gnu.attributes do not say that they are loaded.

    They lie among what is only read, aligned like every symbol that is given no alignment, by their size.
    """
    if section.is_tbss:
        return None
    if section.loaded:
        return _held(section, section.address, section.align)
    address = headers.image.address_of(section.offset)
    if address is None or section.is_debug or not section.in_file:
        return None
    most = STRING_ALIGN.get(headers.image.goarch, MAX_ALIGN)
    return _held(section, address, min(most, 1 << section.size.bit_length() - 1))


def _held(section: ElfSection, address: int, align: int) -> _Held:
    return _Held(section.index, section.name, address, section.size, align, section.type == SHT_NOBITS)


def _laid(segment: _Segment, lengths: Mapping[int, int], start: int) -> tuple[int, int]:
    """(end in memory, end of what is in the file) of a segment that begins at `start`."""
    at = start
    file_end: int | None = None
    for number, section in enumerate(segment.sections):
        if not number and section.address:
            at += section.address - segment.address  # of the first segment: the ELF header and its tables
        at = up(at, section.align) + segment.unused[number]
        if section.zeros and file_end is None:
            file_end = at
        at += lengths[section.index]
    return at, at if file_end is None else file_end


def _lengths(headers: ElfHeaders, contents: Contents, losses: Losses) -> dict[int, int]:
    """Bytes of every section in the rebuild."""
    lengths = {s.index: s.size for s in headers.sections}
    for part in (contents.strings, contents.buildinfo, contents.pclntab, contents.root_string):
        if part is not None:
            lengths[_holder(headers, part).index] += part.new_size - part.size
    for index, lost in losses.known.items():
        lengths[index] -= lost
    relocations = next((s for s in headers.sections if s.type in (SHT_RELA, SHT_REL) and s.loaded), None)
    if contents.goroot and headers.image.position_independent and relocations is not None:
        lengths[relocations.index] -= (3 if relocations.type == SHT_RELA else 2) * headers.image.pointer_size
    lengths[headers.names] = _names_size(headers, contents)
    return lengths


def _holder(headers: ElfHeaders, part: Part) -> ElfSection:
    """The section that a part is in."""
    for section in headers.sections:
        if section.loaded and section.type != SHT_NOBITS and 0 <= part.address - section.address < section.size:
            return section
    raise Declined("what changes is in no section")


def _names_size(headers: ElfHeaders, contents: Contents) -> int:
    """Bytes of .shstrtab: its strings are dropped by name, for it may hold some that no section uses."""
    table = next(s for s in headers.sections if s.index == headers.names)
    dropped: tuple[bytes, ...] = () if contents.dwarf else DEBUG_NAMES
    if not contents.symbols:
        dropped += SYMBOL_NAMES
    if contents.build_id:
        dropped += NOTES
    raw = bytes(headers.image.data[table.offset : table.offset + table.size])
    return table.size - sum(len(name) + 1 for name in raw.split(b"\0")[:-1] if dropped and name.startswith(dropped))
