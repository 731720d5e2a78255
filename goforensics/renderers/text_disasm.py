"""`disasm` as text: instructions under their source lines, and beside them what refers and what changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from goforensics.renderers import View
from goforensics.renderers.plain import plain
from goforensics.renderers.text_tables import INDENT, Listing, count, section, wrapped
from goforensics.report_disasm import Disassembly, InlinedCall, Instruction, Misplaced, PcTable, Reference

CODE = 42  # columns of an instruction before what is said of it
STRING = 60  # characters of a string
FRAMES = 64  # of an inline stack
SAME = 3  # rows of the same data that are shown


def parts(document: Disassembly, view: View) -> Iterator[RenderableType]:
    """What function it is, its code, what is odd, and why its tables are as long as they are."""
    yield Group(wrapped(document.function, "bold"), *map(wrapped, _facts(document)))
    if document.instructions:
        yield _code(document, view.width)
    else:
        yield section("Tables", *[line for table in document.tables for line in _steps(table)])
    if document.misplaced and document.instructions:
        yield section("Transitions on no instruction", *map(_misplaced, document.misplaced))
    yield section("What makes the transitions", _why(document))
    if document.unread:
        reasons = [f"{row.structure} at {row.offset:#x}: {row.reason}" for row in document.unread[: view.top]]
        yield section("Could not be read", *map(wrapped, reasons))


def _facts(document: Disassembly) -> Iterator[str]:
    where = "not in the file" if document.offset is None else f"at {document.offset:#x} in the file"
    size = f"{count(document.size, 'byte')} at {document.address:#x}, {where}"
    padding = f", {document.padding:,} of them padding" if document.padding else ""
    yield f"{document.goarch or 'unknown architecture'} · {size}{padding}"
    yield from document.notes


Span = tuple[str, str]  # text, made harmless, and its style


class _Lines:
    """Lines of spans.  Those that fit are one text, which takes a fraction of the time of a text each."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.done: list[RenderableType] = []
        self._open: list[Span] = []

    def add(self, *spans: Span) -> None:
        """One line, wrapped if it is too long."""
        words = "".join(text for text, _ in spans)
        if words.isascii() and len(words) <= self.width:
            self._open += [*spans, ("\n", "")]
            return
        self.close()
        self.done.append(Text.assemble(*spans, overflow="fold"))

    def close(self) -> list[RenderableType]:
        """Everything so far."""
        if self._open:
            self.done.append(Text.assemble(*self._open[:-1], no_wrap=True))
            self._open = []
        return self.done


def _code(document: Disassembly, width: int) -> Group:
    """All instructions."""
    calls = {call.node: call for call in document.inlined}
    misplaced = _by_instruction(document.instructions, document.misplaced)
    lines, told = _Lines(width), None
    for one, more in _fewer(document.instructions):
        place = (one.file, one.line, one.inlined)
        if place != told:
            _source(lines, one, document, calls, told is None or told[2] != one.inlined)
            told = place
        _instruction(lines, one, document)
        for odd in misplaced.get(one.offset, ()):
            lines.add((f"{INDENT}! inside: {plain(odd.table)} -> {odd.value} at +{odd.offset:#x}", "yellow"))
        if more:
            lines.add((f"{INDENT}… {count(more, 'more row')} of the same", "dim"))
    if document.padding:
        end = document.address + document.size - document.padding
        lines.add((f"{INDENT}{end:#x}  padding, {count(document.padding, 'byte')}", "dim"))
    return Group(*lines.close())


def _fewer(rows: Sequence[Instruction]) -> Iterator[tuple[Instruction, int]]:
    """The rows, each with how many like it are left out behind it: of data that repeats, only the first."""
    for (kind, *_), same in groupby(rows, key=lambda r: (r.kind, r.operands, r.file, r.line, r.inlined)):
        run = list(same)
        quiet = kind == "data" and len(run) > SAME and not any(row.transitions for row in run[SAME:])
        shown = run[:SAME] if quiet else run
        yield from ((row, 0) for row in shown[:-1])
        yield shown[-1], len(run) - len(shown)


def _by_instruction(rows: Sequence[Instruction], odd: Iterable[Misplaced]) -> dict[int, list[Misplaced]]:
    """By the offset of the instruction in whose middle they are; those behind the code are left out."""
    inside = {row.offset + n: row.offset for row in rows for n in range(1, row.size)}
    found: dict[int, list[Misplaced]] = {}
    for one in odd:
        if one.offset in inside:
            found.setdefault(inside[one.offset], []).append(one)
    return found


def _source(lines: _Lines, one: Instruction, document: Disassembly, calls: dict[int, InlinedCall], whole: bool) -> None:
    """The line an instruction comes from; the calls that brought it here if the stack is to be told `whole`."""
    call = calls.get(one.inlined)
    name = f"  {plain(call.function)}" if call else ""
    lines.add((_place(one.file, one.line), "bold cyan"), (name, "cyan"))
    seen: set[int] = set()
    while whole and call is not None and call.node not in seen and len(seen) < FRAMES:
        seen.add(call.node)
        outer = calls.get(call.parent)
        name = outer.function if outer else document.function
        lines.add((f"{INDENT}inlined at {_place(call.file, call.line)}  {plain(name)}", "cyan"))
        call = outer


def _place(file: str | None, line: int | None) -> str:
    return f"{plain(file)}:{line}" if file is not None else "(no line)"


def _instruction(lines: _Lines, one: Instruction, document: Disassembly) -> None:
    """One line, and as many more as there is to say."""
    offset = f"+{one.offset:#x}".ljust(len(f"{document.size:#x}") + 1)
    raw = f"{one.bytes:<22} " if one.bytes is not None else ""
    lead, code = f"{INDENT}{one.address:#x}  {offset}  {raw}", plain(f"{one.mnemonic} {one.operands}".rstrip())
    said = [(_said(one.reference, document), "green")] if one.reference else []
    said += [(f"{plain(row.table)} -> {row.value}", "yellow") for row in one.transitions]
    spans: list[Span] = [(lead, "dim"), (code, "")]
    column = len(lead) + len(code)
    for words, style in said:
        begin = max(len(lead) + CODE, column + 2)
        if begin + len(words) > lines.width and column > len(lead) + CODE:
            lines.add(*spans)
            spans, column, begin = [], 0, len(lead) + CODE
        spans.append((" " * (begin - column) + words, style))
        column = begin + len(words)
    lines.add(*spans)


def _said(reference: Reference, document: Disassembly) -> str:
    """What an instruction refers to; in the function itself only how far from its entry."""
    away = reference.address - document.address
    if reference.kind == "function" and 0 <= away < document.size:
        return f"<+{away:#x}>"
    text = "" if reference.text is None else _quoted(reference.text)
    name = plain(reference.name)
    if reference.kind == "string":
        return f"{name} {text}".strip()
    if reference.kind == "string header":
        return f"{name} &{text}"
    if reference.kind == "function value":
        return f"&{name}"
    if text:
        return f"{name} (begins as {text})"
    return name or f"{reference.address:#x}"


def _quoted(text: str) -> str:
    cut = text if len(text) <= STRING else f"{text[:STRING]}…"
    escaped = cut.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{plain(escaped)}"'


def _misplaced(one: Misplaced) -> Text:
    return wrapped(f"{INDENT}{one.table} -> {one.value} at +{one.offset:#x}")


def _steps(table: PcTable) -> Iterator[Text]:
    """A table alone: every step of it."""
    yield wrapped(f"{INDENT}{table.name}, {count(table.size, 'byte')}", "bold")
    pairs = zip(table.offsets, table.values, strict=True)
    yield wrapped(INDENT + "  ".join(f"+{at:#x} -> {value}" for at, value in pairs))


def _why(document: Disassembly) -> Listing:
    """By table, the most transitions first, and how many functions share the table's bytes."""
    users = {table.name: table.users for table in document.tables}
    listing = Listing("<", ">", ">", "<")
    listing.add("table", "transitions", "bytes", "", style="dim")
    for name, rows in groupby(document.why, key=lambda row: row.table):
        causes = list(rows)
        known = [row.bytes for row in causes if row.bytes is not None]
        shared = f"shared by {users[name]:,} functions" if users.get(name, 1) > 1 else ""
        size = sum(known) if len(known) == len(causes) else "?"
        listing.add(name, sum(row.transitions for row in causes), size, shared, style="bold")
        for row in causes:
            listing.add(INDENT + row.cause, row.transitions, row.bytes if row.bytes is not None else "?")
    return listing
