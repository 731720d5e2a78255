"""Listings of the byte map: its rows in a view, what a filter leaves out as one number, and what nobody knows."""

from __future__ import annotations

from collections import Counter
from typing import cast

import msgspec
import numpy as np

import goforensics.report as report
from goforensics.bytemap import UNKNOWN, ByteMap, Codes, Row
from goforensics.question import Question

ONLY = "section-only"  # the origin of bytes of which the section is all that is known


def listing(bytemap: ByteMap, question: Question) -> report.Sizes:
    """The map grouped as asked: the rows and `filtered_out` sum to the size of the file, in either view.

    A filter is tried on what the listing would show.  Where it looks at a column that is not listed, the bytes of
    an apportioned view are rounded one level deeper and may differ by a few from those without the filter.
    """
    totals: Counter[tuple[tuple[str, ...], str]] = Counter()
    left_out = 0
    for row in bytemap.group(question.grouped, apportioned=question.view == "apportioned"):
        path = _path(row, question.grouped)
        if _wanted(path, question):
            totals[path[: len(question.by)], row.origin] += row.bytes
        else:
            left_out += row.bytes
    rows = [
        report.SizeRow(path[-1], list(path), cast(report.Kind, origin), count)
        for (path, origin), count in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    ]
    filters = [str(each) for each in question.filters]
    return report.Sizes(list(question.by), rows, question.view, filters, left_out, bytemap.size)


def _path(row: Row, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The row's values; the origin is never missing, so it needs no brackets."""
    return tuple(row.origin if name == "origin" else value for name, value in zip(columns, row.path, strict=True))


def _wanted(path: tuple[str, ...], question: Question) -> bool:
    return all(each.matches(path[question.grouped.index(each.column)]) for each in question.filters)


def labels(bytemap: ByteMap, column: str) -> tuple[Codes, list[str]]:
    """Per cell an index into the distinct texts of a column, each decoded once; "" where nothing is said."""
    cells, names = bytemap.codes[column], bytemap.names[column]
    used = np.zeros(int(cells.max(initial=0)) + 1, np.bool_)
    used[cells] = True
    texts = [names[code] for code in np.flatnonzero(used).tolist()]
    # Two claims may say the same in vocabularies of their own.
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    same = np.zeros(len(used), np.int32)
    same[used] = [place[text] for text in texts]
    return same[cells], list(place)


def joined(bytemap: ByteMap, keys: list[Codes]) -> tuple[Codes, Codes]:
    """Cells [first, end) of which neighbours that agree in every key are one."""
    change = np.zeros(len(bytemap.bounds) - 1, bool)
    change[:1] = True
    for key in keys:
        change[1:] |= np.diff(key) != 0
    first = np.flatnonzero(change).astype(np.int32)
    return first, np.r_[first[1:], np.int32(len(change))].astype(np.int32)


class Evidence(msgspec.Struct, frozen=True):
    """What the map says about its own limits, and of who may have changed the file."""

    disputes: list[report.DisputeRow]
    unknown: list[report.UnknownRange]
    unknown_bytes: int
    section_only_bytes: int


def evidence(bytemap: ByteMap) -> Evidence:
    """Disputes, and the ranges that nobody claims or of which only the section is known; the first of each."""
    disputes = [
        report.DisputeRow(d.start, d.end - d.start, list(d.claimants)) for d in bytemap.disputes[: report.MOST_DISPUTES]
    ]
    ranges = _unknown(bytemap)
    total = Counter[str | None]()
    for each in ranges:
        total[each.known] += each.size
    return Evidence(disputes, ranges[: report.MOST_DISPUTES], total[None], total["section"])


def _unknown(bytemap: ByteMap) -> list[report.UnknownRange]:
    origin, origins = labels(bytemap, "origin")
    section, sections = labels(bytemap, "section")
    first, end = joined(bytemap, [origin, section])
    wanted = np.isin(origin[first], [i for i, name in enumerate(origins) if name in ("", UNKNOWN, ONLY)])
    first, end = first[wanted], end[wanted]
    start, size = bytemap.bounds[first], bytemap.bounds[end] - bytemap.bounds[first]
    each = zip(start.tolist(), size.tolist(), section[first].tolist(), origin[first].tolist(), strict=True)
    return [
        report.UnknownRange(at, n, sections[s] or None, "section" if origins[o] == ONLY else None)
        for at, n, s, o in each
    ]
