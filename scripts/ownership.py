"""Scores the byte map against the linker's own truth: how many loaded bytes are with a package that they belong to.

Every symbol that the linker placed (`linktruth`), and every gap between two, is judged by the map that a user sees:

- Data is right with the symbol's package.  Of what the linker merges (content-addressed, or may be duplicated) one
  package's name was kept by chance: the package that its name names, and all that refer to it, directly or through
  others that were merged, are as right.  What the linker makes itself is the runtime's.  Of shared bytes the part is
  right that the map gives to packages that are right.
- Code is right with the linker's package, or with the one that the function's name names: an instance of a generic
  function is compiled by who uses it.
- Tables of the runtime are right where the map names the table.
- Gaps are right as padding, or with the symbol before them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from linktruth import Bools, Ints, Truth
from numpy.typing import NDArray

from goforensics.analysis.listing import labels
from goforensics.analysis.modules import GENERATED
from goforensics.analysis.packages import package_of, path_of
from goforensics.bytemap import ByteMap, Shares
from goforensics.containers.image import Image

Key = TypeVar("Key")

COLUMNS = ("structure", "package", "symbol", "kind", "users")
RUNTIME = "runtime"
SKIPPED = (".shstrtab",)  # has an address, but is nothing of Go's
# What the linker calls a table of the runtime, and how the map's structures of it begin.
TABLES: dict[str, tuple[str, ...]] = {
    "runtime.pcheader": ("pclntab/header",),
    "runtime.funcnametab": ("pclntab/funcnametab",),
    "runtime.cutab": ("pclntab/cutab",),
    "runtime.filetab": ("pclntab/filetab",),
    "runtime.pctab": ("pclntab/pctab",),
    "runtime.functab": ("pclntab/functab", "pclntab/_func"),
    "runtime.findfunctab": ("findfunctab",),
    "runtime.firstmoduledata": ("moduledata", "read-only data", "variable"),  # and what a release adds to it
    "runtime.pclntab": ("pclntab/",),
    "go:func.*": ("funcdata/", "pclntab/funcdata"),
    "go:buildinfo": (".go.buildinfo",),
    ".go.buildinfo": (".go.buildinfo",),
}
PADDING = "pclntab/padding"
MADE_UP = re.compile(
    r"(?:type[:.](?:\.(?:eqfunc|hashfunc|eq\.|hash\.|namedata\.|importpath\.))?|go[:.]itab\.)[*\[\]0-9]*"
)
ALIGNMENT = 32  # bytes of filling that an object may have at its end

NO_OWNER, MISCUT, SPLIT = "no owner", "cut or merged object", "shared split"
EXPORTED, GAP, TABLE, OTHER = "no code of its package refers to it", "gap", "another table", "other"
ANONYMOUS = "merged, its name names no package"
DATA, CODE, TABLES_PART, GAPS = "data", "code", "tables", "gaps"


@dataclass(frozen=True)
class Wrong:
    """Bytes of one symbol that are with a package they do not belong to."""

    part: str
    cause: str
    name: str
    package: str
    given: str  # what the map has
    bytes: float


@dataclass(frozen=True)
class Score:
    """By part the bytes that the linker placed, and those of them that the map has right."""

    size: Mapping[str, int]
    right: Mapping[str, float]
    wrong: list[Wrong]  # the most bytes first

    def percent(self, *parts: str) -> float:
        """Right bytes of some parts (default: all) in percent."""
        chosen = parts or tuple(self.size)
        return 100 * sum(self.right[p] for p in chosen) / max(sum(self.size[p] for p in chosen), 1)

    def causes(self, part: str) -> list[tuple[str, float, Wrong]]:
        """(cause, bytes, the largest of it) of a part, the most bytes first."""
        total: defaultdict[str, float] = defaultdict(float)
        largest: dict[str, Wrong] = {}
        for each in self.wrong:
            if each.part == part:
                total[each.cause] += each.bytes
                largest.setdefault(each.cause, each)
        return [(cause, count, largest[cause]) for cause, count in _most(total)]


def _most(bytes_of: Mapping[Key, float]) -> list[tuple[Key, float]]:
    """The most bytes first."""
    return sorted(bytes_of.items(), key=lambda item: -item[1])


class Numbers:
    """Packages as numbers, and sets of packages as bits of an integer."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.number: dict[str, int] = {}
        for name in names:
            self.bit(name)

    def bit(self, name: str) -> int:
        """The bit of a package, which it gets when first asked for."""
        return 1 << self.number.setdefault(name, len(self.number))

    def bits(self, names: Iterable[str]) -> int:
        """The bits of a set."""
        found = 0
        for name in names:
            found |= self.bit(name)
        return found


def own_packages(truth: Truth, i: int) -> set[str]:
    """The packages that a symbol itself says it belongs to."""
    name, package = truth.name[i], path_of(truth.package[i])
    found = {package} - {""}
    if not found or merged(truth)[i] or truth.section[i] == ".text":
        found |= {_named(name)} - {""}
    if truth.section[i] == ".text" and not _named(name) and merged(truth)[i]:
        found |= {GENERATED}  # an equality function for any type of one shape: what package it is in is chance
    if not found and name.startswith(("go:", "go.", "runtime.")):
        found = {RUNTIME}
    return found


def _named(name: str) -> str:
    """The package that a symbol's name names, "" for none."""
    return package_of(MADE_UP.sub("", name, count=1))


def merged(truth: Truth) -> Bools:
    """(n,) of which symbols the linker keeps one of several."""
    found: Bools = truth.content_addressed | truth.duplicate_ok
    return found


def allowed(truth: Truth, numbers: Numbers) -> list[int]:
    """By symbol, as bits, the packages that it may be said to belong to."""
    found = [numbers.bits(own_packages(truth, i)) for i in range(len(truth.name))]
    several = merged(truth)
    pairs = _references(truth, several)
    while True:
        changed = False
        for source, target in pairs:
            both = found[target] | found[source]
            changed |= both != found[target]
            found[target] = both
        pairs = [(source, target) for source, target in pairs if several[source]]
        if not changed:
            return found


def _references(truth: Truth, several: Bools) -> list[tuple[int, int]]:
    """Pairs (from, to a merged symbol) of references that are there in bytes; tables that list everything have none."""
    mine = (truth.target >= 0) & (truth.reloc_size > 0)
    mine &= several[truth.target]
    listing = np.array([not package for package in truth.package]) & ~several
    mine &= ~listing[truth.source]
    pairs = np.unique(np.stack([truth.source[mine], truth.target[mine]], axis=1), axis=0)
    return [(source, target) for source, target in pairs.tolist() if source != target]


@dataclass(frozen=True, eq=False)
class Cells:
    """The byte map's cells with the packages of each: cell `cell[k]` is `package[k]`'s by `part[k]`."""

    bounds: Ints
    structure: list[str]  # by cell
    kind: list[str]
    cell: Ints  # (u,) increasing
    package: list[str]
    part: NDArray[np.float64]
    shared: Bools  # (c,)

    @classmethod
    def of(cls, bytemap: ByteMap) -> Cells:
        """From a map with `COLUMNS`; a cell without a package has no entry."""
        code, names = labels(bytemap, "package")
        found = list(_users(bytemap))
        shared = np.zeros(len(code), bool)
        shared[[cell for cell, _, _ in found]] = True
        alone = [(i, names[code[i]], 1.0) for i in np.flatnonzero(~shared).tolist() if names[code[i]]]
        entries = sorted([*found, *alone], key=lambda entry: entry[0])
        structure, kind = (_texts(bytemap, column) for column in ("structure", "kind"))
        cell, part = np.array([e[0] for e in entries], np.int64), np.array([e[2] for e in entries])
        return cls(bytemap.bounds, structure, kind, cell, [e[1] for e in entries], part, shared)

    @cached_property
    def first(self) -> Ints:
        """(c + 1,) where each cell's entries begin."""
        return np.searchsorted(self.cell, np.arange(len(self.bounds))).astype(np.int64)


def _texts(bytemap: ByteMap, column: str) -> list[str]:
    code, names = labels(bytemap, column)
    return [names[i] for i in code.tolist()]


def _users(bytemap: ByteMap) -> Iterator[tuple[int, str, float]]:
    """(cell, package, its part) of every cell that several use."""
    users, names = bytemap.codes["users"], bytemap.names["users"]
    for pool, base in zip(names.pools, names.bases, strict=True):
        if not isinstance(pool, Shares):
            continue
        called = pool.owners["package"]
        for cell in np.flatnonzero((users >= base) & (users < base + len(pool))).tolist():
            mine = slice(*pool.first[users[cell] - base : users[cell] - base + 2].tolist())
            whole = float(pool.weight[mine].sum())
            for owner, weight in zip(pool.owner[mine].tolist(), pool.weight[mine].tolist(), strict=True):
                yield cell, called.names[int(called.codes[owner])], weight / whole


@dataclass(frozen=True, eq=False)
class Items:
    """What is judged, by place in the file: symbols, and the gaps behind them."""

    start: Ints  # (i,) increasing
    end: Ints
    symbol: Ints  # the one itself, or the one before a gap
    part: list[str]  # DATA, CODE, TABLES_PART or GAPS


def items(truth: Truth, image: Image) -> Items:
    """The innermost symbols that the file has bytes of, and what lies between two of one section."""
    held = ~truth.container & (truth.size > 0) & ~np.isin(truth.section, SKIPPED)
    symbol = np.flatnonzero(held)
    start = image.offsets_of(truth.address[symbol])
    symbol, start = symbol[start >= 0], start[start >= 0]
    order = np.argsort(start, kind="stable")
    symbol, start = symbol[order], start[order]
    end = start + truth.size[symbol]
    gap = np.flatnonzero((truth.section[symbol[1:]] == truth.section[symbol[:-1]]) & (start[1:] > end[:-1]))
    part = [_part(truth, i) for i in symbol.tolist()] + [GAPS] * len(gap)
    places = np.r_[start, end[gap]], np.r_[end, start[gap + 1]], np.r_[symbol, symbol[gap]]
    order = np.argsort(places[0], kind="stable")
    return Items(places[0][order], places[1][order], places[2][order], [part[i] for i in order.tolist()])


def _part(truth: Truth, i: int) -> str:
    if truth.section[i] == ".text":
        return CODE
    return TABLES_PART if table_of(truth, i) else DATA


def table_of(truth: Truth, i: int) -> tuple[str, ...]:
    """How structures of the table begin that a symbol is, or is in; nothing where it is in none.

    Until Go 1.25 what function values point at lies among the function data, but is its package's.
    """
    if truth.name[i].endswith("·f"):
        return ()
    around = [i, int(truth.outer[i])] if truth.outer[i] >= 0 else [i]
    names = [re.sub(r"^go\.", "go:", truth.name[j]) for j in around]
    return next((TABLES[name] for name in names if name in TABLES), ())


def score(truth: Truth, bytemap: ByteMap, image: Image) -> Score:
    """Judge every byte that the linker placed."""
    return _Judge(truth, Cells.of(bytemap), items(truth, image)).score()


class _Judge:
    """One comparison: pieces are what cells and items have in common."""

    def __init__(self, truth: Truth, cells: Cells, judged: Items) -> None:
        self.truth, self.cells, self.items = truth, cells, judged
        edges = np.unique(np.concatenate([cells.bounds, judged.start, judged.end]))
        item = np.searchsorted(judged.start, edges[:-1], side="right") - 1
        inside = (item >= 0) & (edges[:-1] < np.r_[judged.end, 0][item])
        self.start, self.end, self.item = edges[:-1][inside], edges[1:][inside], item[inside]
        self.cell = np.searchsorted(cells.bounds, self.start, side="right") - 1
        self.numbers = Numbers(cells.package)
        self.allowed = allowed(truth, self.numbers)
        self.bits = [1 << self.numbers.number[name] for name in cells.package]

    def score(self) -> Score:
        """Piece by piece."""
        size: Counter[str] = Counter()
        right: defaultdict[str, float] = defaultdict(float)
        wrong: defaultdict[tuple[str, str, int, str], float] = defaultdict(float)
        for k, (length, item) in enumerate(zip((self.end - self.start).tolist(), self.item.tolist(), strict=True)):
            part = self.items.part[item]
            good = self._right(k, item, part)
            size[part] += length
            right[part] += good * length
            if good < 1 - 1e-9:
                key = (part, self._cause(k, item, part, good), int(self.items.symbol[item]), self._given(k))
                wrong[key] += (1 - good) * length
        return Score(size, right, [self._wrong(*key, count) for key, count in _most(wrong)])

    def _wrong(self, part: str, cause: str, symbol: int, given: str, count: float) -> Wrong:
        return Wrong(part, cause, self.truth.name[symbol], self.truth.package[symbol], given, count)

    def _right(self, k: int, item: int, part: str) -> float:
        """The part of a piece that is right."""
        cell, symbol = int(self.cell[k]), int(self.items.symbol[item])
        if part == TABLES_PART:
            return float(self.cells.structure[cell].startswith((*table_of(self.truth, symbol), PADDING)))
        if part == GAPS and self.cells.kind[cell] == "padding":
            return 1.0
        if part == GAPS and (table := table_of(self.truth, symbol)):
            return float(self.cells.structure[cell].startswith((*table, PADDING)))
        may = self.allowed[symbol]
        return float(sum(self.cells.part[e] for e in self._entries(cell) if self.bits[e] & may))

    def _entries(self, cell: int) -> range:
        return range(int(self.cells.first[cell]), int(self.cells.first[cell + 1]))

    def _given(self, k: int) -> str:
        cell = int(self.cell[k])
        names = [self.cells.package[e] for e in self._entries(cell)]
        return ", ".join(names[:2]) or f"({self.cells.structure[cell] or 'section only'})"

    def _cause(self, k: int, item: int, part: str, good: float) -> str:
        cell, symbol = int(self.cell[k]), int(self.items.symbol[item])
        if part in (GAPS, TABLES_PART):
            return GAP if part == GAPS else TABLE
        if part == CODE and merged(self.truth)[symbol] and not _named(self.truth.name[symbol]):
            return ANONYMOUS
        if not len(self._entries(cell)):
            return NO_OWNER
        if self._miscut(cell, item):
            return MISCUT
        if good > 0 or self.cells.shared[cell]:
            return SPLIT
        return OTHER if part == CODE or symbol in self._own_code else EXPORTED

    def _miscut(self, cell: int, item: int) -> bool:
        """Whether the map's object and the symbol are not the same bytes, but for filling."""
        low, high = self.cells.bounds[cell : cell + 2].tolist()
        start, end = int(self.items.start[item]), int(self.items.end[item])
        return low != start or not end <= high < end + ALIGNMENT

    @cached_property
    def _own_code(self) -> set[int]:
        """Symbols that code of their own package refers to."""
        truth = self.truth
        code = np.flatnonzero((truth.section[truth.source] == ".text") & (truth.target >= 0))
        pairs: Sequence[tuple[int, int]] = list(
            zip(truth.source[code].tolist(), truth.target[code].tolist(), strict=True)
        )
        return {target for source, target in pairs if truth.package[source] == truth.package[target]}
