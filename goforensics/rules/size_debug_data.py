"""Symbols and debug data in a release."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections import symtab


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding with the bytes of both.  UnknownError, after it, for symbols that cannot be read."""
    late: UnknownError | None = None
    debug, symbols = _debug(subject), list[Hit]()
    try:
        symbols = _symbols(subject)
    except UnknownError as error:
        late = error
    parts = [*(["DWARF"] if debug else ()), *(["a symbol table"] if symbols else ())]
    if parts:
        total = sum(hit.length for hit in (*debug, *symbols))
        share = 100 * total / len(subject.image.data)
        title = f"{' and '.join(parts)} in the file: {total:,} bytes, {share:.1f} % of it"
        flags = "-s -w" if symbols else "-w"
        yield Draft(title, [*debug, *symbols], "debug data", fix=_fix(flags), mends=(f"-ldflags={flags}",))
    if late:
        raise late


def _debug(subject: Subject) -> list[Hit]:
    sections = recorded.debug_sections(subject)
    rows = [Hit(f"{s.name}: {s.file_size:,} bytes", "dwarf", s.offset, s.file_size) for s in sections]
    return sorted(rows, key=lambda hit: -hit.length)


def _symbols(subject: Subject) -> list[Hit]:
    """Records and their names; not what the dynamic linker needs, which Mach-O keeps in the same table."""
    place = recorded.symbol_table(subject)
    if place is None or not recorded.symbols(subject):
        return []
    size = place.count * symtab.record_size(place, subject.image.bits)
    records = Hit(f"{place.count:,} symbols: {size:,} bytes", "symtab", place.offset, size)
    return [
        records,
        Hit(f"their names: {place.strings_size:,} bytes", "strtab", place.strings_offset, place.strings_size),
    ]


def _fix(flags: str) -> str:
    return f'go build -ldflags="{flags}"; goforensics reclaim tells what that saves, to the byte where it can'


RULE = Rule(
    id="size/debug-data",
    title="Debug data in a release",
    severity="low",
    why="A quarter to a third of a Go executable is symbols and DWARF that a running program does not read: panics, "
    "pprof and go version -m work without. Low severity: debuggers need it, and some teams ship it on purpose.",
    fix='go build -ldflags="-s -w"',
    limits="Says what is there, not what a rebuild would save: pages are rounded, and content moves. Up to Go 1.21 "
    "-s does nothing for darwin.",
    check=check,
    profiles=("release", "container"),  # a debug build is for debuggers
)
