"""What each function weighs in the pclntab, part by part: what is its alone, and its part of what it shares.

Every item of the table is one function's own, or shared and divided by its uses, or used by none; with headers and
padding that is all of the table, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from goforensics.analysis.shares import sharing, whole_numbers
from goforensics.bytemap import ByteMap
from goforensics.report_pcdata import Group
from goforensics.sections import pcitems, pclntab, pcparts, slotnames
from goforensics.sections.arrays import Offsets
from goforensics.sections.pcitems import MOST_SLOTS, Items
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.protocol import Source
from goforensics.sets import distinct

Shares = NDArray[np.float64]
UNUSED = "/unused"  # how sorts end that no function reaches, even if they stand beside what is one's own
FUNCDATA = ("funcdata/", "findfunctab")  # how structures begin that lie outside of the table before Go 1.26
PARTS: dict[str, tuple[str, Group]] = {  # by structure
    "functab": ("functab", "record"),
    "_func": ("_func", "record"),
    "funcnametab": ("name", "name"),
    "funcnametab/inlined only": ("names of inlined functions", "name"),
    "cutab": ("cutab", "file"),
    "filetab": ("filetab", "file"),
    "filetab/index": ("filetab", "file"),
    "findfunctab": ("findfunctab", "function data"),
}
SLOT_GROUPS: dict[int, Group] = {0: "frame", 1: "line", 2: "line"}  # by slot; the others are PCDATA
ORDER: tuple[Group, ...] = ("PCDATA", "line", "frame", "function data", "record", "name", "file")


class Part(msgspec.Struct, frozen=True, eq=False):
    """One part of the table by function: arrays (n,) of bytes."""

    name: str
    group: Group
    inside: bool  # the pclntab: function data was in .rodata before Go 1.26
    own: Offsets  # items that no other function uses
    apportioned: Offsets  # of shared items: their sizes divided by their uses, rounded so that the part's sum is exact
    shared: Offsets  # the same items undivided, each once per function
    transitions: Offsets | None  # of pc-value tables: how often the value changes within the function


class Weights(msgspec.Struct, frozen=True, eq=False):
    """The whole table: `own` and `apportioned` of the parts inside, and `rest`, sum to its size."""

    table: Pclntab
    parts: list[Part]
    rest: dict[str, int]  # bytes that no function uses, by what pcparts says of them

    def total(self, *groups: Group, inside: bool = True) -> Offsets:
        """(n,) own and apportioned bytes of the parts of these groups, of all without any."""
        found = np.zeros(len(self.table.funcs.record), np.int64)
        for part in self.parts:
            if part.inside is inside and (not groups or part.group in groups):
                found += part.own + part.apportioned
        return found

    def transitions(self) -> Offsets:
        """(n,) changes of value in all of a function's tables."""
        found = np.zeros(len(self.table.funcs.record), np.int64)
        for part in self.parts:
            found += part.transitions if part.transitions is not None else 0
        return found


class Column(msgspec.Struct, eq=False):
    """A part while it is added up: as Part, but what is shared is divided to fractions of a byte."""

    group: Group
    inside: bool
    own: Shares
    divided: Shares
    shared: Shares
    slot: int | None


def weigh(source: Source) -> Weights:
    """Every function's bytes.  FormatError if there is no pclntab.

    Function data is missing where no moduledata says where it lies.
    """
    table = source.read(pclntab.PARSER)
    sorts = [_clipped(sort, table) for sort in source.read(pcitems.PARSER)]
    used = [sort for sort in sorts if not sort.structure.endswith(UNUSED)]
    adding = _Adding(source, table)
    for sort in used:
        adding.add(sort)
    return Weights(table, adding.parts(), _rest(source, table, [s for s in used if _inside(s, table)]))


def columns(source: Source, left_out: tuple[str, ...]) -> dict[str, Column]:
    """The parts in the table by name, without those of structures that begin with one of `left_out`."""
    table = source.read(pclntab.PARSER)
    adding = _Adding(source, table)
    for sort in source.read(pcitems.PARSER):
        if _inside(sort, table) and not sort.structure.startswith(left_out) and not sort.structure.endswith(UNUSED):
            adding.add(_clipped(sort, table))
    return adding.columns


def _inside(sort: Items, table: Pclntab) -> bool:
    return table.inside is not None or not sort.structure.startswith(FUNCDATA)


def _clipped(sort: Items, table: Pclntab) -> Items:
    """Items of the table as far as they are in it."""
    if not _inside(sort, table):
        return sort
    low, high = table.offset, table.offset + len(table.data)
    return replace(sort, starts=np.clip(sort.starts, low, high), ends=np.clip(sort.ends, low, high))


class _Adding:
    """The parts by name, while sorts are added to them."""

    def __init__(self, source: Source, table: Pclntab) -> None:
        self.table, self.count = table, len(table.funcs.record)
        self.columns: dict[str, Column] = {}
        self.names = slotnames.slot_names(source, range(MOST_SLOTS + 1))
        self.names[MOST_SLOTS] += " and above"
        self.whole = {True: 0, False: 0}  # bytes of shared items inside and outside of the table

    def add(self, sort: Items) -> None:
        """Add one sort's items."""
        size, inside = sort.ends - sort.starts, _inside(sort, self.table)
        found = sharing(sort.owner, sort.item, len(size))
        alone = found.alone[sort.item]
        own = np.where(alone & found.first, size[sort.item], 0)
        divided = np.where(alone, 0.0, size[sort.item] / found.users[sort.item])
        shared = np.where(~alone & found.first, size[sort.item], 0)
        self.whole[inside] += int(size[~found.alone & (found.users > 0)].sum())
        for column, rows in self._columns(sort, inside):
            owner = sort.owner[rows]
            column.own += np.bincount(owner, own[rows], self.count)
            column.divided += np.bincount(owner, divided[rows], self.count)
            column.shared += np.bincount(owner, shared[rows], self.count)

    def _columns(self, sort: Items, inside: bool) -> Iterator[tuple[Column, NDArray[np.bool_] | slice]]:
        """The parts that a sort's uses are of, and which of the uses."""
        if sort.slot is None:
            name, group = PARTS.get(sort.structure, (sort.structure.rpartition("/")[2], "function data"))
            yield self._column(name, group, inside), slice(None)
            return
        slots = distinct(sort.slot).tolist()
        for slot in slots:
            column = self._column(self.names[slot], SLOT_GROUPS.get(slot, "PCDATA"), inside, slot)
            yield column, sort.slot == slot if len(slots) > 1 else slice(None)

    def _column(self, name: str, group: Group, inside: bool, slot: int | None = None) -> Column:
        if name not in self.columns:
            own, divided, shared = np.zeros((3, self.count))
            self.columns[name] = Column(group, inside, own, divided, shared, slot)
        return self.columns[name]

    def parts(self) -> list[Part]:
        """The parts, in whole numbers."""
        changes, found = _Changes(self.table), []
        for inside in (True, False):
            mine = [(name, column) for name, column in self.columns.items() if column.inside is inside]
            sums = np.array([column.divided.sum() for _, column in mine])
            for (name, column), whole in zip(mine, whole_numbers(sums, self.whole[inside]).tolist(), strict=True):
                own, shared = column.own.astype(np.int64), column.shared.astype(np.int64)
                divided = whole_numbers(column.divided, whole)
                transitions = None if column.slot is None else changes.of(column.slot)
                found.append(Part(name, column.group, inside, own, divided, shared, transitions))
        return sorted(found, key=lambda part: (not part.inside, ORDER.index(part.group)))


class _Changes:
    """How often the value of each pc-value table changes: its varints tell, without decoding them."""

    def __init__(self, table: Pclntab) -> None:
        self.uses, self.count = table.tables, len(table.funcs.record)
        low, high = int(self.uses.start.min(initial=0)), int(self.uses.end.max(initial=0))
        ends = np.frombuffer(table.data[low:high], np.uint8) < 0x80
        before = np.r_[0, np.cumsum(ends, dtype=np.int64)]
        varints = before[self.uses.end - low] - before[self.uses.start - low]
        self.changes = np.maximum((varints - 1) // 2 - 1, 0)  # a pair is a value, the last zero ends the table

    def of(self, slot: int) -> Offsets:
        """(n,) changes of the tables that functions have in a slot, or in those that are not told apart."""
        mine = self.uses.slot >= slot if slot == MOST_SLOTS else self.uses.slot == slot
        return np.bincount(self.uses.owner[mine], self.changes[self.uses.table[mine]], self.count).astype(np.int64)


def _rest(source: Source, table: Pclntab, used: list[Items]) -> dict[str, int]:
    """Bytes of the table in no item that a function uses, by part."""
    edges = []
    for sort in used:
        mine = np.bincount(sort.item, minlength=len(sort.starts)) > 0
        edges.append(np.stack([sort.starts[mine], sort.ends[mine]]) - table.offset)
    start, end = np.concatenate([np.zeros((2, 0), np.int64), *edges], axis=1)
    start = np.sort(start)
    covered = np.r_[0, np.cumsum(np.sort(end) - start)]  # items are disjoint, so that ends are in the order of starts
    claims = source.read(pcparts.PARSER)
    parts = ByteMap.build(len(table.data), claims, ("structure",))

    def below(at: Offsets) -> Offsets:
        """(k,) bytes of items before each place."""
        number = np.searchsorted(start, at, side="right")
        last = np.maximum(number - 1, 0)
        into = np.minimum(at, np.r_[np.sort(end), 0][last]) - np.r_[start, 0][last]
        held: Offsets = np.where(number > 0, covered[last] + into, 0)
        return held

    free = np.diff(parts.bounds) - np.diff(below(parts.bounds))
    code = parts.codes["structure"]
    found: dict[str, int] = {}
    for number, left in enumerate(np.bincount(code, free).astype(np.int64).tolist()):
        if left:
            name = parts.names["structure"][number].removeprefix(pcparts.PREFIX)
            found[name] = found.get(name, 0) + left
    return found
