"""The copies of inlined functions, gathered by the function that was inlined."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np

from goforensics.analysis.inlining import PCFILE, PCLN, Bytes, Copies, divided, line_spans, nesting
from goforensics.analysis.shares import whole_numbers
from goforensics.sections.arrays import Offsets, strings
from goforensics.sections.pclntab import EMPTY
from goforensics.sets import distinct

CALL = {"amd64": 5, "386": 5, "s390x": 6}  # bytes of the shortest call
CALL |= dict.fromkeys(("arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle"), 4)
CALL |= dict.fromkeys(("ppc64", "ppc64le", "riscv64"), 4)


class Callees(msgspec.Struct, frozen=True, eq=False):
    """Inlined functions by name (c,), and what their copies take, in bytes where no other unit is named."""

    names: list[str]  # instances of a generic function have one name, as in the table
    callee: Offsets  # (m,) which of them each copy is of
    copies: Offsets  # how many
    idle: Offsets  # how many of them have no instruction of their own
    code: Offsets
    nodes: Offsets
    index: Offsets  # pairs of InlTreeIndex

    @property
    def bytes(self) -> Offsets:
        """(c,) all of these."""
        return self.code + self.nodes + self.index


class Lines(msgspec.Struct, frozen=True, eq=False):
    """What copies take of line tables, and what they take in all; (c,) bytes."""

    pcfile: Offsets
    pcln: Offsets
    cumulative_code: Offsets  # with what is inlined into them, each byte once
    within: Offsets  # what their copies hold of other functions' copies, code and tables
    calls: Offsets  # how many calls would replace them: copies not within one of the same function


def callees(copies: Copies) -> Callees:
    """Gather the copies by the name that their nodes give."""
    names, callee = _named(copies)
    count = len(names)
    number = np.bincount(callee, minlength=count)
    return Callees(
        names=names,
        callee=callee,
        copies=number,
        idle=np.bincount(callee[copies.code == 0], minlength=count),
        code=np.bincount(callee, copies.code, count).astype(np.int64),
        nodes=number * copies.node_size,
        index=_whole(divided(callee, copies.index, count)),
    )


def _named(copies: Copies) -> tuple[list[str], Offsets]:
    """Names of inlined functions, and (m,) which each copy's is; "" where it lies outside of the table."""
    at, data = distinct(copies.nodes.name), copies.table.data
    texts = strings(data, np.where(at == 0, EMPTY, at))
    numbers = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    same = np.array([numbers[text] for text in texts], np.int64)
    return list(numbers), same[np.searchsorted(at, copies.nodes.name)]


def _whole(parts: Bytes) -> Offsets:
    return whole_numbers(parts, round(float(parts.sum())))


def lines(copies: Copies, found: Callees) -> Lines:
    """What else the copies take; this decodes the line tables of all functions that have copies in them."""
    total = len(copies.nodes.owner)
    pairs = []
    for slot in (PCFILE, PCLN):
        number, size = line_spans(copies, slot)
        inside = number >= 0
        pairs.append(divided(number[inside], size[inside], total))
    tables = copies.index + pairs[0] + pairs[1] + copies.node_size
    nested, count = nesting(copies, found.callee, tables), len(found.names)
    outer = nested.outermost
    code = np.bincount(found.callee[outer], nested.code[outer], count)
    both = code + np.bincount(found.callee[outer], nested.tables[outer], count)
    alone = np.bincount(found.callee, copies.code + tables, count)
    pcfile, pcln = (_whole(divided(found.callee, size, count)) for size in pairs)
    called = outer & (nested.code > 0)
    return Lines(
        pcfile=pcfile,
        pcln=pcln,
        cumulative_code=code.astype(np.int64),
        within=np.rint(np.maximum(both - alone, 0)).astype(np.int64),
        calls=np.bincount(found.callee[called], minlength=count),
    )


def callers(copies: Copies, found: Callees) -> tuple[Offsets, Offsets]:
    """(c,) by how many functions each is called and was inlined, and how many functions' code holds a copy.

    Functions of one name are one caller.
    """
    count, owner = len(found.names), copies.nodes.owner
    numbers = {name: i for i, name in enumerate(found.names)}
    host = np.zeros(len(copies.size), np.int64)
    holds = distinct(owner)
    for row in holds.tolist():
        host[row] = numbers.setdefault(copies.table.names[row], len(numbers))
    caller = np.where(copies.parent >= 0, found.callee[copies.parent], host[owner])
    return _different(found.callee, caller, count), _different(found.callee, host[owner], count)


def _different(callee: Offsets, other: Offsets, count: int) -> Offsets:
    """(count,) how many different numbers stand beside each callee."""
    width = int(other.max(initial=0)) + 1
    pairs: Offsets = np.bincount(distinct(callee * width + other) // width, minlength=count)
    return pairs


def out_of_line(copies: Copies, found: Callees) -> Offsets:
    """(c,) how many functions of each name the file has besides the copies."""
    have = Counter(copies.table.names)
    return np.array([have[name] for name in found.names], np.int64)
