"""A build matrix as CSV: a line per flag set, figures without separators, what was not measured left empty."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from goforensics.errors import UsageError
from goforensics.renderers import View
from goforensics.renderers.csv_document import FORMULA
from goforensics.renderers.matrix_tables import TOOLS, ability
from goforensics.renderers.plain import plain
from goforensics.report import Document
from goforensics.report_matrix import BuildMatrix, MatrixRow, Measured

FIGURES = (
    *("size", "saved", "gzip_size", "zstd_size", "symbols", "dwarf_bytes"),
    *("pclntab_bytes", "leaked_paths", "leaked_bytes"),
)
WORDS = ("linking", "sha256", "file")
PREDICTED = ("size", "exact", "bound", "difference", "held", "declined")
TIMES = ("median", "spread", "difference", "difference_spread", "exit_code", "reason")
HEAD = (
    *("name", "flags", "env", "error", *FIGURES, *TOOLS, *WORDS),
    *(f"predicted_{name}" for name in PREDICTED),
    *(f"startup_{name}" for name in TIMES),
    *("reproducible", "reproducible_reason"),
)


def render(documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
    """Lines that end in a line feed, a line of names first."""
    yield ",".join(HEAD) + "\n"
    for document in documents:
        if not isinstance(document, BuildMatrix):
            raise UsageError("only a build matrix can be written so")
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([_cell(cell) for cell in _row(row)] for row in document.rows)
        yield lines.getvalue()


def _row(row: MatrixRow) -> list[object]:
    env = " ".join(f"{name}={value}" for name, value in row.env.items())
    return [
        *(row.name, " ".join(row.flags), env, row.error, *_measured(row.measured)),
        *(getattr(row.prediction, name) for name in PREDICTED),
        *(getattr(row.startup, name, None) for name in TIMES),
        *(row.reproducible.answer, row.reproducible.reason),
    ]


def _measured(measured: Measured | None) -> list[object]:
    if measured is None:
        return [None] * (len(FIGURES) + len(TOOLS) + len(WORDS))
    figures = [getattr(measured, name) for name in FIGURES]
    return [*figures, *(ability(measured, name) for name in TOOLS), *(getattr(measured, name) for name in WORDS)]


def _cell(value: object) -> object:
    """Text that acts nowhere: see `csv_document`.  Truth is true or false, as in JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    shown = plain(value)
    return f"'{shown}" if shown.startswith(FORMULA) else shown
