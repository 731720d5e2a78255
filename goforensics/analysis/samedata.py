"""Whether the data that two builds load is the same, up to addresses.

Only for builds that lay out every section of data with the same length: then each word that differs must be an
address in both.  What the linker writes about the program itself is left out: its function table, moduledata, notes
and the build information, of which the other tables of a comparison tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goforensics.binary import Binary
from goforensics.containers.image import Section
from goforensics.errors import FormatError
from goforensics.sections import buildinfo, moduledata, pclntab

LINKERS = ("gopclntab", "note", "buildinfo", "build-id", "go.module", "go_module", "fipsinfo", "dyn", "rel", "hash")
Words = NDArray[np.uint64]


def same_data(one: Binary, other: Binary) -> bool:
    """True only if it is proven."""
    mine, theirs = _sections(one), _sections(other)
    if [s.name for s in mine] != [s.name for s in theirs] or not mine:
        return False
    return all(_same(one, s, other, t) for s, t in zip(mine, theirs, strict=True))


def _sections(binary: Binary) -> list[Section]:
    found = [s for s in binary.image.sections if s.role == "data" and s.file_size and s.address]
    return [s for s in found if not any(word in s.name for word in LINKERS)]


def _same(one: Binary, mine: Section, other: Binary, theirs: Section) -> bool:
    if mine.file_size != theirs.file_size or mine.address % 8 != theirs.address % 8:
        return False
    try:
        words, others = _loaded(one, mine), _loaded(other, theirs)
    except FormatError:
        return False
    differ = np.flatnonzero((words != others) & ~_left_out(one, mine, len(words)))
    return bool(np.all(_addresses(one, words[differ]) & _addresses(other, others[differ])))


def _loaded(binary: Binary, section: Section) -> Words:
    """The section's words once the loader has run; what is left of the last one must be in the file, too."""
    size = binary.image.pointer_size
    return binary.image.words(section.address, section.file_size // size, section.name)


def _left_out(binary: Binary, section: Section, count: int) -> NDArray[np.bool_]:
    """(n,) the words of what the linker writes about the program."""
    pointer = binary.image.pointer_size
    found = np.zeros(count, bool)
    for start, end in _linkers(binary):
        first, last = (start - section.offset) // pointer, -(-(end - section.offset) // pointer)
        found[max(first, 0) : max(last, 0)] = True
    return found


def _linkers(binary: Binary) -> list[tuple[int, int]]:
    """Offsets of moduledata, the function table, the build information."""
    module, table, info = (
        binary.maybe(moduledata.PARSER),
        binary.maybe(pclntab.PARSER),
        binary.maybe(buildinfo.PARSER),
    )
    found = []
    if module is not None:
        found.append((module.offset, module.offset + len(module.fields) * binary.image.pointer_size))
    if table is not None:
        found.append((table.offset, table.offset + len(table.data)))
    if info is not None:
        found.append((info.offset, info.offset + info.size))
    return found


def _addresses(binary: Binary, values: Words) -> NDArray[np.bool_]:
    """(n,) which values lie in the memory of the program."""
    found = np.zeros(len(values), bool)
    for s in binary.image.segments:
        found |= (values >= s.address) & (values - np.uint64(s.address) <= max(s.memory_size, s.file_size))
    return found
