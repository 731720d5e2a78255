"""Data objects: the loaded data of a program cut where something begins, each piece with what it is.

What is known by structure (types, names, itabs, masks, tasks) keeps its extent.  In what is left a piece begins where
code or data points, and runs to the next one.  The linker keeps only what is reached, so nearly every symbol's start
is pointed at.  Addresses throughout.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Words
from goforensics.sets import among, distinct

Flags = NDArray[np.bool_]
LARGE, VERY_LARGE = 256, 4096  # bytes: what is worth a doubt at odd addresses, and at others
MARKER = 8  # bytes: what is smaller before a large object is a symbol that only marks a place
NEIGHBOURS = 9  # objects before one that show how large it should be
ALIGNMENT = 32  # the most that the linker leaves between two


class Extents(msgspec.Struct, frozen=True):
    """Objects whose bounds are known: `[start, end)` of one structure."""

    structure: str
    start: Words  # (n,)
    end: Words  # (n,)


class Objects(msgspec.Struct, frozen=True, eq=False):
    """The pieces (p,), in order and disjoint."""

    start: Words
    end: Words
    structure: NDArray[np.int32]  # index into `structures`
    structures: list[str]
    pointed: Flags  # whether something points at its start
    plain: Flags  # whether no structure tells its extent

    def of(self, *structures: str) -> Flags:
        """(p,) which pieces are of one of these structures."""
        wanted: Flags = np.array([name in structures for name in self.structures], bool)
        return wanted[self.structure] if len(wanted) else np.zeros(len(self.start), bool)

    def at(self, addresses: Words) -> NDArray[np.int64]:
        """(n,) the piece that holds each address, -1 for none."""
        if not len(self.start):
            return np.full(len(addresses), -1)
        found = np.searchsorted(self.start, addresses, side="right") - 1
        inside = (found >= 0) & (addresses < self.end[np.maximum(found, 0)])
        return np.where(inside, found, -1)


def cut(free: Sequence[tuple[int, int, str]], known: Sequence[Extents], starts: Words) -> Objects:
    """Cut the memory `free` (start, end, what its pieces are) by what is `known` and, elsewhere, at `starts`.

    Of two known extents that lie over one another the one that begins first, or is named first, keeps its bytes.
    """
    structures = list(dict.fromkeys([*(extent.structure for extent in known), *(name for _, _, name in free)]))
    number = {name: i for i, name in enumerate(structures)}
    start, end, code = _disjoint(known, number)
    areas = sorted(free)
    low = np.array([a for a, _, _ in areas], np.uint64)
    high = np.array([b for _, b, _ in areas], np.uint64)
    inner = _outside(starts, start, end)
    marks = distinct(np.concatenate([start, end, inner, low, high]))
    area = np.searchsorted(low, marks, side="right") - 1
    held = (area >= 0) & (marks < high[np.maximum(area, 0)]) if len(low) else np.zeros(len(marks), bool)
    begins, area = marks[held], area[held]
    stops = np.minimum(np.r_[marks[1:], marks[-1:]][held], high[area])
    which = np.searchsorted(start, begins, side="right") - 1
    inside = (which >= 0) & (begins < end[np.maximum(which, 0)]) if len(start) else np.zeros(len(begins), bool)
    kind = np.array([number[name] for _, _, name in areas], np.int32)[area]
    structure = np.where(inside, code[np.maximum(which, 0)] if len(code) else 0, kind).astype(np.int32)
    return Objects(begins, stops, structure, structures, among(begins, starts), ~inside)


def false_starts(found: Objects, doubtful: Words) -> Words:
    """Of the addresses `doubtful`, those where most likely nothing begins: they cut a large object in two.

    The linker sorts the objects of a section by size; of what a false start leaves, one part is out of order.  Few
    large objects begin at odd addresses, so these are doubted sooner.
    """
    size = (found.end - found.start).astype(np.int64)
    here = np.flatnonzero(among(found.start, doubtful) & found.plain)
    here = here[here >= NEIGHBOURS]
    least = np.where(found.start[here] % 4 > 0, LARGE, VERY_LARGE)
    here = here[(size[here] + size[here - 1] >= least) & (found.end[here - 1] == found.start[here])]
    here = here[size[here - 1] >= MARKER]
    usual = np.median(size[here[:, None] - np.arange(2, NEIGHBOURS + 1)], axis=1) if len(here) else np.empty(0)
    small = (size[here - 1] < usual - ALIGNMENT) | (size[here] < size[here - 1] - ALIGNMENT)
    false: Words = found.start[here[small]]
    return false


def _disjoint(known: Sequence[Extents], number: dict[str, int]) -> tuple[Words, Words, NDArray[np.int32]]:
    """(start, end, structure) of all extents in order; one that begins inside another, or is empty, is dropped."""
    empty = np.empty(0, np.uint64)
    start = np.concatenate([empty, *(extent.start for extent in known)])
    end = np.concatenate([empty, *(extent.end for extent in known)])
    code = np.repeat([number[extent.structure] for extent in known], [len(e.start) for e in known]).astype(np.int32)
    order = np.argsort(start, kind="stable")
    start, end, code = start[order], end[order], code[order]
    keep = end > start
    start, end, code = start[keep], end[keep], code[keep]
    reach = np.maximum.accumulate(end) if len(end) else end
    clear = np.r_[True, start[1:] >= reach[:-1]][: len(start)]
    return start[clear], end[clear], code[clear]


def _outside(addresses: Words, start: Words, end: Words) -> Words:
    """Those of `addresses` that do not lie inside an extent."""
    if not len(start):
        return addresses
    which = np.searchsorted(start, addresses, side="right") - 1
    return addresses[(which < 0) | (addresses >= end[np.maximum(which, 0)])]
