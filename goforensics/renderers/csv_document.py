"""CSV: the rows of one document under a line of names, for spreadsheets and line-by-line tools.

Text from the file under test must not act where it is looked at.  Every character that a terminal would not print is
written as its escape, so that a row is one line; a value that a spreadsheet would take for a formula gets an
apostrophe in front, as a spreadsheet itself marks text.  Quoting would not do: it is gone before a cell is evaluated.
JSON and Parquet have names exactly as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from goforensics.errors import UsageError
from goforensics.renderers import View, csv_pcdata
from goforensics.renderers.plain import plain
from goforensics.report import ByteMapDocument, Document, MapRow
from goforensics.report_compare import Comparison
from goforensics.report_pcdata import Pcdata

BATCH = 8192  # rows in one piece of text
COMPARED = ("before_file", "after_file", "table", "name", "change", "before", "after", "delta", "was", "evidence")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - full-width signs begin a formula too


def render(documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
    """Lines that end in a line feed; every row, whatever `view` shows a person."""
    for document in documents:
        cells = _Cells()
        if isinstance(document, ByteMapDocument):
            yield ",".join(MapRow.__struct_fields__) + "\n"
            yield from _pieces(map(cells.row, document.rows))
        elif isinstance(document, Comparison):
            yield ",".join(COMPARED) + "\n"
            yield from _pieces(_compared(document, cells))
        elif isinstance(document, Pcdata):
            yield from _pieces(iter([[cells[name] for name in csv_pcdata.head(document)]]))
            yield from _pieces(csv_pcdata.rows(document, cells.__getitem__))
        else:
            raise UsageError("only rows can be written as CSV; --format json has everything")


def _pieces(rows: Iterator[Sequence[object]]) -> Iterator[str]:
    while batch := list(islice(rows, BATCH)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(batch)
        yield text.getvalue()


def _compared(document: Comparison, cells: _Cells) -> Iterator[Sequence[object]]:
    """The rows of every table; what changed nothing, or is filtered out, is one row each, so that sums come out."""
    for pair in document.pairs:
        for table in pair.tables:
            head = (cells[pair.before], cells[pair.after], cells[table.name])
            for row in table.rows:
                said = (cells[" / ".join(row.was or [])], cells["; ".join(row.evidence)])
                yield *head, cells[" / ".join(row.path)], row.change, row.before, row.after, row.delta, *said
            kept, left = table.unchanged_bytes, (table.filtered_before, table.filtered_after)
            yield *head, f"({table.unchanged} rows)", "same", kept, kept, 0, "", ""
            yield *head, "(filtered out)", "filtered", *left, left[1] - left[0], "", ""


class _Cells(dict[str | None, str | None]):
    """Labels made harmless, each once."""

    def __missing__(self, label: str | None) -> str | None:
        shown = plain(label) if label is not None else None
        self[label] = f"'{shown}" if shown and shown.startswith(FORMULA) else shown
        return self[label]

    def row(self, row: MapRow) -> tuple[object, ...]:
        """One row's cells; the first two are numbers."""
        offset, size, *said = msgspec.structs.astuple(row)
        return offset, size, *map(self.__getitem__, said)
