"""Chained fixups: pointers of a Mach-O file that are linked lists until the loader has walked them.

Source of truth: Apple's <mach-o/fixup-chains.h>.  A word holds a target and the distance to the next one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from goforensics.containers.image import NO_RELOCATIONS, Relocations
from goforensics.errors import require

NONE, MULTI = 0xFFFF, 0x8000  # DYLD_CHAINED_PTR_START_NONE, _START_MULTI
STRUCTURE = "chained fixups"


@dataclass(frozen=True, slots=True)
class _Format:
    """How a 64-bit pointer of one format is read."""

    stride: int  # bytes per unit of the distance
    next_bits: int  # from bit 51
    bind_bit: int  # set: the word is filled in by symbol, not by address
    target_bits: int
    offset: bool  # the target counts from the image's base, else it is an address
    signed: bool = False  # ARM64E: with bit 63 the pointer is authenticated, its target 32 bits from the base

    def target(self, word: int, base: int) -> int:
        """The address that a rebased word will hold."""
        if self.signed and word >> 63:
            return (word & 0xFFFFFFFF) + base
        return (word & ((1 << self.target_bits) - 1)) + (base if self.offset else 0)

    def distance(self, word: int) -> int:
        """Bytes to the next word of the chain; 0 at its end."""
        return self.stride * (word >> 51 & ((1 << self.next_bits) - 1))


FORMATS = {
    1: _Format(8, 11, 62, 43, offset=False, signed=True),  # DYLD_CHAINED_PTR_ARM64E
    2: _Format(4, 12, 63, 36, offset=False),  # _64
    6: _Format(4, 12, 63, 36, offset=True),  # _64_OFFSET
    9: _Format(8, 11, 62, 43, offset=True, signed=True),  # _ARM64E_USERLAND
    12: _Format(8, 11, 62, 43, offset=True, signed=True),  # _ARM64E_USERLAND24
}
ADDRESS = (1 << 64) - 1
Starts = Sequence[tuple[int, int, int]]  # (offset, address, bytes in the file) per segment


def chained(data: memoryview, order: str, place: tuple[int, ...] | None, segments: Starts) -> Relocations:
    """Rebased words by address.  FormatError if the header is broken; `place` is (offset, size), None for no fixups."""
    if place is None:
        return NO_RELOCATIONS
    at, size = place
    require(size >= 28 and at + size <= len(data), "cut off", STRUCTURE, at)
    starts = at + struct.unpack_from(order + "I", data, at + 4)[0]
    base = next((address for offset, address, held in segments if offset == 0 and held), 0)
    require(starts + 4 <= len(data), "starts lie outside of the file", STRUCTURE, at)
    count = min(struct.unpack_from(order + "I", data, starts)[0], len(segments))
    found: list[tuple[int, int]] = []
    for i in range(count):
        where = starts + 4 + 4 * i
        relative = struct.unpack_from(order + "I", data, where)[0] if where + 4 <= len(data) else 0
        if relative and starts + relative + 22 <= len(data):
            found += _segment(data, order, starts + relative, segments[i], base)
    pairs = np.array(sorted(set(found)), np.uint64).reshape(-1, 2)
    return Relocations(pairs[:, 0].copy(), pairs[:, 1].copy())


def _segment(
    data: memoryview, order: str, at: int, segment: tuple[int, int, int], base: int
) -> Iterator[tuple[int, int]]:
    """(address, target) of every rebased word of one segment."""
    _, page_size, kind, _, _, pages = struct.unpack_from(order + "IHHQIH", data, at)
    shape = FORMATS.get(kind)
    if shape is None or page_size < 256:  # pages are 4 or 16 KiB; tiny ones would make many chains
        return
    offset, address, held = segment
    for page in range(min(pages, held // page_size + 1, (len(data) - at - 22) // 2)):
        first = struct.unpack_from(order + "H", data, at + 22 + 2 * page)[0]
        if first == NONE or first & MULTI:
            continue
        start = offset + page * page_size
        for place, word in _chain(data, order, shape, start + first, min(start + page_size, offset + held)):
            if not word >> shape.bind_bit & 1:
                yield address + place - offset & ADDRESS, shape.target(word, base) & ADDRESS


def _chain(data: memoryview, order: str, shape: _Format, at: int, end: int) -> Iterator[tuple[int, int]]:
    """(offset, word) along a chain; distances only go forward, so it ends with the page."""
    while at + 8 <= len(data) and at < end:
        word = struct.unpack_from(order + "Q", data, at)[0]
        yield at, word
        step = shape.distance(word)
        if not step:
            return
        at += step
