"""`map` as text: the longest stretches, and how to get the others."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from rich.console import Group, RenderableType

from goforensics.renderers import View
from goforensics.renderers.text_tables import Listing, count, percent, section, size, wrapped
from goforensics.report import ByteMapDocument, MapRow

HOW = "every row: --format csv, json or parquet"
SHOWN = ("section", "structure", "package", "symbol")


def parts(document: ByteMapDocument, view: View) -> Iterator[RenderableType]:
    """A table of the largest rows, most bytes first."""
    name = "standard input" if document.path == "-" else document.path
    note = wrapped(f"{size(document.size)} · {count(len(document.rows), 'row')} · {HOW}")
    yield Group(wrapped(name, "bold"), note)
    yield section("The largest rows", _table(document, view))
    if document.unread:
        reasons = [f"{row.structure} at {row.offset:#x}: {row.reason}" for row in document.unread[: view.top]]
        yield section("Could not be read", *map(wrapped, reasons))


def _table(document: ByteMapDocument, view: View) -> Listing:
    largest = heapq.nlargest(view.top, document.rows, key=lambda row: row.size)
    table = Listing("<", "<", ">", ">")
    table.add("what it is", "offset", "bytes", style="dim")
    for row in largest:
        table.add(_what(row), f"{row.offset:#x}", row.size, percent(row.size, document.size))
    left = document.size - sum(row.size for row in largest)
    table.add(f"({count(len(document.rows) - len(largest), 'other')})", "", left, percent(left, document.size))
    table.add("total", "", document.size, percent(document.size, document.size), style="bold")
    return table


def _what(row: MapRow) -> str:
    """What the map says, from the large to the small, nothing twice."""
    said = [text for name in SHOWN if (text := getattr(row, name))]
    return " / ".join(dict.fromkeys(said)) or f"({row.origin})"
