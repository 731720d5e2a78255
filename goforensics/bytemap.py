"""ByteMap: every byte of a file has exactly one owner, by construction.

Parsers make claims at a level; the more specific claim owns the byte, whatever order claims arrive in.  A claim
may speak about some columns only ("these bytes are main.main's code" says nothing about the section), so each
column is painted by itself and a cell inherits what less specific claims said of the other columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.sets import distinct

Offsets = NDArray[np.int64]
Codes = NDArray[np.int32]

COLUMNS = (
    "section",
    "structure",  # what Go or the container calls it: functab, type, DWARF line numbers
    "module",
    "package",
    "symbol",
    "kind",  # what sort of bytes: code, type, string, pclntab, debug, header, padding, …
    "origin",  # whose: main, dependency, std, runtime, c, shared, or what has no such owner
    "basis",  # what the owner rests on: its own name or structure, or merely who refers to it
    "users",  # of bytes that several use: who, and how often (`Shares`)
    "instantiator",  # the package that code was compiled for: an instance's, where "package" is the generic function's
)
UNKNOWN = "unknown"  # the origin of a byte that nobody claims
SHARED = "(shared)"
USERS_SHOWN = 3  # in the text of who shares an item


class Level(IntEnum):
    """How specific a claim is."""

    SEGMENT = 1  # "it is in a read-only mapping"
    SECTION = 2  # "it is in .gopclntab"
    TABLE = 3  # "it is in the functab"
    ITEM = 4  # "it is main.main's record"


class Labels(msgspec.Struct, frozen=True):
    """One label per claim: claim i says `names[codes[i]]`.  Claims that share `names` (the same object) share codes."""

    codes: Codes  # (n,)
    names: Sequence[str]


@dataclass(frozen=True, eq=False)
class Shares(Sequence[str]):
    """Who uses each shared item, the vocabulary of the column "users": item i is used by the owners
    `owner[first[i]:first[i+1]]`, each `weight` times.  `owners` says what owner k is called in each column.
    """

    first: Offsets  # (s+1,) from 0, not decreasing
    owner: Codes  # (u,)
    weight: NDArray[np.float64]  # (u,) greater than 0
    owners: Mapping[str, Labels]  # by column

    def __len__(self) -> int:
        return len(self.first) - 1

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        """The heaviest users of item i, most first."""
        mine = slice(int(self.first[i]), int(self.first[i + 1]))
        order = np.argsort(-self.weight[mine], kind="stable")[:USERS_SHOWN]
        names = [self._called(owner) for owner in self.owner[mine][order].tolist()]
        more = mine.stop - mine.start - len(names)
        return ", ".join([*names, *([f"{more} more"] if more else [])])

    def _called(self, owner: int) -> str:
        """The most special name that an owner has: of a symbol or, if it is none, of a package."""
        labels = [self.owners[column] for column in ("symbol", "package") if column in self.owners]
        return next((name for label in labels if (name := label.names[int(label.codes[owner])])), "")


class Claims(msgspec.Struct, frozen=True):
    """One parser's statement about file bytes: claim i covers `[starts[i], ends[i])`."""

    source: str  # who says so: the parser's name, evidence in a dispute and the tie-break within a level
    level: Level
    starts: Offsets  # (n,) file offsets, bytes
    ends: Offsets  # (n,) file offsets, bytes, exclusive
    labels: Mapping[str, Labels | str]  # by column; a plain string is the label of every claim

    @classmethod
    def of(cls, source: str, level: Level, ranges: Iterable[tuple[int, int]], **labels: str | Sequence[str]) -> Claims:
        """Claims on a few `(start, end)` ranges; each label is one string, or a sequence with one per range."""
        pairs = np.array(list(ranges), np.int64).reshape(-1, 2)
        each = {
            column: label if isinstance(label, str) else Labels(np.arange(len(pairs), dtype=np.int32), label)
            for column, label in labels.items()
        }
        return cls(source, level, pairs[:, 0], pairs[:, 1], each)

    def only(self, rows: NDArray[np.bool_]) -> Claims:
        """The claims of which `rows` (n,) is true."""
        labels = {
            column: label if isinstance(label, str) else Labels(label.codes[rows], label.names)
            for column, label in self.labels.items()
        }
        return Claims(self.source, self.level, self.starts[rows], self.ends[rows], labels)

    def moved(self, by: int) -> Claims:
        """The same claims, `by` bytes further on: a slice's claims in its fat file."""
        return Claims(self.source, self.level, self.starts + by, self.ends + by, self.labels)


class Dispute(msgspec.Struct, frozen=True):
    """Two structures of one level want the bytes `[start, end)`: evidence of damage or tampering, never an error."""

    start: int
    end: int
    claimants: tuple[str, str]


class Row(msgspec.Struct, frozen=True):
    """One group of a listing: a value per column asked for, whose its bytes are, and how many there are."""

    path: tuple[str, ...]
    origin: str
    bytes: int


class _Column(msgspec.Struct):
    """A column while it is painted: per cell a code (0: nothing said), the level and the batch that said it."""

    code: Codes
    level: NDArray[np.int8]
    batch: Codes
    pools: list[Sequence[str]] = []
    bases: list[int] = []
    size: int = 1

    def base(self, names: Sequence[str]) -> int:
        """What to add to a code of `names`; they get a place when first seen."""
        for pool, base in zip(self.pools, self.bases, strict=True):
            if pool is names:
                return base
        self.pools.append(names)
        self.bases.append(self.size)
        self.size += len(names)
        return self.bases[-1]

    def text(self, code: int) -> str:
        """The label behind a code."""
        return Names(tuple(self.pools), tuple(self.bases))[code]


class Names(msgspec.Struct, frozen=True):
    """The names behind a column's codes: code 0 is "nothing said"; pools are laid end to end from 1."""

    pools: tuple[Sequence[str], ...]
    bases: tuple[int, ...]

    def __getitem__(self, code: int) -> str:
        if code == 0:
            return ""
        i = int(np.searchsorted(self.bases, code, side="right")) - 1
        return self.pools[i][code - self.bases[i]]

    def base(self, names: Sequence[str]) -> int:
        """What to add to a code of `names`, one of the pools."""
        return next(base for pool, base in zip(self.pools, self.bases, strict=True) if pool is names)


class ByteMap(msgspec.Struct, frozen=True):
    """A partition of `[0, size)`: cell i is `[bounds[i], bounds[i+1])`, labelled by `codes[column][i]`."""

    bounds: Offsets  # (m+1,) strictly increasing, from 0 to size
    codes: Mapping[str, Codes]  # by column, (m,)
    names: Mapping[str, Names]  # by column
    disputes: tuple[Dispute, ...]

    @classmethod
    def build(cls, size: int, claims: Iterable[Claims], columns: Sequence[str] = COLUMNS) -> ByteMap:
        """Lay claims on `size` unknown bytes, least specific first; ties go to the source whose name sorts first.

        Cost: O(c log c) in the number of claims, whatever the size of the file.  Ranges outside the file are
        clipped; an empty range owns nothing.  The result does not depend on the order of `claims`.  Only the
        `columns` asked for can be grouped by; neighbours that do not differ in them become one cell.
        """
        batches = sorted((_sorted(c, size, columns) for c in claims), key=lambda c: (c.level, c.source))
        edges = [np.array([0, size], np.int64), *(side for c in batches for side in (c.starts, c.ends))]
        bounds = distinct(np.concatenate(edges))
        cells = max(len(bounds) - 1, 0)
        painted = {name: _blank(cells) for name in columns}
        disputes: list[Dispute] = []
        for number, batch in enumerate(batches):
            claim = _claim_per_cell(bounds, batch, disputes)
            for name, label in batch.labels.items():
                _paint(painted[name], claim, label, batch, number, bounds, batches, disputes)
        _know_users(painted)
        return cls(
            bounds=bounds,
            codes={name: c.code for name, c in painted.items()},
            names={name: Names(tuple(c.pools), tuple(c.bases)) for name, c in painted.items()},
            disputes=tuple(sorted(set(disputes), key=lambda d: (d.start, d.end, d.claimants))),
        )

    @property
    def size(self) -> int:
        """Bytes in the file; always equal to the sum of the rows of any `group`."""
        return int(self.bounds[-1])

    def group(self, by: Sequence[str], *, apportioned: bool = False) -> list[Row]:
        """Bytes per distinct value of the columns `by` and per origin, most bytes first.

        A byte of which a column says nothing is listed there as its origin in brackets: "(debug)".  `apportioned`
        divides shared bytes among their users by the number of uses; the sum stays exact.
        """
        columns = (*by, "origin")
        keys = [self.codes[name] for name in columns]
        lengths = np.diff(self.bounds).astype(np.float64)
        if apportioned:
            keys, lengths = self._divided(columns, keys, lengths)
        order, firsts = _runs(keys)
        sums = np.add.reduceat(lengths[order], firsts) if len(firsts) else np.zeros(0)
        totals: dict[tuple[tuple[str, ...], str], float] = {}
        for cell, total in zip(order[firsts].tolist(), sums.tolist(), strict=True):
            label = self._labels([int(key[cell]) for key in keys], columns)
            totals[label] = totals.get(label, 0) + total
        whole = _whole_numbers(np.array(list(totals.values())), self.size)
        rows = (Row(path, origin, n) for (path, origin), n in zip(totals, whole.tolist(), strict=True) if n)
        return sorted(rows, key=lambda r: (-r.bytes, r.path, r.origin))

    def owner(self, offset: int) -> dict[str, str]:
        """What every column says of one byte; IndexError outside the file."""
        if not 0 <= offset < self.size:
            raise IndexError(offset)
        cell = int(np.searchsorted(self.bounds, offset, side="right")) - 1
        return {name: self.names[name][int(codes[cell])] for name, codes in self.codes.items()}

    def _divided(
        self, columns: Sequence[str], keys: list[Codes], lengths: NDArray[np.float64]
    ) -> tuple[list[Codes], NDArray[np.float64]]:
        """The cells with every shared one replaced by one per user, of its part of the bytes."""
        users, names = self.codes["users"], self.names["users"]
        shared = self._several()
        out, parts = [[key[~shared]] for key in keys], [lengths[~shared]]
        for pool, base in zip(names.pools, names.bases, strict=True):
            cells = np.flatnonzero(shared & (users >= base) & (users < base + len(pool)))
            if not isinstance(pool, Shares) or not len(cells):
                continue
            cell, entry, part = _entries(pool, cells, users[cells] - base, lengths[cells])
            parts.append(part)
            for name, key, found in zip(columns, keys, out, strict=True):
                label = pool.owners.get(name)
                found.append(
                    key[cell] if label is None else label.codes[entry] + np.int32(self.names[name].base(label.names))
                )
        return [np.concatenate(found) for found in out], np.concatenate(parts)

    def _several(self) -> NDArray[np.bool_]:
        """(m,) which cells have users: an item's set may be empty."""
        users, names = self.codes["users"], self.names["users"]
        found = np.zeros(len(users), bool)
        for pool, base in zip(names.pools, names.bases, strict=True):
            mine = (users >= base) & (users < base + len(pool))
            if isinstance(pool, Shares) and mine.any():
                found[mine] = np.diff(pool.first)[users[mine] - base] > 0
        return found

    def _labels(self, codes: Sequence[int], columns: Sequence[str]) -> tuple[tuple[str, ...], str]:
        *path, origin = (self.names[name][code] for name, code in zip(columns, codes, strict=True))
        origin = origin or UNKNOWN
        return tuple(label or f"({origin})" for label in path), origin


def _runs(keys: Sequence[Codes]) -> tuple[Offsets, Offsets]:
    """The order that sorts rows of keys, and where in it each distinct row begins."""
    order = np.lexsort(keys[::-1])
    change = np.zeros(len(order), bool)
    change[:1] = True
    for key in keys:
        change[1:] |= np.diff(key[order]) != 0
    return order, np.flatnonzero(change)


def _entries(
    pool: Shares, cells: Offsets, item: Codes, lengths: NDArray[np.float64]
) -> tuple[Offsets, Codes, NDArray[np.float64]]:
    """Per user of each shared cell: (the cell, the owner, its part of the cell's bytes)."""
    first, count = pool.first[item], pool.first[item + 1] - pool.first[item]
    which = np.repeat(np.arange(len(cells)), count)
    entry = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + first[which]
    weight = pool.weight[entry]
    whole = np.bincount(which, weights=weight, minlength=len(cells))
    return cells[which], pool.owner[entry], lengths[which] * weight / whole[which]


def _whole_numbers(parts: NDArray[np.float64], total: int) -> Offsets:
    """`parts`, which sum to `total` but for rounding, as whole numbers that do: the largest fractions go up."""
    whole = np.floor(parts + 1e-6).astype(np.int64)
    whole[np.argsort(whole - parts, kind="stable")[: max(total - int(whole.sum()), 0)]] += 1
    return whole


def _know_users(columns: Mapping[str, _Column]) -> None:
    """Give the names of the users of shared bytes codes in their columns, as dividing needs them."""
    for pool in columns["users"].pools if "users" in columns else ():
        if isinstance(pool, Shares):
            for name, label in pool.owners.items():
                if name in columns:
                    columns[name].base(label.names)


def _blank(cells: int) -> _Column:
    return _Column(np.zeros(cells, np.int32), np.zeros(cells, np.int8), np.full(cells, -1, np.int32))


def _sorted(claims: Claims, size: int, columns: Sequence[str]) -> Claims:
    """`claims` on `columns` clipped to the file, without empty ranges, by start (the longer first where they agree)."""
    starts, ends = (np.clip(side, 0, size).astype(np.int64, copy=False) for side in (claims.starts, claims.ends))
    order = np.flatnonzero(ends > starts)
    if (starts[order[1:]] <= starts[order[:-1]]).any():  # most parsers give them in order
        order = order[np.lexsort((-ends[order], starts[order]))]
    labels = {
        column: label if isinstance(label, str) else Labels(label.codes[order], label.names)
        for column, label in claims.labels.items()
        if column in columns
    }
    return _joined(Claims(claims.source, claims.level, starts[order], ends[order], labels))


def _joined(claims: Claims) -> Claims:
    """Neighbours that touch and say the same, as one claim; `claims` are sorted."""
    each = [label.codes for label in claims.labels.values() if not isinstance(label, str)]
    apart = claims.starts[1:] != claims.ends[:-1]
    for codes in each:
        apart |= np.diff(codes) != 0
    first = np.flatnonzero(np.r_[True, apart][: len(claims.starts)])
    if len(first) == len(claims.starts):
        return claims
    labels = {
        column: label if isinstance(label, str) else Labels(label.codes[first], label.names)
        for column, label in claims.labels.items()
    }
    ends = claims.ends[np.r_[first[1:] - 1, len(claims.ends) - 1]]
    return Claims(claims.source, claims.level, claims.starts[first], ends, labels)


def _claim_per_cell(bounds: Offsets, batch: Claims, disputes: list[Dispute]) -> Codes:
    """(m,) which of the batch's claims covers each cell, -1 for none.  Where two do, the one that starts first."""
    cells = len(bounds) - 1
    mark = np.full(cells + 1, -2, np.int32)  # -2: as the cell before
    if not len(batch.starts):
        return np.full(cells, -1, np.int32)
    reach = np.maximum.accumulate(batch.ends)
    starts = np.r_[batch.starts[0], np.maximum(batch.starts[1:], reach[:-1])]
    late = np.flatnonzero(batch.starts[1:] < reach[:-1]) + 1
    for i in late.tolist():
        end = int(min(reach[i - 1], batch.ends[i]))
        disputes.append(Dispute(int(batch.starts[i]), end, (batch.source, batch.source)))
    keep = np.flatnonzero(batch.ends > starts)
    mark[np.searchsorted(bounds, batch.ends[keep])] = -1
    mark[np.searchsorted(bounds, starts[keep])] = keep
    mark[0] = max(mark[0], -1)
    told = np.flatnonzero(mark[:-1] != -2)
    filled: Codes = np.repeat(mark[told], np.diff(np.r_[told, cells]))
    return filled


def _paint(
    column: _Column,
    claim: Codes,
    label: Labels | str,
    batch: Claims,
    number: int,
    bounds: Offsets,
    batches: list[Claims],
    disputes: list[Dispute],
) -> None:
    """Lay one batch's label on a column; where an earlier batch of the same level spoke, that one stands."""
    cells = np.flatnonzero(claim >= 0)
    labels = Labels(np.zeros(len(batch.starts), np.int32), (label,)) if isinstance(label, str) else label
    code = labels.codes[claim[cells]] + np.int32(column.base(labels.names))
    taken = column.level[cells] == batch.level
    differs = np.flatnonzero(taken & (column.code[cells] != code))
    for cell, said in zip(cells[differs].tolist(), code[differs].tolist(), strict=True):
        if column.text(int(column.code[cell])) == column.text(said):
            continue
        other = batches[int(column.batch[cell])].source
        disputes.append(Dispute(int(bounds[cell]), int(bounds[cell + 1]), (other, batch.source)))
    free = cells[~taken]
    column.code[free] = code[~taken]
    column.level[free] = batch.level
    column.batch[free] = number
