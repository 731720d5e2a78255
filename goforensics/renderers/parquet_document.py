"""Parquet: the rows of one document as a file, written by DuckDB."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.errors import UsageError
from goforensics.report import ByteMapDocument, Document, MapRow

try:
    import duckdb
except ImportError:
    raise UsageError("Parquet needs DuckDB: pip install 'goforensics[parquet]'") from None

BATCH = 65_536  # rows that are objects at one time
NUMBERS = ("offset", "size")
OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

Column = NDArray[Any]  # of int64, or of str
Arrays = dict[str, Column]


def write(documents: Iterable[Document], path: Path) -> None:
    """The rows of the document as the file `path`, in order.  Raises OSError if it cannot be written."""
    for document in documents:
        if not isinstance(document, ByteMapDocument):
            raise UsageError("only rows can be written as Parquet; --format json has everything")
        try:
            _copy(_arrays(document), path)
        except duckdb.Error as error:
            raise OSError(errno.EIO, str(error).partition("\n")[0]) from error


def _copy(cells: Arrays, path: Path) -> None:
    columns = ", ".join(map(_column, cells))
    target = str(path).replace("'", "''")
    with duckdb.connect(config=OFFLINE) as database:
        database.register("cells", cells)
        database.execute(f"COPY (SELECT {columns} FROM cells) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def _column(name: str) -> str:
    # The cells have "" for null: DuckDB guesses a column's type from its first values, and must find text there.
    return f'"{name}"' if name in NUMBERS else f'nullif("{name}", \'\') AS "{name}"'


def _arrays(document: ByteMapDocument) -> Arrays:
    """A column per member of the rows."""
    names, rows, known = MapRow.__struct_fields__, iter(document.rows), _Texts()
    parts: dict[str, list[Column]] = {name: [_column_of((), name, known)] for name in names}
    while batch := list(islice(rows, BATCH)):
        for name, values in zip(names, zip(*map(msgspec.structs.astuple, batch), strict=True), strict=True):
            parts[name].append(_column_of(values, name, known))
    return {name: np.concatenate(parts.pop(name)) for name in names}


def _column_of(values: Sequence[Any], name: str, known: _Texts) -> Column:
    return np.array(values, np.int64) if name in NUMBERS else np.array([known[text] for text in values], object)


class _Texts(dict[str | None, str]):
    r"""Labels as Parquet can have them: no nulls yet, and \udcNN for a byte that was not UTF-8."""

    def __missing__(self, label: str | None) -> str:
        self[label] = (label or "").encode("utf-8", "backslashreplace").decode()
        return self[label]
