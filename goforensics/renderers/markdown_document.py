"""Markdown for a comment on a pull request: the answer in a table, the evidence folded away.

Nothing that comes from a file is ever markup: its text stands in a <code> element with every character but letters,
digits and a few harmless marks as a numeric entity, so that no table, link, mention, image or tag comes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from goforensics.errors import UsageError
from goforensics.renderers import View
from goforensics.renderers.plain import plain
from goforensics.renderers.shorter import Shown, shown
from goforensics.report import Document
from goforensics.report_compare import Comparison, Pair, Table

HARMLESS = frozenset(" .,/-")
LONGEST = 200  # characters of one name or value
MARKS = {"yes": "yes", "limited": "limited", "no": "**no**", "unknown": "unknown"}


def render(documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
    """A comment per comparison."""
    for document in documents:
        if not isinstance(document, Comparison):
            raise UsageError("only comparisons can be written as Markdown; --format text or json shows the rest")
        yield "\n".join([*_answer(document), *_pairs(document, view.top), *_ladder(document)]) + "\n"


def code(text: str) -> str:
    """Text from a file as a code element that holds nothing but itself."""
    whole = plain(text)
    cut = f"{whole[:LONGEST]}…" if len(whole) > LONGEST else whole
    return f"<code>{''.join(_entity(c) for c in cut)}</code>" if cut else ""


def _entity(character: str) -> str:
    return character if character.isalnum() or character in HARMLESS else f"&#{ord(character)};"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(cells: Sequence[str], sides: str) -> list[str]:
    return [_row(cells), _row(["---:" if side == ">" else ":---" for side in sides])]


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _answer(document: Comparison) -> Iterator[str]:
    yield from _head(("file", "bytes", "difference", "", "conclusion"), "<>>><")
    base = document.files[0].size
    for i, file in enumerate(document.files):
        share = f"{100 * file.delta / base:+.1f} %" if i and base else ""
        told = document.pairs[i - 1].conclusion if i else "base"
        yield _row((code(file.path), f"{file.size:,}", _signed(file.delta) if i else "", share, told))


def _pairs(document: Comparison, top: int) -> Iterator[str]:
    for pair in document.pairs:
        yield ""
        if len(document.pairs) > 1:
            yield from (f"#### {code(pair.before)} and {code(pair.after)}", "")
        yield from _told(pair)
        for table in pair.tables:
            yield from _table(table, top)


def _told(pair: Pair) -> Iterator[str]:
    """Causes, and what was built differently."""
    for why in pair.why:
        yield f"**Why:** {why.cause}."
        yield from (f"- {code(line)}" for line in why.evidence)
        yield ""
    if pair.differences:
        yield from _head(("built differently", "before", "after"), "<<<")
        for row in pair.differences:
            values = ["not recorded" if value is None else code(value) for value in (row.before, row.after)]
            yield _row((f"{row.what} {code(row.name)}".strip(), *values))
        yield ""


def _table(table: Table, top: int) -> Iterator[str]:
    by = ", ".join(table.name.split(","))
    yield from (f"<details><summary>By {by}: {_signed(table.delta)} bytes</summary>", "")
    only = [code(each) for each in table.filter]
    if only or table.view != "owned":
        yield from (f"{table.view}{', only ' if only else ''}{', '.join(only)}", "")
    yield from _head((by, "before", "after", "difference", ""), "<>>><")
    yield from map(_line, shown(table, top))
    yield from ("", "</details>", "")


def _line(row: Shown) -> str:
    mark = "**" if row.style == "total" else ""
    name = code(row.name) if row.style == "row" else f"{mark}{row.name}{mark}"
    note = f"{row.note}: {code('; '.join(row.evidence))}" if row.evidence else row.note
    return _row((name, f"{row.before:,}", f"{row.after:,}", f"{mark}{_signed(row.after - row.before)}{mark}", note))


def _ladder(document: Comparison) -> Iterator[str]:
    files = document.files
    yield from ("<details><summary>What can be done with it</summary>", "")
    yield from _head(("tool", *(code(file.path) for file in files)), "<" * (1 + len(files)))
    for i, rung in enumerate(files[0].ladder):
        yield _row((rung.tool, *(_rung(file.ladder[i].works, file.ladder[i].reason) for file in files)))
    yield from ("", "</details>")


def _rung(works: str, reason: str) -> str:
    return MARKS[works] if works == "yes" else f"{MARKS[works]}: {reason}"
