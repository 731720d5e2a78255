"""How long the lists of live arguments are: bitmaps of one byte or of two, which the lists themselves do not tell.

A list is a byte, the least offset in the frame that it speaks about, then bitmaps at the offsets that the function's
PCDATA_ArgLiveIndex table gives, with a bit for each argument in a register from that offset on, ten at most.  The
function's list of arguments for tracebacks has the same arguments, but leaves some out: from the tenth component on,
those nested deeply, those far away, and the first parameter of a generic function, taken to be its dictionary.

Source of truth: Go's src/cmd/compile/internal/liveness/arg.go and ssagen/ssa.go (EmitArgInfo), which write the two;
src/internal/abi/symtab.go (TraceArgs*, in 1.27 type.go), src/runtime/traceback.go (printArgs), which reads them.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.sections import inltree
from goforensics.sections.arrays import Offsets
from goforensics.sections.pclntab import Pclntab

ARG_LIVE_INDEX = 3  # abi.PCDATA_ArgLiveIndex
MOST_BYTES = 171  # of a list of arguments: abi.TraceArgsMaxLen
MOST_SLOTS = 10  # arguments that liveness is kept of
END, DOTS, TOO_FAR, SPECIAL = 0xFF, 0xFC, 0xFB, 0xF0  # abi.TraceArgsEndSeq, -Dotdotdot, -OffsetTooLarge, -Special


class Indices(msgspec.Struct, frozen=True):
    """What each function's PCDATA_ArgLiveIndex table gives, (n,)."""

    last: Offsets  # the greatest offset; at least 1, that of the first bitmap
    single: NDArray[np.bool_]  # there is an even one, so that bitmaps are of one byte


def indices(table: Pclntab) -> Indices:
    """Of all functions."""
    which, steps = inltree.steps_of(table, 3 + ARG_LIVE_INDEX)
    tables = int(which.max(initial=-1)) + 1
    single = np.zeros(tables, bool)
    single[steps.table[(steps.values > 0) & (steps.values % 2 == 0)]] = True
    last: Offsets = np.maximum(np.r_[steps.greatest(tables), 1][which], 1)
    return Indices(last, np.r_[single, False][which])


def slots(raw: NDArray[np.uint8], at: Offsets, start: Offsets, skips: NDArray[np.bool_]) -> Offsets:
    """(2, k) the least and the most arguments that bitmaps are of, by the list of arguments at each of `at` (k,).

    `start` (k,) is the least offset that the bitmaps speak about; `skips` (k,) whether the list lacks the first
    parameter.  Bytes past the end of `raw` end a list.
    """
    listed, far, first = np.zeros((3, len(at)), np.int64)
    cut, going = np.zeros(len(at), bool), np.ones(len(at), bool)
    for _ in range(MOST_BYTES):
        op = np.where(at < len(raw), raw[np.minimum(at, len(raw) - 1)], END).astype(np.int64)
        going &= op != END
        if not going.any():
            break
        plain = going & (op < SPECIAL)
        mine = plain & (op >= start)
        first = np.where(mine & (listed == 0), op, first)
        listed += mine
        far += going & (op == TOO_FAR)
        cut |= going & (op == DOTS)
        at = at + np.where(plain, 2, 1)
    # The bitmaps begin with the argument at `start`: what lies between it and the first that is listed is the first
    # parameter, of which all or nothing is kept track of.
    before = np.where(listed > 0, first - start, 0)
    least = np.where(skips & (cut | (before == 0)), 0, listed + (before > 0))
    most = np.where(cut | (skips & (listed == 0)), MOST_SLOTS, listed + far + np.where(skips, before, 0))
    return np.stack([least, most])


def width(bounds: Offsets) -> Offsets:
    """(k,) bytes of a bitmap by the bounds (2, k) that `slots` gives; 0 where they do not decide it."""
    least, most = bounds
    found: Offsets = np.where(most <= 8, 1, np.where(least > 8, 2, 0))
    return found


def bitmaps(
    table: Pclntab, raw: NDArray[np.uint8], start: Offsets, lists: Offsets, owner: Offsets, blob: Offsets
) -> Offsets:
    """(2, b) of blobs that begin at `start` (b,) in `raw`: the offset of the last bitmap, and a bitmap's bytes.

    `lists` (n,) are where the functions' lists of arguments are, -1 for none; function `owner[i]` has its live
    arguments in `blob[i]`.  0 bytes where nothing decides it, and both are 0 for other blobs.
    """
    last, found = np.zeros((2, len(start)), np.int64)
    if not len(owner):
        return np.stack([last, found])
    given, names, at = indices(table), table.names, lists[owner]
    np.maximum.at(last, blob, given.last[owner])
    generic = np.array(["[" in names[i] for i in owner.tolist()], np.int64)
    # Many functions have the same two lists: each pair of them is looked at once, as one number.
    key = (np.where(at < 0, len(raw), at) << 9) + 2 * raw[start[blob]].astype(np.int64) + generic
    distinct, pair = np.unique(key, return_inverse=True)
    decided = width(slots(raw, distinct >> 9, distinct >> 1 & 0xFF, distinct & 1 > 0))[pair]
    decided[at < 0] = 0
    decided[given.single[owner]] = 1
    np.maximum.at(found, blob, decided)
    found[blob[decided == 1]] = 1  # of equal lists any function's word counts
    return np.stack([last, found])
