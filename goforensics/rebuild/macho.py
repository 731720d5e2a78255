"""The layout of a Mach-O file that Go's linker writes by itself: segments, __LINKEDIT, the code signature.

Source of truth: cmd/link/internal/ld/macho.go (doMachoLink, machoDyldInfo, machosymtab), data.go (address, layout) and
cmd/internal/codesign/codesign.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image, Section, Segment
from goforensics.containers.macho import MachoImage
from goforensics.rebuild.contents import Contents, Declined
from goforensics.rebuild.dyld_info import Places, bind_size, bound, rebase_size, rebased
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
from goforensics.sections import symtab

ROUNDS = {"arm64": 16384, "amd64": 4096}  # FlagRound, in bytes: cmd/link/internal/{arm64,amd64}/obj.go
SEGMENTS = ("__TEXT", "__DATA_CONST", "__DATA")
DWARF, LINKEDIT = "__DWARF", "__LINKEDIT"
LARGEST_ALIGN = 12  # exponent: a section is aligned to a page of amd64 at most
COMMANDS = {  # what asmbMacho writes; other linkers write more
    *(0x19, 0x2, 0xB, 0xE, 0xC, 0x5, 0x80000028),  # segments, symbols, libraries, the entry
    *(0x80000022, 0x1B, 0x1D),  # LC_DYLD_INFO_ONLY, LC_UUID, LC_CODE_SIGNATURE
    *(0x24, 0x25, 0x32),  # the platform
}
SIGNATURE, INDIRECT = "code signature", "indirect symbols"  # containers.macho's names
HASHED = 4096  # codesign's pageSize, whatever the machine's pages are
SIGNATURE_HEAD = 20 + 88 + 6  # superBlobSize + blobSize, codeDirectorySize, the identifier "a.out" and its NUL
HASH = 32
NLIST = 16
FIRST_NAMES = 2  # bytes: the string table begins " \0"
LINKEDIT_ALIGN = 16
ROOT_NAME = f"_{GOROOT}.str\0"
N_EXT, N_PEXT, N_TYPE = 0x01, 0x10, 0x0E


def size(image: Image, contents: Contents, debug: Debug | None = None) -> int:
    """Bytes of the file that a rebuild with these contents is; `debug`, where debug sections get other sizes.

    Declined, with the reason, where the file is not as Go's linker writes it or no rule is known.
    """
    return _Layout(image, contents, removed(image, contents)[0], resized(debug, 0)).size


def bounds(image: Image, contents: Contents, debug: Debug | None = None) -> tuple[int, int]:
    """(least, most) bytes of that file: the doubt of `debug`, and of what moves with GOROOT's variable."""
    cases = product(removed(image, contents), (resized(debug, sign) for sign in signs(debug)))
    sizes = [_Layout(image, contents, gone, lengths).size for gone, lengths in cases]
    return min(sizes), max(sizes)


class _Layout:
    """One layout; `gone` is what leaves the data with GOROOT's string, `debug` the sizes of debug sections."""

    def __init__(self, image: Image, contents: Contents, gone: Removed, debug: Mapping[str, int]) -> None:
        self.image, self.contents, self.gone, self.debug = _checked(image), contents, gone, debug
        if contents.build_id:
            raise Declined("the build ID is a function of Mach-O files, in all their tables: no rule for what goes")
        self.parts = (*changed(contents), *gone.parts)
        self.moves = Moves()
        linkoff = self._segments()
        signed = linkoff + self._linkedit()
        self.size = signed + (_signature(signed) if SIGNATURE in self.image.linkedit() else 0)

    def _segments(self) -> int:
        """Lay every segment out again; where __LINKEDIT begins."""
        page, end = ROUNDS[self.image.goarch], 0
        for segment in self.image.segments:
            if segment.name in SEGMENTS:
                end += rounded(self._segment(segment), page)
            elif segment.name == DWARF and self.contents.dwarf:
                end += rounded(max(segment.file_size - self._debug_shrink(), 0), page)
        if len(self.moves.parts) != len(self.parts):
            raise Declined("what changes is not all in the program's sections")
        return end

    def _segment(self, segment: Segment) -> int:
        """Lay a segment's sections out again; its new length in the file, which ends where .bss begins."""
        now = new = end = 0
        for section, align in _sections(self.image, segment):
            if rounded(now, align) != section.address and now:
                raise Declined(f"{section.name} is not where Go's linker puts it")
            new = rounded(new, align) if now else section.address
            now = section.address + section.memory_size
            if not section.file_size and section.memory_size and not end:
                end = new
            new = self.moves.add(section, new, [p for p in self.parts if inside(p, section)])
        return (end or new or segment.address) - segment.address

    def _debug_shrink(self) -> int:
        """Bytes that __DWARF loses: its sections lie end to end."""
        sections = [s for s in self.image.sections if s.name.startswith(DWARF + ",")]
        resized = sum(s.file_size - self.debug.get(s.name, s.file_size) for s in sections)
        return resized + self.contents.gdb_scripts

    def _linkedit(self) -> int:
        """Bytes of __LINKEDIT up to the signature."""
        tables = _linkedit(self.image)
        sizes = (
            rebase_size(tables.rebase, self.moves, self.gone.pointer),
            bind_size(tables.bind, self.moves),
            tables.indirect,
            FIRST_NAMES + (tables.symbols if self.contents.symbols else tables.kept),
        )
        lost = NLIST + len(ROOT_NAME) if self.contents.symbols and self.contents.goroot else 0
        return rounded(sum(sizes) - lost, LINKEDIT_ALIGN)


class _Linkedit(msgspec.Struct, frozen=True):
    """What __LINKEDIT holds; sizes in bytes."""

    rebase: Places
    bind: Places
    indirect: int
    symbols: int  # records and names
    kept: int  # those that collectmachosyms keeps for dyld, whatever -s says


@per_image
def _linkedit(image: MachoImage) -> _Linkedit:
    tables = image.linkedit()
    rebase, bind = (image.bytes_at(*tables.get(name, (0, 0)), LINKEDIT) for name in ("rebase", "bind"))
    return _Linkedit(
        rebased(rebase, image.segments),
        bound(bind, image.segments),
        tables.get(INDIRECT, (0, 0))[1],
        *_symbol_bytes(image),
    )


def _symbol_bytes(image: MachoImage) -> tuple[int, int]:
    """Bytes of (all symbols, those that are undefined or exported to dyld), their names included."""
    table = image.symbol_table()
    if table is None:
        return 0, 0
    symbols = symtab.decode_table(image, table)
    sizes = NLIST + _name_sizes(symbols)
    kept = (symbols.kind & N_TYPE == 0) | (symbols.kind & (N_EXT | N_PEXT) == N_EXT)
    return int(sizes.sum()), int(sizes[kept].sum())


def _checked(image: Image) -> MachoImage:
    """The image, if Go's linker may have written all of it."""
    if not isinstance(image, MachoImage) or image.goarch not in ROUNDS or image.order != "<":
        raise Declined("no rule for Mach-O files of this machine")
    if image.base:
        raise Declined("it is a slice of a universal file")
    if other := image.commands() - COMMANDS:
        raise Declined(f"another linker wrote it: load command {min(other):#x}")
    if image.problems:
        raise Declined(f"it is damaged: {image.problems[0].reason}")
    signature = image.linkedit().get(SIGNATURE)
    if signature is not None and signature[1] != _signature(signature[0]):
        raise Declined("its code signature is not the one that Go's linker makes")
    return image


def _sections(image: MachoImage, segment: Segment) -> list[tuple[Section, int]]:
    """(section, alignment in bytes) of a segment, in file order."""
    pairs = zip(image.sections, image.aligns, strict=True)
    mine = [(s, align) for s, align in pairs if s.name.split(",")[0] == segment.name]
    if any(align > LARGEST_ALIGN for _, align in mine):
        raise Declined("a section's alignment is more than a page")
    return [(s, 1 << align) for s, align in mine]


def _signature(signed: int) -> int:
    """Bytes of the signature of a file of `signed` bytes: a hash of every page."""
    return SIGNATURE_HEAD + HASH * -(-signed // HASHED)


def _name_sizes(symbols: symtab.Symbols) -> NDArray[np.int64]:
    """(n,) bytes of each symbol's name and its NUL."""
    ends = np.flatnonzero(np.frombuffer(symbols.strings, np.uint8) == 0)
    which = np.searchsorted(ends, symbols.name)
    if (which >= len(ends)).any():
        raise Declined("a symbol's name does not end")
    return ends[which] - symbols.name + 1
