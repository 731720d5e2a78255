"""The rebase and bind opcodes that Go's linker writes for dyld, counted again where the data has moved.

Source of truth: cmd/link/internal/ld/macho.go (machoDyldInfo): a record per pointer, each with its whole place.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Segment, Words
from goforensics.rebuild.contents import Declined
from goforensics.rebuild.moves import Moves, rounded

TYPE_POINTER = 0x11  # REBASE_OPCODE_SET_TYPE_IMM | REBASE_TYPE_POINTER
SEGMENT = 0x20  # REBASE_OPCODE_SET_SEGMENT_AND_OFFSET_ULEB
ONCE = 0x51  # REBASE_OPCODE_DO_REBASE_IMM_TIMES | 1; in the bind table BIND_OPCODE_SET_TYPE_IMM | BIND_TYPE_POINTER
BIND_SEGMENT, BIND_SPECIAL, BIND_ORDINAL, BIND_ORDINAL_ULEB = 0x70, 0x30, 0x10, 0x20
BIND_FLAGS, DO_BIND, DONE = 0x40, 0x90, 0x00
REBASE_ALIGN, BIND_ALIGN = 8, 16
MAX_ULEB = 5  # bytes: 32 GiB of data
MAX_BIND = 1 << 20  # bytes of bind opcodes: Go binds some sixty symbols


class Places(msgspec.Struct, frozen=True):
    """The pointers that one table lists (n,)."""

    addresses: Words
    offsets: NDArray[np.int64]  # from the start of their segment
    rest: int  # bytes of the table without the offsets; 0: there is no table


NO_PLACES = Places(np.empty(0, np.uint64), np.empty(0, np.int64), 0)


def rebased(table: memoryview, segments: tuple[Segment, ...]) -> Places:
    """The records of the rebase table.  Declined if it is not in the one form that Go's linker writes."""
    if not len(table):
        return NO_PLACES
    ids, offsets = _rebased(table)
    return Places(_addresses(ids, offsets, segments), offsets, 2 + 2 * len(offsets))


def rebase_size(places: Places, moves: Moves, dropped: int | None) -> int:
    """Bytes of the rebase table once everything has moved, without the record of the pointer at `dropped`."""
    kept = np.ones(len(places.offsets), bool) if dropped is None else places.addresses != np.uint64(dropped)
    new = places.offsets[kept] + moves.moved(places.addresses[kept])
    lost = 2 * (len(kept) - len(new))
    return rounded(places.rest - lost + int(_uleb_sizes(new).sum()), REBASE_ALIGN)


def _addresses(ids: NDArray[np.int64], offsets: NDArray[np.int64], segments: tuple[Segment, ...]) -> Words:
    if len(ids) and int(ids.max()) >= len(segments):
        raise Declined("a record names a segment that is not there")
    return np.array([s.address for s in segments], np.uint64)[ids] + offsets.astype(np.uint64)


def _rebased(table: memoryview) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(segment (n,), offset in it (n,)) of every record.

    Three bytes of each have no high bit: the opcode, the last of the offset's, the opcode that ends it.
    """
    raw = np.frombuffer(table, np.uint8).astype(np.int64)
    low = np.flatnonzero(raw < 0x80)
    if not len(low) or low[0] or raw[0] != TYPE_POINTER:
        raise Declined("the rebase table is not as Go's linker writes it")
    most = (len(low) - 1) // 3
    first, last, end = (low[1 + i : 1 + 3 * most : 3] for i in range(3))
    known = (raw[first] & 0xF0 == SEGMENT) & (raw[end] == ONCE) & (end == last + 1)
    count = most if known.all() else int(np.argmin(known))
    first, last, end = first[:count], last[:count], end[:count]
    sizes = last - first
    starts = np.r_[0, end] + 1
    if (first != starts[:-1]).any() or (sizes > MAX_ULEB).any() or raw[starts[-1] :].any() or len(raw) == starts[-1]:
        raise Declined("the rebase table is not as Go's linker writes it")
    offsets = np.zeros(count, np.int64)
    for i in range(MAX_ULEB):
        there = sizes > i
        offsets[there] |= (raw[first[there] + 1 + i] & 0x7F) << (7 * i)
    return raw[first] & 0x0F, offsets


def _uleb_sizes(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) bytes of each value as a ULEB128."""
    limits = np.array([1 << 7 * i for i in range(1, MAX_ULEB + 1)], np.int64)
    return 1 + np.searchsorted(limits, values, "right").astype(np.int64)


def bound(table: memoryview, segments: tuple[Segment, ...]) -> Places:
    """The records of the bind table.  Declined if it is not as Go's linker writes it."""
    if not len(table):
        return NO_PLACES
    raw = bytes(table[:MAX_BIND])
    if raw[0] != ONCE or len(table) > MAX_BIND:
        raise Declined("the bind table is not as Go's linker writes it")
    places, end = _bound(raw)
    ids, offsets, sizes = np.array(places, np.int64).reshape(-1, 3).T
    return Places(_addresses(ids, offsets, segments), offsets, end - int(sizes.sum()))


def bind_size(places: Places, moves: Moves) -> int:
    """Bytes of the bind table once everything has moved."""
    new = places.offsets + moves.moved(places.addresses)
    return rounded(places.rest + int(_uleb_sizes(new).sum()), BIND_ALIGN)


def _bound(raw: bytes) -> tuple[list[tuple[int, int, int]], int]:
    """((segment, offset, bytes of the offset) of every record, where the table ends)."""
    places: list[tuple[int, int, int]] = []
    at = 1
    while at < len(raw):
        opcode, at = raw[at], at + 1
        if opcode == DONE:
            if any(raw[at:]):
                break
            return places, at
        kind = opcode & 0xF0
        if kind == BIND_SEGMENT:
            offset, after = _uleb(raw, at)
            places.append((opcode & 0x0F, offset, after - at))
            at = after
        elif kind == BIND_ORDINAL_ULEB:
            _, at = _uleb(raw, at)
        elif kind == BIND_FLAGS:
            at = raw.find(b"\0", at) + 1 or len(raw)
        elif kind not in (BIND_SPECIAL, BIND_ORDINAL) and opcode != DO_BIND:
            break
    raise Declined("the bind table is not as Go's linker writes it")


def _uleb(raw: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends) of the ULEB128 at `at`."""
    value = 0
    for i, byte in enumerate(raw[at : at + MAX_ULEB]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise Declined("an offset in the bind table does not end")
