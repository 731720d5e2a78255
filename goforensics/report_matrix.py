"""The result document of `goforensics matrix`: one package, built under a table of flag sets, measured.

Sizes are bytes, times are seconds.  A member is null where nothing was measured; what stands beside it says why.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from goforensics.report import Document
from goforensics.report_compare import Rung

SCHEMA: Literal["goforensics.matrix/1"] = "goforensics.matrix/1"
GZIP_LEVEL, ZSTD_LEVEL = 6, 3  # what gzip(1) and zstd(1) do when not told otherwise


class MatrixPrediction(Document, frozen=True):
    """What was foretold of a row from the default build alone, beside what came of it."""

    size: int | None = None  # null: no prediction, for `declined`
    exact: bool = False
    bound: int = 0  # the true size was to lie within this many bytes of `size`; 0 if exact
    difference: int | None = None  # predicted less measured
    held: bool | None = None  # the difference is within the bound
    declined: str = ""


class Startup(Document, frozen=True):
    """Wall-clock time from starting the program to its exit, over rounds in which every row ran once, in turn."""

    runs: int  # rounds in which the program exited in time
    median: float | None = None
    spread: float | None = None  # interquartile range
    difference: float | None = None  # median of this row's time less the default build's in the same round
    difference_spread: float | None = None  # interquartile range of the same
    exit_code: int | None = None  # of the last run; negative: ended by that signal
    reason: str = ""  # why there is no time


class Reproducible(Document, frozen=True):
    """Whether two builds in two directories gave the same bytes."""

    answer: bool | None = None  # null: not tested, for `reason`
    reason: str = ""
    size_difference: int = 0  # the second build's size less the first's
    first_difference: int | None = None  # offset of the first byte that differs


class Measured(Document, frozen=True, kw_only=True):
    """What one executable turned out to be."""

    size: int
    sha256: str
    saved: int | None = None  # the default build's size less this one's; null: the default build failed
    gzip_size: int
    zstd_size: int | None = None  # null: the zstandard library is not installed
    symbols: int | None = None  # lines of `go tool nm`; null: it failed, see `notes`
    dwarf_bytes: int | None = None  # in the file, so compressed where it is
    pclntab_bytes: int | None = None  # the runtime's table of functions and lines; null: there is none to be read
    ladder: list[Rung] = msgspec.field(default_factory=list)  # which tools still find what they need
    linking: Literal["static", "dynamic"] | None = None
    interpreter: str | None = None
    needed: list[str] = msgspec.field(default_factory=list)  # shared libraries
    leaked_paths: int | None = None
    leaked_bytes: int | None = None
    build_id: bool = False
    panic_traces: bool = False  # functions, files and lines are there for the runtime to print
    settings: dict[str, str] = msgspec.field(default_factory=dict)  # as recorded in the executable
    file: str | None = None  # where it is kept, with --out


class MatrixRow(Document, frozen=True, kw_only=True):
    """One flag set and what came of it: `measured`, or `error`, the go command's own first line of complaint."""

    name: str
    flags: list[str]  # arguments of go build
    env: dict[str, str]  # on top of the user's
    trims_only: bool  # the flags decide what is recorded beside the program, not what the program does
    error: str | None = None
    measured: Measured | None = None
    prediction: MatrixPrediction = MatrixPrediction()
    startup: Startup | None = None  # null: nothing was run
    reproducible: Reproducible = Reproducible()
    notes: list[str] = msgspec.field(default_factory=list)


class Recommendation(Document, frozen=True):
    """The flag set that a rule chose, and what it costs."""

    row: str
    command: list[str]
    why: list[str]
    loses: list[str]  # tools that work on the default build only
    limits: list[str] = msgspec.field(default_factory=list)  # tools that still work in part
    misses: list[str] = msgspec.field(default_factory=list)  # wishes that no candidate could grant


class BuildMatrix(Document, frozen=True, kw_only=True):
    """A Go package under a table of flag sets; `rows` are in the table's order and hold the default build."""

    schema: Literal["goforensics.matrix/1"] = SCHEMA
    package: str  # import path
    directory: str  # where the go command ran
    go: str  # the go command
    go_version: str
    goos: str
    goarch: str
    environment: dict[str, str]  # of the user's Go settings those that shape a build
    arguments: list[str] = msgspec.field(default_factory=list)  # given to the program when it is run
    runs: int = 0  # rounds of start-up time asked for; 0: nothing was run
    rows: list[MatrixRow]
    default: str  # the name of the row without any flag
    recommended: Recommendation | None = None
    notes: list[str] = msgspec.field(default_factory=list)
    gzip_level: int = GZIP_LEVEL
    zstd_level: int | None = None  # null: the zstandard library is not installed


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a BuildMatrix."""
    return msgspec.json.schema(BuildMatrix)
