"""The summary of an audit of several files: a row each, and the answer for all."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from goforensics.renderers import View
from goforensics.renderers.text_audit import tally
from goforensics.renderers.text_tables import MARKS, Listing, Mark, count, section, wrapped
from goforensics.report_audit import AuditedFile, Audits


def parts(document: Audits, view: View) -> Iterator[RenderableType]:
    """The table, what could not be audited, and the answer last, where the eye is."""
    if document.files:
        yield section("Summary", _table(document))
    if document.failed:
        yield section("Could not be audited", *(wrapped(f"  {each.path}: {each.reason}") for each in document.failed))
    if document.notes:
        yield section("Policy and baseline", *(wrapped(f"  {note}") for note in document.notes))
    symbol, style = MARKS[_mark(document)]
    yield Group(wrapped(f"{symbol} {_answer(document)}", style))


def _table(document: Audits) -> Listing:
    table = Listing("<", "<", "<", "<")
    table.add("file", "verdict", "findings", "besides", style="dim")
    for file in document.files:
        verdict = "ship" if file.ship else "do not ship"
        table.add(file.path, verdict, tally(file.counts), _besides(file), style="" if file.ship else "red")
    return table


def _besides(file: AuditedFile) -> str:
    rows = (("known", file.known), ("allowed", file.allowed), ("unknown", file.unknown), ("failed", file.failed))
    return ", ".join(f"{number:,} {word}" for word, number in rows if number)


def _mark(document: Audits) -> Mark:
    partial = document.notes or any(file.failed for file in document.files)
    return "bad" if not document.ship else "warn" if partial else "good"


def _answer(document: Audits) -> str:
    bad = sum(not file.ship for file in document.files)
    over = f"; {count(document.passed_over, 'other file')} passed over" if document.passed_over else ""
    failed = f"; {count(len(document.failed), 'file')} could not be audited" if document.failed else ""
    if not document.files:
        return f"no Go executable was audited{failed}{over}"
    whole = count(len(document.files), "file")
    good = "nothing found against shipping" if _mark(document) == "warn" else "ship"
    return f"do not ship {bad:,} of {whole}{failed}{over}" if bad else f"{good}: {whole}{failed}{over}"
