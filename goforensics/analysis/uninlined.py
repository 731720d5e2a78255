"""The tables of lines and files as they would be if nothing were inlined: each inlined body is read as its call.

Every step that lies in an inlined body takes the value at the call that the body stands for, in the function itself;
equal neighbours become one step.  Offsets of code stay as they are, so that sizes are near the truth, not exact.
Source of truth: Go's src/runtime/symtabinl.go (the way up a tree), cmd/internal/obj/pcln.go (funcpctab).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from goforensics.sections.arrays import Offsets
from goforensics.sections.inltree import InlTree, InlTrees, steps_of
from goforensics.sections.pclntab import Pclntab

DEEPEST = 256  # inlined within inlined: more than any compiler does; a broken tree can be a ring


def saved(table: Pclntab, trees: InlTrees, nodes: InlTree, slot: int) -> int:
    """Bytes by which the distinct tables of one slot would be smaller."""
    which, steps = steps_of(table, slot)
    if not len(steps.key):
        return 0
    number, end = steps.table, steps.key % steps.width
    start = np.where(_begins(number), 0, np.r_[0, end[:-1]])
    function = _first_user(which, int(number[-1]) + 1)[number]
    calls = _calls(trees, nodes, function, start)
    inside = calls >= 0
    values = np.where(inside, steps.value(number, np.maximum(calls, 0)), steps.values)
    return int(size(number, steps.values, end) - size(number, values, end))


def _first_user(which: Offsets, tables: int) -> Offsets:
    """(tables,) a function that uses each table: those that share it have the same code as far as it says."""
    first = np.zeros(tables, np.int64)
    used = np.flatnonzero(which >= 0)[::-1]
    first[which[used]] = used
    return first


def _calls(trees: InlTrees, nodes: InlTree, function: Offsets, pc: Offsets) -> Offsets:
    """(s,) where in `function` the call is that the code at `pc` was inlined for, in instructions; -1 for its own."""
    first = np.searchsorted(nodes.owner, np.arange(len(trees.tree) + 1))
    at, quantum = np.full(len(pc), -1, np.int64), trees.table.header.quantum
    node = trees.steps.value(trees.which[function], pc)
    for _ in range(DEEPEST):
        row = first[function] + node
        going = (node >= 0) & (row < first[function + 1])
        if not going.any():
            break
        at[going] = np.maximum(nodes.parent_pc[row[going]], 0) // quantum
        node = np.where(going, trees.steps.value(trees.which[function], at), -1)
    return at


def size(number: Offsets, values: Offsets, end: Offsets) -> int:
    """Bytes of tables written: step i of table `number[i]` says `values[i]` up to `end[i]`; equal tables are one.

    A step is two varints, a table ends with a zero: funcpctab in cmd/internal/obj/pcln.go.
    """
    last = np.r_[(number[1:] != number[:-1]) | (values[1:] != values[:-1]), True]
    number, values, end = number[last], values[last], end[last]
    new = _begins(number)
    value = values - np.where(new, -1, np.r_[0, values[:-1]])
    pc = end - np.where(new, 0, np.r_[0, end[:-1]])
    each = _varint(np.where(value < 0, -2 * value - 1, 2 * value)) + _varint(pc)
    cuts = np.flatnonzero(np.r_[new, True]).tolist()
    pairs, before = np.stack([value, pc], axis=1), np.r_[0, np.cumsum(each)]
    distinct = {pairs[a:b].tobytes(): int(before[b] - before[a]) + 1 for a, b in pairwise(cuts)}
    return sum(distinct.values())


def _varint(value: Offsets) -> Offsets:
    """(s,) bytes of unsigned varints of 32 bits."""
    return 1 + np.searchsorted(np.array([1 << bits for bits in (7, 14, 21, 28)]), value, side="right")


def _begins(number: Offsets) -> NDArray[np.bool_]:
    """(s,) whether a step is the first of its table."""
    begins: NDArray[np.bool_] = np.r_[True, number[1:] != number[:-1]]
    return begins
