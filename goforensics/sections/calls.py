"""Direct calls, on the machines whose calls can be told without a disassembler: amd64, 386 and arm64.

What looks like a call is one if it leads to the entry of a function; the caller asks only for such.  Source of truth:
Go's src/cmd/internal/obj/x86/asm6.go (CALL), src/cmd/internal/obj/arm64/asm7.go (BL, B).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goforensics.sections import functions
from goforensics.sections.arrays import Offsets
from goforensics.sections.protocol import Source

X86 = ("amd64", "386")
CALL = 0xE8  # and four bytes of distance, which counts from behind them
BRANCH, LINKED = 0b000101, 0b100101  # arm64: b and bl, the upper 6 bits
MACHINES = (*X86, "arm64")
STEP = 1 << 22  # bytes of code looked at together


def count(source: Source, targets: NDArray[np.uint64]) -> int | None:
    """Calls in Go's text of any of the addresses `targets` (k,); None on a machine whose calls are not known here.

    FormatError if there is no pclntab, or nothing says where the text begins.
    """
    image, (low, high) = source.image, source.read(functions.PARSER).text
    offset = image.offset_of(low)
    if image.goarch not in MACHINES or offset is None:
        return None
    code = np.frombuffer(image.data[offset : offset + max(high - low, 0)], np.uint8)
    return int(np.count_nonzero(np.isin(calls(image.goarch, code, low)[1], targets.astype(np.int64))))


def calls(goarch: str, code: NDArray[np.uint8], address: int) -> tuple[Offsets, Offsets]:
    """(addresses of calls, where each leads) of the code that lies at `address`; none on another machine."""
    parts = [_calls(goarch, code, low, min(low + STEP, len(code))) for low in range(0, len(code), STEP)]
    empty = np.empty(0, np.int64)
    at = np.concatenate([empty, *(at for at, _ in parts)])
    return at + address, np.concatenate([empty, *(to for _, to in parts)]) + address


def _calls(goarch: str, code: NDArray[np.uint8], low: int, high: int) -> tuple[Offsets, Offsets]:
    """Offsets in `code` of the calls that begin in `[low, high)`, and where they lead."""
    if goarch in X86:
        at = np.flatnonzero(code[low : max(low, min(high, len(code) - 4))] == CALL) + low
        words = code[(at + 1)[:, None] + np.arange(4)] if len(at) else np.empty((0, 4), np.uint8)
        return at, at + 5 + np.ascontiguousarray(words).view("<i4")[:, 0]
    if goarch != "arm64":
        return np.empty(0, np.int64), np.empty(0, np.int64)
    word = code[low : low + (high - low) // 4 * 4].view("<u4").astype(np.int64)
    mine = np.flatnonzero(np.isin(word >> 26, (BRANCH, LINKED)))
    at = low + 4 * mine
    return at, at + (((word[mine] & 0x3FFFFFF) ^ 0x2000000) - 0x2000000) * 4
