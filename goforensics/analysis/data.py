"""Who owns the loaded data of a program, stripped or not, from its structures and from who refers to what.

Objects that say whose they are (a named type, a task, a closure of a function) are settled by that.  The rest belong
to those who refer to them.  Source of truth for what the linker lays where: Go's cmd/link/internal/ld/data.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goforensics.analysis import wellknown
from goforensics.analysis.objects import Extents, Objects, cut, false_starts
from goforensics.analysis.owners import Pairs, spread_out
from goforensics.analysis.packages import PackageNames, Packages, package_of, packages_of_names
from goforensics.containers.image import Words
from goforensics.errors import FormatError
from goforensics.sections import (
    functions,
    gostrings,
    inittasks,
    inltree,
    itabs,
    moduledata,
    pclntab,
    references,
    symtab,
    types,
)
from goforensics.sections.arrays import among
from goforensics.sections.protocol import Source
from goforensics.sections.region import region
from goforensics.sections.typewalk import INTERFACE

Numbers = NDArray[np.int64]
RUNTIME = "runtime"
MOST_CASES = 64  # words of a switch over interfaces
VARIABLE, READ_ONLY = "variable", "read-only data"
LISTS = ("moduledata", "typelinks", "itablinks", "inittasks")


@dataclass(frozen=True, eq=False)
class DataOwners:
    """The data objects (p,) and whose they are."""

    objects: Objects
    pairs: Pairs
    named: NDArray[np.bool_]  # (p,) its own structure or name says whose it is
    symbols: dict[int, str]  # by address, where there is a symbol table


@dataclass(slots=True)
class _Facts:
    """What the structures tell, while it is gathered."""

    known: list[Extents] = field(default_factory=list)
    fixed: list[tuple[Words, Numbers]] = field(default_factory=list)  # (address, package)
    edges: list[tuple[Words, Words]] = field(default_factory=list)  # (from, to), addresses


def data_owners(
    source: Source, free: Sequence[tuple[int, int, bool]], packages: Packages, names: PackageNames
) -> DataOwners:
    """Cut the memory `free` (start, end, whether it holds variables) into objects and find their owners.

    FormatError if there is no moduledata.
    """
    return _Finder(source, free, packages, names).owners()


class _Finder:
    """One program's structures, asked in turn."""

    def __init__(
        self, source: Source, free: Sequence[tuple[int, int, bool]], packages: Packages, names: PackageNames
    ) -> None:
        self.source, self.image = source, source.image
        self.free, self.packages = free, packages
        self.names, self.facts = names, _Facts()
        self.module = source.read(moduledata.PARSER)
        self.references = source.read(references.PARSER)
        self.placed = source.read(functions.PARSER)
        self.symbols = self._symbols()
        self.described = np.empty(0, np.uint64)  # types and itabs, which precede a pointer in an interface value
        self.interfaces = np.empty(0, np.uint64)  # types of interfaces

    def owners(self) -> DataOwners:
        """Everything in order: later steps need the extents of earlier ones."""
        for step in (self._module, self._types, self._itabs, self._tasks, self._masks, self._small_numbers):
            try:
                step()
            except FormatError:
                continue  # absent, or noted by the parser; its bytes are cut like any others
        slot, target = self._pointers()
        named = np.array(list(self.symbols), np.uint64)
        described = [to for _, to in self.facts.edges]
        pointed = np.unique(np.concatenate([self.references.targets, target, named, *described]))
        self._strings(pointed)
        names = [(start, end, VARIABLE if writable else READ_ONLY) for start, end, writable in self.free]
        objects = cut(names, self.facts.known, pointed)
        false = false_starts(objects, self._doubtful(target))
        if len(false):
            objects = cut(names, self.facts.known, np.setdiff1d(pointed, false))
        self.facts.edges.append((slot, target))
        self._closures(objects)
        self._settings(objects, slot, target)
        self._named_by_symbols()
        return self._owned(objects, false)

    def _doubtful(self, target: Words) -> Words:
        """Addresses that one place in the code refers to, and no data: the bytes may only look like a reference."""
        at, uses = np.unique(self.references.code_target, return_counts=True)
        return np.setdiff1d(at[uses == 1], target, assume_unique=False)

    def _symbols(self) -> dict[int, str]:
        """By address the symbols that lie in the free memory."""
        try:
            table = self.source.read(symtab.PARSER)
            inside = np.zeros(table.count, bool)
            for start, end, _ in self.free:
                inside |= (table.value >= start) & (table.value < end)
            rows = np.flatnonzero(inside & (table.section > 0))
            names = table.names(rows)
        except FormatError:
            return {}
        return {at: name for at, name in zip(table.value[rows].tolist(), names, strict=True) if "." in name}

    def _named_by_symbols(self) -> None:
        package = [(at, package_of(name)) for at, name in self.symbols.items()]
        known = [(at, self.names[name]) for at, name in package if name]
        address, number = (np.array(side) for side in zip(*known, strict=True)) if known else (np.empty(0), np.empty(0))
        self.facts.fixed.append((address.astype(np.uint64), number.astype(np.int64)))

    def _types(self) -> None:
        known = self.source.read(types.PARSER)
        self._described(known)
        number = np.array([self.names[name] if name else -1 for name in known.packages], np.int64)
        number[[name == "go.shape" for name in known.packages]] = -1  # what shapes of types stand for is no package
        number[[name == "unsafe" for name in known.packages]] = self.names[RUNTIME]  # unsafe.Pointer, made there
        fixed = np.where(known.package > 0, number[known.package], -1)
        fixed[(known.package == 0) & known.named] = self.names[RUNTIME]  # int, error and the like
        for _ in range(2):  # a pointer is where its element is; at most two stars deep
            fixed = np.where((known.pointee >= 0) & (fixed < 0), fixed[known.pointee], fixed)
        self.facts.fixed.append((known.address, fixed))
        for owner, start, _ in known.parts.values():
            self.facts.fixed.append((start, fixed[types.index(known.address, owner)]))
            self.facts.edges.append((owner, start))

    def _described(self, known: types.Types) -> None:
        """Extents of types and names, and what leads from one to the other."""
        self.facts.known += [Extents(name, start, end) for name, (_, start, end) in known.parts.items()]
        self.facts.known.append(Extents("type/name", known.name_start, known.name_end))
        self.facts.edges.append(known.edges)
        self.described = np.r_[self.described, known.address]
        self.interfaces = known.address[known.kind == INTERFACE]

    def _itabs(self) -> None:
        found, known = self.source.read(itabs.PARSER), self.source.read(types.PARSER)
        self.facts.known.append(Extents("itab", found.start, found.end))
        self.described = np.r_[self.described, found.start]
        concrete = known.address[found.concrete]
        self.facts.edges += [
            (concrete, found.start),
            (found.start, concrete),
            (found.start, known.memory.word(found.start)),
        ]

    def _tasks(self) -> None:
        found = self.source.read(inittasks.PARSER)
        self.facts.known.append(Extents("inittask", found.start, found.end))
        count, start = self.module.fields.get("inittasks.len", 0), self.module.fields.get("inittasks", 0)
        self._fix("inittasks", start, count * self.image.pointer_size, RUNTIME)
        self.facts.fixed.append((found.start, self._package_at(found.function)))

    def _fix(self, structure: str, start: int, size: int, package: str) -> None:
        """One object that is known to be a package's."""
        at, end = np.array([start], np.uint64), np.array([start + size], np.uint64)
        self.facts.known.append(Extents(structure, at, end))
        self.facts.fixed.append((at, np.array([self.names[package]])))

    def _module(self) -> None:
        """moduledata, whose fields after the last known one follow; and what the linker lists for the runtime."""
        size = len(self.module.fields) * self.image.pointer_size
        self._fix("moduledata", self.module.address, size, RUNTIME)
        behind = np.array([self.module.address + size], np.uint64)
        self.facts.fixed.append((behind, np.array([self.names[RUNTIME]])))
        for name, width in (("typelinks", 4), ("itablinks", self.image.pointer_size)):
            if self.module.fields.get(f"{name}.len"):
                self._fix(name, self.module.fields[name], self.module.fields[f"{name}.len"] * width, RUNTIME)

    def _masks(self) -> None:
        """The types' pointer masks, and the programs for the data segments."""
        low, high = self.source.read(gostrings.PARSER).masks
        known = self.source.read(types.PARSER)
        start = np.unique(known.gcdata[(known.gcdata >= low) & (known.gcdata < high)])
        self.facts.known.append(Extents("type/pointer mask", start, np.r_[start[1:], np.uint64(high)][: len(start)]))
        fields = self.module.fields
        programs = np.sort(np.array([fields["gcdata"], fields["gcbss"]], np.uint64))
        self.facts.fixed.append((programs, np.full(2, self.names[RUNTIME])))

    def _small_numbers(self) -> None:
        """runtime.staticuint64s: its words are pointed at one by one, which would cut it up."""
        for start, end, _ in self.free:
            at = wellknown.small_numbers(self.image, start, end)
            if at is not None:
                self._fix(VARIABLE, at, 8 * wellknown.NUMBERS, RUNTIME)

    def _settings(self, objects: Objects, slot: Words, target: Words) -> None:
        """internal/godebugs.All: the object that points at both of its names."""
        low, high = self._string_area()
        names = wellknown.settings(self.image, (int(low), int(high)))
        found = [set(objects.at(slot[target == name]).tolist()) for name in names]
        table = set.intersection(*found) - {-1} if found else set()
        for item in table:
            self.facts.fixed.append((objects.start[[item]], np.array([self.names["internal/godebugs"]])))

    def _strings(self, pointed: Words) -> None:
        try:
            area = self.source.read(gostrings.PARSER)
        except FormatError:
            return
        start = gostrings.starts((area.start, area.end), pointed)
        self.facts.known.append(Extents("string", start, np.r_[start[1:], np.uint64(area.end)]))

    def _pointers(self) -> tuple[Words, Words]:
        """Words of data that are pointers: those that are known to be, and what looks like one in read-only data.

        Where the loader relocates, it names them all.
        """
        slots = [(self.references.slot, self.references.slot_target)]
        if not len(self.image.fixed_words(0, (1 << 64) - 1)[0]):
            slots.append(self._read_only_pointers())
        return np.concatenate([s for s, _ in slots]), np.concatenate([t for _, t in slots])

    def _read_only_pointers(self) -> tuple[Words, Words]:
        """In what is neither a type, a name nor a string, the aligned words that must be pointers.

        Tables of numbers look like anything: a word counts if it points at what is pointed at anyway, if the words
        behind it are a string's or a slice's length, or if the one before says which type it points at.
        """
        pointer = self.image.pointer_size
        places, found = [], []
        for start, end in self._plain_read_only():
            begin = -(-start // pointer) * pointer
            if begin + pointer <= end:
                memory = region(self.image, begin, begin + (end - begin) // pointer * pointer, "read-only data")
                found += [memory.raw.view(self.image.word).astype(np.uint64), np.zeros(2, np.uint64)]
                places += [np.arange(len(found[-2]) + 2, dtype=np.uint64) * np.uint64(pointer) + np.uint64(begin)]
        if not found:
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        words, place = np.concatenate(found), np.concatenate(places)
        number = np.flatnonzero(self._is_data(words))
        number = number[self._must_be(words, number)]
        return place[number], words[number]

    def _must_be(self, words: Words, number: Numbers) -> NDArray[np.bool_]:
        """(m,) whether the words at `number` (m,) are pointers, by what they point at or what is around them."""
        known = np.unique(np.concatenate([self.references.targets, *(e.start for e in self.facts.known)]))
        around = np.r_[np.uint64(0), words, np.uint64(0), np.uint64(0)]
        before, word, length, capacity = (around[number + i] for i in range(4))
        low, high = self._string_area()
        text = (word >= low) & (word < high)
        string = text & (length > 0) & (length <= high - word)
        sliced = ~text & (length > 0) & (length <= capacity) & (capacity < len(self.image.data))
        typed = among(before, np.sort(self.described))
        aligned = ~text & (word % self.image.pointer_size == 0)
        return among(word, known) | string | sliced | typed | aligned

    def _string_area(self) -> tuple[np.uint64, np.uint64]:
        try:
            area = self.source.read(gostrings.PARSER)
        except FormatError:
            return np.uint64(0), np.uint64(0)
        return np.uint64(area.start), np.uint64(area.end)

    def _plain_read_only(self) -> Iterator[tuple[int, int]]:
        try:
            strings = self.source.read(gostrings.PARSER)
            area = [Extents("string", np.array([strings.start], np.uint64), np.array([strings.end], np.uint64))]
        except FormatError:
            area = []
        free = [(start, end, READ_ONLY) for start, end, writable in self.free if not writable]
        objects = cut(free, [*self.facts.known, *area], np.empty(0, np.uint64))
        plain = objects.structure == objects.structures.index(READ_ONLY) if free else np.zeros(0, bool)
        yield from zip(objects.start[plain].tolist(), objects.end[plain].tolist(), strict=True)

    def _is_data(self, words: Words) -> NDArray[np.bool_]:
        inside = np.zeros(len(words), bool)
        for start, end in references.data_ranges(self.image, self.module):
            inside |= (words >= start) & (words < end)
        return inside

    def _closures(self, objects: Objects) -> None:
        """A read-only word that is a function's entry is the function's value; in longer ones it is one word of many."""
        pointer = self.image.pointer_size
        plain = (objects.structure == objects.structures.index(READ_ONLY)) & objects.pointed
        plain &= objects.end - objects.start == pointer
        at = objects.start[plain & (objects.start % pointer == 0)]
        at = at[self.image.offsets_of(at) >= 0]
        words = self._words(at)
        entry = among(words, self.placed.address)
        self.facts.fixed.append((at[entry], self._package_at(words[entry])))

    def _words(self, at: Words) -> Words:
        """(n,) pointers at addresses that the file holds."""
        if not len(at):
            return at
        size = self.image.pointer_size
        low = self.image.offsets_of(at)
        raw = np.frombuffer(self.image.data, np.uint8)
        low = np.minimum(low, len(raw) - size)
        words = np.ascontiguousarray(raw[low[:, None] + np.arange(size)]).view(self.image.word)[:, 0].astype(np.uint64)
        fixed, values = self.image.fixed_words(int(at.min()), int(at.max()) + 1)
        place = np.minimum(np.searchsorted(fixed, at), max(len(fixed) - 1, 0))
        return np.where(fixed[place] == at, values[place], words) if len(fixed) else words

    def _package_at(self, pc: Words) -> Numbers:
        """(n,) the package of the function at each address, -1 where there is none."""
        at = np.searchsorted(self.placed.address, pc, side="right") - 1
        code = self.packages.codes[np.maximum(at, 0)].astype(np.int64)
        return np.where((at >= 0) & (code > 0), code, -1)

    def _owned(self, objects: Objects, false: Words) -> DataOwners:
        count = len(objects.start)
        fixed = np.full(count, -1, np.int64)
        for address, package in self.facts.fixed:
            item = objects.at(address)
            good = (item >= 0) & (package >= 0)
            fixed[item[good]] = package[good]
        origin, target = (np.concatenate(side) for side in zip(*self.facts.edges, strict=True))
        edges = objects.at(origin), objects.at(target)
        lists = [i for i, name in enumerate(objects.structures) if name in LISTS]  # the runtime's lists own nothing
        there = (edges[0] >= 0) & (edges[1] >= 0) & ~np.isin(objects.structure[edges[0]], lists)
        single = objects.structure == (objects.structures.index(VARIABLE) if VARIABLE in objects.structures else -1)
        item = objects.at(self.references.code_target)
        item = np.where(np.isin(self.references.code_target, false), -1, item)
        package = self._referring(single[item] & ~self._caches(objects)[item])
        good = (item >= 0) & (package >= 0)
        said = Pairs.of(item[good], package[good])
        pairs = spread_out(count, said, fixed, single, (edges[0][there], edges[1][there]), self._rank())
        return DataOwners(objects, pairs, fixed >= 0, self.symbols)

    def _caches(self, objects: Objects) -> NDArray[np.bool_]:
        """(p,) variables of a type assertion or switch, made for the function around, which say an interface type.

        Source of truth: Go's src/internal/abi/switch.go (TypeAssert, InterfaceSwitch).
        """
        pointer = self.image.pointer_size
        cache = np.zeros(len(objects.start), bool)
        rows = np.flatnonzero((objects.end - objects.start <= MOST_CASES * pointer) & (objects.start % pointer == 0))
        for word in (1, 2):
            at = objects.start[rows] + np.uint64(word * pointer)
            inside = (at < objects.end[rows]) & (self.image.offsets_of(at) >= 0)
            cache[rows[inside]] |= among(self._words(at[inside]), self.interfaces)
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
