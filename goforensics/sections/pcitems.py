"""The items of pclntab and function data: every record, table, name and blob, with the functions that use it.

No two items overlap, and each lies in the part that pcparts names for it; only headers and padding are in none.
Source of truth: Go's src/runtime/symtab.go (the readers), cmd/link/internal/ld/pcln.go (the writer).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from goforensics.errors import FormatError
from goforensics.sections import funcdata, inlined, inltree, pclntab, pcparts
from goforensics.sections.arrays import Indices, Offsets, spread, string_ends
from goforensics.sections.inltree import affordable
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.pctables import SLOTS
from goforensics.sections.protocol import Parser, Source
from goforensics.sets import distinct

PCFILE = SLOTS.index("pcfile")
MOST_SLOTS = 32  # told apart; no release has had more than eight, a broken record can have a million
SEVERAL = "pctab/several slots"
INLINED_NAMES = "funcnametab/inlined only"
NOBODY = np.empty(0, np.int64)
Pairs = tuple[Offsets, Offsets]  # (r,) functions and (r,) what each of them uses


class Items(msgspec.Struct, frozen=True):
    """Items of one sort, and their uses: function `owner[k]` uses item `item[k]`.  An item may have no use."""

    structure: str  # Go's name for the part; what of it, where the part has several sorts
    starts: Offsets  # (i,) offsets in the image
    ends: Offsets  # (i,)
    owner: Indices  # (r,) functions, as rows of Pclntab.funcs; one that uses an item twice is there twice
    item: Indices  # (r,) which item
    slot: Indices | None = None  # (r,) of pc-value tables: as which each is used, an index into SLOTS or 3 + k


def decode(source: Source) -> list[Items]:
    """Every item, sort by sort.

    FormatError if there is no pclntab.  Function data and findfunctab are left out where no moduledata tells where
    they are.  Where a broken file has items overlap, the earlier one ends where the later begins.
    """
    table = source.read(pclntab.PARSER)
    names = _Names(source, table)
    files = _Files(names.extents, table)
    inside = [*_records(table), *_tables(table), *names.items(), *files.items()]
    moved = [replace(sort, starts=sort.starts + table.offset, ends=sort.ends + table.offset) for sort in inside]
    found = _disjoint([sort for sort in (*moved, *_funcdata(source)) if len(sort.starts)])
    return [_compact(sort) for sort in found]


def per_function(sorts: list[Items], count: int) -> NDArray[np.float64]:
    """(count,) bytes of each function: those of every item, divided evenly by its uses."""
    total = np.zeros(count)
    for sort in sorts:
        uses = np.maximum(np.bincount(sort.item, minlength=len(sort.starts)), 1)
        total += np.bincount(sort.owner, ((sort.ends - sort.starts) / uses)[sort.item], count)
    return total


def _disjoint(sorts: list[Items]) -> list[Items]:
    """The same with each item cut where the next one begins."""
    starts = np.concatenate([sort.starts for sort in sorts])
    order = np.argsort(starts, kind="stable")
    following = np.empty_like(starts)
    following[order] = np.r_[starts[order][1:], np.iinfo(np.int64).max]
    cuts = np.split(following, np.cumsum([len(sort.starts) for sort in sorts])[:-1])
    return [
        replace(sort, ends=np.maximum(np.minimum(sort.ends, cut), sort.starts))
        for sort, cut in zip(sorts, cuts, strict=True)
    ]


def _compact(sort: Items) -> Items:
    """The same with its uses, of which a large program has a million, in 32 and 8 bits."""
    slot = None if sort.slot is None else sort.slot.astype(np.int8)
    return replace(sort, owner=sort.owner.astype(np.int32), item=sort.item.astype(np.int32), slot=slot)


def _some(sort: Items, rows: NDArray[np.bool_], structure: str) -> Items:
    """The items of which `rows` (i,) is true, with their uses."""
    number = np.cumsum(rows) - 1
    mine = rows[sort.item]
    slot = sort.slot if sort.slot is None else sort.slot[mine]
    return Items(structure, sort.starts[rows], sort.ends[rows], sort.owner[mine], number[sort.item[mine]], slot)


def _join(left: Offsets, right: Offsets, limit: int) -> Pairs:
    """Every pair (i, j) for which left[i] == right[j]; none of the i with which there would be more than `limit`."""
    order = np.argsort(right, kind="stable")
    first = np.searchsorted(right[order], left)
    count = affordable(np.searchsorted(right[order], left, side="right") - first, limit)
    which, place = spread(count)
    return which, order[first[which] + place]


def _records(table: Pclntab) -> Iterator[Items]:
    """functab and _func.  What ends the functab, where the code does (and in layout 1.2 the filetab), is the last's."""
    header, count = table.header, len(table.funcs.record)
    start, size = header.tables["functab"], 2 * header.entry_size
    at = start + size * np.r_[_rows(table), header.functions]
    ends = np.r_[at[:-1] + size, start + header.functab_size]
    last = np.full(min(count, 1), count - 1)
    yield Items("functab", at, ends, np.r_[np.arange(count), last], np.r_[np.arange(count), last + 1])
    record, first, item = np.unique(table.funcs.record, return_index=True, return_inverse=True)
    yield Items("_func", record, record + table.funcs.length[first], np.arange(count), item)


def _rows(table: Pclntab) -> Offsets:
    """(n,) where in the functab each function is: functions whose record cannot be are not in `table`."""
    header, count = table.header, len(table.funcs.record)
    if count == header.functions:
        return np.arange(count)
    start = header.tables["functab"]
    words = np.frombuffer(table.data, f"{header.order}u{header.entry_size}", 2 * header.functions, start)[1::2]
    record = (words.astype(np.uint64) & np.uint64(0x7FFFFFFF)).astype(np.int64)
    rows = np.flatnonzero(np.isin(record + (0 if header.layout == "1.2" else start), table.funcs.record))
    return rows if len(rows) == count else np.arange(count)


def _tables(table: Pclntab) -> Iterator[Items]:
    """pctab: the tables that are used in one slot only, slot by slot; those used in several; the byte before them."""
    uses = table.tables
    used = np.minimum(uses.slot, MOST_SLOTS)
    every = Items("", uses.start, uses.end, uses.owner, uses.table, used)
    low, high = np.full(len(uses.start), MOST_SLOTS), np.zeros(len(uses.start), np.int64)
    np.minimum.at(low, uses.table, used)
    np.maximum.at(high, uses.table, used)
    for slot in distinct(low).tolist():
        name = SLOTS[slot] if slot < len(SLOTS) else f"pcdata {slot - len(SLOTS)}"
        name += " and above" if slot == MOST_SLOTS else ""
        yield _some(every, (low == slot) & (high == slot), f"pctab/{name}")
    yield _some(every, low != high, SEVERAL)
    if "pctab" in table.header.tables:  # no table begins with the first byte: offset 0 is for none
        first = np.array([table.header.tables["pctab"]])
        yield Items("pctab/unused", first, first + 1, NOBODY, NOBODY)


class _Names:
    """The strings of funcnametab, and whose names they are."""

    def __init__(self, source: Source, table: Pclntab) -> None:
        self.source, self.table, self.extents = source, table, _Extents(source, table)
        self.starts, self.ends = self.extents.strings("funcnametab")

    def items(self) -> Iterator[Items]:
        """Names of functions, used by those; names that only inlining needs, used by the functions inlined into."""
        user, entry = self._of(self.table.funcs.name)
        named = _marked(entry, len(self.starts))
        yield _some(Items("", self.starts, self.ends, user, entry), named, "funcnametab")
        node, name = self._inlined()
        reached = _marked(name, len(self.starts))
        inlined = Items("", self.starts, self.ends, node, name)
        yield _some(inlined, reached & ~named, INLINED_NAMES)
        yield _some(inlined, ~reached & ~named, "funcnametab/unused")

    def _of(self, at: Offsets) -> Pairs:
        """Rows of `at` (k,), and the strings that they lie in."""
        found = np.searchsorted(self.starts, at, side="right") - 1
        rows = np.flatnonzero(at < np.r_[self.ends, 0][found])
        return rows, found[rows]

    def _inlined(self) -> Pairs:
        try:
            nodes = self.source.read(inlined.PARSER)
        except FormatError:
            return NOBODY, NOBODY
        rows, name = self._of(nodes.name)
        return nodes.owner[rows], name


class _Extents:
    """Where pcparts has the parts of a table."""

    def __init__(self, source: Source, table: Pclntab) -> None:
        self.data, self.claims = np.frombuffer(table.data, np.uint8), source.read(pcparts.PARSER)

    def of(self, part: str) -> tuple[Offsets, Offsets]:
        """(starts, ends) of a part's pieces, by start."""
        mine = [c for c in self.claims if c.labels["structure"] == pcparts.PREFIX + part]
        starts = np.concatenate([NOBODY, *(c.starts for c in mine)])
        ends = np.concatenate([NOBODY, *(c.ends for c in mine)])
        order = np.argsort(starts, kind="stable")
        return starts[order], ends[order]

    def strings(self, part: str) -> tuple[Offsets, Offsets]:
        """(starts, ends) of the NUL-ended strings that a part's pieces are full of, by start."""
        starts, ends = self.of(part)
        if not len(starts):
            return starts, ends
        low, high = int(starts[0]), int(ends.max())
        after = np.flatnonzero(self.data[low:high] == 0) + low + 1
        piece = np.searchsorted(starts, after, side="right") - 1
        first = distinct(np.r_[starts, after[after < ends[piece]]])
        piece = np.searchsorted(starts, first, side="right") - 1
        stop = np.r_[after, high][np.searchsorted(after, first, side="right")]
        return first, np.minimum(stop, ends[piece])


class _Files:
    """The cutab, or the index of layout 1.2, and the filetab."""

    def __init__(self, extents: _Extents, table: Pclntab) -> None:
        self.table, self.limit = table, len(table.data)
        self.old = table.header.layout == "1.2"
        self.start = table.header.tables["filetab" if self.old else "cutab"]
        if self.old:
            self.count = min(table.header.files + 1, (self.limit - self.start) // 4)
            at = distinct(table.file_offsets)
            self.strings = at, string_ends(table.data, at) + 1
        else:
            self.count = (int(extents.of("cutab")[1].max(initial=self.start)) - self.start) // 4
            self.strings = extents.strings("filetab")

    def items(self) -> Iterator[Items]:
        """Entries, then strings."""
        part = "filetab/index" if self.old else "cutab"
        used = _marked(self.reach[1], self.count)
        starts = self.start + 4 * np.arange(self.count)
        yield _some(Items("", starts, starts + 4, *self.reach), used, part)
        yield self._unused(used, part)
        yield self._strings()

    @cached_property
    def reach(self) -> Pairs:
        """Functions and the entries that their pcfile tables name."""
        which, steps = inltree.steps_of(self.table, PCFILE)
        cu = self.table.funcs.cu
        good = (steps.values >= 0) & (steps.values < self.count)
        number, value = np.divmod(distinct(steps.table[good] * self.count + steps.values[good]), max(self.count, 1))
        owner, found = _join(np.where(cu >= 0, which, -1), number, self.limit)
        entry = cu[owner] + value[found]
        held = entry < self.count
        return owner[held], entry[held]

    @cached_property
    def _units(self) -> Offsets:
        """(c,) first entries of the compilation units that functions are in; layout 1.2 has none."""
        cu = self.table.funcs.cu
        return distinct(cu[(cu >= 0) & (cu < self.count) & (not self.old)])

    def _unused(self, used: NDArray[np.bool_], part: str) -> Items:
        """Runs of entries that no function reaches, mostly of files without code left: the unit's first function's.

        Every function of the unit has the same part in them, but that would be half of all uses, for one byte in 200.
        """
        rest = np.flatnonzero(~used)
        unit = np.searchsorted(self._units, rest, side="right") - 1
        apart = (np.diff(rest) != 1) | (np.diff(unit) != 0)
        first = np.flatnonzero(np.r_[True, apart][: len(rest)])
        last = np.r_[first[1:], len(rest)][: len(first)] - 1
        item, owner = self._first_members(unit[first])
        return Items(f"{part}/unused", self.start + 4 * rest[first], self.start + 4 * rest[last] + 4, owner, item)

    def _first_members(self, unit: Offsets) -> Pairs:
        """Rows of `unit` (k,), an index into _units or -1 for none, with the first function of that unit."""
        cu, first = np.unique(self.table.funcs.cu, return_index=True)
        wanted = np.r_[self._units, -2][unit]
        at = np.minimum(np.searchsorted(cu, wanted), max(len(cu) - 1, 0))
        rows = np.flatnonzero(cu[at] == wanted) if len(cu) else NOBODY
        return rows, first[at[rows]]

    def _members(self, unit: Offsets) -> Pairs:
        """Every pair of a row of `unit` (k,), an index into _units or -1 for none, and a function of that unit."""
        return _join(np.r_[self._units, -2][unit], self.table.funcs.cu, self.limit)

    def _strings(self) -> Items:
        """Each file's name: the functions that begin in it, else those with code of it, else those of its units."""
        starts, ends = self.strings
        begun, file = self._numbers(self.table.entry_file)
        lost = ~_marked(file, len(starts))
        entry, named = self._entries()
        string = np.full(self.count + 1, len(starts))
        string[entry] = named
        owner, item = self.reach[0], string[self.reach[1]]
        keep = np.r_[lost, False][item]
        owner, item = owner[keep], item[keep]
        lost &= ~_marked(item, len(starts))
        bare = np.flatnonzero(lost[named])
        row, member = self._members(np.searchsorted(self._units, entry[bare], side="right") - 1)
        return Items("filetab", starts, ends, np.r_[begun, owner, member], np.r_[file, item, named[bare][row]])

    def _numbers(self, at: Offsets) -> Pairs:
        """Rows of `at` (k,) and the strings that begin there."""
        starts = self.strings[0]
        found = np.searchsorted(starts, at)
        rows = np.flatnonzero(np.r_[starts, -1][found] == at)
        return rows, found[rows]

    def _entries(self) -> Pairs:
        """Entries and the strings that they name."""
        header = self.table.header
        word = np.frombuffer(self.table.data, f"{header.order}u4", self.count, self.start).astype(np.int64)
        return self._numbers(word + (0 if self.old else header.tables["filetab"]))


def _marked(item: Offsets, count: int) -> NDArray[np.bool_]:
    """(count,) which numbers are in `item`."""
    mark = np.zeros(count, bool)
    mark[item] = True
    return mark


def _funcdata(source: Source) -> Iterator[Items]:
    """findfunctab, and the blobs by kind."""
    yield Items("findfunctab", *funcdata.buckets(source))
    try:
        blobs = source.read(funcdata.PARSER)
    except FormatError:
        return
    every = Items("", blobs.start, blobs.end, blobs.owner, blobs.blob)
    for kind in distinct(blobs.kind).tolist():
        name = funcdata.KINDS[kind] if kind >= 0 else "unknown"
        yield _some(every, blobs.kind == kind, f"funcdata/{name}")


PARSER = Parser("pclntab.items", decode)
