"""NumPy readings that several structures share: strings, varints, ragged lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]
Indices = NDArray[np.signedinteger]  # of things that are fewer than 2**31, in 32 bits where there are many


def strings(data: memoryview | bytes, offsets: Offsets) -> list[str]:
    r"""NUL-ended strings at `offsets` (n,), all inside `data`.  Undecodable bytes become \xNN.

    Together they are no longer than `data`: where they would be, those that begin inside another are empty.
    """
    raw = bytes(data)
    distinct, place = np.unique(offsets, return_inverse=True)
    ends = string_ends(raw, distinct)
    if int((ends - distinct).sum()) > len(raw):
        ends = np.where(inside_another(ends), distinct, ends)
    texts = [
        raw[a:b].decode("utf-8", "backslashreplace") for a, b in zip(distinct.tolist(), ends.tolist(), strict=True)
    ]
    return [texts[i] for i in place.tolist()]


def inside_another(ends: Offsets) -> NDArray[np.bool_]:
    """(n,) which strings begin inside another, by the `ends` of those that begin at increasing offsets."""
    inside: NDArray[np.bool_] = np.r_[False, ends[1:] == ends[:-1]][: len(ends)]
    return inside


def string_ends(data: memoryview | bytes, offsets: Offsets) -> Offsets:
    """(n,) offset of the NUL that ends the string at each of `offsets`, or the length of `data`."""
    if not len(offsets):
        return offsets
    low, high = int(offsets.min()), _after(data, int(offsets.max()))
    stops = np.r_[np.flatnonzero(np.frombuffer(data[low:high], np.uint8) == 0) + low, high]
    ends: Offsets = stops[np.searchsorted(stops, offsets)]
    return ends


def _after(data: memoryview | bytes, at: int, step: int = 4096) -> int:
    """The offset of the first NUL from `at` on, or the length of `data`."""
    while at < len(data):
        found = bytes(data[at : at + step]).find(0)
        if found >= 0:
            return at + found
        at, step = at + step, 2 * step
    return len(data)


def spread(counts: NDArray[np.integer]) -> tuple[Offsets, Offsets]:
    """For lists of `counts` (n,) items laid end to end: (m,) which list each item is of, and its place in it."""
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - first[owner]


def zigzag(value: NDArray[np.integer]) -> Offsets:
    """Signed numbers from binary.PutVarint's unsigned ones."""
    signed = value.astype(np.int64)
    return (signed >> 1) ^ -(signed & 1)


def varints(data: NDArray[np.uint8], offsets: Offsets) -> Offsets:
    """(n,) the unsigned 32-bit varints at `offsets`; bytes past the end of `data` read as 0."""
    value = np.zeros(len(offsets), np.int64)
    going = np.ones(len(offsets), bool)
    for i in range(5):
        at = offsets + i
        byte = np.where(at < len(data), data[np.minimum(at, len(data) - 1)], 0).astype(np.int64)
        value |= np.where(going, (byte & 0x7F) << (7 * i), 0)
        going &= byte >= 0x80
    return value & 0xFFFFFFFF
