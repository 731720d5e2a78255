"""The section headers of an ELF file as a linker lays them out: types, flags and alignments included.

Source of truth: the System V gABI (Elf32_Shdr, Elf64_Shdr); Go's src/debug/elf/elf.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from goforensics.containers.elf import ElfImage
from goforensics.containers.image import Image
from goforensics.rebuild.contents import Declined

SHT_NULL, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 0, 2, 3, 4, 8, 9
SHF_WRITE, SHF_ALLOC, SHF_MERGE, SHF_TLS, SHF_COMPRESSED = 1, 2, 0x10, 0x400, 0x800
FIELDS = ("name", "type", "flags", "address", "offset", "size", "link", "info", "align", "entsize")
WIDE = {"flags", "address", "offset", "size", "align", "entsize"}  # as wide as a pointer
MOST = 1000  # sections; an executable has some fifty
LONGEST = 256  # bytes of a section's name
DEBUG = (".debug_", ".zdebug_")


@dataclass(frozen=True, slots=True)
class ElfSection:
    """One section header, the null section's excluded; sizes, offsets and alignments in bytes."""

    index: int
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    align: int  # at least 1

    @property
    def loaded(self) -> bool:
        """It is in memory when the program runs."""
        return bool(self.flags & SHF_ALLOC)

    @property
    def in_file(self) -> int:
        """Bytes that it takes in the file."""
        return 0 if self.type == SHT_NOBITS else self.size

    @property
    def is_tbss(self) -> bool:
        """It describes thread-local zeros, which take no room in memory either."""
        return self.type == SHT_NOBITS and bool(self.flags & SHF_TLS)

    @property
    def is_debug(self) -> bool:
        """It holds DWARF, or the debugger's scripts."""
        return self.name.startswith(DEBUG)


@dataclass(frozen=True, slots=True)
class ElfHeaders:
    """The section headers in their order, and what the file's header says of them."""

    image: ElfImage
    sections: tuple[ElfSection, ...]
    names: int  # index of .shstrtab
    entry_size: int  # bytes in a section header

    def named(self, name: str) -> ElfSection | None:
        """The first section of that name."""
        return next((s for s in self.sections if s.name == name), None)

    def symbol_sections(self) -> frozenset[int]:
        """Indices of .symtab and the string table that is its alone."""
        tables = [s for s in self.sections if s.type == SHT_SYMTAB]
        return frozenset({s.index for s in tables} | {s.link for s in tables} - {self.names})

    def loads(self) -> list[tuple[int, int, int]]:
        """(address, bytes in the file, alignment) of each PT_LOAD, in their order."""
        heads = [h for h in self.image.program_headers if h["p_type"] == "PT_LOAD"]
        return [(h["p_vaddr"], h["p_filesz"], h["p_align"]) for h in heads]


def read(image: Image) -> ElfHeaders:
    """Read the section headers.  Declined if the file is no ELF file, has none or they are not in the file."""
    if not isinstance(image, ElfImage):
        raise Declined("not an ELF file")
    head, width = image.header, "u8" if image.bits == 64 else "u4"
    record = np.dtype([(name, image.order + (width if name in WIDE else "u4")) for name in FIELDS])
    start, count = int(head["e_shoff"]), int(head["e_shnum"])
    end = start + count * record.itemsize
    if not 0 < start < end <= len(image.data) or count > MOST or head["e_shentsize"] != record.itemsize:
        raise Declined("no section headers, or not as a linker writes them")
    rows = np.frombuffer(image.data[start:end], record)
    columns = [rows[name].tolist() for name in FIELDS]
    names = int(head["e_shstrndx"])
    if not 0 < names < count or columns[FIELDS.index("type")][0] != SHT_NULL:
        raise Declined("sections without names")
    table = _bytes(image, *(columns[FIELDS.index(f)][names] for f in ("offset", "size")))
    found = [_section(i, row, table) for i, row in enumerate(zip(*columns, strict=True))]
    if any(s.in_file and s.offset + s.in_file > len(image.data) for s in found[1:]):
        raise Declined("sections that are not in the file")
    return ElfHeaders(image, tuple(found[1:]), names, record.itemsize)


def _bytes(image: ElfImage, offset: int, size: int) -> bytes:
    return bytes(image.data[offset : offset + size])


def _section(index: int, row: Sequence[int], names: bytes) -> ElfSection:
    name, kind, flags, address, offset, size, link, _, align, _ = row
    end = names.find(b"\0", name, name + LONGEST)
    text = names[name:end].decode("ascii", "backslashreplace") if end >= 0 else ""
    return ElfSection(index, text, kind, flags, address, offset, size, link, max(align, 1))


def up(value: int, align: int) -> int:
    """`value` rounded up to a multiple of `align`."""
    return value + -value % align


def merged_size(names: Iterable[str]) -> int:
    """Bytes of a string table as GNU's linker and strip write it: a name that ends another one lies in that one.

    Source of truth: binutils' bfd/elf-strtab.c (_bfd_elf_strtab_finalize).
    """
    backwards = sorted({name[::-1] for name in names if name})
    kept = [a for a, b in pairwise([*backwards, ""]) if not b.startswith(a)]  # what begins with a name follows it
    return 1 + sum(len(name.encode()) + 1 for name in kept)
