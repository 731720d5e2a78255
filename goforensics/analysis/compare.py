"""Several builds of a program, each compared with the first: what differs, where the bytes are, and what is the same.

Each file is read and mapped once; then every other one is held against the first, table by table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

import goforensics.report_compare as report
from goforensics.analysis import identity, mapping, tables
from goforensics.analysis.conclusion import conclusion
from goforensics.analysis.differences import build_id, differences
from goforensics.analysis.ladder import ladder
from goforensics.analysis.matching import Matching, match
from goforensics.analysis.samecode import CHANGED, PENDING, SAME, UNPROVEN, Program, program
from goforensics.analysis.totals import Totals, totals
from goforensics.analysis.whys import whys
from goforensics.binary import Binary
from goforensics.errors import FormatError, UsageError
from goforensics.question import Question, question
from goforensics.report import Build, File, Unread

Progress = Callable[[str, int, int], None]

FUNCTION = "function"  # a table of its own: the map's symbols as far as they are functions
TABLES = (("section",), ("structure",), ("module",), ("package",), (FUNCTION,))


class Reading(msgspec.Struct, frozen=True, eq=False):
    """One file, as far as comparing needs it."""

    binary: Binary
    file: File
    build: Build
    totals: list[Totals]  # per question
    program: Program | None
    unread: list[Unread]


def _silent(step: str, done: int, total: int) -> None:
    pass


class Asked(msgspec.Struct, frozen=True):
    """One table: its question, and whether it lists functions only."""

    question: Question
    functions: bool = False


def questions(by: Sequence[Sequence[str]] = TABLES, view: str = "owned", filters: Sequence[str] = ()) -> list[Asked]:
    """What is asked, per table; "function" may stand for "symbol".  Raises UsageError for what makes no sense."""
    found = []
    for names in by:
        columns = ["symbol" if name == FUNCTION else name for name in names]
        found.append(Asked(question(columns, view, filters), FUNCTION in names))
    return found


def compare(binaries: Sequence[Binary], asked: Sequence[Asked], tell: Progress = _silent) -> report.Comparison:
    """Hold every binary but the first against the first.

    Raises UsageError for fewer than two of them, NotGoError for one without any trace of Go's toolchain.
    """
    if len(binaries) < 2:
        raise UsageError("name at least two files to compare")
    read = []
    for i, binary in enumerate(binaries):
        tell("files", i, len(binaries) + 1)
        read.append(reading(binary, asked))
    tell("comparison", len(binaries), len(binaries) + 1)
    return report.Comparison(
        files=[_compared(each, read[0].file.size) for each in read],
        pairs=[_pair(read[0], other, asked) for other in read[1:]],
    )


def reading(binary: Binary, asked: Sequence[Asked]) -> Reading:
    """Read and map one file; of the map only the sums are kept."""
    binary.file.hash_ahead()
    columns = tuple(dict.fromkeys(column for each in asked for column in each.question.painted))
    bytemap = mapping.bytemap_of(binary, columns)
    found = [totals(bytemap, each.question, each.functions) for each in asked]
    build = identity.build(binary)
    file = identity.file(binary, build.settings)
    if binary.slices:
        file = msgspec.structs.replace(file, size=len(binary.file.data), format="macho-fat")
    return Reading(binary, file, build, found, _program(binary), mapping.unread_everywhere(binary))


def _program(binary: Binary) -> Program | None:
    """None of a universal file: its images are several programs."""
    if binary.slices:
        return None
    try:
        return program(binary)
    except FormatError:
        return None


def _compared(each: Reading, base: int) -> report.Compared:
    file = each.file
    return report.Compared(
        path=file.path,
        size=file.size,
        delta=file.size - base,
        sha256=file.sha256,
        format=file.format,
        goos=file.goos,
        goarch=file.goarch,
        go_version=each.build.go_version,
        build_mode=file.build_mode,
        link_mode=file.link_mode,
        stripped=file.stripped,
        functions=len(each.program.names) if each.program else None,
        ladder=ladder(each.binary),
        unread=each.unread,
    )


def _pair(before: Reading, after: Reading, asked: Sequence[Asked]) -> report.Pair:
    one, other = before.program, after.program
    matching = match(one, other) if one is not None and other is not None else None
    code = _code(one, other, matching) if one and other and matching else None
    found = differences((before.file, before.build), (after.file, after.build))
    verdict, sentence = conclusion((before.binary, before.file), (after.binary, after.file), code, found)
    renamed = _names(one, other, matching) if one and other and matching else {}
    causes = list(whys((before.binary, one), (after.binary, other))) if one and other and verdict == "code" else []
    each = zip(asked, before.totals, after.totals, strict=True)
    return report.Pair(
        before=before.file.path,
        after=after.file.path,
        size_before=before.file.size,
        size_after=after.file.size,
        delta=after.file.size - before.file.size,
        verdict=verdict,
        conclusion=sentence,
        code=code,
        build_id=build_id(before.build.go_build_id, after.build.go_build_id),
        differences=found,
        why=causes,
        tables=[
            tables.table(one_table.question, mine, theirs, renamed, one_table.functions)
            for one_table, mine, theirs in each
        ],
    )


def _code(one: Program, other: Program, matching: Matching) -> report.Code:
    """How many functions are the same; those found under another name are, or they had not been found."""
    state, renamed = matching.verdicts.state, len(matching.renamed)
    paired = len(state) + renamed
    return report.Code(
        same=int((state == SAME).sum()),
        changed=int(((state == CHANGED) | (state == PENDING)).sum()),
        unproven=int((state == UNPROVEN).sum()),
        renamed=renamed,
        added=len(other.names) - paired,
        removed=len(one.names) - paired,
        moved_bytes=int(matching.verdicts.moved[state == SAME].sum()),
    )


def _names(one: Program, other: Program, matching: Matching) -> dict[str, tuple[str, list[str]]]:
    return {one.names[each.here]: (other.names[each.there], each.evidence) for each in matching.renamed}
