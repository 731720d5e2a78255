"""A build matrix as text: what to use and why, then the figures it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

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
from goforensics.renderers.text_tables import Listing, Verdict, facts, section, text, verdicts, wrapped
from goforensics.report_matrix import BuildMatrix, MatrixRow, Measured

Rows = list[tuple[MatrixRow, Measured]]


def parts(document: BuildMatrix, view: View) -> Iterator[RenderableType]:
    """The report in its parts, leaving out those of which the document has nothing."""
    yield Group(_head(document), verdicts(_findings(document), view))
    built = [(row, row.measured) for row in document.rows if row.measured is not None]
    if built:
        yield section("Sizes", _sizes(document, built))
        yield section("What works, and what is given away", _abilities(built))
    if document.runs:
        note = f"median of {document.runs:,} runs, and the range that half of them lie within"
        yield section("Start-up", _times(document), note=note)
    yield from _told(document)


def _head(document: BuildMatrix) -> Text:
    head = Text(text(document.package).plain, style="bold", overflow="fold")
    target = f"{document.go_version} · {document.goos}/{document.goarch} · {document.go}"
    return head.append(f"\n{text(target).plain}", style="not bold")


def _findings(document: BuildMatrix) -> Iterator[Verdict]:
    chosen = document.recommended
    if chosen is None:
        yield Verdict("warn", "Use", "no set of flags that leaves the program as it is could be built")
    else:
        yield Verdict("good", "Use", chosen.row, shell(chosen.command))
        yield from (Verdict("info", "because", why) for why in chosen.why)
        if chosen.loses:
            yield Verdict("info", "loses", ", ".join(chosen.loses))
        yield from (Verdict("info", "limits", limit) for limit in chosen.limits)
        yield from (Verdict("warn", "but", missed) for missed in chosen.misses)
    for row in document.rows:
        if row.error:
            yield Verdict("bad", "Failed", f"{row.name}: {row.error}")
        if row.prediction.held is False:
            missed = f"{row.name}: the predicted size is off by {row.prediction.difference or 0:+,} bytes"
            yield Verdict("bad", "Predicted", f"{missed}, which is more than it allowed")


def _sizes(document: BuildMatrix, rows: Rows) -> Listing:
    table = Listing("<", ">", ">", ">", ">", ">", "<")
    zstd = f"zstd -{document.zstd_level}" if document.zstd_level else ""
    head = ("flags", "size", "", "pclntab", f"gzip -{document.gzip_level}", zstd, "predicted - actual")
    table.add(*head, style="dim")
    for row, measured in rows:
        packed = number(measured.zstd_size) if zstd else ""
        foretold = "" if row.name == document.default else predicted(row.prediction)
        style = "bold" if document.recommended and row.name == document.recommended.row else ""
        cells = (measured.size, saving(measured), number(measured.pclntab_bytes), measured.gzip_size, packed, foretold)
        table.add(row.name, *cells, style=style)
    return table


def _abilities(rows: Rows) -> Listing:
    table = Listing("<", ">", ">", "<", "<", "<", "<", ">", "<")
    table.add("flags", "nm", "DWARF", *TOOLS, "linking", "paths", "repro", style="dim")
    for row, measured in rows:
        works = [ability(measured, name) for name in TOOLS]
        shown = (measured.linking or "?", number(measured.leaked_paths), reproducible(row.reproducible))
        table.add(row.name, number(measured.symbols), number(measured.dwarf_bytes), *works, *shown)
    table.note(f"{PARTLY} (--format json says which and why)", wrap=True)
    return table


def _times(document: BuildMatrix) -> Listing:
    table = Listing("<", ">", ">", ">", ">", "<")
    table.add("flags", "median", "range", "beside default", "range", "", style="dim")
    for row in document.rows:
        time = row.startup
        if time is None:
            continue
        if time.median is None:
            table.add(row.name)
            table.note(time.reason)
            continue
        ended = f"exit code {time.exit_code}" if time.exit_code else ""
        differs = (paired(time), "" if time.difference_spread is None else seconds(time.difference_spread))
        table.add(row.name, seconds(time.median), seconds(time.spread), *differs, ended)
    return table


def _told(document: BuildMatrix) -> Iterator[RenderableType]:
    """Settings, and what could not be said."""
    if document.environment:
        yield section("Settings of the go command", facts(document.environment.items()))
    lines = list(document.notes)
    if document.zstd_level is None:
        lines.append("zstd: not installed; pip install 'goforensics[zstd]'")
    lines += [f"prediction{names}: none, {reason}" for reason, names in refusals(document)]
    lines += [f"reproducible{names}: {reason}" for reason, names in untested(document)]
    lines += [f"{row.name}: {line}" for row in document.rows for line in failures(row) if line != row.error]
    kept = [row.measured.file for row in document.rows if row.measured and row.measured.file]
    lines += [f"kept: {file}" for file in kept]
    if lines:
        yield section("Notes", *(wrapped(f"  {line}") for line in lines))
