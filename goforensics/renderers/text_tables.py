"""What the text reports are made of: numbers, bars, tables, verdict lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Group, RenderableType
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
LABEL = 9  # columns of a verdict's label
BESIDE = 90  # from this width on, a fix stands beside its finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the answer: what is the case, and what to do about it."""

    mark: Mark
    label: str
    finding: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A row of a size table."""

    name: str
    bytes: int
    note: str = ""


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


def bar(part: int, largest: int, columns: int) -> Text:
    """`part` to the scale of `largest`, in half columns."""
    halves = round(2 * columns * part / largest) if largest > 0 else 0
    return Text("█" * (halves // 2) + "▌" * (halves % 2), style="cyan", no_wrap=True)


def section(title: str, *body: RenderableType, note: str = "") -> Group:
    """A titled part of the report."""
    heading = Text(plain(title), style="bold", overflow="fold")
    if note:
        heading.append(f"  {plain(note)}", style="not bold dim")
    return Group(heading, *body)


def grid(*columns: Literal["<", ">", "w"], widths: Sequence[int | None] = ()) -> Table:
    """A table without lines, indented: columns of text, of figures, and of text that wraps; the first takes the room."""
    table = Table(box=None, show_header=False, expand=True, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(width=1)
    for number, column in enumerate(columns):
        width = widths[number] if number < len(widths) else None
        table.add_column(
            justify="right" if column == ">" else "left",
            no_wrap=column != "w",
            overflow="fold" if column == "w" else "ellipsis",
            ratio=1 if number == 0 and width is None else None,
            width=width,
        )
    return table


def header(table: Table, *names: str) -> None:
    """The names of the columns, in the table's first row."""
    table.add_row("", *(text(name, "dim") for name in names))


def shares(rows: Sequence[Share], whole: int, view: View, unit: str = "other") -> Table:
    """Name, bytes, percent of `whole` and a bar for the first `view.top` rows, the remainder, and the total.

    `rows` come in the order they are to be shown; the remainder collects the smallest.
    """
    shown, rest = _split(rows, view.top)
    columns = max(6, min(32, view.width // 4))
    noted = any(row.note for row in shown) and view.width >= BESIDE
    table = grid("<", *(("<",) if noted else ()), ">", ">", "<", widths=(None, *((None,) if noted else ())))
    table.columns[-1].width = columns
    largest = max((row.bytes for row in shown), default=0)

    def add(row: Share, style: str = "", drawn: bool = True) -> None:
        note = (text(row.note, "dim"),) if noted else ()
        figures = text(f"{row.bytes:,}", style), text(percent(row.bytes, whole), style)
        table.add_row("", text(row.name, style), *note, *figures, bar(row.bytes, largest, columns) if drawn else "")

    for row in shown:
        add(row)
    if rest:
        add(Share(f"({count(len(rest), unit)})", sum(row.bytes for row in rest)), "dim", drawn=False)
    add(Share("total", sum(row.bytes for row in rows)), "bold", drawn=False)
    return table


def _split(rows: Sequence[Share], top: int) -> tuple[list[Share], list[Share]]:
    """The `top` largest in the order given, and the others; a remainder of one row is shown as itself."""
    if len(rows) <= top + 1:
        return list(rows), []
    largest = set(sorted(range(len(rows)), key=lambda i: -rows[i].bytes)[:top])
    return [rows[i] for i in sorted(largest)], [row for i, row in enumerate(rows) if i not in largest]


def verdicts(rows: Iterable[Verdict], view: View) -> Table:
    """A mark, a label, the finding; the fix beside it where there is room, else beneath."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=1)
    table.add_column(width=LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    beside = view.width >= BESIDE
    if beside:
        table.add_column(overflow="fold", max_width=view.width // 3)
    for row in rows:
        symbol, style = MARKS[row.mark]
        fix = wrapped(f"→ {row.fix}" if row.fix else "", "bold")
        lead = Text(symbol, style=style), text(row.label, style if row.mark != "info" else "")
        table.add_row(*lead, wrapped(row.finding), *([fix] if beside else []))
        if row.fix and not beside:
            table.add_row("", "", fix)
    return table


def capped(rows: Sequence[str], most: int) -> str:
    """A list in a sentence, at most `most` of it."""
    more = f", and {len(rows) - most:,} more" if len(rows) > most else ""
    return ", ".join(rows[:most]) + more


def more(table: Table, left: int, what: str = "other") -> None:
    """A last row that says how many were left out."""
    if left > 0:
        table.add_row("", text(f"({count(left, what)} more; --format json lists all)", "dim"))
