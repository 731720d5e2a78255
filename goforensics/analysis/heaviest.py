"""Which functions weigh most in the pclntab, what is theirs alone and what they share."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.analysis.packages import Packages
from goforensics.report import HeavyFunction
from goforensics.sections.arrays import Offsets, string_ends
from goforensics.sections.pclntab import Pclntab

Flags = NDArray[np.bool_]
PCDATA_SLOT = 3  # slots below are pcsp, pcfile and pcln


class Weights(msgspec.Struct, frozen=True):
    """Bytes of the pclntab per function (n,)."""

    own: Offsets  # functab entry, _func, name, tables and function data that no other function uses
    pcdata: Offsets  # of them PCDATA tables
    shared: Offsets  # tables that other functions use too, each in full


def weigh(table: Pclntab) -> Weights:
    """Each function's own and shared bytes."""
    funcs, uses = table.funcs, table.tables
    count = len(funcs.record)
    own = 2 * table.header.entry_size + funcs.length + string_ends(table.data, funcs.name) + 1 - funcs.name
    size = uses.size[uses.table]
    alone = _one_owner(uses.table, uses.owner, len(uses.start))[uses.table]
    first = _first_uses(uses.owner, uses.table, len(uses.start))
    pcdata = _sums(uses.owner, np.where(alone & first & (uses.slot >= PCDATA_SLOT), size, 0), count)
    own = own + _sums(uses.owner, np.where(alone & first, size, 0), count)
    shared = _sums(uses.owner, np.where(~alone & first, size, 0), count)
    return _with_funcdata(table, Weights(own, pcdata, shared))


def _with_funcdata(table: Pclntab, weights: Weights) -> Weights:
    """Since 1.26 function data lies in the table; each blob runs to the next one, alignment included."""
    if table.inside is None:
        return weights
    data, count = table.funcdata, len(weights.own)
    begin, end = table.inside
    starts, blob = np.unique(data.value.astype(np.int64), return_inverse=True)
    size = np.clip(np.diff(np.r_[starts, end - begin]), 0, end - begin)[blob]
    alone = _one_owner(blob, data.owner, len(starts))[blob]
    first = _first_uses(data.owner, blob, len(starts))
    own = weights.own + _sums(data.owner, np.where(alone & first, size, 0), count)
    return Weights(own, weights.pcdata, weights.shared + _sums(data.owner, np.where(~alone & first, size, 0), count))


def _sums(owner: Offsets, size: Offsets, count: int) -> Offsets:
    return np.bincount(owner, weights=size, minlength=count).astype(np.int64)


def _one_owner(item: Offsets, owner: Offsets, items: int) -> Flags:
    """(items,) whether all uses of each item are one function's."""
    low, high = np.full(items, np.iinfo(np.int64).max), np.full(items, -1)
    np.minimum.at(low, item, owner)
    np.maximum.at(high, item, owner)
    alone: Flags = low == high
    return alone


def _first_uses(owner: Offsets, item: Offsets, items: int) -> Flags:
    """(r,) true for one use of each item by each function: one that uses a table twice holds it once."""
    _, first = np.unique(owner * (items + 1) + item, return_index=True)
    mark = np.zeros(len(owner), bool)
    mark[first] = True
    return mark


def heaviest(table: Pclntab, packages: Packages, code: Offsets, top: int) -> list[HeavyFunction]:
    """The `top` functions by bytes of their own, and the `top` by PCDATA; one that is in both is listed once."""
    weights = weigh(table)
    ranked: dict[int, list[str]] = {}
    for name, column in (("pclntab", weights.own), ("pcdata", weights.pcdata)):
        for i in np.argsort(-column, kind="stable")[:top].tolist():
            ranked.setdefault(i, []).append(name)
    return [
        HeavyFunction(
            function=table.names[i],
            package=packages.names[packages.codes[i]],
            pclntab_bytes=int(weights.own[i]),
            pcdata_bytes=int(weights.pcdata[i]),
            shared_bytes=int(weights.shared[i]),
            code_bytes=int(code[i]),
            ranked_by=names,
        )
        for i, names in ranked.items()
    ]
