"""The result document of `goforensics compare`: the same program in several builds, or two releases of it.

As in `goforensics.report`: members are never renamed, sizes are bytes in the file, null is "the file does not say".
In every table the rows' `before`, `unchanged_bytes` and `filtered_before` sum to the size of the one file, the rows'
`after`, `unchanged_bytes` and `filtered_after` to that of the other, and so the deltas to the difference of the two.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from goforensics.report import Document, Stripped, Unread

SCHEMA: Literal["goforensics.compare/1"] = "goforensics.compare/1"

Works = Literal["yes", "limited", "no", "unknown"]
Change = Literal["added", "removed", "changed", "renamed"]
Verdict = Literal["identical", "build-id", "paths", "same-code", "code", "unknown"]


class Rung(Document, frozen=True):
    """What one tool can do with a file, and which fact about the file says so."""

    tool: str
    works: Works
    reason: str


class Part(Document, frozen=True):
    """One part of Go's build ID: "action", "main action", "main content", "content"; "id" of one in another form."""

    name: str
    before: str | None
    after: str | None


class Compared(Document, frozen=True):
    """One of the files, and what it can be debugged with."""

    path: str
    size: int
    delta: int  # to the size of the first file
    sha256: str
    format: Literal["elf", "pe", "macho", "macho-fat"]
    goos: str | None
    goarch: str | None
    go_version: str | None
    build_mode: str | None
    link_mode: Literal["internal", "external"] | None
    stripped: Stripped
    functions: int | None
    ladder: list[Rung]
    unread: list[Unread]


class ChangedRow(Document, frozen=True):
    """A group of bytes that is not the same size in both files, or is called something else."""

    name: str
    path: list[str]  # one value per column
    change: Change
    before: int
    after: int
    delta: int
    was: list[str] | None = None  # of what is renamed: the path in the first file
    evidence: list[str] = msgspec.field(default_factory=list)  # why the two are the same


class Table(Document, frozen=True):
    """The two byte maps by the same columns.  Rows that did not change are in the two sums only."""

    name: str  # the columns, joined by commas; "function" for symbols without variables
    by: list[str]
    rows: list[ChangedRow]
    unchanged: int  # rows
    unchanged_bytes: int
    before: int  # the size of the first file
    after: int
    delta: int
    view: Literal["owned", "apportioned"] = "owned"
    filter: list[str] = msgspec.field(default_factory=list)
    filtered_before: int = 0  # bytes that the filter leaves out
    filtered_after: int = 0


class Difference(Document, frozen=True):
    """Something that the builds recorded differently; null: not recorded."""

    what: Literal["go version", "experiments", "target", "main package", "module", "setting", "linking"]
    name: str
    before: str | None
    after: str | None


class Code(Document, frozen=True):
    """How the functions of the two files compare; all but `added` and `removed` count pairs.

    Two functions are the same if they have the same instructions, up to addresses that lead to the same place.
    """

    same: int
    changed: int
    unproven: int  # of equal size and not byte for byte the same, on a machine whose addresses nobody takes out
    renamed: int
    added: int
    removed: int
    moved_bytes: int  # of the same functions' code: bytes that differ because something lies elsewhere


class Why(Document, frozen=True):
    """A cause of what came in, as far as both files prove it."""

    cause: str
    evidence: list[str]


class Pair(Document, frozen=True):
    """One file compared with the first."""

    before: str
    after: str
    size_before: int
    size_after: int
    delta: int
    verdict: Verdict
    conclusion: str  # the verdict as a sentence
    code: Code | None  # null where one of the files has no function table
    build_id: list[Part]
    differences: list[Difference]
    why: list[Why]
    tables: list[Table]


class Comparison(Document, frozen=True, kw_only=True):
    """Several files, each compared with the first."""

    schema: Literal["goforensics.compare/1"] = SCHEMA
    files: list[Compared]
    pairs: list[Pair]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a Comparison."""
    return msgspec.json.schema(Comparison)
