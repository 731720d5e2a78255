"""Function data: the stack maps, stack objects, inline trees and argument lists that functions point at; findfunctab.

Every blob tells its own size, but for inline trees and the liveness of arguments, which end with the greatest index
that a pc-value table gives.  Go 1.26 keeps function data and findfunctab in the pclntab, earlier releases in .rodata,
the first among descriptors of functions (runtime.funcval), which are none of it.

Source of truth: Go's src/internal/abi/symtab.go (the kinds), src/runtime/{stkframe,symtab,symtabinl,panic,traceback}.go
(the readers), cmd/compile/internal/{ssagen,liveness} and cmd/link/internal/ld/pcln.go (the writers).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.errors import FormatError
from goforensics.sections import arglive, inltree, moduledata, pclntab
from goforensics.sections.arrays import Offsets, spread, varints
from goforensics.sections.inltree import InlTrees, affordable
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.protocol import Parser, Source

KINDS = (  # by FUNCDATA index; then the maps of registers of layout 1.2
    *("args stack map", "locals stack map", "stack objects", "inline tree", "open-coded defers"),
    *("arg info", "arg liveness", "wrap info", "register map"),
)
ARGS, LOCALS, OBJECTS, TREE, DEFERS, ARG_INFO, ARG_LIVE, WRAP, REGISTERS = range(9)
EARLIER = {  # what layout 1.2's indices mean, by which of them is the inline tree
    4: (ARGS, LOCALS, REGISTERS, OBJECTS, TREE, DEFERS),
    2: (ARGS, LOCALS, TREE, REGISTERS, OBJECTS),
}
END_SEQ = 0xFF  # abi.TraceArgsEndSeq
MOST_DEFERS = 8  # of a function whose defers are open-coded: cmd/compile's maxOpenDefers
VARINTS_MOST = 4096  # bytes, more than a blob of varints has
MOST = 1 << 40  # more than any size that a file can hold
BUCKET, SUBBUCKET = 4096, 256  # bytes of code: abi.FuncTabBucketSize and a sixteenth of it
BUCKET_SIZE = 20  # bytes of runtime.findfuncbucket


class FuncDataTable(msgspec.Struct, frozen=True):
    """Every distinct blob, by where it begins, and every use of one.  Offsets are in the image."""

    start: Offsets  # (b,) increasing
    end: Offsets  # (b,) never past the next start
    kind: NDArray[np.int64]  # (b,) index into KINDS, the lowest if it is used as several; -1 for one not known
    owner: Offsets  # (u,) function of each use
    blob: Offsets  # (u,) which blob
    region: tuple[int, int]  # from the first blob to the end of the last; (0, 0) without blobs

    @property
    def size(self) -> Offsets:
        """(b,) bytes of each blob."""
        return self.end - self.start


def decode(source: Source) -> FuncDataTable:
    """Measure every blob.

    FormatError if there is no pclntab, or nothing says where its function data begins.  A blob whose counts cannot be
    ends where the next one begins; the last one of .rodata, which nothing follows, is then empty.
    """
    table, trees = source.read(pclntab.PARSER), source.read(inltree.PARSER)
    low, high = _bounds(table, len(source.image.data))
    uses = table.funcdata
    at = inltree.places(source, table, uses.value)
    inside = (at >= low) & (at < high)
    owner, used = uses.owner[inside], _kinds(trees.funcdata)[uses.kind[inside]]
    start, blob = np.unique(at[inside], return_inverse=True)
    kind = np.full(len(start), len(KINDS))
    np.minimum.at(kind, blob, used)
    nodes = np.zeros(len(start), np.int64)
    np.maximum.at(nodes, blob, trees.count[owner])
    kind[kind == len(KINDS)] = -1
    raw, lists = np.frombuffer(source.image.data, np.uint8), np.full(len(table.funcs.record), -1, np.int64)
    lists[owner[used == ARG_INFO]] = at[inside][used == ARG_INFO]
    bitmaps = arglive.bitmaps(table, raw, start, lists, owner[used == ARG_LIVE], blob[used == ARG_LIVE])
    end = _Measure(table, trees, source.image.data, start, kind, nodes, bitmaps, high).ends()
    region = (int(start[0]), int(end[-1])) if len(start) else (0, 0)
    return FuncDataTable(start, end, kind, owner, blob, region)


def _bounds(table: Pclntab, size: int) -> tuple[int, int]:
    """Offsets in the image that function data lies between: the whole file where it has no part of its own."""
    if table.inside is None:
        return 0, size
    return table.offset + table.inside[0], table.offset + table.inside[1]


def _kinds(tree: int) -> NDArray[np.int64]:
    """(256,) index into KINDS of each FUNCDATA index, where that of the inline tree is `tree`."""
    known = EARLIER.get(tree, tuple(range(REGISTERS)))
    kinds: NDArray[np.int64] = np.r_[known, np.full(256 - len(known), len(KINDS))]
    return kinds


class _Measure:
    """The state of one measuring.  Sizes are those that the blobs claim; `ends` cuts them."""

    def __init__(
        self,
        table: Pclntab,
        trees: InlTrees,
        data: memoryview,
        start: Offsets,
        kind: NDArray[np.int64],
        nodes: Offsets,
        bitmaps: Offsets,
        high: int,
    ) -> None:
        self.table, self.trees, self.start, self.kind = table, trees, start, kind
        self.nodes, self.bitmaps = nodes, bitmaps
        self.raw = np.frombuffer(data, np.uint8)
        self.order, self.pointer = table.header.order, table.header.pointer
        self.limit = np.r_[start[1:], high][: len(start)]
        self.bounded = table.inside is not None  # nothing else lies among the blobs

    def ends(self) -> Offsets:
        """(b,) where each blob ends."""
        size = np.full(len(self.start), MOST if self.bounded else 0)  # of kinds not known, all there is or nothing
        measures: dict[int, Callable[[Offsets], Offsets]] = {
            ARGS: self._stack_map,
            LOCALS: self._stack_map,
            OBJECTS: self._objects,
            REGISTERS: self._stack_map,
            TREE: self._tree,
            DEFERS: self._defers,
            ARG_INFO: self._arg_info,
            ARG_LIVE: self._arg_live,
            WRAP: lambda rows: np.full(len(rows), 4),
        }
        for kind, measure in measures.items():
            rows = np.flatnonzero(self.kind == kind)
            if len(rows):
                size[rows] = measure(rows)
        room = self.limit - self.start
        if len(size) and not self.bounded and size[-1] > room[-1]:
            size[-1] = 0
        end: Offsets = self.start + np.minimum(size, room)
        return end

    def _uint(self, at: Offsets, size: int = 4) -> Offsets:
        """Numbers at any offsets; 0 past the end of the image, MOST for a greater one."""
        held = at + size <= len(self.raw)
        raw = self.raw[np.where(held, at, 0)[:, None] + np.arange(size)]
        value = raw.view(f"{self.order}u{size}")[:, 0]
        return np.where(held, np.minimum(value.astype(np.uint64), MOST), 0).astype(np.int64)

    def _stack_map(self, rows: Offsets) -> Offsets:
        """runtime.stackmap: int32 n, int32 nbit, n bitmaps of whole bytes."""
        n, nbit = self._uint(self.start[rows]), self._uint(self.start[rows] + 4)
        size: Offsets = 8 + n * ((nbit + 7) // 8)
        return size

    def _objects(self, rows: Offsets) -> Offsets:
        """uintptr count, then runtime.stackObjectRecord: four 32-bit words, up to Go 1.17 two pointers."""
        record = 2 * self.pointer if self.table.header.wide_functab else 16
        return self.pointer + record * self._uint(self.start[rows], self.pointer)

    def _tree(self, rows: Offsets) -> Offsets:
        return self.trees.shape.size * np.minimum(self.nodes[rows], MOST // 32)

    def _defers(self, rows: Offsets) -> Offsets:
        """Varints: deferBits and the first slot; up to Go 1.21 deferBits, a count and that many slots."""
        walk = _Varints(self.raw, self.start[rows], self.limit[rows])
        if self.table.header.wide_functab:
            return _defers_with_arguments(walk)
        walk.skip(1)
        second = walk.value()
        walk.skip(1)
        if (second % self.pointer != 0).any():  # never a slot, which is a multiple of a pointer in the frame
            walk.skip(np.minimum(second, MOST_DEFERS))
        return walk.size

    def _arg_info(self, rows: Offsets) -> Offsets:
        """A stream of bytes that ends with END_SEQ."""
        low, high = int(self.start[rows[0]]), int(self.start[rows[-1]]) + arglive.MOST_BYTES
        stops = np.flatnonzero(self.raw[low:high] == END_SEQ) + low
        found = np.searchsorted(stops, self.start[rows])
        size: Offsets = np.r_[stops, low + MOST][found] + 1 - self.start[rows]
        return size

    def _arg_live(self, rows: Offsets) -> Offsets:
        """A byte, then bitmaps, whose offsets are what PCDATA_ArgLiveIndex says.

        Where nothing decides whether they are of one byte or of two, a second byte that is not 0 belongs to the last;
        one that is 0 may, too, and is then taken for padding.
        """
        last, width = self.bitmaps[:, rows]
        size: Offsets = last + np.where(width > 0, width, 1 + (self._uint(self.start[rows] + last + 1, 1) != 0))
        return size


class _Varints:
    """Varints read from many places (k,) at once, one after another in each."""

    def __init__(self, raw: NDArray[np.uint8], start: Offsets, limit: Offsets) -> None:
        low, high = int(start[0]), min(int(limit[-1]), int(start[-1]) + VARINTS_MOST)
        self.raw, self.start, self.at = raw, start, start
        self.last = np.r_[np.flatnonzero(raw[low:high] < 0x80) + low, MOST]  # the last byte of every varint

    def value(self) -> Offsets:
        """(k,) the next varints, which stay the next."""
        return varints(self.raw, self.at)

    def skip(self, count: Offsets | int) -> None:
        """Step over `count` varints in each place; past the last one of the bytes leads beyond any file."""
        number = np.searchsorted(self.last, self.at) + count - 1
        after = self.last[np.minimum(number, len(self.last) - 1)] + 1
        self.at = np.where(np.asarray(count) > 0, after, self.at)

    @property
    def size(self) -> Offsets:
        """(k,) bytes stepped over."""
        return np.minimum(self.at, MOST) - self.start


def _defers_with_arguments(walk: _Varints) -> Offsets:
    """Up to Go 1.17: the most bytes of arguments, deferBits, a count; per defer the bytes of its arguments, a slot, a
    count, and per argument its slot, size and offset.
    """
    walk.skip(2)
    count = walk.value()
    walk.skip(1)
    for i in range(MOST_DEFERS):
        going = count > i
        walk.skip(np.where(going, 2, 0))
        walk.skip(np.where(going, 1 + 3 * walk.value(), 0))
    return walk.size


def buckets(source: Source) -> tuple[Offsets, Offsets, Offsets, Offsets]:
    """findfunctab: (starts, ends) of its buckets (i,) as offsets in the image, and (owner, bucket) per use (r,).

    A bucket is for 4096 bytes of code and used by the functions that have some of it; the last one is as short as its
    part of the text.  None without a moduledata.  FormatError if there is no pclntab.
    """
    table, none = source.read(pclntab.PARSER), np.empty(0, np.int64)
    try:
        module = source.read(moduledata.PARSER)
    except FormatError:
        return none, none, none, none
    offset, length = source.image.offset_of(module.findfunctab), module.maxpc - module.minpc
    size = 4 * -(-length // BUCKET) + -(-length // SUBBUCKET)
    if offset is None or offset + size > len(source.image.data):
        return none, none, none, none
    starts = np.arange(offset, offset + size, BUCKET_SIZE)
    base = module.minpc if table.header.wide_functab else module.minpc - module.text
    entry = table.funcs.entry - np.uint64(base % (1 << 64))
    begin, end = (at.astype(np.int64) for at in (entry, entry + table.funcs.size))
    first, last = np.maximum(begin // BUCKET, 0), np.minimum((end - 1) // BUCKET, len(starts) - 1)
    owner, place = spread(affordable(last - first + 1, len(table.data)))
    return starts, np.minimum(starts + BUCKET_SIZE, offset + size), owner, first[owner] + place


PARSER = Parser("funcdata", decode)
