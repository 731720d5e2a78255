"""The .reloc section of a PE file, counted again where the data has moved.

Source of truth: cmd/link/internal/ld/pe.go (peBaseRelocTable): a block per page, with an entry per pointer.
"""

from __future__ import annotations

import struct

import msgspec
import numpy as np

from goforensics.containers.image import Words
from goforensics.rebuild.contents import Declined
from goforensics.rebuild.moves import Moves

BLOCK, ENTRY = 8, 2  # bytes
PAGE = 4096
ABSOLUTE, HIGHLOW, DIR64 = 0, 3, 10  # IMAGE_REL_BASED_*
KINDS = 1 << ABSOLUTE | 1 << HIGHLOW | 1 << DIR64


class Relocated(msgspec.Struct, frozen=True):
    """The pointers that the blocks list."""

    addresses: Words  # (n,)
    padded: bool  # blocks of an odd number are padded: they are since Go 1.24 (go.dev/issue/68260)


def relocations_size(found: Relocated, moves: Moves, dropped: int | None) -> int:
    """Bytes of the blocks once everything has moved, without the entry of the pointer at `dropped`."""
    addresses = found.addresses
    kept = addresses[addresses != np.uint64(dropped)] if dropped is not None else addresses
    moved = kept.astype(np.int64) + moves.moved(kept)
    counts = np.unique(moved // PAGE, return_counts=True)[1]
    entries = counts + (counts & 1 if found.padded else 0)
    return int(BLOCK * len(counts) + ENTRY * entries.sum())


def relocated(table: memoryview, base: int) -> Relocated:
    """The blocks of an image based at `base`.  Declined if they are not as Go's linker writes them."""
    at, last, padded, odd = 0, -1, False, False
    found = [np.empty(0, np.uint64)]
    while at < len(table):
        page, size = struct.unpack_from("<II", table, at) if at + BLOCK <= len(table) else (0, 0)
        if size <= BLOCK or size % ENTRY or at + size > len(table) or page <= last or page % PAGE:
            raise Declined("the base relocations are not as Go's linker writes them")
        entries = np.frombuffer(table[at + BLOCK : at + size], "<u2")
        if (KINDS >> (entries >> 12) & 1 == 0).any():
            raise Declined("the base relocations are of a kind that Go's linker does not write")
        pointers = entries[entries >> 12 != ABSOLUTE]
        padded, odd = padded or len(pointers) < len(entries), odd or len(entries) % 2 == 1
        found.append((pointers & 0xFFF).astype(np.uint64) + np.uint64(page + base))
        at, last = at + size, page
    if padded and odd:
        raise Declined("some blocks of base relocations are padded and some are not")
    return Relocated(np.concatenate(found), not odd)
