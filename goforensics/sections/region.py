"""Region: a range of memory as it will be once the loader has run, for readings in bulk.

Types, itabs and tables of pointers are read thousands at a time; `Image.words` is for one run of words.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image, Words
from goforensics.errors import FormatError
from goforensics.sections.arrays import Offsets


class Region(msgspec.Struct, frozen=True, eq=False):
    """The bytes at addresses `[start, end)`; a reading outside of it gives 0."""

    start: int
    raw: NDArray[np.uint8]
    order: str
    pointer: int

    @property
    def end(self) -> int:
        """The address past the last byte."""
        return self.start + len(self.raw)

    def holds(self, address: Words, size: int | Offsets = 1) -> NDArray[np.bool_]:
        """(n,) whether `size` bytes at each address are in the region."""
        at = address.astype(np.int64) - self.start
        inside: NDArray[np.bool_] = (at >= 0) & (at + size <= len(self.raw))
        return inside

    def uint(self, address: Words, size: int) -> Words:
        """(n,) unsigned integers of `size` bytes."""
        if len(self.raw) < size:
            return np.zeros(len(address), np.uint64)
        at = address - np.uint64(self.start)  # wraps round before the start, and is too large then
        inside = at <= len(self.raw) - size
        whole = bool(inside.all())
        if not whole:
            at = np.where(inside, at, np.uint64(0))
        value = self._uint(at.view(np.int64), size).astype(np.uint64)
        return value if whole else np.where(inside, value, np.uint64(0))

    def _uint(self, at: Offsets, size: int) -> NDArray[np.unsignedinteger]:
        """(n,) what lies at offsets of the region, each of which has `size` bytes."""
        if size == 1:
            return self.raw.take(at)
        if not np.bitwise_or.reduce(at, initial=0) & (size - 1):
            return (
                self.raw[: len(self.raw) // size * size].view(f"{self.order}u{size}").take(at >> size.bit_length() - 1)
            )
        return np.ascontiguousarray(self.raw[at[:, None] + np.arange(size)]).view(f"{self.order}u{size}")[:, 0]

    def int32(self, address: Words) -> Offsets:
        """(n,) signed 32-bit integers."""
        return self.uint(address, 4).astype(np.uint32).view(np.int32).astype(np.int64)

    def word(self, address: Words) -> Words:
        """(n,) pointers."""
        return self.uint(address, self.pointer)


def words_at(image: Image, addresses: Words) -> Words:
    """(n,) the pointer-sized words at any addresses; 0 where the file does not hold one."""
    size, raw = image.pointer_size, np.frombuffer(image.data, np.uint8)
    offset = image.offsets_of(addresses)
    there = (offset >= 0) & (offset + size <= len(raw))
    if not there.any():
        return np.zeros(len(addresses), np.uint64)
    found = raw[np.where(there, offset, 0)[:, None] + np.arange(size)]
    words = np.ascontiguousarray(found).view(image.word)[:, 0].astype(np.uint64)
    fixed, values = image.fixed_words(0, (1 << 64) - 1)
    if len(fixed):
        place = np.minimum(np.searchsorted(fixed, addresses), len(fixed) - 1)
        words = np.where(fixed[place] == addresses, values[place], words)
    return np.where(there, words, 0).astype(np.uint64)


def region(image: Image, start: int, end: int, structure: str) -> Region:
    """A copy of the memory `[start, end)`, relocated.  FormatError unless the file holds all of it."""
    offset = image.offset_of(start)
    if offset is None or not start <= end < 1 << 63:  # offsets are signed
        raise FormatError(f"address {start:#x} is not in the file", structure=structure)
    raw = np.frombuffer(image.bytes_at(offset, end - start, structure), np.uint8).copy()
    addresses, values = image.fixed_words(start, end)
    fixed = values.astype(image.word).view(np.uint8).reshape(-1, image.pointer_size)
    at = (addresses - np.uint64(start)).astype(np.int64)
    whole = at + image.pointer_size <= len(raw)
    raw[at[whole, None] + np.arange(image.pointer_size)] = fixed[whole]
    return Region(start, raw, image.order, image.pointer_size)
