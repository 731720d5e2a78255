"""A build matrix as Markdown, fit for a pull request's comment or a README."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from goforensics.errors import UsageError
from goforensics.renderers import View
from goforensics.renderers.matrix_tables import (
    PARTLY,
    TOOLS,
    ability,
    failures,
    number,
    paired,
    predicted,
    refusals,
    reproducible,
    saving,
    seconds,
    shell,
    untested,
)
from goforensics.renderers.plain import plain
from goforensics.report import Document
from goforensics.report_matrix import BuildMatrix, MatrixRow

# What Markdown, HTML or a forge would make something of: markup, links, mentions, emoji, lists at a line's beginning.
ACTS = re.compile(r"([\\`*_{}\[\]<>()#!|~&@]|:(?=\S)|(?<=www)\.|^[-+])", re.IGNORECASE)


def render(documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
    """One section per document."""
    for document in documents:
        if not isinstance(document, BuildMatrix):
            raise UsageError("only a build matrix can be written so")
        yield "\n".join([*_head(document), "", *_table(document), *_times(document), *_notes(document)]) + "\n"


def literal(content: str) -> str:
    """Text from elsewhere, shown as it is: no markup, no link, no mention."""
    return ACTS.sub(r"\\\1", plain(content)).replace("\\@", "&#64;")


def code(content: str) -> str:
    """The same in a code span that nothing within can end; a pipe would end a table's cell there too."""
    content = plain(content).replace("|", "¦")
    ticks = "`" * (max((len(run) for run in re.findall("`+", content)), default=0) + 1)
    pad = " " if content.startswith("`") or content.endswith("`") else ""
    return f"{ticks}{pad}{content}{pad}{ticks}"


def _head(document: BuildMatrix) -> Iterator[str]:
    target = f"{document.go_version}, {document.goos}/{document.goarch}"
    yield f"### {code(document.package)} ({literal(target)})"
    chosen = document.recommended
    if chosen is None:
        yield "\nNo set of flags that leaves the program as it is could be built."
        return
    yield f"\nUse {code(shell(chosen.command))}:\n"
    yield from (f"- {literal(line)}" for line in chosen.why)
    if chosen.loses:
        yield f"- loses {literal(', '.join(chosen.loses))}"
    yield from (f"- limits {literal(line)}" for line in chosen.limits)
    yield from (f"- but {literal(line)}" for line in chosen.misses)


def _table(document: BuildMatrix) -> Iterator[str]:
    zstd = [f"zstd -{document.zstd_level}"] if document.zstd_level else []
    head = ["flags", "size", "change", "pclntab", f"gzip -{document.gzip_level}", *zstd]
    head += ["predicted - actual", "`nm` symbols", "DWARF", *TOOLS, "linking", "leaked paths", "reproducible"]
    left = {"flags", *TOOLS, "linking", "reproducible"}
    yield _row(head)
    yield _row(["---" if name in left else "---:" for name in head])
    for row in document.rows:
        yield _row([code(row.name), *_cells(row, bool(zstd))])
    yield f"\n{literal(PARTLY)}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: MatrixRow, zstd: bool) -> list[str]:
    measured = row.measured
    if measured is None:
        return [f"failed: {literal(row.error or '')}"]
    packed = [number(measured.gzip_size), *([number(measured.zstd_size)] if zstd else [])]
    foretold = predicted(row.prediction) if row.prediction.size is not None else ""
    works = [ability(measured, name) for name in TOOLS]
    rest = [measured.linking or "?", number(measured.leaked_paths), reproducible(row.reproducible)]
    return [
        *(number(measured.size), saving(measured), number(measured.pclntab_bytes), *packed, foretold),
        *(number(measured.symbols), number(measured.dwarf_bytes), *works, *rest),
    ]


def _times(document: BuildMatrix) -> Iterator[str]:
    rows = [(row.name, row.startup) for row in document.rows if row.startup is not None]
    if not rows:
        return
    yield f"\nStart-up time, {document.runs:,} runs in turn:\n"
    yield _row(["flags", "median", "range of half the runs", "beside default"])
    yield _row(["---", "---:", "---:", "---:"])
    for name, time in rows:
        shown = [seconds(time.median), seconds(time.spread), paired(time)]
        yield _row([code(name), *(shown if time.median is not None else [literal(time.reason)])])


def _notes(document: BuildMatrix) -> Iterator[str]:
    lines = [f"{name}={value}" for name, value in document.environment.items()] + document.notes
    lines += [f"prediction{names}: none, {reason}" for reason, names in refusals(document)]
    lines += [f"reproducible{names}: {reason}" for reason, names in untested(document)]
    lines += [f"{row.name}: {line}" for row in document.rows for line in failures(row) if line != row.error]
    if lines:
        yield "\n<details><summary>Settings and notes</summary>\n"
        yield from (f"- {literal(line)}" for line in lines)
        yield "\n</details>"
