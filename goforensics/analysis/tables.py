"""Two byte maps as one table: what grew, what shrank, what came in, what is gone, what has another name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from goforensics.analysis.totals import Path, Totals
from goforensics.question import Question
from goforensics.report_compare import Change, ChangedRow, Table

SortName = Literal["delta", "size", "name"]
Renamed = Mapping[str, tuple[str, list[str]]]  # a function's name before -> its name after, and the evidence


def table(question: Question, before: Totals, after: Totals, renamed: Renamed, functions: bool = False) -> Table:
    """The rows that changed, the largest difference first, and sums of the others."""
    name = ",".join("function" if functions and column == "symbol" else column for column in question.by)
    rows, mine, theirs = [], dict(before.bytes), dict(after.bytes)
    for row in _renamed_rows(question, mine, theirs, renamed):
        del mine[tuple(row.was or ())], theirs[tuple(row.path)]
        rows.append(row)
    same = [path for path, count in mine.items() if theirs.get(path) == count]
    kept = sum(mine[path] for path in same)
    others = [path for path in dict.fromkeys((*mine, *theirs)) if mine.get(path) != theirs.get(path)]
    rows += [_row(path, mine.get(path), theirs.get(path)) for path in others]
    sizes = (sum(found.bytes.values()) + found.filtered for found in (before, after))
    size_before, size_after = sizes
    return Table(
        name=name,
        by=list(question.by),
        rows=ordered(rows, "delta"),
        unchanged=len(same),
        unchanged_bytes=kept,
        before=size_before,
        after=size_after,
        delta=size_after - size_before,
        view=question.view,
        filter=[str(each) for each in question.filters],
        filtered_before=before.filtered,
        filtered_after=after.filtered,
    )


def ordered(rows: Sequence[ChangedRow], sort: SortName) -> list[ChangedRow]:
    """By the size of the difference, by the larger of the two sizes, or by name."""
    if sort == "name":
        return sorted(rows, key=lambda row: row.path)
    if sort == "size":
        return sorted(rows, key=lambda row: (-max(row.before, row.after), row.path))
    return sorted(rows, key=lambda row: (-abs(row.delta), row.path))


def _row(path: Path, before: int | None, after: int | None) -> ChangedRow:
    change: Change = "added" if before is None else "removed" if after is None else "changed"
    one, two = before or 0, after or 0
    return ChangedRow(path[-1], list(path), change, one, two, two - one)


def _renamed_rows(
    question: Question, before: Mapping[Path, int], after: Mapping[Path, int], renamed: Renamed
) -> Iterator[ChangedRow]:
    """Rows of functions that have another name: those of which both names have one row."""
    if "symbol" not in question.by or not renamed:
        return
    column = question.by.index("symbol")
    mine, theirs = _by_symbol(before, column), _by_symbol(after, column)
    for name, (new, evidence) in renamed.items():
        if len(mine[name]) == len(theirs[new]) == 1:
            was, path = mine[name][0], theirs[new][0]
            one, two = before[was], after[path]
            yield ChangedRow(path[-1], list(path), "renamed", one, two, two - one, list(was), evidence)


def _by_symbol(paths: Mapping[Path, int], column: int) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        found[path[column]].append(path)
    return found
