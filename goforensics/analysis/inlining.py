"""What inlining costs: code, inline-tree nodes and pairs of pc-value tables, by the copy they are for.

An instruction belongs to the innermost copy that it is in; one in no copy is the function's own.  Source of truth:
Go's src/runtime/symtabinl.go (inlineUnwinder): the value of PCDATA_InlTreeIndex is the innermost node, -1 for none.
"""

from __future__ import annotations

from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Problem
from goforensics.errors import require
from goforensics.sections import inlined, inltree, pclntab
from goforensics.sections.arrays import Offsets, spread
from goforensics.sections.inltree import InlTree, InlTrees, Steps, affordable
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.protocol import Parser, Source

Bytes = NDArray[np.float64]
PCFILE, PCLN = 1, 2
DEEPEST = 100  # copies within copies; the deepest seen is 6, a broken file can have a million


class Spans(msgspec.Struct, frozen=True, eq=False):
    """Stretches of functions' code with one value of a table each, by function and pc: arrays (s,)."""

    owner: Offsets
    value: Offsets
    start: Offsets  # bytes from the function's entry
    end: Offsets
    size: Bytes  # bytes of the table's pair, divided by the uses of the table


class Copies(msgspec.Struct, frozen=True, eq=False, dict=True):
    """Every copy of an inlined function, as arrays (m,), by function and index; and the functions, (n,)."""

    table: Pclntab
    trees: InlTrees
    nodes: InlTree
    code: Offsets  # bytes of code in it and in no copy within it
    index: Bytes  # bytes of InlTreeIndex's pairs for these
    node_size: int  # bytes of a node
    spans: Spans  # of InlTreeIndex; values are the numbers of copies, -1 for none
    size: Offsets  # (n,) code of each function, to the next one
    own: Offsets  # (n,) of it what is in no copy

    @cached_property
    def parent(self) -> Offsets:
        """(m,) the copy that each is inlined into, -1 for the function itself: what is at the place of its call.

        A parent comes before its children.
        """
        nodes, trees = self.nodes, self.trees
        parent = trees.steps.value(trees.which[nodes.owner], nodes.parent_pc // self.table.header.quantum)
        inside = (parent >= 0) & (parent < nodes.node)
        return np.where(inside, np.arange(len(parent)) - nodes.node + parent, -1)


def decode(source: Source) -> Copies:
    """Charge all code to copies and functions.

    FormatError if there is no pclntab, or nothing says where its function data begins.
    """
    table, trees = source.read(pclntab.PARSER), source.read(inltree.PARSER)
    nodes = source.read(inlined.PARSER)
    count = len(table.funcs.record)
    most = len(source.image.data)
    size = np.minimum(table.funcs.size, np.uint64(most)).astype(np.int64)
    held = np.bincount(nodes.owner, minlength=count)
    first = np.cumsum(held) - held
    rows = np.flatnonzero((trees.which >= 0) & (held > 0))
    spans, lost = _spans(table, trees.which, trees.steps, _slot(trees), size, rows)
    if lost:
        reason = f"{lost} functions share longer tables of inlining than a sound file has"
        source.image.problems.append(Problem("inltree", table.offset, reason))
    inside = (spans.value >= 0) & (spans.value < held[spans.owner])
    number = np.where(inside, first[spans.owner] + spans.value, -1)
    spans = msgspec.structs.replace(spans, value=number)
    charged = np.where(inside, spans.end - spans.start, 0)
    return Copies(
        table=table,
        trees=trees,
        nodes=nodes,
        code=_sums(number[inside], charged[inside], len(nodes.owner)),
        index=divided(number[inside], spans.size[inside], len(nodes.owner)),
        node_size=trees.shape.size,
        spans=spans,
        size=size,
        own=size - _sums(spans.owner, charged, count),
    )


def divided(where: Offsets, size: Bytes, count: int) -> Bytes:
    """(count,) sums of the `size` (r,) that stand at each place."""
    return np.bincount(where, size, count).astype(np.float64)


def _slot(trees: InlTrees) -> int:
    """The slot of the tables that `trees.steps` are of."""
    earlier = trees.table.header.layout == "1.2" and trees.funcdata == inltree.EARLIER[1][0]
    return 3 + (inltree.EARLIER[1][1] if earlier else inltree.PCDATA_INDEX)


def _sums(where: Offsets, size: Offsets, count: int) -> Offsets:
    return np.bincount(where, size, count).astype(np.int64)


def _spans(table: Pclntab, which: Offsets, steps: Steps, slot: int, size: Offsets, rows: Offsets) -> tuple[Spans, int]:
    """The steps of the tables that the functions `rows` have in a slot, and how many functions had to be left out.

    FormatError if their pcs are past counting.
    """
    number, quantum = steps.table, table.header.quantum
    tables = int(which.max(initial=-1)) + 1
    sound = not len(number) or (number[0] >= 0 and number[-1] < tables and not (np.diff(steps.key) < 0).any())
    require(sound, "pc-value tables are past counting", "inltree", table.offset)
    length = np.bincount(number, minlength=tables)
    begin = np.cumsum(length) - length
    wanted = length[which[rows]]
    each = affordable(wanted, len(table.data))
    owner, place = spread(each)
    row = begin[which[rows]][owner] + place
    owner = rows[owner]
    end = (steps.key % steps.width)[row] * quantum
    start = np.where(place == 0, 0, np.r_[0, end[:-1]][: len(end)])
    pair = _pair_sizes(steps)[row] / np.maximum(_users(table, slot), 1)[owner]
    limit = size[owner]
    spans = Spans(owner, steps.values[row], np.minimum(start, limit), np.minimum(end, limit), pair)
    return spans, int(np.count_nonzero(each < wanted))


def _users(table: Pclntab, slot: int) -> Offsets:
    """(n,) uses, in whatever slot, of the table that each function has in one slot."""
    uses = table.tables
    mine = uses.slot == slot
    users = np.ones(len(table.funcs.record), np.int64)
    users[uses.owner[mine]] = uses.users[uses.table[mine]]
    return users


def _pair_sizes(steps: Steps) -> Offsets:
    """(s,) bytes of the two varints of each step, as the compiler writes them."""
    pc = steps.key % steps.width
    fresh = np.r_[True, np.diff(steps.table) != 0][: len(pc)]
    value = steps.values - np.where(fresh, -1, np.r_[0, steps.values[:-1]][: len(pc)])
    delta = pc - np.where(fresh, 0, np.r_[0, pc[:-1]][: len(pc)])
    return _varint_sizes((value << 1) ^ (value >> 63)) + _varint_sizes(delta)


def _varint_sizes(number: Offsets) -> Offsets:
    """(s,) bytes that unsigned 32-bit numbers take."""
    low = number & 0xFFFFFFFF
    size = np.ones(len(number), np.int64)
    for i in range(1, 5):
        size += low >= 1 << 7 * i
    return size


def line_spans(copies: Copies, slot: int) -> tuple[Offsets, Bytes]:
    """(s,) number of the copy, -1 for none, and bytes of every pair of the functions' tables in a slot.

    A pair is for the code that begins where the one before ends: it belongs to the copy that is there.
    """
    table = copies.table
    which, steps = inltree.steps_of(table, slot)
    rows = np.flatnonzero((which >= 0) & (np.bincount(copies.spans.owner, minlength=len(which)) > 0))
    spans, _ = _spans(table, which, steps, slot, copies.size, rows)
    width = int(copies.size.max(initial=0)) + 1
    at = np.searchsorted(copies.spans.owner * width + copies.spans.end, spans.owner * width + spans.start, side="right")
    found = np.minimum(at, len(copies.spans.owner) - 1)
    there = (at < len(copies.spans.owner)) & (copies.spans.owner[found] == spans.owner)
    return np.where(there, copies.spans.value[found], -1), spans.size


class Nesting(msgspec.Struct, frozen=True, eq=False):
    """Copies with what is in them, (m,)."""

    code: Offsets  # bytes
    tables: Bytes  # of nodes and pairs
    outermost: NDArray[np.bool_]  # not within a copy of the same function


def nesting(copies: Copies, callee: Offsets, tables: Bytes) -> Nesting:
    """Add to every copy the code and the `tables` (m,) of the copies within it; `callee` (m,) says what each is of."""
    code, total = copies.code.copy(), tables.copy()
    outermost = np.ones(len(callee), bool)
    row, around = np.arange(len(callee)), copies.parent
    for _ in range(DEEPEST):
        inside = around >= 0
        if not inside.any():
            break
        row, around = row[inside], around[inside]
        code += _sums(around, copies.code[row], len(callee))
        total += divided(around, tables[row], len(callee))
        outermost[row[callee[around] == callee[row]]] = False
        around = copies.parent[around]
    return Nesting(code, total, outermost)


PARSER = Parser("inlining", decode)
