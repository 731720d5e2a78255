"""Go strings: the text of string constants, which the linker lays end to end, shortest first, without terminators.

Only the start of a string is ever pointed at; its length lies in code or in a header elsewhere.  But all of them are
in one dense area, sorted by size: a string ends where the next one begins, and a start that would make one shorter
than its predecessor is none.  Source of truth: Go's cmd/link/internal/ld/data.go (dodataSect), symtab.go (go:string.*).
"""

from __future__ import annotations

import msgspec
import numpy as np

from goforensics.containers.image import Words
from goforensics.errors import require
from goforensics.sections import functions, moduledata, pclntab, references, types
from goforensics.sections.arrays import Offsets
from goforensics.sections.moduledata import ModuleData
from goforensics.sections.protocol import Parser, Source
from goforensics.sections.region import region
from goforensics.sets import among, distinct

STRUCTURE = "strings"
PIECES = 64  # that a string may be cut into
MASK = 1024  # bytes of a pointer mask, at most: longer ones are made when the program runs


class Strings(msgspec.Struct, frozen=True, eq=False):
    """The area of the strings, and what can be told apart in it and right behind."""

    start: int  # address of the first
    end: int  # address past the last
    masks: tuple[int, int]  # addresses of the types' pointer masks (runtime.gcbits.*)


def decode(source: Source) -> Strings:
    """Find the area.  FormatError if there is no moduledata or no types, between which and others it lies."""
    module, known = source.read(moduledata.PARSER), source.read(types.PARSER)
    start = _start(source, module, known)
    masks = _masks(module, known, start)
    ends = [masks[0], _function_data(source, module), _closures(source, known, start, masks[0])]
    end = min((at for at in ends if at > start), default=0)
    require(start < end, "nothing says where they end", STRUCTURE, 0)
    return Strings(start, end, masks)


def _start(source: Source, module: ModuleData, known: types.Types) -> int:
    """Where read-only data begins, or behind the types where these come first."""
    rodata = module.fields.get("rodata", module.types)
    segment = next((s for s in source.image.segments if s.address <= rodata < s.address + s.file_size), None)
    require(segment is not None, "read-only data is not in the file", STRUCTURE, 0)
    if not rodata <= module.types < rodata + 64:
        return rodata
    return int(max(known.end.max(initial=0), known.name_end.max(initial=0)))


def _masks(module: ModuleData, known: types.Types, start: int) -> tuple[int, int]:
    """The types' masks lie before those of the data segments; a short one may share its bytes with a string."""
    end = min(module.gcdata, module.gcbss)
    mine = distinct(known.gcdata[(known.gcdata >= start) & (known.gcdata < end)]).astype(np.int64)
    apart = np.flatnonzero(np.diff(np.r_[mine, end]) > MASK)
    first = int(apart[-1]) + 1 if len(apart) else 0
    return (int(mine[first]), end) if first < len(mine) else (end, end)


def _function_data(source: Source, module: ModuleData) -> int:
    """Where function data begins; 0 if the pclntab holds it."""
    if "gofunc" in module.fields:
        return module.gofunc
    used = source.read(pclntab.PARSER).funcdata.value
    return int(used.min(initial=0)) if len(used) else 0


def _closures(source: Source, known: types.Types, start: int, end: int) -> int:
    """The first word between strings and masks that is pointed at and that holds a function's entry; or 0.

    Some are pointed at by types alone: the functions that compare values.
    """
    pointer = source.image.pointer_size
    targets = distinct(np.r_[source.read(references.PARSER).targets, known.edges[1]])
    inside = targets[(targets >= start) & (targets < end) & (targets % pointer == 0)]
    words = region(source.image, start, end, STRUCTURE).word(inside)
    entries = inside[among(words, source.read(functions.PARSER).address)]
    return int(entries.min()) if len(entries) else 0


def starts(area: tuple[int, int], pointed: Words) -> Words:
    """(s,) where strings begin in `area`, of the addresses `pointed` at (increasing), increasing, the area's first.

    Sizes do not decrease: a start after which they do is false, unless the string before it swallowed one that
    nothing points at.
    """
    low, high = area
    start = distinct(np.r_[low, pointed[(pointed >= low) & (pointed < high)]].astype(np.int64))
    while True:
        false = _false_starts(np.diff(np.r_[start, high]))
        if not len(false):
            return start.astype(np.uint64)
        start = np.delete(start, false)


def _false_starts(size: Offsets) -> Offsets:
    """Of strings of these sizes, which begin where none does: no two neighbours, so that sizes can be taken anew.

    Where sizes drop at d, string d was cut in two by a false start behind it, or it is itself the second half of d-1;
    whichever makes the sizes rise again if it is undone.  If neither does, d may have been cut more than once; or d-1
    is merely too long, for a start that nothing points at is missing.
    """
    drop = np.flatnonzero(size[1:-2] < size[:-3]) + 1  # the last swallows the padding, and is no measure
    before = np.where(drop > 1, size[drop - 2], 0)
    behind = size[drop] + size[drop + 1]
    fits_behind = (behind >= size[drop - 1]) & (behind <= size[np.minimum(drop + 2, len(size) - 1)])
    joined = size[drop - 1] + size[drop]
    fits_before = (joined >= before) & (joined <= size[drop + 1])
    missing = (size[drop - 1] > before) & (size[drop] >= before)
    later = np.minimum(drop[:, None] + np.arange(2, PIECES), len(size) - 1)
    again = (size[drop + 1] < size[drop - 1]) & (behind <= size[later].max(axis=1, initial=0))
    cut = fits_behind | (~fits_before & ~missing & again)
    false: Offsets = np.where(cut, drop + 1, drop)[cut | (fits_before & ~missing)]
    return false[np.r_[True, np.diff(false) > 1]] if len(false) else false


PARSER = Parser(STRUCTURE, decode)
