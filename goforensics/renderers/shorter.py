"""A table of a comparison cut to what a person reads: the first rows, the others in one, what stayed, the total."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from goforensics.report_compare import ChangedRow, Table


class Shown(msgspec.Struct, frozen=True):
    """One line; the lines of a table sum to the two files."""

    name: str
    before: int
    after: int
    note: str = ""
    style: Literal["row", "rest", "total"] = "row"
    evidence: tuple[str, ...] = ()


def shown(table: Table, top: int) -> list[Shown]:
    """The table's lines: at most `top` rows, or one more where the others would be one."""
    cut = len(table.rows) if len(table.rows) <= top + 1 else top
    return [*map(_row, table.rows[:cut]), *_rest(table, cut)]


def _row(row: ChangedRow) -> Shown:
    name = " / ".join(dict.fromkeys(row.path))
    note: str = row.change if row.change in ("added", "removed") else ""
    if row.was is not None:
        note, name = "renamed", f"{' / '.join(dict.fromkeys(row.was))} → {name}"
    return Shown(name, row.before, row.after, note, evidence=tuple(row.evidence))


def _rest(table: Table, cut: int) -> Iterator[Shown]:
    others = table.rows[cut:]
    if others:
        sums = sum(row.before for row in others), sum(row.after for row in others)
        yield Shown(f"({len(others):,} others)", *sums, style="rest")
    if table.unchanged:
        yield Shown(f"({table.unchanged:,} the same)", table.unchanged_bytes, table.unchanged_bytes, style="rest")
    if table.filtered_before or table.filtered_after:
        yield Shown("(filtered out)", table.filtered_before, table.filtered_after, style="rest")
    yield Shown("total", table.before, table.after, style="total")
