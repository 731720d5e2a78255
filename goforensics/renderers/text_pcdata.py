"""`pcdata` as text: what the table is made of, the heaviest functions or the costliest inlining, and the remainder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType

from goforensics.renderers import View
from goforensics.renderers.text_reclaim import compressible
from goforensics.renderers.text_tables import Listing, count, facts, percent, section, shortened, size, wrapped
from goforensics.report import TransitionCause
from goforensics.report_pcdata import CalleeRow, CalleeSums, FunctionRow, LeverRow, Pcdata, PcdataImage, Sums

GROUPS = {  # of parts, as the answer calls them
    "line": "line tables",
    "PCDATA": "PCDATA",
    "frame": "pcsp",
    "function data": "function data",
    "record": "records",
    "name": "names",
    "file": "files",
}
REST = {  # of the remainder, where the part's name alone would not do
    "cutab": "cutab entries that no function reaches",
    "filetab": "filetab entries that no function reaches",
    "funcnametab": "names that nothing uses",
    "funcdata": "function data: alignment",
    "pctab": "pctab's first byte",
}
ORDERS = {
    "function": {"pcdata": "PCDATA", "pcln": "line tables", "total": "all bytes", "density": "bytes per byte of code"},
    "inlined": {
        "pcdata": "InlTreeIndex",
        "pcln": "line tables",
        "total": "code and tables",
        "density": "bytes of tables per byte of code",
    },
}
FILL = ("", "", "", "")  # the columns of tables, in rows that have code only
FIGURES = 62  # columns that the other cells of a row take, about
CAUSES = {  # of transitions, as one speaks of many; others as they are
    "call": "calls",
    "inlined body begins": "inlined bodies",
    "inlined body ends": "inlined bodies",
    "new line": "new lines",
    "other file": "changes of file",
    "return": "returns",
    "jump": "jumps",
    "stack pointer": "stack pointer moves",
    "bounds check": "bounds checks",
    "panic": "panics",
    "write barrier": "write barriers",
    "unsafe point": "unsafe points",
}
UNKNOWN = "not known"
MOST_CAUSES = 4
DETAILED = 3  # functions that are shown part by part, if no more are asked for


def parts(document: Pcdata, view: View) -> Iterator[RenderableType]:
    """Every image: the answer, then the table."""
    for image in document.images:
        name = "standard input" if document.path == "-" else document.path
        of = f" ({image.goarch or 'unknown architecture'} at {image.offset:#x})" if len(document.images) > 1 else ""
        yield Group(wrapped(name + of, "bold"), *map(wrapped, _answer(image)))
        if document.by == "inlined":
            yield from _inlined(document, image, view)
        else:
            yield from _functions(document, image, view)
        if image.levers is not None:
            yield from _levers(image, image.levers)
        if image.unread:
            rows = [(row.structure, f"at {row.offset:#x}: {row.reason}") for row in image.unread[: view.top]]
            yield section("Could not be read", facts(rows), note=count(len(image.unread), "structure"))


def _answer(image: PcdataImage) -> Iterator[str]:
    """One sentence on the whole; another on what lies elsewhere."""
    where = f"The {image.section}" if image.section else f"The pclntab, at {image.table_offset:#x},"
    sums: dict[str, int] = {}
    for part in image.parts:
        if part.in_pclntab:
            sums[part.group] = sums.get(part.group, 0) + part.own + part.shared
    ordered = sorted(sums.items(), key=lambda item: -item[1])
    said = ", ".join(f"{GROUPS[group]} {number:,} ({percent(number, image.size)})" for group, number in ordered)
    yield f"{where} is {size(image.size)} ({percent(image.size, image.image_size)} of the file): {said}"
    outside = sum(part.own + part.shared for part in image.parts if not part.in_pclntab)
    if outside:
        yield f"Function data outside of it, as up to Go 1.25: {size(outside)}, not counted in the table below"


def _functions(document: Pcdata, image: PcdataImage, view: View) -> Iterator[RenderableType]:
    table = Listing("<", ">", ">", ">", ">", ">", ">")
    table.add("function", "PCDATA", "lines", "other", "all", "code", "all/code", style="dim")
    for row in image.functions[: view.top]:
        _figures(table, shortened(row.function, view.width - FIGURES), _of(row))
        if row.why is not None:
            table.note(_because(row.why), wrap=True)
    more = image.functions[view.top :]
    others = [_sums(image.left_out), *map(_of, more)]
    _together(table, "(1 other)", "({:,} others)", image.left_out.functions + len(more), others)
    filtered = image.filtered_out
    _together(table, "(1 filtered out)", "({:,} filtered out)", filtered.functions, [_sums(filtered)])
    for part in image.remainder:
        table.add(f"({REST.get(part.name, part.name)})", "", "", part.bytes, part.bytes, "", "", style="dim")
    whole = [part for part in image.parts if part.in_pclntab]
    pcdata, line = (sum(p.own + p.shared for p in whole if p.group == group) for group in ("PCDATA", "line"))
    _figures(table, "total", (pcdata, line, image.size, image.code_bytes), style="bold")
    title = f"Functions, by {ORDERS['function'][document.sort]}"
    yield section(title, table, note="own bytes and a part of shared ones; lines: pcfile and pcln")
    if len(image.functions) <= DETAILED:
        yield from map(_detail, image.functions)


def _because(why: Sequence[TransitionCause]) -> str:
    """What makes a function's transitions, the most frequent first."""
    number: Counter[str] = Counter()
    for each in why:
        if each.cause != "entry":
            number[CAUSES.get(each.cause, each.cause)] += each.transitions
    total = number.total()
    if set(number) == {UNKNOWN}:
        return f"{count(total, 'transition')}, of causes not known: the code is not decoded"
    said = ", ".join(f"{cause} {100 * n / total:.0f} %" for cause, n in number.most_common(MOST_CAUSES))
    return f"{count(total, 'transition')}: {said}" if total else "no transitions"


def _of(row: FunctionRow) -> Sequence[int]:
    return [row.pcdata_bytes, row.line_bytes, row.pclntab_bytes, row.code_bytes]


def _sums(sums: Sums) -> Sequence[int]:
    return [sums.pcdata_bytes, sums.line_bytes, sums.pclntab_bytes, sums.code_bytes]


def _figures(table: Listing, name: str, figures: Sequence[int], style: str = "") -> None:
    pcdata, line, total, code = figures
    density = f"{total / code:.2f}" if code else ""
    table.add(name, pcdata, line, total - pcdata - line, total, code, density, style=style)


def _together(table: Listing, one: str, many: str, number: int, figures: Sequence[Sequence[int]]) -> None:
    """A row for several functions, if there are any."""
    if number:
        _figures(table, one if number == 1 else many.format(number), _added(figures), style="dim")


def _added(figures: Sequence[Sequence[int]]) -> list[int]:
    """The sums of columns."""
    return [sum(column) for column in zip(*figures, strict=True)]


def _detail(row: FunctionRow) -> RenderableType:
    """One function, part by part."""
    table = Listing("<", ">", ">", ">", ">")
    table.add("part", "own", "part of shared", "shared", "transitions", style="dim")
    for name, part in row.parts.items():
        table.add(name, part.own, part.apportioned, part.shared, "" if part.transitions is None else part.transitions)
    table.add("in the pclntab", row.own, row.apportioned, row.shared, row.transitions, style="bold")
    note = f"{row.outside_bytes:,} bytes of function data lie outside" if row.outside_bytes else ""
    return section(row.function, table, note=note)


def _inlined(document: Pcdata, image: PcdataImage, view: View) -> Iterator[RenderableType]:
    if image.own_code_bytes is None:
        yield wrapped("What is inlined cannot be told of this file")
        return
    table = Listing("<", ">", ">", ">", ">", ">", ">", ">")
    table.add("inlined function", "copies", "callers", "code", "trees", "InlTreeIndex", "lines", "at most", style="dim")
    for row in image.callees[: view.top]:
        figures = (row.copies, row.callers, row.code_bytes, row.node_bytes, row.index_bytes, row.line_bytes)
        table.add(shortened(row.function, view.width - FIGURES), *figures, "" if row.at_most is None else row.at_most)
        if row.cumulative_code_bytes > row.code_bytes:
            table.note(
                f"with what is inlined into it: code {row.cumulative_code_bytes:,}, all {row.cumulative_bytes:,}"
            )
        if row.copies_without_code:
            table.note(f"{row.copies_without_code:,} of the copies have no code of their own")
    _other_callees(table, image, image.callees[view.top :])
    table.add("(functions' own code)", "", "", image.own_code_bytes, *FILL, style="dim")
    table.add("total", "", "", image.code_bytes, *FILL, style="bold")
    title = f"Inlined functions, by {ORDERS['inlined'][document.sort]}"
    yield section(title, table, note="code of the innermost copy; bytes")
    yield wrapped(
        "at most: an estimate of what //go:noinline would free, for one who can edit the function: all that the copies "
        "take, less the shortest call for each. It is no bound if the code around the calls changes, and it does: "
        "measure a rebuild.",
        "dim",
    )


def _other_callees(table: Listing, image: PcdataImage, more: Sequence[CalleeRow]) -> None:
    left, filtered = image.callees_left_out, image.callees_filtered_out
    others = _added([_callee_sums(left), *map(_callee, more)])
    for number, one, many, figures in (
        (left.callees + len(more), "(1 other)", "({:,} others)", others),
        (filtered.callees, "(1 filtered out)", "({:,} filtered out)", _callee_sums(filtered)),
    ):
        if number:
            table.add(one if number == 1 else many.format(number), figures[0], "", *figures[1:], "", style="dim")


def _callee(row: CalleeRow) -> Sequence[int]:
    return [row.copies, row.code_bytes, row.node_bytes, row.index_bytes, row.line_bytes]


def _callee_sums(sums: CalleeSums) -> Sequence[int]:
    return [sums.copies, sums.code_bytes, sums.node_bytes, sums.index_bytes, sums.line_bytes]


def _levers(image: PcdataImage, levers: Sequence[LeverRow]) -> Iterator[RenderableType]:
    """What flags would change, and what none does."""
    table = Listing("<", ">", ">", ">")
    table.add("build with", "pclntab", "", "", style="dim")
    for flags, rows in groupby(levers, key=lambda row: row.flags):
        _lever(table, " ".join(flags), list(rows), image.size)
    if not levers:
        table.note("nothing: the file has none of what -l and -B take away")
    table.note("to measure it: goforensics matrix PACKAGE --levers builds with each of these flags", wrap=True)
    yield section("What flags would change", table, note="bytes of the table; code changes, too")
    if image.compressible:
        yield section("Only compressible", compressible(image.compressible))


def _lever(table: Listing, flags: str, rows: Sequence[LeverRow], size: int) -> None:
    """The whole change with the parts of it that are certain, or these alone."""
    whole = [row for row in rows if not row.exact]
    for row in whole or rows:
        bound = "exact" if row.exact else f"± {row.bound:,}"
        table.add(flags, f"{row.pclntab_bytes:+,}", bound, f"{100 * row.pclntab_bytes / size:+.1f} %")
        table.note(row.how, wrap=True)
    for row in rows if whole else ():
        if row.exact:
            table.note(f"certain of it: {row.pclntab_bytes:+,}, {row.how}", wrap=True)
    if not whole:
        table.note(
            "a part of the change: the rest is not estimated for such files, as no rebuild has tested it", wrap=True
        )
    table.note(f"the price: {rows[0].price}", wrap=True)
