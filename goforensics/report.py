"""The result documents: frozen, typed, versioned.  Renderers read only these; the JSON Schema is made from them.

Member names of a published schema are never renamed and never change their meaning; members may be added.
Sizes are bytes in the file unless a name says memory or uncompressed.  A member is null where the file does not
say: "not recorded" is an answer of its own and never reads as "clean".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

SCHEMA: Literal["goforensics.inspect/1"] = "goforensics.inspect/1"
MAP_SCHEMA: Literal["goforensics.map/1"] = "goforensics.map/1"
RECLAIM_SCHEMA: Literal["goforensics.reclaim/1"] = "goforensics.reclaim/1"
MOST_DISPUTES = 1000  # listed, and as many unknown ranges; a hostile file can make one of every byte

Kind = Literal[
    "main", "dependency", "std", "runtime", "c", "shared", "metadata", "symbols", "debug", "padding",
    "section-only", "unknown",
]  # fmt: skip
PathKind = Literal[
    "module-cache", "gopath", "goroot", "home", "ci", "temporary", "main-module", "nix", "bazel", "other"
]


class Document(msgspec.Struct, frozen=True):
    """The base of every record."""


class Stripped(Document, frozen=True):
    """What has been taken out."""

    symtab: bool
    dwarf: bool


class Slice(Document, frozen=True):
    """One image of a universal Mach-O file."""

    goarch: str
    offset: int
    size: int


class File(Document, frozen=True):
    """Which file this is, and how it was linked."""

    path: str
    size: int
    sha256: str
    format: Literal["elf", "pe", "macho", "macho-fat"]
    goos: str | None
    goarch: str | None
    bits: int
    byte_order: Literal["little", "big"]
    build_mode: str | None  # exe, pie, c-shared, plugin, …
    link_mode: Literal["internal", "external"] | None
    stripped: Stripped
    slices: list[Slice] = []


class Replacement(Document, frozen=True):
    """What a `replace` directive put in a module's place."""

    path: str
    version: str | None
    sum: str | None


class Module(Document, frozen=True):
    """A module of the build list; `version` "(devel)" and "" are given as recorded, None where nothing is."""

    path: str
    version: str | None
    sum: str | None
    replace: Replacement | None
    main: bool = False


class Build(Document, frozen=True):
    """What the build recorded of itself."""

    go_version: str | None  # "go1.26.8", experiments split off
    path: str | None
    main: Module | None
    modules: list[Module]
    settings: dict[str, str]
    go_build_id: str | None
    gnu_build_id: str | None
    experiments: list[str] = []
    version_source: str | None = None  # who says so: "buildinfo", "symbol", "data" or "dwarf"


class SectionRow(Document, frozen=True):
    """A section as the container lists it."""

    name: str
    offset: int
    file_size: int
    memory_size: int
    address: int
    compression: str | None
    uncompressed_size: int | None


class PclntabInfo(Document, frozen=True):
    """The table of functions; `parts` sum to `size`."""

    layout: str  # the Go release that brought the layout in: 1.2 1.16 1.18 1.20 1.26
    offset: int
    size: int
    functions: int
    files: int
    parts: dict[str, int]
    section: str | None = None  # None: found by structure
    magic: str | None = None  # as found, hexadecimal
    magic_overwritten: bool = False
    text_start: int | None = None
    code_bytes: int | None = None  # from the first function's entry to the last one's end
    recommendation: str | None = None  # one line, from the figures; None where the inline trees cannot be read


class SymtabInfo(Document, frozen=True):
    """The symbol table, its strings included."""

    symbols: int
    file_bytes: int


class DwarfInfo(Document, frozen=True):
    """Debug sections; `units` are compile units."""

    version: int | None  # the highest among the units
    file_bytes: int
    uncompressed_bytes: int
    units: int
    go_units: int = 0
    c_units: int = 0
    other_units: int = 0
    producers: list[str] = []


class DynamicInfo(Document, frozen=True):
    """Dynamic linking and cgo.  `symbol_versions` maps a library to the newest version asked of it."""

    interpreter: str | None
    needed: list[str]
    rpath: list[str]
    runpath: list[str]
    symbol_versions: dict[str, str]
    cgo: bool
    c_text_bytes: int
    cgo_evidence: list[str] = []


class LeakGroup(Document, frozen=True):
    """Build-machine paths below one prefix."""

    prefix: str
    kind: PathKind
    count: int
    bytes: int
    where: list[str]  # filetab, dwarf, buildinfo:KEY, rodata, .debug_gdb_scripts, rpath, runpath
    examples: list[str] = []
    counts: dict[str, int] = {}  # by place


class Leaks(Document, frozen=True):
    """Absolute paths of the build machine; `bytes` counts their text, uncompressed."""

    paths: int
    bytes: int
    groups: list[LeakGroup]


class SizeRow(Document, frozen=True):
    """A group of bytes: one value per column, the last of them as `name`, and one kind."""

    name: str
    path: list[str]
    kind: Kind
    bytes: int


class Sizes(Document, frozen=True):
    """The byte map, grouped; the rows and `filtered_out` sum to `total`.  A path with bytes of two kinds has two rows.

    The view "owned" counts each byte once, and what several packages use as shared; "apportioned" divides those
    bytes among their users.
    """

    by: list[str]
    rows: list[SizeRow]
    view: Literal["owned", "apportioned"] = "owned"
    filter: list[str] = []  # COLUMN=VALUE; a row keeps to all of them
    filtered_out: int = 0  # bytes that do not
    total: int = 0  # the file's size


class HeavyFunction(Document, frozen=True):
    """A function's weight in .gopclntab: bytes that are its alone, and bytes of tables that it shares."""

    function: str
    package: str
    pclntab_bytes: int  # functab entry, _func record, name, tables and funcdata that no other function uses
    pcdata_bytes: int  # of them PCDATA tables
    shared_bytes: int  # tables that other functions use too, in full
    code_bytes: int = 0
    ranked_by: list[str] = []  # "pclntab", "pcdata"
    line_bytes: int = 0  # of pclntab_bytes: pcfile and pcln tables


class InlinedFunction(Document, frozen=True):
    """What the copies of an inlined function take, but for line tables; `pcdata --by inlined` has those too."""

    function: str
    package: str
    copies: int  # nodes of inline trees that name it
    code_bytes: int  # whose innermost copy is one of these
    node_bytes: int  # of inline trees
    index_bytes: int  # of InlTreeIndex tables, divided among their uses


class Inlining(Document, frozen=True):
    """What all copies take together; up to Go 1.25 the inline trees are no part of the pclntab."""

    copies: int
    functions: int  # different ones
    code_bytes: int
    node_bytes: int
    index_bytes: int
    name_bytes: int  # names that only inlining needs


class Reclaimable(Document, frozen=True):
    """What a rebuild would free."""

    action: str
    bytes: int  # file size now, less file size after
    size_after: int
    exact: bool
    bound: int  # the true `bytes` lie within this many of the figure; 0 if exact, the file's size if nothing is known
    loses: list[str]
    freed: int = 0  # bytes of content that go; the file, which is rounded to pages, may shrink by less
    keeps: list[str] = []
    declined: str | None = None  # why nothing can be said
    note: str | None = None  # why nothing would change


class Compressible(Document, frozen=True):
    """What of the pclntab only traces read: zeroing it frees nothing, but the file compresses better."""

    bytes: int
    gain: int  # bytes by which the pclntab gets smaller under zlib, level 6


class TransitionCause(Document, frozen=True):
    """The transitions of one table that have one cause."""

    table: str
    cause: str
    transitions: int
    bytes: int | None  # null where the table is not written as Go writes it


class Unread(Document, frozen=True):
    """What could not be read, and why; the rest of the report stands."""

    structure: str
    offset: int
    reason: str


class DisputeRow(Document, frozen=True):
    """Bytes that two structures claim."""

    offset: int
    size: int
    claimants: list[str]


class UnknownRange(Document, frozen=True):
    """Bytes whose owner is not known; `known` is "section" where at least the section says what they are for."""

    offset: int
    size: int
    section: str | None
    known: Literal["section"] | None


class Inspection(Document, frozen=True, kw_only=True):
    """Everything in one Go executable."""

    schema: Literal["goforensics.inspect/1"] = SCHEMA
    file: File
    build: Build
    sections: list[SectionRow]
    pclntab: PclntabInfo | None
    symtab: SymtabInfo | None
    dwarf: DwarfInfo | None
    dynamic: DynamicInfo
    leaks: Leaks
    sizes: Sizes
    heaviest: list[HeavyFunction]
    reclaimable: list[Reclaimable]
    modules: Sizes  # the byte map by module
    unread: list[Unread]
    disputes: list[DisputeRow] = []
    unknown: list[UnknownRange] = []  # in file order, the first MOST_DISPUTES
    unknown_bytes: int = 0  # of all such ranges: claimed by nothing
    section_only_bytes: int = 0  # and known by their section only
    inlining: Inlining | None = None  # None where the inline trees cannot be read
    inlined: list[InlinedFunction] = []  # those whose copies take most
    slices: list[Inspection] = []  # of a universal file, one per image; the members above describe the first


class MapRow(Document, frozen=True):
    """Neighbouring bytes of which the byte map says the same; null where it says nothing."""

    offset: int
    size: int
    section: str | None
    structure: str | None
    module: str | None
    package: str | None
    symbol: str | None
    kind: str | None
    origin: str
    basis: str | None  # "structure": the bytes say whose they are; else who refers to them
    shared_by: str | None  # of bytes that several use: who, the heaviest first
    instantiator: str | None  # the package that code was compiled for, if it is an instance of a generic function


class ByteMapDocument(Document, frozen=True, kw_only=True):
    """Who owns every byte of a file: the rows follow one another from its first byte to its last.

    There are too many to be objects or text all at once: `rows`, the last member, may make them as they are read.
    """

    schema: Literal["goforensics.map/1"] = MAP_SCHEMA
    path: str
    size: int
    sha256: str
    unread: list[Unread]
    rows: Sequence[MapRow]


class Reclaim(Document, frozen=True, kw_only=True):
    """Every way to a smaller file, and what it costs."""

    schema: Literal["goforensics.reclaim/1"] = RECLAIM_SCHEMA
    path: str
    size: int
    sha256: str
    rebuilds: list[Reclaimable]
    tools: list[Reclaimable]  # what works on the finished file
    compressible: Compressible | None
    unread: list[Unread]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an Inspection."""
    return msgspec.json.schema(Inspection)


def map_schema() -> dict[str, Any]:
    """The JSON Schema of a ByteMapDocument."""
    return msgspec.json.schema(ByteMapDocument)


def reclaim_schema() -> dict[str, Any]:
    """The JSON Schema of a Reclaim."""
    return msgspec.json.schema(Reclaim)
