"""What a program's structures tell of its data: extents, owners, and what refers to what.

Source of truth for what the linker lays where: Go's cmd/link/internal/ld/data.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.analysis import wellknown
from goforensics.analysis.objects import Extents
from goforensics.analysis.packages import PackageNames, package_of
from goforensics.containers.image import Words
from goforensics.errors import FormatError
from goforensics.sections import gostrings, inittasks, itabs, moduledata, symtab, types
from goforensics.sections.protocol import Source
from goforensics.sections.typewalk import INTERFACE
from goforensics.sets import distinct

Numbers = NDArray[np.int64]
RUNTIME = "runtime"
VARIABLE, READ_ONLY = "variable", "read-only data"  # structures of what no other structure holds
Free = Sequence[tuple[int, int, bool]]  # memory (start, end, whether it holds variables) to be told apart


class Evidence(msgspec.Struct):
    """What is gathered; addresses throughout."""

    known: list[Extents] = []
    fixed: list[tuple[Words, Numbers]] = []  # (start of an object, its package)
    edges: list[tuple[Words, Words]] = []  # (from, to)
    interfaces: Words = msgspec.field(default_factory=lambda: np.empty(0, np.uint64))  # types of interfaces
    symbols: dict[int, str] = {}  # by address, where there is a symbol table


def gather(source: Source, free: Free, names: PackageNames, package_at: Callable[[Words], Numbers]) -> Evidence:
    """Ask every structure; one that is absent or broken tells nothing.  `package_at` knows whose function is where."""
    gatherer = _Gatherer(source, free, names, package_at)
    for step in gatherer.steps():
        try:
            step()
        except FormatError:
            continue  # noted by the parser; its bytes are cut like any others
    return gatherer.found


class _Gatherer:
    def __init__(self, source: Source, free: Free, names: PackageNames, package_at: Callable[[Words], Numbers]) -> None:
        self.source, self.image = source, source.image
        self.free, self.names, self.package_at = free, names, package_at
        self.module = source.read(moduledata.PARSER)
        self.found = Evidence()

    def steps(self) -> Sequence[Callable[[], None]]:
        """In order: an extent that is named first keeps its bytes."""
        return self._module, self._types, self._itabs, self._tasks, self._masks, self._well_known, self._symbols

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
        self.found.fixed.append((known.address, fixed))
        for owner, start, _ in known.parts.values():
            self.found.fixed.append((start, fixed[types.index(known.address, owner)]))
            self.found.edges.append((owner, start))

    def _described(self, known: types.Types) -> None:
        """Extents of types and names, and what leads from one to the other."""
        self.found.known += [Extents(name, start, end) for name, (_, start, end) in known.parts.items()]
        self.found.known.append(Extents("type/name", known.name_start, known.name_end))
        self.found.edges.append(known.edges)
        self.found.interfaces = known.address[known.kind == INTERFACE]

    def _itabs(self) -> None:
        found, known = self.source.read(itabs.PARSER), self.source.read(types.PARSER)
        self.found.known.append(Extents("itab", found.start, found.end))
        concrete = known.address[found.concrete]
        self.found.edges += [
            (concrete, found.start),
            (found.start, concrete),
            (found.start, known.memory.word(found.start)),
        ]

    def _tasks(self) -> None:
        found = self.source.read(inittasks.PARSER)
        self.found.known.append(Extents("inittask", found.start, found.end))
        count, start = self.module.fields.get("inittasks.len", 0), self.module.fields.get("inittasks", 0)
        self._fix("inittasks", start, count * self.image.pointer_size, RUNTIME)
        self.found.fixed.append((found.start, self.package_at(found.function)))

    def _fix(self, structure: str, start: int, size: int, package: str) -> None:
        """One object that is known to be a package's."""
        at, end = np.array([start], np.uint64), np.array([start + size], np.uint64)
        self.found.known.append(Extents(structure, at, end))
        self.found.fixed.append((at, np.array([self.names[package]])))

    def _module(self) -> None:
        """moduledata, whose fields after the last known one follow; and what the linker lists for the runtime."""
        size = len(self.module.fields) * self.image.pointer_size
        self._fix("moduledata", self.module.address, size, RUNTIME)
        behind = np.array([self.module.address + size], np.uint64)
        self.found.fixed.append((behind, np.array([self.names[RUNTIME]])))
        for name, width in (("typelinks", 4), ("itablinks", self.image.pointer_size)):
            if self.module.fields.get(f"{name}.len"):
                self._fix(name, self.module.fields[name], self.module.fields[f"{name}.len"] * width, RUNTIME)

    def _masks(self) -> None:
        """The types' pointer masks, and the programs for the data segments."""
        low, high = self.source.read(gostrings.PARSER).masks
        known = self.source.read(types.PARSER)
        start = distinct(known.gcdata[(known.gcdata >= low) & (known.gcdata < high)])
        self.found.known.append(Extents("type/pointer mask", start, np.r_[start[1:], np.uint64(high)][: len(start)]))
        fields = self.module.fields
        programs = np.sort(np.array([fields["gcdata"], fields["gcbss"]], np.uint64))
        self.found.fixed.append((programs, np.full(2, self.names[RUNTIME])))

    def _well_known(self) -> None:
        """runtime.staticuint64s, whose words are pointed at one by one, which would cut it up; go:fipsinfo."""
        for start, end, _ in self.free:
            fips = wellknown.fips_info(self.image, start, end)
            if fips is not None:
                self._fix("fipsinfo", *fips, "crypto/internal/fips140/check")
            at = wellknown.small_numbers(self.image, start, end)
            if at is not None:
                self._fix(VARIABLE, at, 8 * wellknown.NUMBERS, RUNTIME)

    def _symbols(self) -> None:
        """The symbols that lie in the free memory, and the packages that their names tell."""
        table = self.source.read(symtab.PARSER)
        inside = np.zeros(table.count, bool)
        for start, end, _ in self.free:
            inside |= (table.value >= start) & (table.value < end)
        rows = np.flatnonzero(inside & (table.section > 0))
        pairs = zip(table.value[rows].tolist(), table.names(rows), strict=True)
        self.found.symbols = {at: name for at, name in pairs if "." in name}
        packages = {at: package_of(name) for at, name in self.found.symbols.items()}
        address = np.array([at for at, name in packages.items() if name], np.uint64)
        number = np.array([self.names[name] for name in packages.values() if name], np.int64)
        self.found.fixed.append((address, number))
