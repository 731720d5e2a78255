"""The size of ELF files as Go's linker lays them out, on files made here for both word sizes and byte orders."""

from __future__ import annotations

import struct
from itertools import product
from typing import Any

import msgspec
import pytest

from goforensics.containers.elf import ElfImage
from goforensics.rebuild import elf
from goforensics.rebuild.contents import Contents, Declined, Part

BASE, HEADERS = 0x400000, 0x1000
PROGBITS, SYMTAB, STRTAB, NOBITS = 1, 2, 3, 8
ALLOC, WRITE, EXEC = 2, 1, 4
MACHINE = {64: 62, 32: 3}


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A file: what its sections hold, and how it is rounded."""

    bits: int = 64
    order: str = "<"
    page: int = 0x1000
    rodata: int = 0xF00
    pclntab: int = 0x800
    buildinfo: int = 0x130
    data: int = 0x345
    symbols: bool = True
    debug: bool = True
    notes: bool = False  # the names of the build ID's notes are among the sections
    inside: bool = False  # .shstrtab lies among what is only read, as up to Go 1.21

    @property
    def bytes(self) -> bytes:
        return _Writer(self).file()


class _Writer:
    def __init__(self, made: Made) -> None:
        self.made, self.rows, self.body = made, [(0,) * 8], bytearray(HEADERS)
        self.loads: list[tuple[int, int, int]] = []
        self.names = b"\0.text\0.rodata\0.gopclntab\0.go.buildinfo\0.data\0.bss\0.shstrtab\0"
        self.names += b".note.go.buildid\0.note.gnu.build-id\0" * made.notes
        self.names += b".debug_info\0.debug_loc\0" * made.debug + b".symtab\0.strtab\0" * made.symbols

    def file(self) -> bytes:
        made = self.made
        self.segment([(".text", 0x777, 32, ALLOC | EXEC)], HEADERS)
        names = [(".shstrtab", len(self.names), 32, 0)] if made.inside else []
        rodata = [(".rodata", made.rodata, 32, ALLOC), *names, (".gopclntab", made.pclntab, 32, ALLOC)]
        self.segment(rodata)
        data = [(".go.buildinfo", made.buildinfo, 16, ALLOC | WRITE), (".data", made.data, 32, ALLOC | WRITE)]
        self.segment([*data, (".bss", 0x5000, 32, ALLOC | WRITE)])
        self.pad(made.page)
        if made.debug:
            self.add(".debug_info", 0x321, PROGBITS, 0, 1)
        tables = made.symbols or not made.inside
        self.pad(made.bits // 8 if tables else 1)
        if made.symbols:
            self.add(".symtab", 24 * 10 if made.bits == 64 else 160, SYMTAB, 0, 8, link=len(self.rows) + 1)
            self.add(".strtab", 0x55, STRTAB, 0, 1)
        if not made.inside:
            self.add(".shstrtab", len(self.names), STRTAB, 0, 1)
        self.head()
        return bytes(self.body)

    def pad(self, align: int) -> None:
        self.body += bytes(-len(self.body) % align)

    def segment(self, sections: list[tuple[str, int, int, int]], skip: int = 0) -> None:
        self.pad(1 if skip else self.made.page)
        start = len(self.body) - skip
        end = memory = len(self.body)
        for name, size, align, flags in sections:
            self.pad(align)
            kind = {".bss": NOBITS, ".shstrtab": STRTAB}.get(name, PROGBITS)
            self.add(name, size, kind, flags, align if flags else 1)
            end, memory = len(self.body), len(self.body) + (size if kind == NOBITS else 0)
        self.loads.append((start, end - start, memory - start))

    def add(self, name: str, size: int, kind: int, flags: int, align: int, link: int = 0) -> None:
        at = len(self.body)
        address = BASE + at if flags & ALLOC else 0
        self.rows.append((self.names.index(name.encode() + b"\0"), kind, flags, address, at, size, link, align))
        if name == ".shstrtab":
            self.body += self.names
        else:
            self.body += bytes(0 if kind == NOBITS else size)

    def head(self) -> None:
        made = self.made
        wide, word = made.bits == 64, "Q" if made.bits == 64 else "I"
        shoff, phoff = 0x400, 0x40
        where = next(i for i, row in enumerate(self.rows) if row[5] == len(self.names) and row[1] == STRTAB)
        sizes = (64, 56, 64) if wide else (52, 32, 40)
        ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if made.order == "<" else 2, 1]) + bytes(9)
        numbers = (sizes[0], sizes[1], len(self.loads), sizes[2], len(self.rows), where)
        fixed = struct.pack(f"{made.order}HHI3{word}I6H", 2, MACHINE[made.bits], 1, BASE, phoff, shoff, 0, *numbers)
        self.put(0, ident + fixed)
        for i, (at, size, memory) in enumerate(self.loads):
            places = (at, BASE + at, BASE + at, size, memory)
            row = struct.pack(f"{made.order}II6Q", 1, 6, *places, made.page)
            narrow = struct.pack(f"{made.order}8I", 1, *places, 6, made.page)
            self.put(phoff + i * sizes[1], row if wide else narrow)
        for i, (name, kind, flags, address, at, size, link, align) in enumerate(self.rows):
            middle = struct.pack(f"{made.order}4{word}II", flags, address, at, size, link, 0)
            first, last = struct.pack(f"{made.order}II", name, kind), struct.pack(f"{made.order}2{word}", align, 0)
            self.put(shoff + i * sizes[2], first + middle + last)

    def put(self, at: int, raw: bytes) -> None:
        self.body[at : at + len(raw)] = raw


def image_of(made: Made) -> ElfImage:
    image = ElfImage(memoryview(made.bytes))
    assert not image.problems
    return image


def contents(now: Made, then: Made) -> Contents:
    """What has to change for one file to become the other."""
    image = image_of(now)
    at = {s.name: s.address for s in image.sections}
    return Contents(
        symbols=then.symbols,
        dwarf=then.debug,
        strings=Part(at[".rodata"] + 0x20, 0x40, 0x40 + then.rodata - now.rodata),
        buildinfo=Part(at[".go.buildinfo"], now.buildinfo, then.buildinfo),
        pclntab=Part(at[".gopclntab"], now.pclntab, then.pclntab) if then.pclntab != now.pclntab else None,
        goroot=False,
        build_id=0,
        gdb_scripts=0,
    )


CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "-s": {"symbols": False, "debug": False},
    "-w": {"debug": False},
    "-s -w=0": {"symbols": False},
    "longer text": {"rodata": 0xF20, "buildinfo": 0x140},
    "over a page": {"rodata": 0xF00 + 0xA20, "buildinfo": 0x140},
    "smaller table": {"pclntab": 0x6E0, "symbols": False, "debug": False},
    "less than a page": {"pclntab": 0x20, "debug": False},
}


@pytest.mark.parametrize(
    ("bits", "order", "page", "inside"), list(product((64, 32), "<>", (0x1000, 0x10000), (False, True)))
)
@pytest.mark.parametrize("change", CHANGES)
def test_one_file_becomes_another(change: str, bits: int, order: str, page: int, inside: bool) -> None:
    now = Made(bits=bits, order=order, page=page, inside=inside)
    then = msgspec.structs.replace(now, **CHANGES[change])
    assert elf.size(image_of(now), contents(now, then)) == len(then.bytes)


def test_a_page_is_crossed_or_not() -> None:
    """The cases above are not all of one size: rounding hides some, and not the one that is meant to show."""
    sizes = {change: len(Made(**values).bytes) for change, values in CHANGES.items()}
    assert sizes["longer text"] == sizes["nothing"]
    assert sizes["over a page"] == sizes["nothing"] + 0x1000
    assert sizes["less than a page"] == sizes["-w"] - 0x1000


def test_the_build_id_takes_the_names_of_its_notes_with_it() -> None:
    now = Made(notes=True)
    asked = msgspec.structs.replace(contents(now, now), build_id=83)
    assert elf.size(image_of(now), asked) == len(Made().bytes) == len(now.bytes) - 36


def test_debug_data_that_moves_is_bounded() -> None:
    now = Made()
    kept = msgspec.structs.replace(now, buildinfo=0x140)
    assert elf.span(image_of(now), contents(now, kept)) == (len(kept.bytes), 0)  # not compressed
    assert elf.span(image_of(now), contents(now, now))[1] == 0


def test_a_part_that_is_in_no_section_is_declined() -> None:
    now = Made()
    outside = msgspec.structs.replace(contents(now, now), pclntab=Part(0x10, 4, 8))
    with pytest.raises(Declined, match="no section"):
        elf.size(image_of(now), outside)


def test_gaps_between_sections_are_declined() -> None:
    now = Made()
    image = image_of(now)
    raw = bytearray(now.bytes)
    row = 0x400 + 64 * 3  # .gopclntab
    place = next(s for s in image.sections if s.name == ".gopclntab")
    struct.pack_into("<QQQ", raw, row + 16, place.address + 0x40, place.offset + 0x40, place.file_size - 0x40)
    with pytest.raises(Declined, match="follow"):
        elf.size(ElfImage(memoryview(bytes(raw))), contents(now, now))


def test_segments_of_different_alignment_are_another_linkers() -> None:
    raw = bytearray(Made().bytes)
    struct.pack_into("<Q", raw, 0x40 + 48, 0x200000)
    with pytest.raises(Declined, match="alignment"):
        elf.size(ElfImage(memoryview(bytes(raw))), contents(Made(), Made()))
