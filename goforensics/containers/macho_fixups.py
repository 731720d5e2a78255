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
    next_bits: int
    bind_bit: int  # set: the word is filled in by symbol, not by address
    target_bits: int
    next_shift: int
    offset: bool  # the target counts from the image's base, else it is an address


FORMATS = {
    1: _Format(8, 11, 62, 32, 51, False),  # ARM64E (authenticated pointers have a 32-bit target)
    2: _Format(4, 12, 63, 36, 51, False),  # 64
    6: _Format(4, 12, 63, 36, 51, True),  # 64_OFFSET
    9: _Format(8, 11, 62, 32, 51, True),  # ARM64E_USERLAND
    12: _Format(8, 11, 62, 32, 51, True),  # ARM64E_USERLAND24
}
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
    if shape is None or not page_size:
        return
    offset, address, held = segment
    for page in range(min(pages, held // page_size + 1, (len(data) - at - 22) // 2)):
        first = struct.unpack_from(order + "H", data, at + 22 + 2 * page)[0]
        if first == NONE or first & MULTI:
            continue
        for place in _chain(data, order, shape, offset + page * page_size + first, offset + held):
            word = struct.unpack_from(order + "Q", data, place)[0]
            if not word >> shape.bind_bit & 1:
                target = word & ((1 << shape.target_bits) - 1)
                yield address + place - offset, target + (base if shape.offset else 0)


def _chain(data: memoryview, order: str, shape: _Format, at: int, end: int) -> Iterator[int]:
    """Offsets of a chain's words; distances only go forward, so it ends with the segment."""
    while at + 8 <= min(end, len(data)):
        yield at
        distance = struct.unpack_from(order + "Q", data, at)[0] >> shape.next_shift & ((1 << shape.next_bits) - 1)
        if not distance:
            return
        at += distance * shape.stride
