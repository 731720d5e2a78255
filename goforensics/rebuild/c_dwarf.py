"""What C objects' debug data comes to where -w leaves it in: externally linked files up to Go 1.25.

Go's linker then leaves out its own debug data and tells the system's linker to strip nothing.  What C units have of
each section is cut out of the file in hand and compressed as GNU ld does.  Offsets from one section into another are
others in the rebuild, so a section comes out a few bytes longer or shorter: the result is bounded.

Source of truth: Go's src/cmd/link/internal/ld/lib.go (hostlink); binutils' bfd/compress.c.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.rebuild import line_tables
from goforensics.rebuild.contents import Declined
from goforensics.sections import dwarf, dwarf_parts
from goforensics.sections.arrays import Offsets
from goforensics.sections.dwarf import DwarfTables
from goforensics.sections.dwarf_forms import INFO
from goforensics.sections.dwarf_units import Unit
from goforensics.sections.protocol import Parser
from goforensics.sets import distinct

T = TypeVar("T")
LEVEL = 6  # zlib's own default, which bfd takes
CHDR = {64: 24, 32: 12}  # bytes of SHF_COMPRESSED's header
ZDEBUG = 12  # bytes of .zdebug_'s
DOUBT = 8  # bytes by which a compressed section may be longer or shorter, and what rounding makes of it
SHARE = 100  # or one in so many of its bytes
LINE = ".debug_line"
LEAST = 4096  # smaller numbers are not taken for offsets
ABBREV = ".debug_abbrev"
GO_ONLY = frozenset({dwarf_parts.FRAME, ".debug_gdb_scripts"})  # C compilers write .eh_frame
DWARF_5 = frozenset({".debug_loclists", ".debug_rnglists", ".debug_addr", ".debug_str_offsets"})
REFERRED = (LINE, ".debug_loclists", ".debug_rnglists", ".debug_loc", ".debug_ranges")


@dataclass(frozen=True, slots=True)
class _Source:
    """An image that is asked for its DWARF and nothing else."""

    image: Image

    def read(self, parser: Parser[T]) -> T:
        """Decode anew, each time."""
        return parser.decode(self)


def kept(image: Image, *, trimmed: bool = False) -> tuple[dict[int, int], int]:
    """(bytes in the file by the offset of the section now, for those that stay; by how much the sum may be off).

    `trimmed`: -trimpath gives the sources of C other paths, too.  Inflates the file's debug data.  Declined if what
    is whose cannot be told.
    """
    try:
        tables = dwarf.decode(_Source(image))
        if tables.problems:
            raise Declined(f"debug data that cannot be read: {tables.problems[0]}")
        found = dict(_sizes(image, tables))
        paths = sum(line_tables.paths_in(image, s.section) for s in tables.sections) if trimmed and found else 0
    except FormatError as error:
        if error.absent:
            return {}, 0
        raise Declined(f"debug data that cannot be read: {error}") from None
    return found, paths + sum(max(DOUBT, size // SHARE) for size in found.values())


def _sizes(image: Image, tables: DwarfTables) -> Iterator[tuple[int, int]]:
    """Offset of the section now, and its bytes in the file then."""
    squeezed = next((s.section.compression for s in tables.sections if s.section.compression), None)
    header = 0 if squeezed is None else ZDEBUG if squeezed == "zdebug" else CHDR[image.bits]
    cuts = {s.name: cut for s in tables.sections if (cut := _cut(image, tables, s.name)).content}
    for section in tables.sections:
        if section.name in cuts:
            content = _referring(section.name, cuts, tables.units, image.order)
            packed = header + len(zlib.compress(content, LEVEL)) if header else len(content)
            yield section.section.offset, min(packed, len(content))


@dataclass(frozen=True)
class _Cut:
    """What C units have of a section, inflated, end to end."""

    content: bytes
    starts: Offsets  # (m,) where each piece begins now
    ends: Offsets  # (m,)

    @cached_property
    def moves(self) -> Offsets:
        """(m,) what is to be added to an offset into a piece."""
        moved: Offsets = np.r_[0, np.cumsum(self.ends - self.starts)][:-1] - self.starts
        return moved


def _cut(image: Image, tables: DwarfTables, name: str) -> _Cut:
    def inflated(wanted: str) -> bytes | bytearray:
        return dwarf.section_bytes(image, tables, wanted)

    theirs = np.array([not unit.is_go for unit in tables.units], bool)
    if name in GO_ONLY or not theirs.any():
        return _joined(b"", np.empty(0, np.int64), np.empty(0, np.int64))
    raw = inflated(name)
    if name in DWARF_5 and not any(unit.is_go and unit.version >= 5 for unit in tables.units):
        return _joined(raw, np.array([0]), np.array([len(raw)]))
    parts = dwarf_parts.parts(name, len(raw), tables.units, inflated, image.order)
    items = np.unique(parts.item[theirs[parts.unit]])
    return _joined(raw, parts.start[items], parts.end[items])


def _joined(raw: bytes | bytearray, starts: Offsets, ends: Offsets) -> _Cut:
    pieces = (raw[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    return _Cut(b"".join(pieces), starts, ends)


def _referring(name: str, cuts: Mapping[str, _Cut], units: Sequence[Unit], order: str) -> bytes:
    """A section's content with offsets into other sections as they will be: smaller numbers compress better.

    Most are told by their value; abbreviations' offsets, which are small, by their place.
    """
    content = np.frombuffer(cuts[name].content, np.uint8).copy()
    if name == INFO:
        for target in REFERRED:
            if target in cuts:
                _move(content, cuts[target], _known(target, cuts[target], units), order)
        _move_abbreviations(content, cuts, units, order)
    elif name in dwarf_parts.INDEXES and INFO in cuts:
        _move(content, cuts[INFO], np.array([unit.offset for unit in units], np.int64), order)
    return content.tobytes()


def _known(name: str, cut: _Cut, units: Sequence[Unit]) -> Offsets:
    """The offsets in a section that units may refer to, increasing: of line programs, or behind the end of a list."""
    if name == LINE:
        return distinct(np.array([unit.stmt_list for unit in units if unit.stmt_list is not None], np.int64))
    ends = np.flatnonzero(np.frombuffer(cut.content, np.uint8) == 0) + 1  # where in the rebuild's section
    piece = np.searchsorted(cut.starts + cut.moves, ends, side="right") - 1
    return np.asarray(ends - cut.moves[piece], np.int64)


def _move(content: NDArray[np.uint8], target: _Cut, known: Offsets, order: str) -> None:
    """Change what is an offset into `target` by its value, in place."""
    if not target.moves.any():
        return
    for shift in range(min(4, len(content) // 4)):
        words = content[shift : shift + (len(content) - shift) // 4 * 4].view(f"{order}u4")
        at = np.flatnonzero((words >= LEAST) & np.isin(words, known))
        piece = np.searchsorted(target.starts, words[at], side="right") - 1
        good = (piece >= 0) & (words[at] < target.ends[piece])
        words[at[good]] = words[at[good]].astype(np.int64) + target.moves[piece[good]]


def _move_abbreviations(
    content: NDArray[np.uint8], cuts: Mapping[str, _Cut], units: Sequence[Unit], order: str
) -> None:
    table, own = cuts.get(ABBREV), cuts[INFO]
    for unit in (unit for unit in units if not unit.is_go):
        piece = int(np.searchsorted(own.starts, unit.offset, side="right")) - 1
        place = unit.offset + int(own.moves[piece]) + (8 if unit.version >= 5 else 6)
        at = unit.places.at.get(ABBREV, 0)
        if table is None or unit.offset_size != 4 or not 0 <= place <= len(content) - 4:
            continue
        held = int(np.searchsorted(table.starts, at, side="right")) - 1
        if held >= 0:
            content[place : place + 4].view(f"{order}u4")[0] = at + int(table.moves[held])
