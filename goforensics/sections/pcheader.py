"""pcHeader: where the table of functions is and how it is laid out.

Source of truth: Go's src/runtime/symtab.go (pcHeader), src/internal/abi/symtab.go (magics) and, for Go 1.2 to 1.15,
src/debug/gosym/pclntab.go.  The magic only confirms a layout that the header's geometry shows: obfuscators overwrite
it, and 1.26 moved the function data into the table without changing it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import msgspec
import numpy as np
from msgspec.structs import replace

from goforensics.containers.image import Image, Problem, Section, Segment
from goforensics.errors import FormatError
from goforensics.sections.protocol import Parser, Source

NAMES = ("gopclntab", "__gopclntab")
MAGICS = {  # the Go release that brought the layout in; 1.20's magic stayed with the 1.26 layout
    0xFFFFFFFB: "1.2",
    0xFFFFFFFA: "1.16",
    0xFFFFFFF0: "1.18",
    0xFFFFFFF1: "1.20",
}
TABLES = ("funcnametab", "cutab", "filetab", "pctab", "functab")
ALIGNMENTS = (1, 8, 32)  # of the tables: since Go 1.26; before, on arm; before, elsewhere
PROBE = 64  # records whose spacing tells two layouts apart where the magic is gone


class PcHeader(msgspec.Struct, frozen=True):
    """The header, decoded.  All table offsets are bytes from the start of the pclntab."""

    layout: str  # "1.2", "1.16", "1.18", "1.20" or "1.26"
    magic: int
    offset: int  # of the pclntab in the image
    limit: int  # bytes from there to the end of the section, or of the segment where no section is named for it
    section: str | None  # None: found by structure
    order: str  # "<" or ">"
    pointer: int  # bytes in a pointer
    quantum: int  # MinLC, bytes: pc deltas are counted in it
    functions: int
    files: int
    header_size: int
    tables: dict[str, int]  # offset by name of TABLES; only functab in layout 1.2

    @property
    def magic_overwritten(self) -> bool:
        """The four bytes are not the magic of the layout that the rest shows."""
        return MAGICS.get(self.magic) != {"1.26": "1.20"}.get(self.layout, self.layout)

    @property
    def wide_functab(self) -> bool:
        """The functab holds pointer-sized, relocated addresses and not 32-bit offsets from the text's start."""
        return self.layout in ("1.2", "1.16")

    @property
    def entry_size(self) -> int:
        """Bytes of an entry in the functab and of the one that begins a _func."""
        return self.pointer if self.wide_functab else 4

    @property
    def func_size(self) -> int:
        """Bytes of a _func before its pcdata: the entry and 8 (1.2), 9 (1.16, 1.18) or 10 words."""
        return self.entry_size + {"1.2": 32, "1.16": 36, "1.18": 36}.get(self.layout, 40)

    @property
    def functab_size(self) -> int:
        """Bytes of the functab: pairs of (entry, record), the end of the last; 1.2 adds the filetab's offset."""
        return (2 * self.functions + 1) * self.entry_size + (4 if self.layout == "1.2" else 0)


def decode(source: Source) -> PcHeader:
    """Find the pclntab by its section's name, else by structure anywhere in the image.

    Raises FormatError: absent if nothing looks like a pclntab, else with what is wrong with the named section.
    """
    image = source.image
    named = [s for s in image.sections if s.file_size and s.name.endswith(NAMES)]
    for section in named:
        found = header_at(image, section.offset, section.offset + section.file_size, section)
        if found is not None:
            return found
    scanned = list(scan(image))
    if named:
        reason = "no valid header in the section of that name"
        image.problems.append(Problem(".gopclntab", named[0].offset, reason))
    if not scanned:
        raise FormatError("no table of functions found by name or by structure", structure="pclntab", absent=not named)
    return next((h for h in scanned if _is_pointed_at(image, h)), scanned[0])


def _is_pointed_at(image: Image, header: PcHeader) -> bool:
    address = image.address_of(header.offset)
    return address is not None and bool(image.pointers_to(address))


def scan(image: Image) -> Iterator[PcHeader]:
    """Headers found by structure: first those with a magic, then, if there is none, those without."""
    found = False
    for offset in _candidates(image, any_magic=False):
        header = header_at(image, offset, _limit(image, offset), None)
        if header is not None:
            found = True
            yield header
    if not found:
        headers = (header_at(image, at, _limit(image, at), None) for at in _candidates(image, any_magic=True))
        yield from (h for h in headers if h is not None)


def _candidates(image: Image, *, any_magic: bool) -> Iterator[int]:
    """4-aligned offsets whose bytes 4 to 8 could be a header's: two zeros, MinLC, the image's pointer size."""
    tail = b"\0\0[\1\2\4]" + re.escape(bytes([image.pointer_size]))
    magics = b"|".join(re.escape(struct.pack(image.order + "I", magic)) for magic in MAGICS)
    if not any_magic:
        pattern = re.compile(b"(?:" + magics + b")" + tail, re.DOTALL)
        yield from (m.start() for m in pattern.finditer(image.data) if m.start() % 4 == 0)
        return
    words = np.frombuffer(image.data, "<u4", len(image.data) // 4)
    for quantum in (1, 4, 2):
        wanted = int.from_bytes(bytes([0, 0, quantum, image.pointer_size]), "little")
        yield from (4 * (i - 1) for i in np.flatnonzero(words == wanted).tolist() if i)


def _limit(image: Image, offset: int) -> int:
    """Where the section, else the segment, around `offset` ends in the file."""
    parts: tuple[Section | Segment, ...] = (*image.sections, *image.segments)
    for part in parts:
        if part.offset <= offset < part.offset + part.file_size:
            return part.offset + part.file_size
    return len(image.data)


def header_at(image: Image, offset: int, end: int, section: Section | None) -> PcHeader | None:
    """The header at `offset` if its geometry holds together, else None."""
    end = min(end, len(image.data))
    raw = image.data[offset:end]
    if len(raw) < 8 + 8 * image.pointer_size:
        return None
    quantum, pointer = raw[6], raw[7]
    if bytes(raw[4:6]) != b"\0\0" or quantum not in (1, 2, 4) or pointer != image.pointer_size:
        return None
    words = np.frombuffer(raw, image.word, 8, 8).tolist()
    magic = int(np.frombuffer(raw, f"{image.order}u4", 1)[0])
    shape = _tables(words, pointer) or _table_of_go12(raw, words, image)
    if shape is None:
        return None
    header = PcHeader(
        layout=shape[0],
        magic=magic,
        offset=offset,
        limit=len(raw),
        section=section.name if section else None,
        order=image.order,
        pointer=pointer,
        quantum=quantum,
        functions=words[0],
        files=shape[1],
        header_size=shape[2],
        tables=shape[3],
    )
    header = replace(header, layout=_confirmed_layout(raw, header))
    return header if _holds(header) else None


def _tables(words: list[int], pointer: int) -> tuple[str, int, int, dict[str, int]] | None:
    """(layout, files, header size, tables) of a header of Go 1.16 or later: where funcnametab begins tells which.

    What is packed has a textStart of 0, which it is since 1.26 only; 1.18's header is packed on arm too.
    """
    for layout, count, first in (("1.16", 7, 2), ("1.18", 8, 3)):
        size = 8 + count * pointer
        aligned = [-(-size // align) * align for align in ALIGNMENTS]
        if words[first] not in aligned or sorted(words[first:count]) != words[first:count]:
            continue
        packed = layout == "1.18" and words[first] == size and not words[2]
        return "1.26" if packed else layout, words[1], size, dict(zip(TABLES, words[first:count], strict=True))
    return None


def _table_of_go12(raw: memoryview, words: list[int], image: Image) -> tuple[str, int, int, dict[str, int]] | None:
    """The same of Go 1.2 to 1.15: the first _func follows the functab, and begins with the functab's first entry."""
    pointer, count = image.pointer_size, words[0]
    size = 8 + pointer
    end = size + (2 * count + 1) * pointer
    if not count > 0 or end + 4 > len(raw):
        return None
    entry, record = np.frombuffer(raw, image.word, 2, size).tolist()
    if not end + 4 <= record <= end + 4 + pointer or record + pointer > len(raw):
        return None
    if np.frombuffer(raw, image.word, 1, record)[0] != entry:
        return None
    filetab = int(np.frombuffer(raw, f"{image.order}u4", 1, end)[0])
    if not 0 < filetab <= len(raw) - 4:
        return None
    files = int(np.frombuffer(raw, f"{image.order}u4", 1, filetab)[0])
    return "1.2", max(files - 1, 0), size, {"functab": size, "filetab": filetab}


def _confirmed_layout(raw: memoryview, header: PcHeader) -> str:
    """Tell 1.18 from 1.20, whose headers look alike, by the magic or else by how far apart the records lie."""
    if header.layout != "1.18":
        return header.layout
    if MAGICS.get(header.magic) in ("1.18", "1.20"):
        return MAGICS[header.magic]
    scores = {layout: _spacing(raw, replace(header, layout=layout)) for layout in ("1.18", "1.20")}
    return max(scores, key=lambda layout: scores[layout])


def _spacing(raw: memoryview, header: PcHeader) -> int:
    """How many of the first records end, to the pointer size, where the next begins, if a _func has this layout."""
    functab, size = header.tables["functab"], header.func_size
    count = min(header.functions, PROBE)
    if functab + 8 * count > len(raw):
        return 0
    records = np.sort(np.frombuffer(raw, f"{header.order}u4", 2 * count, functab)[1::2].astype(np.int64)) + functab
    good = 0
    for at, following in zip(records.tolist(), records[1:].tolist(), strict=False):
        if at + size > len(raw):
            return 0
        npcdata = int(np.frombuffer(raw, f"{header.order}u4", 1, at + 28)[0])
        end = at + size + 4 * (npcdata + raw[at + size - 1])
        good += following - header.pointer < end <= following and not any(raw[end:following])
    return good


def _holds(header: PcHeader) -> bool:
    """The header's counts fit the bytes that are there."""
    end = header.tables["functab"] + header.functab_size
    fits = header.functions > 0 and end <= header.limit and header.files <= header.limit
    return fits and max(header.tables.values()) < header.limit


PARSER = Parser("pcHeader", decode)
