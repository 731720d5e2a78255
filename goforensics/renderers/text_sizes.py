"""Listings of the byte map as text: a tree with a level per column, each with its remainder, down to the total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
from rich.console import RenderableType

from goforensics.renderers import View
from goforensics.renderers.text_tables import INDENT, Listing, capped, count, percent, section, split, wrapped
from goforensics.report import Inspection, Sizes

VIEWS = {
    "owned": "each byte once; bytes that several packages use are (shared)",
    "apportioned": "shared bytes divided by the number of uses",
}
WITH_KIND = {"module", "package", "symbol"}  # columns whose rows are mostly of one kind, which says much
FILTERS = 8  # named in one line


class Group(msgspec.Struct):
    """What the rows below one value of a column have in sum."""

    name: str
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    below: dict[str, Group] = {}

    @property
    def bytes(self) -> int:
        """Of all kinds."""
        return self.kinds.total()


class _Level(msgspec.Struct, frozen=True):
    """What all the levels of one listing share."""

    listing: Listing
    sizes: Sizes
    whole: int
    top: int
    by_name: bool


def parts(document: Inspection, view: View) -> Iterator[RenderableType]:
    """The listing asked for, and the one by module unless that is the same."""
    for sizes in (document.sizes, document.modules):
        if sizes is document.sizes or sizes.by != document.sizes.by or sizes.filter != document.sizes.filter:
            head = [wrapped(f"{INDENT}{sizes.view}: {VIEWS[sizes.view]}", "dim")]
            if sizes.filter:
                head.append(wrapped(f"{INDENT}only {capped(sizes.filter, FILTERS)}", "dim"))
            yield section(f"Where the bytes went, by {', '.join(sizes.by)}", *head, _listing(sizes, document, view))


def _listing(sizes: Sizes, document: Inspection, view: View) -> Listing:
    groups, paths = _tree(sizes), [row.path for row in sizes.rows]
    listing = Listing("<", ">", ">", "<", scale=max((group.bytes for group in groups), default=0))
    whole = document.file.size
    # A document whose rows are in alphabetical order was asked for so; its tree keeps it.
    level = _Level(listing, sizes, whole, view.top, paths == sorted(paths))
    _show(level, groups, 0, "")
    if sizes.filtered_out:
        listing.add("(filtered out)", sizes.filtered_out, percent(sizes.filtered_out, whole), style="dim")
    total = sum(group.bytes for group in groups) + sizes.filtered_out
    listing.add("total", total, percent(total, whole), style="bold")
    return listing


def _tree(sizes: Sizes) -> list[Group]:
    """The rows as groups of groups; kinds of one path are added up."""
    root = Group("")
    for row in sizes.rows:
        group = root
        for name in row.path:
            group = group.below.setdefault(name, Group(name))
            group.kinds[row.kind] += row.bytes
    return list(root.below.values())


def _show(level: _Level, groups: Sequence[Group], depth: int, told: str) -> None:
    """One level and, beneath each of its rows, the next; `told` is what the row above says of its kinds."""
    ordered = groups if level.by_name else sorted(groups, key=lambda group: -group.bytes)
    shown, rest = split(ordered, level.top)
    indent = INDENT * depth
    for group in shown:
        note = _note(group, level.sizes.by[: depth + 1])
        cells = (percent(group.bytes, level.whole), note if note != told else "")
        level.listing.add(indent + group.name, group.bytes, *cells, bar=0 if depth else group.bytes)
        _show(level, _within(group), depth + 1, note)
    if rest:
        left = sum(group.bytes for group in rest)
        named = f"{indent}({count(len(rest), 'other')})"
        level.listing.add(named, left, percent(left, level.whole), style="dim")


def _within(group: Group) -> list[Group]:
    """The groups below; none that merely says again what the one above is called."""
    below = list(group.below.values())
    return _within(below[0]) if len(below) == 1 and below[0].name == group.name else below


def _note(group: Group, by: Sequence[str]) -> str:
    ((largest, _),) = group.kinds.most_common(1)
    if by[-1] not in WITH_KIND or group.name == f"({largest})":
        return ""
    return largest if len(group.kinds) == 1 else f"{largest} +{len(group.kinds) - 1}"
