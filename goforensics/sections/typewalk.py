"""Following type descriptors from one to the next: the layout of abi.Type and of what each kind adds to it.

Source of truth: Go's src/internal/abi/type.go (Type, ArrayType, …, UncommonType, Method, Imethod, Name), map.go.
Three things changed without a mark of their own and are told by what fits: the length of a name (two bytes up to
1.16, then a varint), and the words of a map's descriptor (old maps, Swiss maps, Swiss maps with split groups).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Words
from goforensics.sections.arrays import spread
from goforensics.sections.region import Region
from goforensics.sets import among, distinct

KINDS = 26  # abi.UnsafePointer, the last
ARRAY, CHAN, FUNC, INTERFACE, MAP, POINTER, SLICE, STRUCT = 17, 18, 19, 20, 21, 22, 23, 25
ELEMENTS = (ARRAY, CHAN, MAP, POINTER, SLICE)  # kinds whose first word is a type
KIND_MASK = 0x1F
UNCOMMON, NAMED, TFLAGS = 1, 4, 64  # abi.TFlag; all of them are below 64
HAS_TAG, HAS_PATH, NAME_FLAGS = 2, 4, 16
LONGEST = 1 << 14  # of a name, bytes
UNCOMMON_SIZE, METHOD_SIZE, IMETHOD_SIZE = 16, 16, 8
GENERATIONS = 100
NONE = np.empty(0, np.uint64)
Flags = NDArray[np.bool_]


class Walk(msgspec.Struct):
    """The descriptors found so far.  Addresses are absolute; `types` is what offsets to names and types count from."""

    memory: Region
    types: int
    high: int  # descriptors end before
    map_words: int = 0  # of a map's descriptor behind abi.Type
    wide_names: bool = False
    seen: Words = msgspec.field(default_factory=lambda: NONE)
    columns: list[Words] = []  # (6, n): address, kind, named, package path, element, gcdata
    parts: dict[str, list[tuple[Words, Words, Words]]] = {}  # (type, start, end)
    edges: list[tuple[Words, Words]] = []
    names: list[Words] = []

    @property
    def header(self) -> int:
        """Bytes of an abi.Type."""
        return 4 * self.memory.pointer + 16

    def kind(self, at: Words) -> Words:
        """(n,) abi.Kind."""
        return self._byte(at, 7) & np.uint64(KIND_MASK)

    def _byte(self, at: Words, number: int) -> Words:
        """One of the eight bytes hash (four), tflag, align, fieldAlign, kind."""
        return self.memory.uint(at + np.uint64(2 * self.memory.pointer + number), 1)

    def pointer_at(self, at: Words, number: int) -> Words:
        """Word `number` of those that follow abi.Type."""
        return self.memory.word(at + np.uint64(self.header + number * self.memory.pointer))

    def named_by(self, offsets: Words) -> Words:
        """(n,) addresses from 32-bit offsets; 0 where the offset is 0 or negative."""
        signed = self.memory.int32(offsets)
        return np.where(signed > 0, (signed + self.types).astype(np.uint64), np.uint64(0))

    def sane(self, at: Words) -> Flags:
        """(n,) whether what lies there can be an abi.Type: flags, kind, alignment, sizes and name are possible."""
        good: Flags = self.memory.holds(at, self.header) & (at + self.header <= self.high)
        good &= at % self.memory.pointer == 0
        for possible in (self._sane_bytes, self._sane_sizes, self._sane_text):  # few of many get far
            good[good] = possible(at[good])
        return good

    def _sane_bytes(self, at: Words) -> Flags:
        kind, align = self.kind(at), self._byte(at, 5)
        good: Flags = (kind > 0) & (kind <= KINDS) & (self._byte(at, 4) < TFLAGS) & (self._byte(at, 6) == align)
        good &= (align > 0) & (align <= 16) & (align & (align - np.uint64(1)) == 0)
        return good

    def _sane_sizes(self, at: Words) -> Flags:
        """The part with pointers is no longer than the whole."""
        sane: Flags = self.memory.word(at + np.uint64(self.memory.pointer)) <= self.memory.word(at)
        return sane

    def _sane_text(self, at: Words) -> Flags:
        name = self.named_by(at + np.uint64(4 * self.memory.pointer + 8))
        return (name > 0) & self.sane_name(name)

    def sane_name(self, at: Words) -> Flags:
        """(n,) whether an abi.Name can lie there."""
        flag, (length, skip) = self.memory.uint(at, 1), self.length(at)
        good = self.memory.holds(at, 2) & (flag < NAME_FLAGS) & (length > 0) & (length < LONGEST)
        return good & self.memory.holds(at, (skip + length).astype(np.int64))

    def length(self, at: Words) -> tuple[Words, Words]:
        """(n,) bytes of the text that is counted from `at` + 1 on, and where it begins, counted from `at`."""
        first, second = (self.memory.uint(at + np.uint64(i), 1) for i in (1, 2))
        if self.wide_names:
            return first << np.uint64(8) | second, np.full(len(at), 3, np.uint64)
        third = self.memory.uint(at + np.uint64(3), 1)
        long, longer = first >= 0x80, (first >= 0x80) & (second >= 0x80)
        seven = np.uint64(0x7F)
        value = first & seven
        value = np.where(long, value | (second & seven) << np.uint64(7), value)
        value = np.where(longer, value | (third & seven) << np.uint64(14), value)
        return value, (2 + long.astype(np.uint64) + longer.astype(np.uint64)).astype(np.uint64)

    def texts(self, at: Words) -> list[str]:
        """The text of each name."""
        (length, skip), raw = self.length(at), self.memory.raw.tobytes()
        start = (at + skip).astype(np.int64) - self.memory.start
        spans = zip(start.tolist(), (start + length.astype(np.int64)).tolist(), strict=True)
        return [raw[a:b].decode("utf-8", "backslashreplace") for a, b in spans]

    def follow(self, seeds: Words) -> None:
        """Add the descriptors at `seeds`, those of them that are some, and all that they lead to."""
        fresh = distinct(seeds)
        for _ in range(GENERATIONS):
            fresh = fresh[~among(fresh, self.seen)]
            fresh = fresh[self.sane(fresh)]
            if not len(fresh):
                return
            self.seen = np.sort(np.r_[self.seen, fresh])
            fresh = distinct(self._expand(fresh))

    def _expand(self, at: Words) -> Words:
        """Note what hangs on each descriptor; the types that they lead to."""
        kind, pointer = self.kind(at), self.memory.pointer
        behind = at + np.uint64(self.header) + self._extra(kind)
        uncommon = self._byte(at, 4) & np.uint64(UNCOMMON) > 0
        path = np.zeros(len(at), np.uint64)
        path[uncommon] = self.named_by(behind[uncommon])
        element = np.where(np.isin(kind, ELEMENTS), self.pointer_at(at, 0), np.uint64(0))
        gcdata = self.memory.word(at + np.uint64(3 * pointer + 8))
        self.columns.append(np.stack([at, kind, self._byte(at, 4) & np.uint64(NAMED), path, element, gcdata]))
        self._part("type", at, at, behind)
        self._part("type/uncommon", at[uncommon], behind[uncommon], behind[uncommon] + np.uint64(UNCOMMON_SIZE))
        self._edges(at, self.memory.word(at + np.uint64(2 * pointer + 8)))  # how values are compared
        self._edges(at, gcdata)
        self._names(at, self.named_by(at + np.uint64(4 * pointer + 8)))
        self._names(at, path)
        return np.concatenate(
            [
                self._edges(at, self.named_by(at + np.uint64(4 * pointer + 12))),  # PtrToThis
                self._elements(at, kind),
                self._parameters(at[kind == FUNC], behind[kind == FUNC], uncommon[kind == FUNC]),
                self._imethods(at[kind == INTERFACE]),
                self._fields(at[kind == STRUCT]),
                self._methods(at[uncommon], behind[uncommon]),
            ]
        )

    def _extra(self, kind: Words) -> Words:
        """(n,) bytes that each kind adds to abi.Type."""
        pointer = self.memory.pointer
        words = np.zeros(KINDS + 1, np.uint64)
        words[[ARRAY, CHAN, INTERFACE, MAP, POINTER, SLICE, STRUCT]] = (3, 2, 4, self.map_words, 1, 1, 4)
        size = words * np.uint64(pointer)
        size[FUNC] = pointer  # two 16-bit counts, rounded up
        return size[kind.astype(np.int64)]

    def _elements(self, at: Words, kind: Words) -> Words:
        """The types that arrays, channels, maps, pointers and slices are made of."""
        first = np.isin(kind, ELEMENTS)
        maps, arrays = at[kind == MAP], at[kind == ARRAY]
        hasher = self.pointer_at(maps, 3)
        self._edges(maps, hasher)
        found = [(at[first], self.pointer_at(at[first], 0)), (arrays, self.pointer_at(arrays, 1))]
        found += [(maps, self.pointer_at(maps, number)) for number in (1, 2)]
        for origin, target in found:
            self._edges(origin, target)
        return np.concatenate([target for _, target in found])

    def _parameters(self, at: Words, behind: Words, uncommon: Flags) -> Words:
        """The types of functions' parameters and results, which follow the descriptor."""
        counts = self.memory.uint(at + np.uint64(self.header), 2)
        results = self.memory.uint(at + np.uint64(self.header + 2), 2) & np.uint64(0x7FFF)  # the top bit: variadic
        start = behind + np.where(uncommon, np.uint64(UNCOMMON_SIZE), np.uint64(0))
        owner, entry = self._table("type/parameters", at, start, counts + results, self.memory.pointer)
        return self._edges(owner, self.memory.word(entry))

    def _imethods(self, at: Words) -> Words:
        """The methods that interfaces ask for: offsets of name and type."""
        self._names(at, self.pointer_at(at, 0))
        owner, entry = self._table("type/methods", at, self.pointer_at(at, 1), self.pointer_at(at, 2), IMETHOD_SIZE)
        self._names(owner, self.named_by(entry))
        return self._edges(owner, self.named_by(entry + np.uint64(4)))

    def _fields(self, at: Words) -> Words:
        """The fields of structs: name, type, offset."""
        pointer = self.memory.pointer
        self._names(at, self.pointer_at(at, 0))
        owner, entry = self._table("type/fields", at, self.pointer_at(at, 1), self.pointer_at(at, 2), 3 * pointer)
        self._names(owner, self.memory.word(entry))
        return self._edges(owner, self.memory.word(entry + np.uint64(pointer)))

    def _methods(self, at: Words, uncommon: Words) -> Words:
        """The methods of named types: offsets of name, type and two entry points."""
        count, start = self.memory.uint(uncommon + np.uint64(4), 2), self.memory.uint(uncommon + np.uint64(8), 4)
        owner, entry = self._table("type/methods", at, uncommon + start, count, METHOD_SIZE)
        self._names(owner, self.named_by(entry))
        return self._edges(owner, self.named_by(entry + np.uint64(4)))

    def _table(self, structure: str, at: Words, start: Words, count: Words, size: int) -> tuple[Words, Words]:
        """(type, entry) for every entry of the tables that have `count` entries of `size` bytes; broken ones have none.

        All tables of a generation together have at most as many bytes as the memory, or they lie over one another.
        """
        length = np.minimum(count, np.uint64(len(self.memory.raw))).astype(np.int64) * size
        good = (count > 0) & self.memory.holds(start, length)
        good &= np.cumsum(np.where(good, length, 0)) <= len(self.memory.raw)
        at, start, count = at[good], start[good], count[good]
        self._part(structure, at, start, start + count * np.uint64(size))
        which, place = spread(count.astype(np.int64))
        return at[which], start[which] + (place * size).astype(np.uint64)

    def _part(self, structure: str, at: Words, start: Words, end: Words) -> None:
        self.parts.setdefault(structure, []).append((at, start, end))

    def _names(self, at: Words, name: Words) -> None:
        """Note what is said to be names of the types at `at`; not all of them need to be some."""
        self.names.append(name)
        self._edges(at, name)

    def _edges(self, at: Words, target: Words) -> Words:
        there = target > 0
        self.edges.append((at[there], target[there]))
        return target[there]
