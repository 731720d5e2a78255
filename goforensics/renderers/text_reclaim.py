"""`reclaim` as text, and the table of rebuilds that `inspect` shows, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType

from goforensics.renderers import View
from goforensics.renderers.text_tables import Listing, percent, section, size, wrapped
from goforensics.report import Compressible, Reclaim, Reclaimable

ROUNDED = 512  # bytes by which content and file may differ without a word


def parts(document: Reclaim, view: View) -> Iterator[RenderableType]:
    """The best rebuild first, then every way, and what only compresses."""
    name = "standard input" if document.path == "-" else document.path
    yield Group(wrapped(name, "bold"), wrapped(f"{size(document.size)} · {_best(document)}"))
    yield section("Rebuilt", reclaimable(document.rebuilds, document.size, "rebuild with"))
    yield section("The file in hand", reclaimable(document.tools, document.size, "tool"))
    if document.compressible:
        yield section("Only compressible", compressible(document.compressible))
    if document.unread:
        reasons = [f"{row.structure} at {row.offset:#x}: {row.reason}" for row in document.unread[: view.top]]
        yield section("Could not be read", *map(wrapped, reasons))


def compressible(each: Compressible) -> RenderableType:
    """What zeroing gives, and what it does not."""
    line = f"zeroing what only traces read ({each.bytes:,} bytes of pcfile, pcln and file names) frees nothing"
    return wrapped(f"{line}, but the table compresses to {each.gain:,} bytes less")


def certainty(row: Reclaimable) -> str:
    """`exact`, or within how many bytes."""
    return "exact" if row.exact else f"± {row.bound:,}"


def reclaimable(rows: Sequence[Reclaimable], whole: int, head: str) -> Listing:
    """A table of what each action frees, and what it costs; those of which nothing can be said, with the reason."""
    table = Listing("<", ">", ">", ">", ">")
    table.add(head, "frees", "", "", "size after", style="dim")
    for row in rows:
        if row.declined is None and row.note is None:
            table.add(row.action, row.bytes, certainty(row), percent(row.bytes, whole), row.size_after)
            _cost(table, row)
    for reason in dict.fromkeys(row.declined or row.note for row in rows):
        actions = ", ".join(row.action for row in rows if reason and reason in (row.declined, row.note))
        if actions:
            word = "not predicted" if any(row.declined == reason for row in rows) else "nothing to free"
            table.note(f"{actions}: {word}, {reason}", wrap=True)
    return table


def _cost(table: Listing, row: Reclaimable) -> None:
    if abs(row.freed - row.bytes) > row.bound + ROUNDED:
        table.note(f"{row.freed:,} bytes of content go; pages are rounded", wrap=True)
    if row.loses:
        table.note(f"loses {', '.join(row.loses)}", wrap=True)


def _best(document: Reclaim) -> str:
    known = [row for row in (*document.rebuilds, *document.tools) if row.declined is None and row.bytes > 0]
    if not known:
        return "nothing that is known to make it smaller"
    best = max(known, key=lambda row: row.bytes)
    return f"{best.action} makes it {best.size_after:,} bytes, {percent(best.bytes, document.size)} less"
