"""The debug sections, each byte to the package that it is about, by the compile unit that holds it.

Go names a unit by its import path; units of other languages are cgo's, "(C)".  A compressed section cannot be cut in
the file: it is one range, which its packages share by the bytes that they have in it once it is inflated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.analysis.modules import C
from goforensics.analysis.packages import PackageNames, Packages, path_of
from goforensics.analysis.vocabulary import Holdings
from goforensics.containers.image import Image, Words
from goforensics.errors import FormatError
from goforensics.sections import dwarf, dwarf_parts
from goforensics.sections.arrays import Offsets
from goforensics.sections.dwarf import DebugSection, DwarfTables
from goforensics.sections.dwarf_units import Unit
from goforensics.sections.functions import Functions
from goforensics.sections.protocol import Source

Weights = NDArray[np.float64]
Content = bytes | bytearray
NONE = np.empty(0, np.int64)


class _Cut(msgspec.Struct, frozen=True, eq=False):
    """An inflated section as ranges (m,), and the packages that have each."""

    start: Offsets  # (m,)
    end: Offsets  # (m,)
    item: Offsets  # (u,) not decreasing
    package: Offsets  # (u,)
    weight: Weights  # (u,) greater than 0
    function: Offsets | None = None  # (m,) the function that a range is about, -1 for none


class _Code(msgspec.Struct, frozen=True, eq=False):
    """Where functions are, and their packages."""

    placed: Functions
    package: Offsets  # (n,) -1 for none

    def at(self, address: Words) -> Offsets:
        """(m,) the function at each address, -1 for none."""
        start = self.placed.address
        if not len(start):
            return np.full(len(address), -1, np.int64)
        found = np.maximum(np.searchsorted(start, address, side="right") - 1, 0)
        inside = (address >= start[found]) & (address < start[found] + self.placed.size[found].astype(np.uint64))
        return np.where(inside, found, -1)


class _Program(msgspec.Struct, frozen=True, eq=False):
    """What sections are cut by."""

    image: Image
    tables: DwarfTables
    names: PackageNames
    package: Offsets  # (n,) of each unit, -1 for none
    weight: Weights  # (n,) bytes of each unit in .debug_info
    code: _Code | None

    def content(self, name: str) -> Content:
        """A section, inflated.  FormatError if it is broken."""
        return dwarf.section_bytes(self.image, self.tables, name)


def holdings(
    source: Source, names: PackageNames, packages: Packages | None, placed: Functions | None
) -> list[Holdings]:
    """Each debug section's ranges with their packages.

    FormatError if there are no debug sections; a section that cannot be cut is one range without an owner.
    """
    tables = source.read(dwarf.PARSER)
    code = _code(names, packages, placed)
    package, weight = _packages(tables.units, names)
    return list(_all(_Program(source.image, tables, names, package, weight, code)))


def _packages(units: Sequence[Unit], names: PackageNames) -> tuple[Offsets, Weights]:
    """(n,) the package of each unit and its bytes."""
    called = [path_of(unit.name or "") if unit.is_go else C for unit in units]
    package = np.array([names[name] if name else -1 for name in called], np.int64)
    return package, np.array([max(unit.places.size, 1) for unit in units], np.float64)


def _code(names: PackageNames, packages: Packages | None, placed: Functions | None) -> _Code | None:
    if packages is None or placed is None:
        return None
    number = np.array([names[name] if name else -1 for name in packages.names], np.int64)
    return _Code(placed, number[packages.codes])


def _all(program: _Program) -> Iterator[Holdings]:
    """Sections in file order.  Of several with one name only the first is read, as by everybody else."""
    seen: set[str] = set()
    for section in program.tables.sections:
        cut = _uncut(section)
        if section.name not in seen:
            seen.add(section.name)
            cut = _cut(section, program)
        yield from _compressed(section, cut) if section.section.compression else _plain(section, cut)


def _uncut(section: DebugSection) -> _Cut:
    """One range without an owner."""
    return _Cut(np.zeros(1, np.int64), np.array([section.uncompressed_bytes]), NONE, NONE, np.empty(0))


def _cut(section: DebugSection, program: _Program) -> _Cut:
    try:
        if section.name == dwarf_parts.FRAME and program.code is not None:
            return _frames(program, program.code)
        return _parts(section, program)
    except FormatError:
        return _uncut(section)


def _parts(section: DebugSection, program: _Program) -> _Cut:
    """By unit; what several units have, they share by their bytes in .debug_info."""
    units, order = program.tables.units, program.image.order
    found = dwarf_parts.parts(section.name, section.uncompressed_bytes, units, program.content, order)
    package = program.package[found.unit]
    return _Cut(found.start, found.end, *_merged(found.item, package, program.weight[found.unit]))


def _merged(item: Offsets, package: Offsets, weight: Weights) -> tuple[Offsets, Offsets, Weights]:
    """Each pair once, the weights added, pairs without a package left out."""
    known = package >= 0
    width = int(package.max(initial=0)) + 1
    pairs, place = np.unique((item * width + package)[known], return_inverse=True)
    total = np.bincount(place, weights=weight[known], minlength=len(pairs)).astype(np.float64)
    return pairs // width, pairs % width, total


def _frames(program: _Program, code: _Code) -> _Cut:
    """By function; records of code that is not Go's are C's, and a common part is shared by those that refer to it."""
    raw = program.content(dwarf_parts.FRAME)
    found = dwarf_parts.frames(raw, program.image.order, program.image.pointer_size)
    count = len(found.start)
    if not count:
        raise FormatError("no records", structure=dwarf_parts.FRAME)
    function = code.at(found.address)
    every, start, end = np.arange(count), np.r_[0, found.start[1:]], np.r_[found.start[1:], len(raw)]
    about = found.common != every
    package = code.package[function] if len(code.package) else function
    if (about & (function < 0)).any():
        package = np.where(function < 0, program.names[C], package)
    item, user = np.r_[every[about], found.common[about]], np.r_[every[about], every[about]]
    there = item >= 0
    merged = _merged(item[there], package[user[there]], (end - start)[user[there]].astype(np.float64))
    return _Cut(start, end, *merged, function=np.where(about, function, -1))


def _compressed(section: DebugSection, cut: _Cut) -> Iterator[Holdings]:
    """The whole section, to its packages by their inflated bytes."""
    each = np.bincount(cut.item, weights=cut.weight, minlength=len(cut.start))
    part = (cut.end - cut.start)[cut.item] * cut.weight / each[cut.item]
    _, package, weight = _merged(np.zeros(len(cut.item), np.int64), cut.package, part)
    some = weight > 0
    yield _holdings(section, np.zeros(1, np.int64), np.array([section.file_bytes]), package[some], weight=weight[some])


def _plain(section: DebugSection, cut: _Cut) -> Iterator[Holdings]:
    """Range by range; those about functions to these, the others to packages."""
    function = np.full(len(cut.start), -1) if cut.function is None else cut.function
    by_function = np.flatnonzero(function >= 0)
    if len(by_function):
        yield _holdings(section, cut.start[by_function], cut.end[by_function], function[by_function], of_packages=False)
    rest = np.flatnonzero(function < 0)
    mine = np.isin(cut.item, rest)
    item = np.searchsorted(rest, cut.item[mine])
    yield _holdings(section, cut.start[rest], cut.end[rest], cut.package[mine], item=item, weight=cut.weight[mine])


def _holdings(
    section: DebugSection,
    start: Offsets,
    end: Offsets,
    owner: Offsets,
    *,
    item: Offsets | None = None,
    weight: Weights | None = None,
    of_packages: bool = True,
) -> Holdings:
    """Ranges of a section, moved to where it lies and kept within it; without `item`, one after another or all one."""
    name = section.name.lstrip(".")
    if item is None:
        item = np.arange(len(owner)) if not of_packages else np.zeros(len(owner), np.int64)
    base, size = section.section.offset, section.file_bytes
    start, end = (np.clip(side, 0, size) + base for side in (start, end))
    return Holdings(f"debug.{name}", "debug", name, start, end, item, owner, weight, of_packages, origin="debug")
