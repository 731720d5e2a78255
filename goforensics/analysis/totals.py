"""How many bytes each label of the byte map has: what two maps are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.analysis.vocabulary import FunctionNames
from goforensics.bytemap import SHARED, UNKNOWN, ByteMap, Codes, Row
from goforensics.question import Question

VARIABLE = "(variables)"  # that the symbol table may name, and a stripped file does not
Path = tuple[str, ...]


class Totals(msgspec.Struct):
    """Bytes by path, one value per column as listings show it; with `filtered` they sum to the size of the file."""

    bytes: dict[Path, int] = msgspec.field(default_factory=dict)
    filtered: int = 0

    def add(self, path: Path, count: int) -> None:
        """Count some more bytes to a path."""
        self.bytes[path] = self.bytes.get(path, 0) + count


def totals(bytemap: ByteMap, question: Question, functions: bool = False) -> Totals:
    """The map as `listing` groups it, whatever the bytes' origin; with `functions`, all variables as one symbol."""
    found = Totals()
    for path, count in _groups(bytemap, question, functions):
        if all(each.matches(path[question.grouped.index(each.column)]) for each in question.filters):
            found.add(path[: len(question.by)], count)
        else:
            found.filtered += count
    return found


def _groups(bytemap: ByteMap, question: Question, functions: bool) -> Iterable[tuple[Path, int]]:
    columns = question.grouped
    if question.view == "owned":
        return _owned(bytemap, columns, functions)
    known = _functions(bytemap) if functions else None
    rows = bytemap.group(columns, apportioned=True)
    return ((_shown(row, columns, known), row.bytes) for row in rows)


def _shown(row: Row, columns: Sequence[str], functions: set[str] | None) -> Path:
    """What the rows of the map's own grouping are called here."""
    path = [row.origin if column == "origin" else label for column, label in zip(columns, row.path, strict=True)]
    if functions is not None and path[columns.index("symbol")] not in functions | {f"({row.origin})", SHARED}:
        path[columns.index("symbol")] = VARIABLE
    return tuple(path)


def _functions(bytemap: ByteMap) -> set[str]:
    return {name for pool in bytemap.names["symbol"].pools if isinstance(pool, FunctionNames) for name in pool}


def _owned(bytemap: ByteMap, columns: Sequence[str], functions: bool) -> Iterable[tuple[Path, int]]:
    """The owned view: each label is turned into text once, for a program has tens of thousands."""
    wanted = tuple(dict.fromkeys((*columns, "origin")))
    keys, names = zip(*(_labels(bytemap, column, functions) for column in wanted), strict=True)
    row, first = _rows(keys)
    length = np.bincount(row, weights=np.diff(bytemap.bounds), minlength=len(first)).astype(np.int64)
    parts = [[text[code] for code in key[first].tolist()] for key, text in zip(keys, names, strict=True)]
    place, origins = [wanted.index(column) for column in columns], [name or UNKNOWN for name in parts[-1]]
    if "origin" in columns:
        parts[wanted.index("origin")] = origins = [name or UNKNOWN for name in parts[wanted.index("origin")]]
    paths = zip(*(parts[i] for i in place), strict=True)
    each = zip(paths, origins, length.tolist(), strict=True)
    return ((tuple(label or f"({origin})" for label in path), count) for path, origin, count in each)


def _labels(bytemap: ByteMap, column: str, functions: bool) -> tuple[Codes, list[str]]:
    """(m,) per cell an index into the texts of a column; two of these may be the same text."""
    codes, pools = bytemap.codes[column], bytemap.names[column]
    size = 1 + max((base + len(pool) for pool, base in zip(pools.pools, pools.bases, strict=True)), default=0)
    used = np.zeros(size, bool)
    used[codes] = True
    place = np.cumsum(used, dtype=np.int32) - 1
    texts = [""] if used[0] else []
    for pool, base in zip(pools.pools, pools.bases, strict=True):
        wanted = np.flatnonzero(used[base : base + len(pool)]).tolist()
        apart = functions and column == "symbol" and not isinstance(pool, FunctionNames)
        texts += [VARIABLE] * len(wanted) if apart else [pool[i] for i in wanted]
    return place[codes], texts


def _rows(keys: Sequence[Codes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(m,) which of the distinct combinations each cell has, and (k,) a cell of each."""
    row, first = np.zeros(len(keys[0]), np.int64), np.zeros(1, np.int64)
    for key in keys:
        _, first, row = np.unique(row * (int(key.max(initial=0)) + 1) + key, return_index=True, return_inverse=True)
    return row, first
