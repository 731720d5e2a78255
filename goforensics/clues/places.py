"""Where a byte lies, as findings say it."""

from __future__ import annotations

import numpy as np

from goforensics.rules.subject import Subject
from goforensics.sections import pclntab
from goforensics.sections.arrays import Offsets


def where(subject: Subject, offset: int) -> str:
    """buildinfo:KEY, filetab, pclntab, rodata, data, a section's name, or "behind the image"."""
    setting = _setting(subject, offset)
    if setting:
        return setting
    low, high, files = subject.once(_table)
    if low <= offset < high:
        return "filetab" if files[0] <= offset < files[1] else "pclntab"
    start, size = subject.once(_extents)
    rows = np.flatnonzero((start <= offset) & (offset < start + size))
    if len(rows):
        s = subject.image.sections[int(rows[0])]
        return s.name if s.role != "data" else "data" if s.writable else "rodata"
    if any(s.offset <= offset < s.offset + s.file_size for s in subject.image.segments):
        return "loaded data"
    return "outside of all sections"


def _extents(subject: Subject) -> tuple[Offsets, Offsets]:
    """(s,) offset and bytes of each section; a hostile file has 65,000."""
    sections = subject.image.sections
    inside = [s.offset if s.offset < len(subject.image.data) else -1 for s in sections]
    sizes = [min(s.file_size, len(subject.image.data)) for s in sections]
    return np.array(inside, np.int64), np.array(sizes, np.int64)


def _setting(subject: Subject, offset: int) -> str:
    info = subject.info
    if info is None or not info.offset <= offset < max(info.offset + info.size, info.mod_offset + info.mod_size):
        return ""
    lines = [s for s in info.mod.settings if s.offset <= offset < s.offset + s.size]
    return f"buildinfo:{lines[0].key}" if lines else "buildinfo"


def _table(subject: Subject) -> tuple[int, int, tuple[int, int]]:
    """Offsets of the pclntab, and of its file names."""
    table = subject.binary.maybe(pclntab.PARSER)
    if table is None:
        return 0, 0, (0, 0)
    names, start = table.file_offsets, table.offset
    first, last = (int(names[0]), int(names[-1])) if len(names) else (0, 0)
    size = table.data[last : last + 4096].tobytes().find(0) if len(names) else 0
    return start, start + len(table.data), (start + first, start + last + max(size, 1))
