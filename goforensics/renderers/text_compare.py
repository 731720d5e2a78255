"""`compare` as text: which file is how much larger and what that comes down to, then the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from goforensics.renderers import View
from goforensics.renderers.plain import plain
from goforensics.renderers.shorter import shown
from goforensics.renderers.text_tables import Listing, count, section, size, text, wrapped
from goforensics.report_compare import Compared, Comparison, Pair, Table

MARKS = {"yes": "✓ yes", "limited": "· limited", "no": "✗ no", "unknown": "· unknown"}
EVIDENCE = 3  # functions of another name whose evidence is shown
UNREAD = 5
CHANGES = ("changed", "added", "removed", "renamed")


def parts(document: Comparison, view: View) -> Iterator[RenderableType]:
    """The answer of all pairs, then each pair's tables, what can be debugged, what could not be read."""
    yield _answer(document)
    for pair in document.pairs:
        title = [Text(plain(f"{_name(pair.before)} → {_name(pair.after)}"), style="bold", overflow="fold")]
        yield Group(*(title if len(document.pairs) > 1 else []), *_differences(pair))
        for table in pair.tables:
            yield _table(table, view)
    yield _ladder(document.files)
    yield from _unread(document.files)


def _name(path: str) -> str:
    return "standard input" if path == "-" else path


def _signed(number: int) -> str:
    """`+1,234`, `-1,234`, `0`."""
    return f"{number:+,}" if number else "0"


def _answer(document: Comparison) -> Group:
    """One line per file: its name, size, difference; and the conclusion beneath."""
    listing = Listing("<", ">", ">", ">")
    for i, file in enumerate(document.files):
        share = f"{100 * file.delta / document.files[0].size:+.1f} %" if i and document.files[0].size else ""
        listing.add(_name(file.path), size(file.size), _signed(file.delta) if i else "base", share, style="bold")
        if i:
            listing.note(document.pairs[i - 1].conclusion, wrap=True)
    return Group(listing)


def _differences(pair: Pair) -> Iterator[RenderableType]:
    for why in pair.why:
        yield wrapped(f"why: {why.cause}", "yellow")
        yield from (wrapped(f"     {line}", "dim") for line in why.evidence)
    rows = [(f"{row.what} {row.name}".strip(), row.before, row.after) for row in pair.differences]
    parts = [part.name for part in pair.build_id if part.before != part.after]
    same = [part.name for part in pair.build_id if part.before == part.after]
    if rows:
        yield section("What was built differently", *(_changed(*row) for row in rows))
    if parts:
        kept = f"; the same: {', '.join(same)}" if same else ""
        yield wrapped(f"  build ID: {', '.join(parts)} differ{'s' if len(parts) == 1 else ''}{kept}", "dim")


def _changed(name: str, before: str | None, after: str | None) -> Text:
    values = [_value(value) for value in (before, after)]
    return text(f"  {name}: {values[0]} → {values[1]}")


def _value(value: str | None) -> str:
    return "(not recorded)" if value is None else value or '""'


def _table(table: Table, view: View) -> Group:
    rows = shown(table, view.top)
    listing = Listing("<", ">", ">", ">", "<")
    listing.add("", "before", "after", "difference", "", style="dim")
    told = 0
    for row in rows:
        style = {"rest": "dim", "total": "bold"}.get(row.style, "")
        listing.add(row.name, row.before, row.after, _signed(row.after - row.before), row.note, style=style)
        if row.evidence and told < EVIDENCE:
            listing.note("; ".join(row.evidence))
            told += 1
    return section(_title(table), listing, note=_note(table))


def _title(table: Table) -> str:
    return f"By {', '.join(table.name.split(','))}"


def _note(table: Table) -> str:
    changes = [row.change for row in table.rows]
    found = [f"{changes.count(name):,} {name}" for name in CHANGES if name in changes]
    view = [] if table.view == "owned" else [table.view]
    return ", ".join([*found, f"{table.unchanged:,} the same", *view, *(f"only {each}" for each in table.filter)])


def _ladder(files: Sequence[Compared]) -> Group:
    """A row per tool and a column per file; the reasons beneath, where a tool does not work everywhere."""
    sides: list[Literal["<", ">"]] = ["<"] * len(files)
    listing = Listing("<", *sides)
    listing.add("", *(f"[{i}]" if i else "base" for i in range(len(files))), style="dim")
    for i, rung in enumerate(files[0].ladder):
        rungs = [file.ladder[i] for file in files]
        listing.add(rung.tool, *(MARKS[each.works] for each in rungs))
        reasons = {each.reason: None for each in rungs if each.works != "yes"}
        for reason in reasons:
            listing.note(reason)
    return section("What can be done with it", listing)


def _unread(files: Sequence[Compared]) -> Iterator[RenderableType]:
    lines = [
        text(f"  {_name(file.path)}: {row.structure} at {row.offset:#x}: {row.reason}")
        for file in files
        for row in file.unread[:UNREAD]
    ]
    total = sum(len(file.unread) for file in files)
    if lines:
        yield section("Could not be read", *lines, note=count(total, "structure"))
