"""The parts of the pclntab: header, funcnametab, cutab, filetab, pctab, functab, _func, funcdata, findfunctab, padding.

Every byte of the table is in exactly one of them.  Extents come from what is in the tables, not from where the next
one begins, so that the linker's padding shows.  Source of truth: Go's cmd/link/internal/ld/pcln.go.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from goforensics.bytemap import ByteMap, Claims, Level
from goforensics.sections import pclntab
from goforensics.sections.arrays import Offsets, string_ends
from goforensics.sections.pclntab import EMPTY, Pclntab
from goforensics.sections.protocol import Parser, Source
from goforensics.sets import distinct

PREFIX = "pclntab/"
Extent = tuple[str, Offsets, Offsets]


def decode(source: Source) -> list[Claims]:
    """Claims on every byte of the table, as offsets from its start."""
    table = source.read(pclntab.PARSER)
    known = [_claim(part, starts, ends) for part, starts, ends in _extents(table)]
    return [*known, *_rest(table, known)]


def sizes(claims: list[Claims], size: int) -> dict[str, int]:
    """Bytes by part; they sum to `size`, that of the table."""
    rows = ByteMap.build(size, claims).group(("structure",))
    return {row.path[0].removeprefix(PREFIX): row.bytes for row in rows}


def _claim(part: str, starts: Offsets, ends: Offsets, kind: str = "pclntab", origin: str = "metadata") -> Claims:
    labels = {"structure": PREFIX + part, "kind": kind, "origin": origin}
    return Claims(f"pclntab.{part}", Level.TABLE, starts, ends, labels)


def _one(part: str, start: int, end: int) -> Extent:
    return part, np.array([start]), np.array([end])


def _extents(table: Pclntab) -> Iterator[Extent]:
    header, funcs = table.header, table.funcs
    yield _one("header", 0, header.header_size)
    yield _one("functab", header.tables["functab"], header.tables["functab"] + header.functab_size)
    yield "_func", funcs.record, funcs.record + funcs.length
    yield from _scattered(table) if header.layout == "1.2" else _contiguous(table)
    if table.inside:
        funcdata, findfunctab = table.inside
        yield _one("funcdata", funcdata, findfunctab)
        yield _one("findfunctab", findfunctab, len(table.data))


def _scattered(table: Pclntab) -> Iterator[Extent]:
    """Layout 1.2 writes each function's name and tables behind its record, and the files' names at the end."""
    filetab = table.header.tables["filetab"]
    names = distinct(table.funcs.name[table.funcs.name != EMPTY])
    files = distinct(table.file_offsets)
    yield "funcnametab", names, string_ends(table.data, names) + 1
    yield "pctab", table.tables.start, table.tables.end
    yield "filetab", files, string_ends(table.data, files) + 1
    yield _one("filetab", filetab, filetab + 4 * (table.header.files + 1))


def _contiguous(table: Pclntab) -> Iterator[Extent]:
    tables = table.header.tables
    for part, following in (("funcnametab", "cutab"), ("filetab", "pctab")):
        yield _one(part, tables[part], _text_end(table.data, tables[part], tables[following]))
    yield _one("cutab", tables["cutab"], _cutab_end(table))
    first = tables["pctab"]  # a byte that no table may begin at: offset 0 means none
    yield _one("pctab", first, max(int(table.tables.end.max(initial=0)), first + 1))


def _text_end(data: memoryview, start: int, end: int) -> int:
    """Past the NUL of the last string; zeros beyond it are padding."""
    used = np.flatnonzero(np.frombuffer(data[start:end], np.uint8))
    return min(start + int(used[-1]) + 2, end) if len(used) else start


def _cutab_end(table: Pclntab) -> int:
    """Past the last entry that is used or not zero: the linker rounds the table up to a pointer."""
    start, end = table.header.tables["cutab"], table.header.tables["filetab"]
    words = np.frombuffer(table.data[start : start + (end - start) // 4 * 4], np.uint8).reshape(-1, 4)
    used = np.flatnonzero(words.any(axis=1))
    last = max(int(used[-1]) if len(used) else -1, int(table.funcs.cu.max(initial=-1)))
    return min(start + 4 * (last + 1), end)


def _rest(table: Pclntab, known: list[Claims]) -> Iterator[Claims]:
    """What no table holds: zeros, the names that only inlining uses (layout 1.2), or unknown."""
    gaps = ByteMap.build(len(table.data), known)
    free = np.flatnonzero(gaps.codes["structure"] == 0)
    starts, ends = gaps.bounds[free], gaps.bounds[free + 1]
    zero = _largest(table.data, starts, ends) == 0
    text = np.zeros(len(free), bool)
    text[~zero] = [_is_text(table.data[a:b]) for a, b in zip(starts[~zero], ends[~zero], strict=True)]
    yield _claim("padding", starts[zero], ends[zero], "padding", "padding")
    yield _claim("funcnametab", starts[text], ends[text])
    unknown = ~zero & ~text
    yield _claim("unknown", starts[unknown], ends[unknown], "unknown", "unknown")


def _largest(data: memoryview, starts: Offsets, ends: Offsets) -> NDArray[np.uint8]:
    """(n,) the largest byte of each range; ranges are in order and not empty."""
    if not len(starts):
        return np.empty(0, np.uint8)
    edges = np.stack([starts, ends], axis=1).ravel()
    return np.maximum.reduceat(np.frombuffer(data, np.uint8), edges[edges < len(data)])[::2]


def _is_text(data: memoryview) -> bool:
    """NUL-ended text, perhaps with zeros around it."""
    raw = bytes(data)
    return raw.endswith(b"\0") and raw.replace(b"\0", b"").decode("utf-8", "replace").isprintable()


def claims(source: Source, parts: list[Claims]) -> Iterator[Claims]:
    """The parts, as offsets in the image."""
    offset = source.read(pclntab.PARSER).offset
    return (part.moved(offset) for part in parts)


PARSER = Parser("pclntab.parts", decode, claims)
