"""The documents of `pcdata`: what each function weighs in the pclntab, and what each inlined function costs.

Members keep their meaning, as in `report`.  Sizes are bytes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from goforensics.report import Compressible, Document, TransitionCause, Unread

PCDATA_SCHEMA: Literal["goforensics.pcdata/1"] = "goforensics.pcdata/1"
Group = Literal["PCDATA", "line", "frame", "function data", "record", "name", "file"]
By = Literal["function", "inlined"]
SortName = Literal["pcdata", "pcln", "total", "density"]


class PartTotal(Document, frozen=True):
    """One part of the table, all functions together; those in the pclntab and the remainder sum to its size."""

    name: str  # pcsp, pcfile, pcln, PCDATA tables by Go's names, function data by kind, functab, _func, name, …
    group: Group  # "line": pcfile and pcln; "frame": pcsp
    in_pclntab: bool  # false: function data and findfunctab up to Go 1.25, which are no part of the pclntab's size
    own: int  # of items that one function alone uses
    shared: int  # of items that several use, each once


class Remainder(Document, frozen=True):
    """Bytes of the pclntab that no function uses: the header, padding, cutab entries of files without code."""

    name: str
    bytes: int


class PartBytes(Document, frozen=True, gc=False):
    """A function's part of a part."""

    own: int  # items that no other function uses
    apportioned: int  # of shared items: size divided by uses, in whole numbers that sum to the shared bytes
    shared: int  # the same items undivided
    transitions: int | None = None  # of pc-value tables: how often the value changes within the function
    # Numbers alone make no cycle: half a million of these need not be looked through for some.


class Sums(Document, frozen=True):
    """Some functions together; the bytes are own and apportioned."""

    functions: int = 0
    pclntab_bytes: int = 0
    pcdata_bytes: int = 0  # of them PCDATA tables
    line_bytes: int = 0  # of them pcfile and pcln tables
    code_bytes: int = 0


class FunctionRow(Document, frozen=True):
    """A function's weight.  `pclntab_bytes` is `own` and `apportioned`, and what the parts in the pclntab sum to."""

    function: str
    package: str
    address: int | None  # of its code
    code_bytes: int  # to the next function, padding included
    pclntab_bytes: int
    own: int
    apportioned: int
    shared: int  # the shared items undivided
    pcdata_bytes: int  # of pclntab_bytes: PCDATA tables
    line_bytes: int  # of pclntab_bytes: pcfile and pcln
    outside_bytes: int  # own and apportioned function data that lies outside of the pclntab
    density: float | None  # pclntab_bytes per byte of code
    transitions: int  # of all tables
    parts: dict[str, PartBytes]  # those that it has something of
    # By table, each one's "entry", with which it begins, no transition; null where it was not asked for or nothing says
    # where the code is.
    why: list[TransitionCause] | None = None


class CalleeRow(Document, frozen=True):
    """What the copies of one inlined function cost, all of the file's together.

    An instruction belongs to the innermost copy that it is in; `cumulative` figures have what is inlined into the
    copies too, each byte once.
    """

    function: str
    package: str
    copies: int  # nodes of inline trees that name it
    copies_without_code: int  # of them those without an instruction of their own
    callers: int  # different functions that call it and had it inlined
    functions: int  # different functions whose code holds it
    out_of_line: int  # functions of this name that the file has besides; 0: it exists inlined only
    code_bytes: int
    node_bytes: int  # of inline trees
    index_bytes: int  # pairs of InlTreeIndex that say it begins or goes on, divided among a table's uses
    line_bytes: int  # pairs of pcfile and pcln that begin within its code, divided likewise
    pcln_bytes: int  # of them pcln
    total_bytes: int  # all of these
    cumulative_code_bytes: int
    cumulative_bytes: int  # and tables
    call_bytes: int | None  # the least that calls in place of the copies take; None where that is not known
    at_most: int | None  # what //go:noinline frees at most if nothing but the copies changes; an estimate


class CalleeSums(Document, frozen=True):
    """Some inlined functions together."""

    callees: int = 0
    copies: int = 0
    code_bytes: int = 0
    node_bytes: int = 0
    index_bytes: int = 0
    line_bytes: int = 0


class LeverRow(Document, frozen=True):
    """What a set of flags would do to the pclntab.

    An exact one is a part of the whole change for the same flags, for which there is another if rebuilds of such files
    have tested it: they do not add up.
    """

    name: str
    flags: list[str]  # of go build
    pclntab_bytes: int  # change, negative if the table gets smaller
    bound: int  # the change lies within this many bytes of `pclntab_bytes`; 0 if exact
    exact: bool
    how: str  # what the figure rests on
    price: str  # what the flags cost elsewhere


class PcdataImage(Document, frozen=True):
    """One image: a whole file, or a slice of a universal one.

    The `functions`, `left_out`, `filtered_out` and the `remainder` sum to `size`; the code of `callees`,
    `callees_left_out`, `callees_filtered_out` and `own_code_bytes` to `code_bytes`.
    """

    goarch: str | None
    offset: int  # of the image in the file
    image_size: int
    section: str | None  # None: found by structure
    layout: str
    table_offset: int  # of the pclntab in the image
    size: int  # of the pclntab
    code_bytes: int
    parts: list[PartTotal]
    remainder: list[Remainder]
    functions: list[FunctionRow]  # the first rows in the order asked for, or all
    left_out: Sums  # functions that match too, but come later
    filtered_out: Sums  # those that do not match
    callees: list[CalleeRow]
    callees_left_out: CalleeSums
    callees_filtered_out: CalleeSums
    own_code_bytes: int | None  # code in no inlined copy; None where inlining was not asked for or cannot be read
    unread: list[Unread]
    levers: list[LeverRow] | None = None  # null where they were not asked for, as is the next
    compressible: Compressible | None = None  # what no flag takes away


class Pcdata(Document, frozen=True, kw_only=True):
    """Which functions, or which inlining, weigh down the pclntab."""

    schema: Literal["goforensics.pcdata/1"] = PCDATA_SCHEMA
    path: str
    size: int
    sha256: str
    by: By
    sort: SortName
    function: str | None = None  # the expression asked for
    package: str | None = None
    images: list[PcdataImage]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a Pcdata."""
    return msgspec.json.schema(Pcdata)
