"""pc-value tables: what the pctab holds, which functions use each, and where each ends.

A table is pairs of varints, (value delta, pc delta), and ends at a value delta of 0 that is not the first.  Since
Go 1.16 equal tables are stored once.  Source of truth: Go's src/runtime/symtab.go (step), cmd/internal/obj/pcln.go.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.sections.arrays import Offsets, varints, zigzag

SLOTS = ("pcsp", "pcfile", "pcln")  # slot 3 + k is the table of PCDATA k


class PcTables(msgspec.Struct, frozen=True):
    """Every distinct table and every use of one.  Offsets are bytes from the start of the pclntab."""

    start: Offsets  # (t,) increasing
    end: Offsets  # (t,) past the terminator
    users: NDArray[np.int64]  # (t,) functions that use it, each use counted
    owner: Offsets  # (r,) function of each use
    slot: NDArray[np.int64]  # (r,) index into SLOTS, or 3 + k
    table: Offsets  # (r,) which table
    unended: int  # tables that run to the end without a terminator

    @property
    def size(self) -> Offsets:
        """(t,) bytes of each table."""
        return self.end - self.start


def tables(data: memoryview, region: tuple[int, int], owner: Offsets, slot: NDArray[np.int64], at: Offsets) -> PcTables:
    """The tables that uses (owner, slot) have at offset `at` of `data`; uses outside of `region` are dropped."""
    low, high = region
    inside = (at > low) & (at < high)
    owner, slot, at = owner[inside], slot[inside], at[inside]
    start, table, users = np.unique(at, return_inverse=True, return_counts=True)
    end = _ends(np.frombuffer(data[low:high], np.uint8), start - low) + low
    unended = int(np.count_nonzero(end < low))
    end = np.where(end < low, high, end)
    return PcTables(start, end, users, owner, slot, table, unended)


def _ends(data: NDArray[np.uint8], start: Offsets) -> Offsets:
    """(t,) where each table ends; -1 for one that has no terminator.

    Varints are numbered through the whole of `data`; a table's terminator is the first zero varint an even number
    of varints on from its start, so one search among the even and one among the odd zeros finds all of them.
    """
    if not len(start):
        return start
    last = np.flatnonzero(data < 0x80).astype(np.int32)  # the last byte of every varint
    first = np.searchsorted(last, start)  # the table's first varint
    zero = data == 0
    zero[1:] &= data[:-1] < 0x80
    number = np.searchsorted(last, np.flatnonzero(zero).astype(np.int32))
    end = np.full(len(start), -1, np.int64)
    for parity in (0, 1):
        zeros = number[number % 2 == parity]
        mine = np.flatnonzero(first % 2 == parity)
        found = np.searchsorted(zeros, first[mine] + 2)
        there = found < len(zeros)
        end[mine[there]] = last[zeros[found[there]]] + 1
    return end


def first_values(data: memoryview, at: Offsets) -> Offsets:
    """(n,) the value that each table at offset `at` gives for its function's first instruction; -1 where at is 0."""
    value = zigzag(varints(np.frombuffer(data, np.uint8), np.maximum(at, 0))) - 1
    return np.where(at > 0, value, -1)
