"""What a user's compiler flags would change in the pclntab: the part that is certain, and an estimate with its bound.

-gcflags=all=-l (nothing is inlined): the InlTreeIndex tables and the inline trees go, and every function that only
inlining needed comes back.  The pcln and pcfile tables are written anew as if each inlined body were the call that it
stands for.  What a function that comes back takes, and what other tables lose, is fitted to rebuilds.

-gcflags=all=-B (no bounds checks): the PanicBounds tables go, their places in the records, and the functions that
report an index; what the other tables lose for each call of such a function is again fitted to rebuilds.

The rebuilds: scripts/levers.py, which says what errors it found.  tests/test_levers.py holds the bounds to them.
Source of truth: Go's cmd/internal/obj/pcln.go and cmd/link/internal/ld/pcln.go (the writers), and
cmd/compile/internal/base/flag.go (the flags).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import numpy as np

from goforensics.analysis import uninlined
from goforensics.binary import Binary
from goforensics.errors import FormatError
from goforensics.sections import calls, funcdata, functions, inlined, inltree, pclntab
from goforensics.sections.arrays import Offsets
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.pctables import SLOTS

NO_INLINING, NO_BOUNDS_CHECKS = ("-gcflags=all=-l",), ("-gcflags=all=-B",)
PRICE: dict[tuple[str, ...], str] = {  # what the flags cost elsewhere
    NO_INLINING: "calls in place of copies: slower code, of another size",
    NO_BOUNDS_CHECKS: "an index out of range reads or overwrites what lies there instead of a panic",
}
LAYOUTS = ("1.20", "1.26")  # of the rebuilds: the estimates are for these,
MACHINES = {"amd64": 1, "arm64": 4}  # and for these, by the bytes that tables count code in
INL_TREE_INDEX, PANIC_BOUNDS = len(SLOTS) + 2, len(SLOTS) + 4  # slots of abi.PCDATA_InlTreeIndex and _PanicBounds
PCFILE, PCLN = SLOTS.index("pcfile"), SLOTS.index("pcln")
BOUNDS_PANIC = re.compile(r"runtime\.(p|goP)anic(Index|Slice|Bounds|Extend)\w*")  # src/runtime/panic.go

# Fitted to the rebuilds, in bytes.  For each name that only inlining needs, by the quantum: that function's record and
# tables, and those of functions that have a name nowhere yet, whose inlined bodies came to no instruction of their own.
BACK_BYTES = {1: 168.7, 4: 158.7}
BESIDE_LINES = 0.57  # that other tables lose for each byte that pcln and pcfile lose: calls are simpler than bodies
CHECK_BYTES = 7.1  # that tables lose for each call that reports an index, beside the PanicBounds tables and records
# Nearly twice the greatest errors of the rebuilds, those included that nothing was fitted to.
BACK_BOUND = 0.1  # of the bytes that come back and those that lines lose
CHECK_BOUND = 2.2  # for each call


class Lever(msgspec.Struct, frozen=True):
    """What one set of flags does to the pclntab."""

    name: str
    flags: tuple[str, ...]  # of go build
    pclntab_bytes: int  # change, negative if the table gets smaller
    bound: int  # the change lies within this many bytes of `pclntab_bytes`; 0 if exact
    exact: bool  # these very bytes go; they are a part of the whole change, for which there is another lever
    how: str  # what the figure rests on


def levers(binary: Binary) -> list[Lever]:
    """The levers that this binary leaves to pull, each with what it would do; none without a pclntab.

    Per set of flags first what is certain to go, then the whole change; the latter is left out where no rebuild has
    tested it (other layouts and machines), and both where there is nothing to gain.
    """
    table = binary.maybe(pclntab.PARSER)
    if table is None:
        return []
    return [*_no_inlining(binary, table), *_no_bounds_checks(binary, table)]


def tested(binary: Binary, table: Pclntab) -> bool:
    """The estimates were held against rebuilds of such files."""
    return table.header.layout in LAYOUTS and MACHINES.get(binary.image.goarch) == table.header.quantum


# -l ----------------------------------------------------------------------------------------------------------------


def _no_inlining(binary: Binary, table: Pclntab) -> Iterator[Lever]:
    try:
        nodes = binary.read(inlined.PARSER)
        trees = _trees(binary)
    except FormatError:
        return
    if not len(nodes.owner):
        return
    index, inside = _of_slot(table, INL_TREE_INDEX), trees if table.inside is not None else 0
    where = "" if table.inside is not None else f"; {trees:,} bytes of trees go, too, from .rodata"
    how = f"InlTreeIndex tables and inline trees, of which a build without inlining has none{where}"
    yield Lever("inline trees and their tables", NO_INLINING, -(index + inside), 0, True, how)
    if not tested(binary, table):
        return
    names = len(np.setdiff1d(nodes.name, table.funcs.name))
    lines = sum(uninlined.saved(table, binary.read(inltree.PARSER), nodes, slot) for slot in (PCFILE, PCLN))
    quantum = table.header.quantum
    back, less = returning(names, lines, quantum)
    how = f"{names:,} functions or more come back, about {back:,} bytes; lines, and what goes with them, lose {less:,}"
    yield Lever(
        "nothing inlined", NO_INLINING, back - less - index - inside, returning_bound(names, lines, quantum), False, how
    )


def returning(names: int, lines: int, quantum: int) -> tuple[int, int]:
    """(bytes that come, bytes that go) for `names` names that only inlining needs and `lines` bytes that the tables of
    lines and files lose.
    """
    return round(BACK_BYTES[quantum] * names), round((1 + BESIDE_LINES) * lines)


def returning_bound(names: int, lines: int, quantum: int) -> int:
    """Bytes by which the difference of the two may be wrong."""
    return round(BACK_BOUND * (BACK_BYTES[quantum] * names + lines))


def _trees(binary: Binary) -> int:
    """Bytes of inline trees."""
    blobs = binary.read(funcdata.PARSER)
    return int(blobs.size[blobs.kind == funcdata.TREE].sum())


def _of_slot(table: Pclntab, slot: int) -> int:
    """Bytes of the tables that are used in this slot and in no other; equal tables are one."""
    uses = table.tables
    mine = np.zeros(len(uses.start), bool)
    mine[uses.table[uses.slot == slot]] = True
    mine[uses.table[uses.slot != slot]] = False
    return int(uses.size[mine].sum())


# -B ----------------------------------------------------------------------------------------------------------------


def _no_bounds_checks(binary: Binary, table: Pclntab) -> Iterator[Lever]:
    rows = [i for i, name in enumerate(table.names) if BOUNDS_PANIC.fullmatch(name)]
    gone = _of_slot(table, PANIC_BOUNDS) + _of_functions(table, rows)
    if not gone:
        return
    how = "PanicBounds tables, and the functions that report an index, of which a build without checks has none"
    yield Lever("bounds checks' own tables", NO_BOUNDS_CHECKS, -gone, 0, True, how)
    if not tested(binary, table):
        return
    try:
        checks = calls.count(binary, binary.read(functions.PARSER).address[rows]) or 0
    except FormatError:
        return
    change = -gone - shorter_records(table, PANIC_BOUNDS) - round(CHECK_BYTES * checks)
    how = f"{checks:,} calls that report an index go, each with transitions in several tables"
    yield Lever("no bounds checks", NO_BOUNDS_CHECKS, change, round(CHECK_BOUND * checks), False, how)


def _of_functions(table: Pclntab, rows: list[int]) -> int:
    """Bytes of these functions' records, functab entries and names."""
    names = sum(len(table.names[row].encode()) + 1 for row in rows)
    records = int(_aligned(table, table.funcs.length[rows]).sum())
    return names + records + 2 * table.header.entry_size * len(rows)


def _aligned(table: Pclntab, length: Offsets) -> Offsets:
    """(n,) bytes that records take: cmd/link/internal/ld/pcln.go rounds each up to a pointer."""
    return -(-length // table.header.pointer) * table.header.pointer


def shorter_records(table: Pclntab, slot: int) -> int:
    """Bytes that records lose with a slot: they have one for each PCDATA up to the last one that is used."""
    uses, records = table.tables, table.funcs
    last, has = np.full(len(records.record), len(SLOTS) - 1), np.zeros(len(records.record), bool)
    has[uses.owner[uses.slot == slot]] = True
    above = np.zeros(len(records.record), bool)
    above[uses.owner[uses.slot > slot]] = True
    below = uses.slot < slot
    np.maximum.at(last, uses.owner[below], uses.slot[below])
    freed = np.where(has & ~above, 4 * (slot - last), 0)
    return int((_aligned(table, records.length) - _aligned(table, records.length - freed)).sum())
