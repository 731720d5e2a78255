"""Which functions call others directly, on the machines whose calls can be told without a disassembler."""

from __future__ import annotations

import numpy as np

from goforensics.analysis.samecode import BRANCH, LINKED, Numbers, Program

X86 = ("amd64", "386")
CALL = 0xE8
STEP = 1 << 22  # bytes of code looked at together


def callers(program: Program, wanted: frozenset[str]) -> list[str]:
    """The names of the functions that call one of `wanted` by its entry, in address order.

    Nothing for a machine other than amd64, 386 and arm64, and no call through a pointer or an interface.
    """
    targets = np.array([i for i, name in enumerate(program.names) if name in wanted], np.int64)
    placed = np.flatnonzero((program.offset >= 0) & (program.code > 0))
    if not len(targets) or not len(placed):
        return []
    first, last = int(placed[0]), int(placed[-1])
    start, end = int(program.offset[first]), int(program.offset[last] + program.code[last])
    shift = int(program.address[first]) - start
    found = [
        at + shift
        for low in range(start, end, STEP)
        for at in _calls(program, low, min(low + STEP, end), shift, program.address[targets]).tolist()
    ]
    owners = np.unique(np.searchsorted(program.address, np.array(found, np.int64), "right") - 1)
    return [program.names[i] for i in owners.tolist()]


def _calls(program: Program, low: int, high: int, shift: int, entries: Numbers) -> Numbers:
    """Offsets in the image, from `low` to `high`, of the calls that lead to one of the entries."""
    at, away, base = _found(program, low, high)
    called: Numbers = at[np.isin(at + shift + base + away, entries)]
    return called


def _found(program: Program, low: int, high: int) -> tuple[Numbers, Numbers, int]:
    """(offsets of calls, distance to what each calls, and from where on the distance counts)."""
    goarch, data = program.image.goarch, program.data
    if goarch in X86:
        at = np.flatnonzero(data[low : max(low, min(high, len(data) - 4))] == CALL) + low
        words = data[(at + 1)[:, None] + np.arange(4)] if len(at) else np.empty((0, 4), np.uint8)
        return at, np.ascontiguousarray(words).view("<i4")[:, 0].astype(np.int64), 5
    if goarch != "arm64":
        return np.empty(0, np.int64), np.empty(0, np.int64), 0
    word = data[low : low + (high - low) // 4 * 4].view("<u4").astype(np.int64)
    mine = np.flatnonzero(np.isin(word >> 26, (BRANCH, LINKED)))
    away = (((word[mine] & 0x3FFFFFF) ^ 0x2000000) - 0x2000000) * 4
    return low + 4 * mine, away, 0
