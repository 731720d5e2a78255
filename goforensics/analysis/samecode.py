"""Whether functions of two builds have the same instructions, up to addresses that lead to the same place.

A build lays its functions and its data elsewhere, and so the same function has other bytes where it calls a function
or refers to data.  Every byte that differs must lie in such a field: a call of the functions that correspond, or a
reference to data that all of the program's code agrees on, one place there for each place here.  Fields are known for
amd64, 386 and arm64; of other machines, functions that are not equal byte for byte are `UNPROVEN`.

Source of truth: Go's cmd/link/internal/{amd64,x86,arm64}/asm.go (archreloc), for where addresses are put.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.binary import Binary
from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.sections import buildid, functions, pclntab, references
from goforensics.sections.arrays import Offsets, spread
from goforensics.sections.calls import BRANCH, LINKED
from goforensics.sections.functions import Functions

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CHANGED, SAME, UNPROVEN, PENDING = 0, 1, 2, 3  # PENDING: it calls functions of which neither has a counterpart yet
MACHINES = {"amd64": 4, "386": 4, "arm64": 8}  # bytes of code that a reference to data may fill
OFTEN = 4  # times the file that is compared at most: functions may lie over one another, in a file made for it
ALIGNED = 16  # where functions begin, at least
STEP = 1 << 20  # bytes compared together
CALLS = (0xE8, 0xE9)  # x86: call and jump, each followed by 32 bits


class Program(msgspec.Struct, frozen=True, eq=False):
    """The code of one build, function by function in address order (n,)."""

    image: Image
    names: list[str]
    data: NDArray[np.uint8]  # the image
    view: memoryview
    address: Numbers
    offset: Numbers  # in the image; -1 where the file does not hold the code
    code: Numbers  # bytes, padding excluded
    pc: Numbers  # (r,) increasing: addresses of fields that refer to data
    target: Numbers  # (r,) where to
    build_id: int  # the function that is no code but the build ID, of Mach-O and PE; -1 for none

    @property
    def low(self) -> int:
        """The lowest address of all."""
        return min(int(self.address.min(initial=1 << 62)), int(self.target.min(initial=1 << 62)))


class Verdicts(msgspec.Struct, frozen=True, eq=False):
    """What is known of pairs of functions (p,)."""

    state: NDArray[np.int8]  # CHANGED, SAME, UNPROVEN or PENDING
    moved: Numbers  # bytes that differ, all of them in fields, if SAME


def program(binary: Binary) -> Program:
    """The code of a binary.  FormatError if it has no function table, or nothing says where the text begins."""
    image, table, placed = binary.image, binary.read(pclntab.PARSER), binary.read(functions.PARSER)
    try:
        found = binary.read(references.PARSER)
        pc, target = found.pc.view(np.int64), found.code_target.view(np.int64)
    except FormatError:
        pc = target = np.empty(0, np.int64)
    return Program(
        image,
        table.names,
        np.frombuffer(image.data, np.uint8),
        image.data,
        placed.address.view(np.int64),
        placed.offset,
        placed.code,
        pc,
        target,
        _build_id(binary, placed),
    )


def _build_id(binary: Binary, placed: Functions) -> int:
    """The function that lies in the build ID's place."""
    ids = binary.maybe(buildid.PARSER)
    if ids is None or ids.go is None:
        return -1
    end = ids.go.end + -ids.go.end % ALIGNED
    inside = (placed.code > 0) & (placed.offset >= ids.go.start) & (placed.offset + placed.code <= end)
    return int(np.argmax(inside)) if inside.any() else -1


def compare(one: Program, other: Program, here: Numbers, there: Numbers, partner: Numbers) -> Verdicts:
    """Compare function `here[i]` with `there[i]`, for every i.

    `partner` (n,) says which of the other's functions each of the one's corresponds to, -1 for none.
    """
    count = len(here)
    state, moved = np.zeros(count, np.int8), np.zeros(count, np.int64)
    alike = (one.code[here] == other.code[there]) & (one.offset[here] >= 0) & (other.offset[there] >= 0)
    alike &= one.image.goarch == other.image.goarch
    alike &= np.cumsum(np.where(alike, one.code[here], 0)) <= OFTEN * len(one.data)
    equal = alike.copy()
    equal[alike] = _equal(one, other, here[alike], there[alike])
    state[equal] = SAME
    state[(here == one.build_id) & (there == other.build_id) & (here >= 0)] = SAME
    left = np.flatnonzero(alike & (state != SAME))
    if one.image.goarch not in MACHINES:
        state[left] = UNPROVEN
    elif len(left):
        state[left], moved[left] = _Fields(one, other, here[left], there[left], partner).verdicts()
    return Verdicts(state, moved)


def referred(one: Program, other: Program, here: Numbers, there: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """(f,) of references to data at the same place of both functions: the pair, and where each leads."""
    keys, mine, theirs = _fields(one, other, here, there)
    return keys >> 32, mine, theirs


def _fields(one: Program, other: Program, here: Numbers, there: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """The same with the offset in the functions: key is the pair, shifted by 32, and the offset."""
    mine, target = _keyed(one, here)
    theirs, other_target = _keyed(other, there)
    keys, i, j = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    return keys, target[i], other_target[j]


def held(one: Program, mine: Numbers, size: int, other: Program, theirs: Numbers) -> Flags:
    """(f,) whether the files hold the same `size` bytes at two addresses, and not merely zeros."""
    first, second = one.image.offsets_of(mine.view(np.uint64)), other.image.offsets_of(theirs.view(np.uint64))
    found = np.zeros(len(mine), bool)
    for k in np.flatnonzero((first >= 0) & (second >= 0)).tolist():
        content = bytes(one.view[int(first[k]) : int(first[k]) + size])
        found[k] = any(content) and content == bytes(other.view[int(second[k]) : int(second[k]) + size])
    return found


def _equal(one: Program, other: Program, here: Numbers, there: Numbers) -> Flags:
    """(p,) which functions are the same byte for byte."""
    mine, theirs = one.view, other.view
    rows = zip(one.offset[here].tolist(), other.offset[there].tolist(), one.code[here].tolist(), strict=True)
    return np.array([mine[a : a + n] == theirs[b : b + n] for a, b, n in rows], bool)


class _Fields:
    """The bytes in which functions of one size differ, and the fields that explain them."""

    def __init__(self, one: Program, other: Program, here: Numbers, there: Numbers, partner: Numbers) -> None:
        self.one, self.other, self.here, self.there, self.partner = one, other, here, there, partner
        self.size = one.code[here]
        self.pair, self.at = self._differences()

    def verdicts(self) -> tuple[NDArray[np.int8], Numbers]:
        """(state, bytes that differ) of each pair."""
        called, waiting = self._arm64() if self.one.image.goarch == "arm64" else self._x86()
        explained = self._referring() | called
        state = np.full(len(self.here), SAME, np.int8)
        state[self.pair[~explained & waiting]] = PENDING
        state[self.pair[~explained & ~waiting]] = CHANGED
        return state, np.bincount(self.pair, minlength=len(self.here))

    def _differences(self) -> tuple[Numbers, Numbers]:
        """(d,) the pair, and the offset in its functions, of every byte that differs."""
        found = list(self._chunks())
        pair = np.concatenate([np.empty(0, np.int64), *(pair for pair, _ in found)])
        return pair, np.concatenate([np.empty(0, np.int64), *(at for _, at in found)])

    def _chunks(self) -> Iterator[tuple[Numbers, Numbers]]:
        bounds = np.searchsorted(np.cumsum(self.size) // STEP, np.arange(int(self.size.sum()) // STEP + 2))
        for first, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            owner, at = spread(self.size[first:end])
            owner += first
            differs = self.one.data[self._place(owner, at)] != self.other.data[self._place(owner, at, other=True)]
            yield owner[differs], at[differs]

    def _place(self, pair: Numbers, at: Numbers, *, other: bool = False) -> Numbers:
        """Offsets in the image of bytes of the pairs' functions."""
        program, function = (self.other, self.there) if other else (self.one, self.here)
        return program.offset[function[pair]] + at

    def _referring(self) -> Flags:
        """(d,) which bytes lie in a field that refers to data, to a place that all references agree on."""
        keys, mine, theirs = _fields(self.one, self.other, self.here, self.there)
        good = _agreeing(mine, theirs)
        keys = keys[good]
        if not len(keys):
            return np.zeros(len(self.pair), bool)
        wanted = (self.pair << 32) + self.at
        nearest = np.maximum(np.searchsorted(keys, wanted, "right") - 1, 0)
        away = wanted - keys[nearest]
        covered: Flags = (away >= 0) & (away < MACHINES[self.one.image.goarch])
        return covered

    def _x86(self) -> tuple[Flags, Flags]:
        """(d,) which bytes lie in calls and jumps to functions that correspond, and which in those to unknown ones."""
        called, waiting = np.zeros(len(self.pair), bool), np.zeros(len(self.pair), bool)
        for back in range(4):
            start = self.at - back
            fits = np.flatnonzero((start >= 1) & (start + 4 <= self.size[self.pair]))
            pair, start = self.pair[fits], start[fits]
            mine, theirs = self._place(pair, start), self._place(pair, start, other=True)
            opcode = self.one.data[mine - 1]
            calls = np.isin(opcode, CALLS) & (opcode == self.other.data[theirs - 1])
            fits, pair, start, mine, theirs = (part[calls] for part in (fits, pair, start, mine, theirs))
            ends = self.one.address[self.here[pair]] + start + 4, self.other.address[self.there[pair]] + start + 4
            to = ends[0] + _words(self.one, mine), ends[1] + _words(self.other, theirs)
            same, open_ = self._corresponding(*to)
            called[fits] |= same
            waiting[fits] |= open_
        return called, waiting

    def _arm64(self) -> tuple[Flags, Flags]:
        """The same of the words of arm64, of which b and bl hold the distance in their lower 26 bits."""
        start = np.minimum(self.at & ~3, np.maximum(self.size[self.pair] - 4, 0))
        words = [
            _words(self.one, self._place(self.pair, start)),
            _words(self.other, self._place(self.pair, start, other=True)),
        ]
        kind = [(word >> 26) & 0x3F for word in words]
        branches = (kind[0] == kind[1]) & np.isin(kind[0], (BRANCH, LINKED))
        away = [(((word & 0x3FFFFFF) ^ 0x2000000) - 0x2000000) * 4 for word in words]
        same, open_ = self._corresponding(
            self.one.address[self.here[self.pair]] + start + away[0],
            self.other.address[self.there[self.pair]] + start + away[1],
        )
        return branches & same, branches & open_

    def _corresponding(self, mine: Numbers, theirs: Numbers) -> tuple[Flags, Flags]:
        """(which addresses are the same place of functions that correspond, which are of functions without partner)."""
        one, inside = _function(self.one, mine)
        other, within = _function(self.other, theirs)
        known = (one >= 0) & (other >= 0) & (inside == within)
        partner = np.where(one >= 0, self.partner[np.maximum(one, 0)], -2)
        return known & (partner == other), known & (partner == -1)


def _words(program: Program, at: Offsets) -> Numbers:
    """(d,) the signed 32-bit words at offsets of the image, in the byte order of the machines known: little-endian."""
    raw = program.data[np.minimum(at[:, None] + np.arange(4), len(program.data) - 1)]
    return np.ascontiguousarray(raw).view("<i4")[:, 0].astype(np.int64)


def _function(program: Program, address: Numbers) -> tuple[Numbers, Numbers]:
    """(d,) the function whose code an address lies in, -1 for none; and how far in."""
    at = np.searchsorted(program.address, address, "right") - 1
    inside = address - program.address[np.maximum(at, 0)]
    return np.where((at >= 0) & (inside < program.code[np.maximum(at, 0)]), at, -1), inside


def _keyed(program: Program, function: Numbers) -> tuple[Numbers, Numbers]:
    """(f,) the references of these functions by pair and offset in the function, increasing; and their targets."""
    pair = np.full(len(program.address) + 1, -1, np.int64)
    pair[function] = np.arange(len(function))
    owner, inside = _function(program, program.pc)
    mine = np.flatnonzero((owner >= 0) & (pair[owner] >= 0))
    key = (pair[owner[mine]] << 32) + inside[mine]
    key, first = np.unique(key, return_index=True)
    return key, program.target[mine][first]


def _agreeing(mine: Numbers, theirs: Numbers) -> Flags:
    """(f,) which references are of the many: most that lead where this one leads here lead to one place there."""
    return _follows(mine, theirs) & _follows(theirs, mine)


def _follows(source: Numbers, target: Numbers) -> Flags:
    """(f,) which pairs have, of all with their source, the most frequent target; none of a tie."""
    if not len(source):
        return np.zeros(0, bool)
    order = np.lexsort((target, source))
    here, there = source[order], target[order]
    change = np.r_[True, (np.diff(here) != 0) | (np.diff(there) != 0)]
    row = np.cumsum(change) - 1
    votes = np.bincount(row)
    owner = here[change]
    group = np.cumsum(np.r_[True, np.diff(owner) != 0]) - 1
    most = np.zeros(int(group[-1]) + 1, np.int64)
    np.maximum.at(most, group, votes)
    wins = votes == most[group]
    alone = np.bincount(group, weights=wins)[group] == 1
    found = np.zeros(len(source), bool)
    found[order] = (wins & alone)[row]
    return found
