"""The byte map as a document: a row per stretch of bytes that has the same labels, made as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

import goforensics.report as report
from goforensics.analysis import listing, mapping
from goforensics.binary import Binary
from goforensics.bytemap import COLUMNS, UNKNOWN, ByteMap, Codes, Offsets

BATCH = 16_384  # rows that are objects at one time


@dataclass(frozen=True, eq=False)
class MapRows(Sequence[report.MapRow]):
    """Rows kept as arrays: as objects those of a large program would take ten times its size."""

    start: Offsets  # (n,)
    size: Offsets  # (n,)
    codes: tuple[Codes, ...]  # by column, (n,)
    texts: tuple[list[str | None], ...]  # by column, what a code means

    def __len__(self) -> int:
        return len(self.start)

    @overload
    def __getitem__(self, i: int) -> report.MapRow: ...
    @overload
    def __getitem__(self, i: slice) -> list[report.MapRow]: ...
    def __getitem__(self, i: int | slice) -> report.MapRow | list[report.MapRow]:
        """A row, or the list of some."""
        if isinstance(i, slice):
            return list(self._rows(i))
        i = range(len(self))[i]  # IndexError outside, from the end if negative
        return next(self._rows(slice(i, i + 1)))

    def __iter__(self) -> Iterator[report.MapRow]:
        for at in range(0, len(self), BATCH):
            yield from self._rows(slice(at, at + BATCH))

    def _rows(self, part: slice) -> Iterator[report.MapRow]:
        said = [
            map(texts.__getitem__, codes[part].tolist()) for codes, texts in zip(self.codes, self.texts, strict=True)
        ]
        return map(report.MapRow, self.start[part].tolist(), self.size[part].tolist(), *said)


def rows(bytemap: ByteMap) -> MapRows:
    """The map's cells in file order; neighbours with the same labels are one."""
    found = [listing.labels(bytemap, column) for column in COLUMNS]
    first, end = listing.joined(bytemap, [codes for codes, _ in found])
    start = bytemap.bounds[first]
    texts = tuple(
        [text or (UNKNOWN if column == "origin" else None) for text in told]
        for column, (_, told) in zip(COLUMNS, found, strict=True)
    )
    return MapRows(start, np.asarray(bytemap.bounds[end] - start), tuple(codes[first] for codes, _ in found), texts)


def document(binary: Binary) -> report.ByteMapDocument:
    """The whole file's map.  Raises NotGoError if it shows no trace of Go's toolchain."""
    found = rows(mapping.bytemap_of(binary))
    return report.ByteMapDocument(
        path=binary.file.path,
        size=len(binary.file.data),
        sha256=binary.file.sha256,
        unread=mapping.unread_everywhere(binary),
        rows=found,
    )
