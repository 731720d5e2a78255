"""What the text reports are made of: numbers, bars, tables, verdict lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol, TypeVar

import msgspec
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from goforensics.renderers import View
from goforensics.renderers.plain import plain

Mark = Literal["good", "info", "warn", "bad"]
MARKS: dict[Mark, tuple[str, str]] = {
    "good": ("✓", "green"),
    "info": ("·", "dim"),
    "warn": ("!", "yellow"),
    "bad": ("✗", "bold red"),
}
INDENT = "  "
LABEL = 9  # columns of a verdict's label
FIRST = 12  # columns that a name gets at least
VALUE = 240  # characters of a setting
CELL = 28  # columns that any other cell gets at most
BAR = 36  # columns of the longest bar, a third of it where room is short
BESIDE = 120  # from this width on, a fix stands beside its finding


class Verdict(msgspec.Struct, frozen=True):
    """One line of the answer: what is the case, and what to do about it."""

    mark: Mark
    label: str
    finding: str
    fix: str = ""


class Share(msgspec.Struct, frozen=True):
    """A row of a size table."""

    name: str
    bytes: int
    note: str = ""


class HasBytes(Protocol):
    """Whatever takes bytes."""

    @property
    def bytes(self) -> int:
        """How many."""


Sized = TypeVar("Sized", bound=HasBytes)


def text(content: object, style: str = "") -> Text:
    """Text from the file under test, or ours: harmless, and never markup."""
    return Text(plain(str(content)), style=style, no_wrap=True, overflow="ellipsis")


def wrapped(content: object, style: str = "") -> Text:
    """The same, on as many lines as it takes."""
    return Text(plain(str(content)), style=style, overflow="fold")


def count(number: int, singular: str, plural: str = "") -> str:
    """`1 path`, `729 paths`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def size(number: int) -> str:
    """`12,345 bytes`: figures are exact everywhere, so that they can be added up and searched for."""
    return count(number, "byte")


def percent(part: int, whole: int) -> str:
    """`34.2 %`; a share too small for a decimal still is not nothing."""
    if not whole:
        return ""
    return "<0.1 %" if 0 < part / whole < 0.0005 else f"{100 * part / whole:.1f} %"


def shortened(function: str, room: int) -> str:
    """A function's name, without the directories of its package's path where it takes more than `room` columns."""
    last = re.split(r"[\[({]", function, maxsplit=1)[0].rfind("/")
    return function if len(function) <= room or last < 0 else f"…{function[last:]}"


class Listing:
    """Rows of cells, indented; the first column gets the room it needs and the others leave, long names are cut short.

    "<" columns hold text, ">" columns figures.  A row may have a bar, to the scale of the largest, and notes beneath
    that take the whole width.
    """

    def __init__(self, *columns: Literal["<", ">"], scale: int = 0) -> None:
        self.columns = columns
        self.scale = scale
        self.lines: list[tuple[list[Text], int] | RenderableType] = []

    def add(self, *cells: str | int, style: str = "", bar: int = 0) -> None:
        """One row; numbers get thousands separators."""
        shown = [text(f"{cell:,}" if isinstance(cell, int) else cell, style) for cell in cells]
        blank = [Text() for _ in range(len(self.columns) - len(shown))]  # each is cut to its column by itself
        self.lines.append((shown + blank, bar))

    def note(self, content: str, wrap: bool = False) -> None:
        """A line across all columns; cut short, or continued on the next."""
        shown = wrapped(content, "dim") if wrap else text(content, "dim")
        self.lines.append(Padding(shown, (0, 0, 0, 2 * len(INDENT)), expand=False))

    def left_out(self, number: int, what: str) -> None:
        """Say that `number` rows are not shown, if any."""
        if number > 0:
            self.note(f"({number:,} more {what}; --format json has all)")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Lay the columns out now that the width is known."""
        rows = [line[0] for line in self.lines if isinstance(line, tuple)]
        widths = [max((cell.cell_len for cell in column), default=0) for column in zip(*rows, strict=True)]
        widths[1:] = [min(width, CELL) for width in widths[1:]]
        taken = sum(2 + width for width in widths[1:] if width) + len(INDENT)
        bars = BAR if self.scale else 0
        widths[0] = min(widths[0], max(FIRST, options.max_width - taken - bars // 3))
        bars = max(0, min(bars, options.max_width - taken - widths[0] - 2))
        for line in self.lines:
            yield self._row(line[0], widths, line[1], bars) if isinstance(line, tuple) else line

    def _row(self, cells: list[Text], widths: list[int], part: int, bars: int) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        for cell, width, side in zip(cells, widths, self.columns, strict=True):
            cell.truncate(width, overflow="ellipsis")
            cell.align("right" if side == ">" else "left", width)
            line.append("  " if width else "").append_text(cell)
        halves = round(2 * bars * part / self.scale) if self.scale > 0 else 0
        return line.append("  " + "█" * (halves // 2) + "▌" * (halves % 2), "cyan") if halves else line


def section(title: str, *body: RenderableType, note: str = "") -> Group:
    """A titled part of the report."""
    heading = Text(plain(title), style="bold", overflow="fold")
    if note:
        heading.append(f"  {plain(note)}", style="not bold dim")
    return Group(heading, *body)


def shares(rows: Sequence[Share], whole: int, top: int, unit: str = "other") -> Listing:
    """Name, bytes, percent of `whole` and a bar for the `top` largest rows, the remainder, and the total.

    `rows` come in the order they are to be shown; the remainder collects the smallest.
    """
    shown, rest = split(rows, top)
    listing = Listing("<", ">", ">", "<", scale=max((row.bytes for row in shown), default=0))
    for row in shown:
        listing.add(row.name, row.bytes, percent(row.bytes, whole), row.note, bar=row.bytes)
    if rest:
        left = sum(row.bytes for row in rest)
        listing.add(f"({count(len(rest), unit)})", left, percent(left, whole), style="dim")
    total = sum(row.bytes for row in rows)
    listing.add("total", total, percent(total, whole), style="bold")
    return listing


def split(rows: Sequence[Sized], top: int) -> tuple[list[Sized], list[Sized]]:
    """The `top` largest in the order given, and the others; a remainder of one row is shown as itself."""
    if len(rows) <= top + 1:
        return list(rows), []
    largest = set(sorted(range(len(rows)), key=lambda i: -rows[i].bytes)[:top])
    return [rows[i] for i in sorted(largest)], [row for i, row in enumerate(rows) if i not in largest]


def verdicts(rows: Iterable[Verdict], view: View) -> Table:
    """A mark, a label, the finding; the fix beside it where there is room, else beneath."""
    beside = view.width >= BESIDE
    table = Table.grid(*(("", "", "", "") if beside else ("", "", "")), padding=(0, 1, 0, 0))
    table.columns[1].width = LABEL
    for row in rows:
        symbol, style = MARKS[row.mark]
        fix = wrapped(f"→ {row.fix}" if row.fix else "", "bold")
        lead = Text(symbol, style=style), text(row.label, style if row.mark != "info" else "")
        table.add_row(*lead, wrapped(row.finding), *([fix] if beside else []))
        if row.fix and not beside:
            table.add_row("", "", fix)
    return table


def facts(rows: Iterable[tuple[str, str]], label: int = 20) -> Table:
    """Names and values, which wrap; a very long value is cut short."""
    table = Table.grid("", "", padding=(0, 2, 0, 0))
    for column, width in zip(table.columns, (label, None), strict=True):
        column.width, column.overflow = width, "fold"
    for name, value in rows:
        shown = f"{value[:VALUE]}… ({len(value):,} characters)" if len(value) > VALUE else value
        table.add_row(text(f"  {name}", "dim"), wrapped(shown))
    return table


def capped(rows: Sequence[str], most: int) -> str:
    """A list in a sentence, at most `most` of it."""
    more = f", and {len(rows) - most:,} more" if len(rows) > most else ""
    return ", ".join(rows[:most]) + more
