"""The documents of `goforensics gate`: what a program grew by, and the baseline that a later build is held against.

As in `goforensics.report`: members are never renamed, sizes are bytes in the file, null is "not known".
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from goforensics.report import Document, Unread
from goforensics.report_compare import Table

SCHEMA: Literal["goforensics.gate/1"] = "goforensics.gate/1"
BASELINE_SCHEMA: Literal["goforensics.size-baseline/1"] = "goforensics.size-baseline/1"
What = Literal["delta", "percent", "module"]


class SizeOf(Document, frozen=True):
    """The bytes of one package of one module, as the byte map has them; names in parentheses are of no package."""

    module: str
    package: str
    bytes: int


class SizeBaseline(Document, frozen=True, kw_only=True):
    """A program's size, and what it is made of: the rows sum to `size`.  No path of the machine is in it."""

    schema: Literal["goforensics.size-baseline/1"] = BASELINE_SCHEMA
    name: str  # of the file, without its directory
    sha256: str
    size: int
    module: str | None  # the main module's path
    package: str | None  # the main package's
    goos: str | None
    goarch: str | None
    go_version: str | None
    rows: list[SizeOf]


class Side(Document, frozen=True):
    """One of the two builds."""

    path: str
    sha256: str
    size: int
    module: str | None
    package: str | None
    goos: str | None
    goarch: str | None
    go_version: str | None
    baseline: bool = False  # known by a baseline only
    unread: list[Unread] = msgspec.field(default_factory=list)


class Budget(Document, frozen=True):
    """One limit, and whether it is kept: a growth of exactly `limit` bytes is within it."""

    what: What
    name: str  # the module, "" for the file
    growth: int  # bytes, negative if it shrank
    limit: int  # bytes; of a percentage, that share of the old size rounded down
    within: bool
    percent: float | None = None  # as asked for, of "percent"


class Gate(Document, frozen=True, kw_only=True):
    """Two sizes, what made the difference, and whether the budget allows it.

    In each table the rows' deltas sum to `delta`.  Of modules only those over their budget are in `budgets`.
    """

    schema: Literal["goforensics.gate/1"] = SCHEMA
    passed: bool | None  # null: there was nothing to compare with
    before: Side | None
    after: Side
    delta: int | None
    budgets: list[Budget]
    tables: list[Table]
    notes: list[str]  # what makes the two less alike than two builds of one program should be


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a Gate."""
    return msgspec.json.schema(Gate)


def baseline_schema() -> dict[str, Any]:
    """The JSON Schema of a SizeBaseline."""
    return msgspec.json.schema(SizeBaseline)
