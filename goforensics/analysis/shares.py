"""Who has an item alone, who shares it, and the division of what is shared in whole numbers."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.sections.arrays import Indices, Offsets
from goforensics.sets import distinct

Flags = NDArray[np.bool_]


class Sharing(msgspec.Struct, frozen=True, eq=False):
    """Of items (i,) and their uses (r,)."""

    users: Offsets  # (i,) uses of each item
    alone: Flags  # (i,) it is used, and by one owner only
    first: Flags  # (r,) the first use of its item by its owner: one that uses an item twice holds it once


def sharing(owner: Indices, item: Indices, items: int) -> Sharing:
    """How `items` items are shared, of which `owner[k]` uses `item[k]` (r,)."""
    users = np.bincount(item, minlength=items)
    one = np.zeros(items, np.int64)
    one[item] = owner  # whichever comes last: with one owner all are the same
    alone = users > 0
    alone[item[one[item] != owner]] = False
    return Sharing(users, alone, _first(owner.astype(np.int64) * (items + 1) + item, users[item] > 1))


def _first(pair: Offsets, several: Flags) -> Flags:
    """(r,) where a pair is met for the first time; `several` are those that could be met again."""
    first = np.ones(len(pair), bool)
    again = pair[several]
    if len(distinct(again)) < len(again):  # in few sorts
        first[several] = False
        first[np.flatnonzero(several)[np.unique(again, return_index=True)[1]]] = True
    return first


def whole_numbers(parts: NDArray[np.float64], total: int) -> Offsets:
    """`parts` (n,), none negative, which sum to `total` but for rounding, as whole numbers that do.

    Each is within 1 of its part: those with the largest fractions go up.
    """
    whole = np.floor(parts + 1e-6).astype(np.int64)
    missing = total - int(whole.sum())
    order = np.argsort(whole - parts, kind="stable")
    if missing >= 0:
        whole[order[:missing]] += 1
    else:  # fractions that are whole numbers but for rounding, in great number
        held = order[whole[order] > 0]
        whole[held[missing:]] -= 1
    return whole
