"""Inline trees: which function's code, inlined into another's, an instruction belongs to.

Source of truth: Go's src/runtime/symtabinl.go (inlinedCall, inlineUnwinder), before 1.21 src/runtime/symtab.go; the
writer is cmd/link/internal/ld/pcln.go (genInlTreeSym).  The tree has no length of its own: it ends with the greatest
index that the function's PCDATA_InlTreeIndex table gives.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image
from goforensics.sections import moduledata, pclntab
from goforensics.sections.arrays import Offsets, spread, zigzag
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.protocol import Parser, Source

FUNCDATA_TREE, PCDATA_INDEX = 3, 2  # abi.FUNCDATA_InlTree, abi.PCDATA_InlTreeIndex
EARLIER = ((4, 2), (2, 1))  # the same of layout 1.2: Go 1.13 to 1.15, and 1.12


class Shape(msgspec.Struct, frozen=True):
    """runtime.inlinedCall: bytes in all, and where in it the fields are."""

    size: int
    name: int
    parent_pc: int
    func_id: int
    has_parent: bool  # begins with the index of the parent, an int16


def shape(layout: str) -> Shape:
    """How a layout writes a node: Go 1.20 dropped the parent's index, the file and the line."""
    return Shape(20, 12, 16, 2, True) if layout in ("1.2", "1.16", "1.18") else Shape(16, 4, 8, 0, False)


class InlTree(msgspec.Struct, frozen=True):
    """The nodes of all trees, as parallel arrays (m,), by function and index."""

    owner: Offsets  # the function whose tree it is
    node: Offsets  # its index in that tree
    name: Offsets  # offset in the pclntab of the inlined function's name, 0 for one that lies outside
    parent_pc: Offsets  # where the call was, bytes from the owner's entry
    func_id: NDArray[np.uint8]  # abi.FuncID


class InlTrees(msgspec.Struct, frozen=True, eq=False):
    """The trees of all functions, and the tables that say which node an instruction belongs to."""

    table: Pclntab
    image: Image
    tree: Offsets  # (n,) offset in the image of each function's tree, -1 for none
    steps: Steps
    which: Offsets  # (n,) number of each function's table in `steps`, -1 for none
    funcdata: int  # the FUNCDATA index that is the inline tree in this file

    @property
    def shape(self) -> Shape:
        """Of every node."""
        return shape(self.table.header.layout)

    @property
    def count(self) -> Offsets:
        """(n,) nodes that the function's table reaches, 0 without a tree; bounded by nothing else."""
        greatest = self.steps.greatest(int(self.which.max(initial=-1)) + 1)
        there = (self.tree >= 0) & (self.which >= 0)
        return np.where(there, np.r_[greatest, -1][self.which] + 1, 0)

    def nodes(self, count: Offsets) -> InlTree:
        """The first `count` (n,) nodes of each function's tree; none of those past the image's end."""
        count = affordable(np.where(self.tree >= 0, count, 0), len(self.image.data) // self.shape.size)
        owner, node = spread(count)
        at = self.tree[owner] + self.shape.size * node
        held = at + self.shape.size <= len(self.image.data)
        owner, node, at = owner[held], node[held], at[held]
        return InlTree(
            owner=owner,
            node=node,
            name=self._name(at),
            parent_pc=self._int32(at + self.shape.parent_pc),
            func_id=np.frombuffer(self.image.data, np.uint8)[at + self.shape.func_id],
        )

    def _int32(self, at: Offsets) -> Offsets:
        """(m,) signed words of the image at offsets that it holds."""
        raw = np.frombuffer(self.image.data, np.uint8)[at[:, None] + np.arange(4)]
        word: Offsets = raw.view(f"{self.image.order}i4")[:, 0].astype(np.int64)
        return word

    def _name(self, at: Offsets) -> Offsets:
        """(m,) offset in the pclntab of the name of each node at `at` in the image; 0 for one that lies outside."""
        header = self.table.header
        word = self._int32(at + self.shape.name)
        offset = word + header.tables.get("funcnametab", 0)
        return np.where((word >= 0) & (offset < len(self.table.data)), offset, 0)

    def innermost(self, function: Offsets, pc: Offsets) -> Offsets:
        """(r,) offset in the pclntab of the name of what is inlined into `function` (r,) at `pc`, bytes from its
        entry; 0 where nothing is.
        """
        node = self.steps.value(self.which[function], pc // self.table.header.quantum)
        at = self.tree[function] + node * self.shape.size
        there = (node >= 0) & (self.tree[function] >= 0) & (at >= 0) & (at + self.shape.size <= len(self.image.data))
        return np.where(there, self._name(np.where(there, at, 0)), 0)


class Steps(msgspec.Struct, frozen=True, eq=False):
    """pc-value tables decoded: step i of table `table[i]` says `values[i]` up to, not including, pc `end[i]`."""

    key: Offsets  # (s,) increasing: table times `width`, plus the end
    values: Offsets  # (s,)
    width: int

    def value(self, table: Offsets, pc: Offsets) -> Offsets:
        """(r,) the value at each pc of a table, -1 where there is no table or no step."""
        if not len(self.key):
            return np.full(len(table), -1, np.int64)
        at = np.searchsorted(self.key, table * self.width + np.minimum(pc, self.width - 1), side="right")
        found = np.minimum(at, len(self.key) - 1)
        there = (table >= 0) & (at < len(self.key)) & (self.key[found] // self.width == table)
        return np.where(there, self.values[found], -1)

    @property
    def table(self) -> Offsets:
        """(s,) the table of each step, by which they are in order."""
        return self.key // self.width

    def greatest(self, tables: int) -> Offsets:
        """(tables,) the greatest value of each table, -1 for one without steps."""
        found = np.full(tables, -1, np.int64)
        owner = self.table
        known = (owner >= 0) & (owner < tables)
        np.maximum.at(found, owner[known], self.values[known])
        return found


def affordable(counts: Offsets, limit: int) -> Offsets:
    """`counts` (n,) with those zeroed that a sound file would not have: past `limit` when added up in order.

    A broken file can have every function share one enormous list.
    """
    counts = np.clip(counts, 0, limit + 1)
    return np.where(np.cumsum(counts) <= limit, counts, 0)


def steps(data: memoryview, start: Offsets, end: Offsets) -> Steps:
    """Decode the pc-value tables at `[start, end)` (t,): pairs of varints (value delta, pc delta), a zero at the end.

    The value begins at -1 and the pc at 0, as in runtime.step.
    """
    which, place = spread(end - start)
    raw = np.frombuffer(data, np.uint8)[start[which] + place].astype(np.int64)
    last = np.flatnonzero(raw < 0x80)
    if not len(last):
        return Steps(np.empty(0, np.int64), np.empty(0, np.int64), 1)
    first = np.r_[0, last[:-1] + 1]
    shift = 7 * np.minimum(np.arange(len(raw)) - np.repeat(first, np.diff(np.r_[first, len(raw)])), 4)
    varint = np.add.reduceat((raw & 0x7F) << shift, first) & 0xFFFFFFFF
    owner = which[last]
    number = np.arange(len(owner)) - _begins(owner)
    paired = (number % 2 == 0) & np.r_[owner[1:] == owner[:-1], False]
    at = np.flatnonzero(paired)
    owner = owner[at]
    value, pc = np.cumsum(zigzag(varint[at])), np.cumsum(varint[at + 1])
    begin = _begins(owner)
    value = value - np.where(begin > 0, value[begin - 1], 0) - 1
    pc = pc - np.where(begin > 0, pc[begin - 1], 0)
    width = int(pc.max(initial=0)) + 1
    return Steps(owner * width + pc, value, width)


def _begins(owner: Offsets) -> Offsets:
    """(n,) where the run of equal numbers begins that each of `owner` is in; they never decrease."""
    length = np.bincount(owner)
    return (np.cumsum(length) - length)[owner]


def steps_of(table: Pclntab, slot: int) -> tuple[Offsets, Steps]:
    """The tables that functions have in one slot, decoded, and (n,) the number of each function's, -1 for none."""
    uses = table.tables
    mine = uses.slot == slot
    distinct, number = np.unique(uses.table[mine], return_inverse=True)
    which = np.full(len(table.funcs.record), -1, np.int64)
    which[uses.owner[mine]] = number
    end = np.minimum(uses.end, np.r_[uses.start[1:], len(table.data)])  # tables that overlap could be endless work
    return which, steps(table.data, uses.start[distinct], end[distinct])


def decode(source: Source) -> InlTrees:
    """Find every tree and decode the tables that point into it.

    FormatError if there is no pclntab, or nothing says where its function data begins.
    """
    table = source.read(pclntab.PARSER)
    data, image = table.funcdata, source.image
    at = places(source, table, data.value)
    kind, pcdata = _numbers(table, at, image)
    tree = np.full(len(table.funcs.record), -1, np.int64)
    rows = (data.kind == kind) & (at >= 0)
    if shape(table.header.layout).has_parent:
        rows[rows] = _begins_tree(image, at[rows])
    tree[data.owner[rows]] = at[rows]
    which, found = steps_of(table, 3 + pcdata)
    return InlTrees(table, image, tree, found, which, kind)


def _numbers(table: Pclntab, at: Offsets, image: Image) -> tuple[int, int]:
    """(FUNCDATA, PCDATA) indices of the tree and of the table into it: layout 1.2 has had two, so look at the data."""
    if table.header.layout != "1.2":
        return FUNCDATA_TREE, PCDATA_INDEX
    held = at >= 0
    kind, begins = table.funcdata.kind[held], _begins_tree(image, at[held])
    return max(EARLIER, key=lambda numbers: int(np.count_nonzero(begins & (kind == numbers[0]))))


def _begins_tree(image: Image, at: Offsets) -> NDArray[np.bool_]:
    """(u,) whether the first node of a tree can be at each offset of the image: int16 -1 for a parent, a FuncID, 0.

    Go 1.9 to 1.11 had an int32 there, and other fields after it.
    """
    raw = np.frombuffer(image.data, np.uint8)
    held = at + 4 <= len(raw)
    word = raw[np.where(held, at, 0)[:, None] + np.arange(4)]
    first: NDArray[np.bool_] = held & (word[:, 0] == 0xFF) & (word[:, 1] == 0xFF) & (word[:, 3] == 0)
    return first


def places(source: Source, table: Pclntab, value: NDArray[np.uint64]) -> Offsets:
    """(u,) offsets in the image of function data, from what the records say of it; -1 where the file holds none."""
    if table.inside is not None:
        return table.offset + table.inside[0] + value.astype(np.int64)
    if table.header.wide_functab:
        return source.image.offsets_of(value)
    module = source.read(moduledata.PARSER)
    return source.image.offsets_of(value + np.uint64(module.fields.get("gofunc", 0)))


PARSER = Parser("inltree", decode)
