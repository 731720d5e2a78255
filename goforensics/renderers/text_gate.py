"""`gate` as text: passed or not and by how much, then what grew.  A baseline that is only shown is listed by size."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from goforensics.renderers import View
from goforensics.renderers.shorter import shown
from goforensics.renderers.text_tables import Listing, Verdict, section, size, text, verdicts, wrapped
from goforensics.report_compare import Table
from goforensics.report_gate import Budget, Gate, Side

UNREAD = 5


def parts(document: Gate, view: View) -> Iterator[RenderableType]:
    """The answer, the budgets, the tables, and what could not be read."""
    yield Group(
        _sizes(document), verdicts(_answer(document), view), *(wrapped(f"  {n}", "yellow") for n in document.notes)
    )
    for table in document.tables:
        yield _table(table, view)
    yield from _unread(document)


def signed(number: int) -> str:
    """`+1,234`, `-1,234`, `0`."""
    return f"{number:+,}" if number else "0"


def sentence(budget: Budget) -> str:
    """What was allowed and what happened, without the name of a module."""
    share = "" if budget.percent is None else f" ({budget.percent:g} %)"
    verb = "grew by" if budget.growth > 0 else "shrank by" if budget.growth < 0 else "is the same size;"
    figure = f" {size(abs(budget.growth))}" if budget.growth else ""
    over = "" if budget.within else f", {size(budget.growth - budget.limit)} over"
    joint = "," if budget.growth else ""
    return f"{verb}{figure}{joint} {size(budget.limit)}{share} allowed{over}"


def _sizes(document: Gate) -> Listing:
    listing = Listing("<", ">", ">", ">")
    before, after = document.before, document.after
    if before is not None:
        listing.add(_name(before), size(before.size), "baseline" if before.baseline else "base", style="bold")
    delta = document.delta
    share = f"{100 * delta / before.size:+.1f} %" if before and before.size and delta is not None else ""
    listing.add(_name(after), size(after.size), "" if delta is None else signed(delta), share, style="bold")
    return listing


def _name(side: Side) -> str:
    return "standard input" if side.path == "-" else side.path


def _answer(document: Gate) -> Iterator[Verdict]:
    if document.passed is None:
        yield Verdict("bad", "Gate", "nothing was compared")
    for budget in document.budgets:
        label = {"delta": "Size", "percent": "Percent", "module": "Module"}[budget.what]
        found = f"{budget.name or 'the file'} {sentence(budget)}"
        yield Verdict("good" if budget.within else "bad", label, found)


def _table(table: Table, view: View) -> Group:
    listing = Listing("<", ">", ">", ">", "<")
    listing.add("", "before", "after", "difference", "", style="dim")
    for row in shown(table, view.top):
        style = {"rest": "dim", "total": "bold"}.get(row.style, "")
        listing.add(row.name, row.before, row.after, signed(row.after - row.before), row.note, style=style)
    return section(f"By {', '.join(table.by)}", listing)


def _unread(document: Gate) -> Iterator[RenderableType]:
    sides = [side for side in (document.before, document.after) if side is not None]
    lines = [
        text(f"  {_name(side)}: {row.structure} at {row.offset:#x}: {row.reason}")
        for side in sides
        for row in side.unread[:UNREAD]
    ]
    if lines:
        yield section("Could not be read", *lines)
