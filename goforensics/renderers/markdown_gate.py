"""`gate` as Markdown for a pull request: the answer, then what grew, folded away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goforensics.errors import UsageError
from goforensics.renderers import View
from goforensics.renderers.markdown_document import code
from goforensics.renderers.shorter import Shown, shown
from goforensics.renderers.text_gate import sentence, signed
from goforensics.report import Document
from goforensics.report_compare import Table
from goforensics.report_gate import Gate

TITLES = {True: "Size: within the budget", False: "Size: over the budget", None: "Size: not compared"}


def render(documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
    """A comment per document."""
    for document in documents:
        if not isinstance(document, Gate):
            raise UsageError("only the result of a gate can be written so")
        yield "\n".join([f"### {TITLES[document.passed]}", "", *_answer(document), *_tables(document, view.top)]) + "\n"


def _answer(document: Gate) -> Iterator[str]:
    before, after, delta = document.before, document.after, document.delta
    yield from ("| file | bytes | difference | |", "| :--- | ---: | ---: | ---: |")
    if before is not None:
        yield f"| {code(before.path)} | {before.size:,} | {'baseline' if before.baseline else 'base'} | |"
    share = f"{100 * delta / before.size:+.1f} %" if before and before.size and delta is not None else ""
    yield f"| {code(after.path)} | {after.size:,} | {'' if delta is None else signed(delta)} | {share} |"
    yield ""
    for budget in document.budgets:
        yield f"- {'' if budget.within else '**Over:** '}{code(budget.name) or 'the file'} {sentence(budget)}"
    yield from (f"- {code(note)}" for note in document.notes)
    sides = [side for side in (before, after) if side is not None and side.unread]
    yield from (f"- {len(side.unread):,} structures of {code(side.path)} could not be read" for side in sides)


def _tables(document: Gate, top: int) -> Iterator[str]:
    for table in document.tables:
        yield ""
        yield from _table(table, top)


def _table(table: Table, top: int) -> Iterator[str]:
    by = ", ".join(table.by)
    yield from (f"<details><summary>By {by}: {signed(table.delta)} bytes</summary>", "")
    yield from (f"| {by} | before | after | difference | |", "| :--- | ---: | ---: | ---: | :--- |")
    yield from map(_line, shown(table, top))
    yield from ("", "</details>")


def _line(row: Shown) -> str:
    mark = "**" if row.style == "total" else ""
    name = code(row.name) if row.style == "row" else f"{mark}{row.name}{mark}"
    difference = f"{mark}{signed(row.after - row.before)}{mark}"
    return f"| {name} | {row.before:,} | {row.after:,} | {difference} | {row.note} |"
