"""Where in the file each path of the build machine lies, for those who ask: `leaks` counts without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import msgspec

from goforensics.analysis.leaks import Found, found
from goforensics.analysis.paths import Roots, is_leak
from goforensics.binary import Binary
from goforensics.containers.image import Section
from goforensics.errors import FormatError
from goforensics.sections import buildinfo, dwarf
from goforensics.sections.dwarf import DebugSection
from goforensics.sections.search import find_all

TEXTS = (".debug_info", ".debug_line_str", ".debug_str")  # where a unit's own strings may be


class Place(msgspec.Struct, frozen=True):
    """One path where it lies.  What is inside of a compressed section has that section's place."""

    path: str
    where: str  # as in `report.LeakGroup`; "dwarf (C)" for what a C compiler wrote
    offset: int | None  # in the image; None where its text is not in the file as it is read
    length: int
    note: str = ""  # "inside compressed .debug_line"
    copy_of: str = ""  # the `where` of the line that these bytes repeat


def places(binary: Binary, roots: Roots) -> Iterator[Place]:
    """Every path that `is_leak`, the second copy of the module information included, in the order of `found`."""
    finder = _Finder(binary)
    for each in found(binary, roots):
        if is_leak(each.path):
            yield from finder.places(each)


def modinfo_copies(binary: Binary) -> list[int]:
    """Offsets of the module information's copies, that of the build information first.

    cmd/go hands it to the linker as the variable runtime.modinfo, which copies it into .go.buildinfo since Go 1.18.
    """
    info = binary.maybe(buildinfo.PARSER)
    if info is None or not info.mod_size:
        return []
    text = bytes(binary.image.data[info.mod_offset : info.mod_offset + info.mod_size])
    others = [at for at in find_all(binary.image.data, text) if at != info.mod_offset]
    return [info.mod_offset, *others]


class _Finder:
    """The state of one search: what is looked up once."""

    def __init__(self, binary: Binary) -> None:
        self.binary, self.image = binary, binary.image
        self.tables = binary.maybe(dwarf.PARSER)

    def places(self, each: Found) -> Iterator[Place]:
        """Where a path is: usually one place."""
        if each.where.startswith("buildinfo:"):
            yield from self._recorded(each)
        elif each.where in ("rpath", "runpath"):
            yield self._run_path(each)
        elif each.section or each.unit >= 0:
            yield self._debug(each)
        else:
            yield Place(each.path, each.where, each.at, each.length)

    def _recorded(self, each: Found) -> Iterator[Place]:
        """In its line, and in every other copy of that line."""
        offset, length = self._within(each.path, each.at, each.length)
        copies = self._copies
        yield Place(each.path, each.where, offset, length)
        for copy in copies[1:]:
            yield Place(
                each.path, "rodata", offset - copies[0] + copy, length, f"runtime.modinfo, as {each.where}", each.where
            )

    @cached_property
    def _copies(self) -> Sequence[int]:
        return modinfo_copies(self.binary)

    def _within(self, path: str, start: int, size: int) -> tuple[int, int]:
        """Of a path inside of a line; the whole line if it is written otherwise there: quoted, say."""
        needle = _raw(path)
        at = bytes(self.image.data[start : start + size]).find(needle)
        return (start + at, len(needle)) if at >= 0 else (start, size)

    def _run_path(self, each: Found) -> Place:
        """In the strings for the dynamic linker: ends at a NUL, or at the colon between two."""
        needle = _raw(each.path)
        for section in self._dynamic_strings:
            raw = bytes(self.image.data[section.offset : section.offset + section.file_size])
            for ending in (b"\0", b":"):
                at = raw.find(needle + ending)
                if at >= 0:
                    return Place(each.path, each.where, section.offset + at, len(needle))
        found = next(find_all(self.image.data, needle + b"\0"), None) if needle else None
        return Place(each.path, each.where, found, len(needle))

    @cached_property
    def _dynamic_strings(self) -> list[Section]:
        return [s for s in self.image.sections if s.name == ".dynstr" and s.file_size]

    def _debug(self, each: Found) -> Place:
        unit = self.tables.units[each.unit] if self.tables and each.unit >= 0 else None
        where = f"{each.where} (C)" if unit is not None and unit.is_c else each.where
        names = [each.section] if each.section else [n for n in TEXTS if unit is None or n in unit.places.texts]
        for name in names or TEXTS:
            section = self._section(name)
            if section is None:
                continue
            if section.section.compression:
                note = f"inside compressed {name}"
                return Place(each.path, where, section.section.offset, section.file_bytes, note)
            start = each.at if each.section else unit.offset if unit and name == TEXTS[0] else 0
            at = self._text(section, each.path, start)
            if at is not None:
                return Place(each.path, where, at, each.size)
        return Place(each.path, where, None, 0)

    def _section(self, name: str) -> DebugSection | None:
        return next((s for s in self.tables.sections if s.name == name), None) if self.tables else None

    def _text(self, section: DebugSection, path: str, start: int) -> int | None:
        """The offset in the image of a NUL-ended text of an uncompressed section, from `start` on."""
        try:
            raw = self.image.bytes_at(section.section.offset, section.file_bytes, section.name)
        except FormatError:
            return None
        at = next(find_all(raw[start:], _raw(path) + b"\0"), None)
        return None if at is None else section.section.offset + start + at


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
