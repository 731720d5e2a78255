"""What tools that work on the finished file would free: DWARF compressed harder, line tables wiped in place.

`strip` has what strip(1) makes of a file.  Compressing is done to know its result, so the figures are exact; it takes
as long as it takes, and nothing is inflated before it is asked for.  Wiping frees no byte of the file: zeros compress,
in an archive, an image layer or on the wire.

Source of truth: the gABI's Elf32_Chdr and Elf64_Chdr; Go's cmd/link/internal/ld/dwarf.go (compressSyms) for .zdebug_;
src/runtime/symtab.go for what of the pclntab only traces read.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from goforensics.containers.image import Image, Section
from goforensics.errors import FormatError
from goforensics.rebuild import elf_headers
from goforensics.rebuild.contents import Declined
from goforensics.rebuild.elf_headers import SHT_NOBITS, ElfHeaders, up
from goforensics.sections import compression, dwarf
from goforensics.sections.arrays import Offsets, string_ends
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.pctables import SLOTS
from goforensics.sets import distinct

LEVEL = 9
CHDR = {64: 24, 32: 12}  # bytes of SHF_COMPRESSED's header
ZDEBUG = 12  # bytes of .zdebug_'s: "ZLIB" and the size
SCRIPTS = ".debug_gdb_scripts"  # read as it is by some debuggers
TRACES = tuple(SLOTS.index(name) for name in ("pcfile", "pcln"))


@dataclass(frozen=True, slots=True)
class Recompressed:
    """The file with its debug sections compressed at zlib's level 9; sizes in bytes."""

    sections: dict[str, tuple[int, int]]  # by name: now and then; those that would not get smaller are left out
    freed: int
    size_after: int | None  # of the file with what follows moved up; None where its layout has no rule for that


def recompressed(image: Image) -> Recompressed:
    """Compress every debug section that is not compressed, and anew what is; all of them are inflated for it."""
    found: dict[str, tuple[int, int]] = {}
    for section in image.sections:
        size = _squeezed(image, section)
        if size < section.file_size:
            found[section.name] = section.file_size, size
    freed = sum(now - then for now, then in found.values())
    return Recompressed(found, freed, _size_after(image, {name: then for name, (_, then) in found.items()}))


def _squeezed(image: Image, section: Section) -> int:
    """Bytes of a section once compressed; those of the file where it is no debug data or cannot be inflated."""
    if dwarf.canonical(section) in (None, SCRIPTS) or not section.file_size:
        return section.file_size
    try:
        content = compression.content(image, section)
    except FormatError:
        return section.file_size
    zdebug = section.compression == "zdebug" or image.format != "elf"
    return len(zlib.compress(content, LEVEL)) + (ZDEBUG if zdebug else CHDR[image.bits])


def _size_after(image: Image, sizes: Mapping[str, int]) -> int | None:
    """Bytes of an ELF file whose sections behind the loaded ones have other sizes; None where they do not lie in order.

    The same rule must give the size of the file in hand.
    """
    try:
        headers = elf_headers.read(image)
    except Declined:
        return None
    return _packed(headers, sizes) if _packed(headers, {}) == len(image.data) else None


def _packed(headers: ElfHeaders, sizes: Mapping[str, int]) -> int:
    held = [s for s in headers.sections if s.type != SHT_NOBITS and s.size]
    end = max((s.offset + s.size for s in held if s.loaded), default=0)
    behind = sorted((s for s in held if s.offset >= end), key=lambda s: s.offset)
    end = behind[0].offset if behind else end
    for s in behind:
        end = up(end, s.align) + sizes.get(s.name, s.size)
    table, count = int(headers.image.header["e_shoff"]), len(headers.sections) + 1
    if behind and table >= behind[-1].offset + behind[-1].size:
        end = up(end, headers.image.pointer_size) + headers.entry_size * count
    return end


@dataclass(frozen=True, slots=True)
class Wiped:
    """What of the pclntab only traces read, as ranges of it; zeroing them hides sources and lines and frees nothing."""

    starts: Offsets  # (m,) increasing, no two overlap
    ends: Offsets  # (m,)

    @property
    def bytes(self) -> int:
        """Bytes that could be zeros: compressible, not reclaimable."""
        return int((self.ends - self.starts).sum())


def wiped(table: Pclntab) -> Wiped:
    """The pcfile and pcln tables that nothing else shares, and the names of files.

    Tables that are equal are stored once: one that is a pcsp or PCDATA table, too, has to stay.
    """
    tables = table.tables
    other = np.isin(tables.slot, TRACES, invert=True)
    free = np.ones(len(tables.start), bool)
    free[tables.table[other]] = False
    files = distinct(table.file_offsets)
    starts = np.r_[tables.start[free], files].astype(np.int64)
    ends = np.r_[tables.end[free], string_ends(table.data, files) + 1 if len(files) else files].astype(np.int64)
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    following = np.r_[starts[1:], len(table.data)]
    return Wiped(starts, np.clip(ends, starts, np.maximum(following[: len(starts)], starts)))


def wiping_gains(table: Pclntab) -> int:
    """Bytes by which the pclntab compresses better, at zlib's default level, once `wiped` is zeros."""
    ranges = wiped(table)
    depth = np.zeros(len(table.data) + 1, np.int64)
    np.add.at(depth, ranges.starts, 1)
    np.add.at(depth, ranges.ends, -1)
    zeros = np.frombuffer(table.data, np.uint8).copy()
    zeros[np.cumsum(depth[:-1]) > 0] = 0
    return len(zlib.compress(table.data)) - len(zlib.compress(zeros.tobytes()))
