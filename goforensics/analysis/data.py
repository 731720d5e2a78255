"""Who owns the loaded data of a program, stripped or not, from its structures and from who refers to what.

Objects that say whose they are (a named type, a task, a closure of a function) are settled by that.  The rest belong
to those who refer to them.
"""

from __future__ import annotations

from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.analysis import wellknown
from goforensics.analysis.evidence import READ_ONLY, VARIABLE, Free, Numbers, gather
from goforensics.analysis.loadorder import settled
from goforensics.analysis.objects import Extents, Flags, Objects, cut, false_starts
from goforensics.analysis.owners import Pairs, lowest, spread_out
from goforensics.analysis.packages import PackageNames, Packages, packages_of_names
from goforensics.containers.image import Words
from goforensics.errors import FormatError, require
from goforensics.sections import functions, gostrings, inltree, moduledata, pclntab, references
from goforensics.sections.arrays import spread
from goforensics.sections.calls import calls
from goforensics.sections.protocol import Source
from goforensics.sections.region import Region, region, words_at
from goforensics.sets import among, distinct, without

MOST_CASES = 64  # words of a switch over interfaces
SECTIONS = ("noptrdata", "data", "bss", "noptrbss")  # where each begins, as moduledata tells
LISTS = ("moduledata", "typelinks", "itablinks", "inittasks")  # for the runtime: what they name is not its own


class DataOwners(msgspec.Struct, frozen=True, eq=False):
    """The data objects (p,) and whose they are."""

    objects: Objects
    pairs: Pairs
    named: NDArray[np.bool_]  # (p,) its own structure or name says whose it is
    symbols: dict[int, str]  # by address, where there is a symbol table


def data_owners(source: Source, free: Free, packages: Packages, names: PackageNames) -> DataOwners:
    """Cut the memory `free` into objects and find their owners.

    FormatError if there is no moduledata or no function.
    """
    return _Finder(source, free, packages, names).owners()


def _runs(rows: Numbers) -> list[tuple[int, int]]:
    """(first, last) of each run of neighbours among `rows`, which increase."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    return [(int(run[0]), int(run[-1])) for run in np.split(rows, cuts) if len(run)]


class _Finder:
    """One program's data."""

    def __init__(self, source: Source, free: Free, packages: Packages, names: PackageNames) -> None:
        self.source, self.image = source, source.image
        self.free, self.packages, self.names = free, packages, names
        self.module = source.read(moduledata.PARSER)
        self.references = source.read(references.PARSER)
        self.placed = source.read(functions.PARSER)
        require(len(self.placed.address) > 0, "there are no functions", "functab", 0)
        self.strings = self._string_area()
        self.found = gather(source, free, names, self._package_at)

    def owners(self) -> DataOwners:
        """Everything in order: later steps need the extents of earlier ones."""
        slot, target = self._pointers()
        named = np.array(list(self.found.symbols), np.uint64)
        described = [to for _, to in self.found.edges]
        pointed = distinct(np.concatenate([self.references.targets, target, named, *described]))
        self._strings(pointed)
        names = [(start, end, VARIABLE if writable else READ_ONLY) for start, end, writable in self.free]
        objects = cut(names, self.found.known, pointed)
        false = false_starts(objects, self._doubtful(target))
        if len(false):
            objects = cut(names, self.found.known, without(pointed, false))
        if not len(objects.start):
            nothing = np.empty(0, np.int64)
            return DataOwners(objects, Pairs.of(nothing, nothing), objects.pointed, {})
        self.found.edges.append((slot, target))
        self._closures(objects)
        self._settings(objects, slot, target)
        return self._owned(objects, false)

    def _doubtful(self, target: Words) -> Words:
        """Addresses that one place in the code refers to, and no data: the bytes may only look like a reference."""
        at = np.sort(self.references.code_target)
        again = at[1:] == at[:-1]
        once = ~(np.r_[False, again] | np.r_[again, False])[: len(at)]
        return without(at[once], distinct(target))

    def _string_area(self) -> tuple[int, int]:
        try:
            area = self.source.read(gostrings.PARSER)
        except FormatError:
            return 0, 0
        return area.start, area.end

    def _strings(self, pointed: Words) -> None:
        if self.strings[0] < self.strings[1]:
            start = gostrings.starts(self.strings, pointed)
            end = np.r_[start[1:], np.uint64(self.strings[1])]
            self.found.known.append(Extents("string", start, end))

    def _pointers(self) -> tuple[Words, Words]:
        """Words of data that are pointers: those that are known to be, and what looks like one in read-only data.

        Where the loader relocates, it names them all.
        """
        slots = [(self.references.slot, self.references.slot_target)]
        if not len(self.image.fixed_words(0, (1 << 64) - 1)[0]):
            slots.append(self._read_only_pointers())
        return np.concatenate([s for s, _ in slots]), np.concatenate([t for _, t in slots])

    def _read_only_pointers(self) -> tuple[Words, Words]:
        """In what is neither a type, a name nor a string, the aligned words that may be pointers.

        Tables of numbers look like anything: a word counts if it points at a word or, in front of a possible length,
        at a string, or at what is pointed at anyway.
        """
        at, word, length = self._read_only_words()
        rows = np.flatnonzero(references.inside(word, references.data_ranges(self.image, self.module)))
        known = distinct(np.concatenate([self.references.targets, *(e.start for e in self.found.known)]))
        rows = rows[self._may_be(word[rows], length[rows]) | among(word[rows], known)]
        return at[rows], word[rows]

    def _read_only_words(self) -> tuple[Words, Words, Words]:
        """(w,) addresses, words, and the words that follow, 0 at the end of a piece: of all that no structure holds."""
        pointer = self.image.pointer_size
        start, end, memory = self._plain_read_only()
        begin = -(-start // pointer) * pointer
        count = np.maximum((end - begin) // pointer, 0)
        which, place = spread(count)
        at = (begin[which] + place * pointer).astype(np.uint64)
        word = np.zeros(len(at), np.uint64)
        for area in memory:
            mine = slice(*np.searchsorted(at, np.array([area.start, area.end], np.uint64)).tolist())
            word[mine] = area.word(at[mine])
        last = place + 1 == count[which]
        return at, word, np.where(last, np.uint64(0), np.r_[word[1:], np.uint64(0)][: len(word)])

    def _may_be(self, word: Words, length: Words) -> Flags:
        """(m,) whether a word in front of `length` may be a pointer."""
        low, high = np.uint64(self.strings[0]), np.uint64(self.strings[1])
        text = (word >= low) & (word < high)
        return np.where(text, (length > 0) & (length <= high - word), word % self.image.pointer_size == 0)

    def _plain_read_only(self) -> tuple[Numbers, Numbers, list[Region]]:
        """(p,) where each piece begins and ends, and the memory that they lie in."""
        low, high = (np.array([at], np.uint64) for at in self.strings)
        fields = self.module.fields
        first = min((fields[name] for name in ("rodata", "types") if name in fields), default=0)  # before: headers
        free = [(start, end, READ_ONLY) for start, end, writable in self.free if not writable and start >= first]
        objects = cut(free, [*self.found.known, Extents("string", low, high)], np.empty(0, np.uint64))
        plain = objects.of(READ_ONLY)
        memory = [region(self.image, start, end, READ_ONLY) for start, end, _ in free]
        return objects.start[plain].astype(np.int64), objects.end[plain].astype(np.int64), memory

    def _closures(self, objects: Objects) -> None:
        """A read-only word that is a function's entry is the function's value; longer ones hold more than that."""
        pointer = self.image.pointer_size
        plain = objects.of(READ_ONLY) & objects.pointed & (objects.end - objects.start == pointer)
        at = objects.start[plain & (objects.start % pointer == 0)]
        words = words_at(self.image, at)
        entry = among(words, self.placed.address)
        self.found.fixed.append((at[entry], self._package_at(words[entry])))

    def _settings(self, objects: Objects, slot: Words, target: Words) -> None:
        """internal/godebugs.All: the object that points at both of its names."""
        names = wellknown.settings(self.image, self.strings)
        found = [set(objects.at(slot[target == name]).tolist()) for name in names]
        table = set.intersection(*found) - {-1} if found else set()
        for item in table:
            self.found.fixed.append((objects.start[[item]], np.array([self.names["internal/godebugs"]])))

    def _package_at(self, pc: Words) -> Numbers:
        """(n,) the package of the function at each address, -1 where there is none."""
        at = np.searchsorted(self.placed.address, pc, side="right") - 1
        code = self.packages.codes[np.maximum(at, 0)].astype(np.int64)
        return np.where((at >= 0) & (code > 0), code, -1)

    def _owned(self, objects: Objects, false: Words) -> DataOwners:
        count = len(objects.start)
        fixed = np.full(count, -1, np.int64)
        for address, package in self.found.fixed:
            item = objects.at(address)
            good = (item >= 0) & (package >= 0)
            fixed[item[good]] = package[good]
        origin, target = (np.concatenate(side) for side in zip(*self.found.edges, strict=True))
        edges = objects.at(origin), objects.at(target)
        there = (edges[0] >= 0) & (edges[1] >= 0) & ~objects.of(*LISTS)[edges[0]]
        single = objects.of(VARIABLE)
        item = objects.at(self.references.code_target)
        item = np.where(among(self.references.code_target, false), -1, item)
        package = self._referring(single[item] & ~self._caches(objects)[item])
        good = (item >= 0) & (package >= 0)
        said = self._by_load_order(objects, single & (fixed < 0), Pairs.of(item[good], package[good]))
        pairs = spread_out(count, said, fixed, single, (edges[0][there], edges[1][there]), self._rank())
        return DataOwners(objects, pairs, fixed >= 0, self.found.symbols)

    def _by_load_order(self, objects: Objects, variable: Flags, said: Pairs) -> Pairs:
        """What code says of each `variable` (p,) replaced by what agrees with the order of its neighbours too."""
        mine, main = variable[said.item], self.names["main"]
        first = lowest(said.only(mine).merged(), variable, self._rank())
        at = objects.start[first.item]
        bounds = np.sort(np.array([self.module.fields.get(name, 0) for name in SECTIONS], np.uint64))
        size = (objects.end[first.item] - at).astype(np.int64)
        used = among(first.item, distinct(said.item[mine & (said.package == main)]))
        imports = {*first.package[used].tolist(), *self._called_by_main}

        def between(before: int, behind: int) -> int:
            return self._imported(before, behind) if before in imports else main

        package = settled(np.searchsorted(bounds, at, side="right"), size, first.package, main, between)
        return said.only(~mine) + Pairs.of(first.item, package)

    def _imported(self, before: int, behind: int) -> int:
        """Of the packages by path from `before` up to `behind` the first that main calls, `before` if it calls none.

        What main imports is in order of paths: main's own if these two are not, or there is none behind (-1).
        """
        paths = self.names.all
        if behind < 0 or paths[behind] < paths[before]:
            return self.names["main"]
        called = [paths[i] for i in self._called_by_main if paths[before] <= paths[i] < paths[behind]]
        return self.names[min(called)] if called else before

    @cached_property
    def _called_by_main(self) -> list[int]:
        """Packages whose functions main calls."""
        rows = np.flatnonzero((self.packages.unit == self.names["main"]) & (self.placed.offset >= 0))
        found: list[Numbers] = []
        for low, high in _runs(rows):
            start, end = self.placed.offset[low], self.placed.offset[high] + self.placed.code[high]
            code = np.frombuffer(self.image.data, np.uint8)[start:end]
            found.append(calls(self.image.goarch, code, int(self.placed.address[low]))[1])
        target = np.concatenate([np.empty(0, np.int64), *found]).astype(np.uint64)
        called: list[int] = distinct(self._package_at(target[among(target, self.placed.address)])).tolist()
        return called

    def _caches(self, objects: Objects) -> NDArray[np.bool_]:
        """(p,) variables of a type assertion or switch, made for the function around, which say an interface type.

        Source of truth: Go's src/internal/abi/switch.go (TypeAssert, InterfaceSwitch).
        """
        pointer = self.image.pointer_size
        cache = np.zeros(len(objects.start), bool)
        rows = np.flatnonzero((objects.end - objects.start <= MOST_CASES * pointer) & (objects.start % pointer == 0))
        for word in (1, 2):
            at = objects.start[rows] + np.uint64(word * pointer)
            inside = at < objects.end[rows]
            cache[rows[inside]] |= among(words_at(self.image, at[inside]), self.found.interfaces)
        return cache

    def _referring(self, inlined: NDArray[np.bool_]) -> Numbers:
        """(c,) the package whose code refers, by reference: of what is inlined there where `inlined`, else around it.

        Variables are used by functions small enough to be inlined anywhere; what is read-only belongs to the
        function that the compiler made it for.
        """
        pc = self.references.pc
        function = np.searchsorted(self.placed.address, pc, side="right") - 1
        rows = np.flatnonzero(inlined & (function >= 0))
        unit = self.packages.unit[np.maximum(function, 0)].astype(np.int64)
        package = np.where((function >= 0) & (unit > 0), unit, -1)
        table = self.source.read(pclntab.PARSER)
        offset = (pc[rows] - self.placed.address[function[rows]]).astype(np.int64)
        name = self.source.read(inltree.PARSER).innermost(function[rows], offset)
        found = packages_of_names(table, name[name > 0], self.names)
        package[rows[name > 0]] = np.where(found > 0, found, package[rows[name > 0]])
        return package

    def _rank(self) -> Numbers:
        """By package: its place in link order; those without code come first."""
        rank = np.full(len(self.names.all), -1, np.int64)
        code, first = np.unique(self.packages.codes, return_index=True)
        rank[code] = first
        return rank
