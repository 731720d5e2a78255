"""Function data and inline trees: blobs of every kind and layout built here, and what must hold of real ones."""

from __future__ import annotations

import struct
from typing import Literal

import builds
import numpy as np
import pytest
from fakes import FakeImage, FakeSource, segment
from test_pclntab import table_of, varint

import goforensics.binary
from goforensics.sections import funcdata, inltree, moduledata, pcheader, pclntab, pctables
from goforensics.sections.funcdata import FuncDataTable
from goforensics.sections.moduledata import ModuleData

OFFSET, ADDRESS = 0x40, 0x10000  # of the image's first byte
NAMES = b"\0" * 8 + b"main.f\0" + b"strings.g\0" + b"fmt.h\0"
F, G, H = 0, 7, 17  # where the names are
Blob = tuple[int, int, bytes]  # function, FUNCDATA index, content with what follows it
Order = Literal["<", ">"]


class Made:
    """A decoded pclntab whose functions have given function data and PCDATA tables, and the image around it."""

    def __init__(self, layout: str, order: Order = "<", pointer: int = 8, quantum: int = 1) -> None:
        self.layout, self.order, self.pointer, self.quantum = layout, order, pointer, quantum
        self.pctab, self.uses = bytearray(b"\0"), [np.empty((0, 3), np.int64)]
        self.blobs: list[Blob] = []
        self.functions = 1

    def u4(self, *values: int) -> bytes:
        return struct.pack(f"{self.order}{len(values)}I", *values)

    def word(self, value: int) -> bytes:
        return struct.pack(self.order + ("Q" if self.pointer == 8 else "I"), value)

    def table(self, function: int, pcdata: int, raw: bytes) -> Made:
        self.uses.append(np.array([[function, 3 + pcdata, len(self.pctab)]]))
        self.pctab += raw
        return self

    def blob(self, kind: int, raw: bytes, gap: int = 0, function: int = 0) -> Made:
        self.blobs.append((function, kind, raw + bytes(gap)))
        self.functions = max(self.functions, function + 1)
        return self

    def source(self) -> FakeSource:
        start = len(NAMES) + len(self.pctab)
        data = NAMES + bytes(self.pctab) + b"".join(raw for _, _, raw in self.blobs)
        image = FakeImage(
            bytes(OFFSET) + data,
            segments=[segment(0, OFFSET + len(data), ADDRESS)],
            order=self.order,
            bits=64 if self.pointer == 8 else 32,
        )
        source = FakeSource(image)
        source._read[moduledata.PARSER.name] = ModuleData(0, 0, {"gofunc": ADDRESS + OFFSET + start})
        source._read[pclntab.PARSER.name] = self.pclntab(data, start)
        return source

    def pclntab(self, data: bytes, start: int) -> pclntab.Pclntab:
        at = np.cumsum([0, *(len(raw) for _, _, raw in self.blobs)])[:-1]
        if self.layout in ("1.2", "1.16"):
            at = at + ADDRESS + OFFSET + start
        uses = np.concatenate(self.uses)
        where, zero = (len(NAMES), start), np.zeros(self.functions, np.int64)
        return pclntab.Pclntab(
            header=self.header(start),
            data=memoryview(data),
            funcs=pclntab.Funcs(zero.astype(np.uint64), zero.astype(np.uint64), *[zero] * 6),
            tables=pctables.tables(memoryview(data), where, uses[:, 0], uses[:, 1], uses[:, 2] + where[0]),
            funcdata=pclntab.FuncData(
                np.array([function for function, _, _ in self.blobs]),
                np.array([kind for _, kind, _ in self.blobs]),
                at.astype(np.uint64),
            ),
            inside=(start, len(data)) if self.layout == "1.26" else None,
        )

    def header(self, functab: int) -> pcheader.PcHeader:
        old = self.layout == "1.2"
        tables = {"filetab": functab} if old else {"funcnametab": 8, "pctab": len(NAMES)}
        tables["functab"] = functab
        place = (0, OFFSET, 0, None, self.order, self.pointer, self.quantum)  # magic, offset, limit, section
        return pcheader.PcHeader(self.layout, *place, self.functions, 0, 8, tables)

    def read(self) -> FuncDataTable:
        return self.source().read(funcdata.PARSER)

    def node(self, name: int, parent_pc: int, func_id: int = 0, parent: int = -1) -> bytes:
        """runtime.inlinedCall."""
        if self.layout in ("1.20", "1.26"):
            return bytes([func_id, 0, 0, 0]) + self.u4(name, parent_pc, 99)
        name += 8 if self.layout == "1.2" else 0
        head = struct.pack(f"{self.order}hBx", parent, func_id)
        return head + self.u4(1, 2, name, parent_pc)


ORDERS: tuple[tuple[Order, int], ...] = (("<", 8), (">", 8), ("<", 4), (">", 4))
LAYOUTS = ("1.2", "1.16", "1.18", "1.20", "1.26")


def sizes(made: Made) -> list[int]:
    """Of all blobs but the last, which is there to end the others."""
    found: list[int] = made.blob(0, made.u4(0, 0)).read().size[:-1].tolist()
    return found


@pytest.mark.parametrize(("order", "pointer"), ORDERS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_stack_maps(layout: str, order: Order, pointer: int) -> None:
    made = Made(layout, order, pointer)
    made.blob(0, made.u4(2, 9) + b"\1\0\0\0", gap=5).blob(1, made.u4(3, 0), gap=8).blob(1, made.u4(1, 8) + b"\xff")
    assert sizes(made) == [12, 8, 9]


@pytest.mark.parametrize(("order", "pointer"), ORDERS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_stack_objects(layout: str, order: Order, pointer: int) -> None:
    made = Made(layout, order, pointer)
    record = 2 * pointer if layout in ("1.2", "1.16") else 16
    kind = 3 if layout == "1.2" else 2
    made.blob(kind, made.word(2) + b"\x81" * 2 * record, gap=8).blob(kind, made.word(0), gap=8)
    assert sizes(made) == [pointer + 2 * record, pointer]


@pytest.mark.parametrize("layout", ["1.18", "1.20"])
def test_counted_open_coded_defers(layout: str) -> None:
    """Up to Go 1.21: deferBits, a count, that many slots."""
    made = Made(layout)
    made.blob(4, varint(300) + varint(1) + varint(160), gap=3).blob(4, varint(9) + varint(2) + varint(8) * 2, gap=3)
    assert sizes(made) == [5, 4]


@pytest.mark.parametrize("layout", ["1.20", "1.26"])
def test_open_coded_defers(layout: str) -> None:
    """Since Go 1.22: deferBits and the first slot, whatever is behind."""
    made = Made(layout)
    made.blob(4, varint(300) + varint(8), gap=3).blob(4, varint(9) + varint(160)).blob(4, varint(9) + varint(16))
    assert sizes(made) == [3, 3, 2]


@pytest.mark.parametrize(("layout", "kind"), [("1.2", 5), ("1.16", 4)])
def test_open_coded_defers_with_arguments(layout: str, kind: int) -> None:
    made = Made(layout)
    plain = varint(0) + varint(33) + varint(1) + varint(0) + varint(200) + varint(0)
    argument = varint(16) + varint(8) + varint(0)
    rich = varint(16) + varint(33) + varint(2) + (varint(16) + varint(200) + varint(2) + 2 * argument) * 2
    if layout == "1.2":  # says which of the two numberings it is
        made.blob(4, made.node(F, 1)).table(0, 2, table_of(0, 4))
    made.blob(kind, plain, gap=2).blob(kind, rich, gap=9)
    assert sizes(made)[-2:] == [len(plain), len(rich)]


def test_arguments() -> None:
    made = Made("1.26")
    made.blob(5, bytes([0, 8, 0xFE, 8, 8, 0xFD, 0xFF]), gap=1).blob(5, b"\xff", gap=7)
    made.blob(7, made.u4(0xFFFFFFFF), gap=4)
    assert sizes(made) == [7, 1, 4]


@pytest.mark.parametrize(("bitmaps", "last"), [(b"\1\0\3\0", 4), (b"\1\2\0\0\3\1", 5), (b"\1\2", 1)])
def test_liveness_of_arguments_ends_with_the_last_bitmap(bitmaps: bytes, last: int) -> None:
    """Bitmaps of one byte or two, at the offsets that PCDATA_ArgLiveIndex gives; they may be 0, as padding is."""
    made = Made("1.26").table(0, 3, table_of(last, 20)).blob(6, b"\x08" + bitmaps, gap=7)
    assert sizes(made) == [1 + len(bitmaps)]


@pytest.mark.parametrize(("order", "pointer"), ORDERS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_inline_trees(layout: str, order: Order, pointer: int) -> None:
    made, kind = Made(layout, order, pointer, quantum=4), 4 if layout == "1.2" else 3
    steps = b"".join(varint(n) for n in (0, 1, 2, 2, 2, 3, 3, 1, 0))  # -1 at 0; 0 from 4; 1 from 12; -1 from 24
    made.table(0, 2, steps).table(1, 2, table_of(0, 50))
    made.blob(kind, made.node(G, 2, 5) + made.node(H, 16, 0, parent=0), gap=8)
    made.blob(kind, made.node(F, 40), gap=4, function=1)
    made.blob(0, made.u4(0, 0))
    source = made.source()
    blobs, trees = source.read(funcdata.PARSER), source.read(inltree.PARSER)
    node = 16 if layout in ("1.20", "1.26") else 20
    assert blobs.size.tolist() == [2 * node, node, 8]
    assert [funcdata.KINDS[k] for k in blobs.kind.tolist()] == ["inline tree"] * 2 + ["args stack map"]
    tree = trees.nodes(trees.count)
    assert tree.owner.tolist() == [0, 0, 1]
    assert tree.node.tolist() == [0, 1, 0]
    assert tree.name.tolist() == [8 + G, 8 + H, 8 + F]
    assert tree.parent_pc.tolist() == [2, 16, 40]
    assert tree.func_id.tolist() == [5, 0, 0]
    pcs = np.array([0, 3, 4, 11, 12, 20])
    names = trees.innermost(np.zeros(6, np.int64), pcs)
    assert names.tolist() == [0, 0, 8 + G, 8 + G, 8 + H, 8 + H]
    assert trees.innermost(np.array([0, 1]), np.array([24, 1000])).tolist() == [0, 0]


def test_the_numbers_of_layout_12_show_in_the_data() -> None:
    """Go 1.12 had the tree as FUNCDATA 2 and PCDATA 1, 1.13 to 1.15 as 4 and 2, with the maps of registers as 2."""
    made = Made("1.2")
    made.blob(2, made.node(G, 1)).blob(3, made.u4(1, 8) + b"\1", gap=3).blob(4, made.word(0)).table(
        0, 1, table_of(0, 9)
    )
    blobs = made.read()
    assert [funcdata.KINDS[k] for k in blobs.kind.tolist()] == ["inline tree", "register map", "stack objects"]
    assert blobs.size.tolist() == [20, 9, 8]


def test_fields_of_go_111_are_no_tree() -> None:
    """Its nodes begin with an int32 and are shorter: better none than wrong names."""
    made = Made("1.2").table(0, 1, table_of(0, 9))
    made.blob(2, made.u4(0xFFFFFFFF, 1, 2, F))
    assert made.source().read(inltree.PARSER).innermost(np.array([0]), np.array([0])).tolist() == [0]


def test_a_shared_blob_is_one_item() -> None:
    made = Made("1.26").blob(1, b"").blob(0, b"", function=1).blob(0, struct.pack("<2I", 1, 0), function=2)
    blobs = made.read()
    assert blobs.kind.tolist() == [0]
    assert blobs.owner.tolist() == [0, 1, 2]
    assert blobs.blob.tolist() == [0, 0, 0]
    assert blobs.region == (int(blobs.start[0]), int(blobs.start[0]) + 8)


@pytest.mark.parametrize("kind", [0, 2])
def test_a_count_that_cannot_be_ends_at_the_next_blob(kind: int) -> None:
    bad = b"\xff" * 24
    inside = Made("1.26").blob(kind, bad).blob(kind, bad).read()
    assert inside.size.tolist() == [24, 24]
    in_rodata = Made("1.20").blob(kind, bad).blob(kind, bad).read()
    assert in_rodata.size.tolist() == [24, 0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_random_bytes_stay_in_bounds(layout: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(150):
        made = Made(layout)
        for number in range(12):
            made.blob(int(rng.integers(10)), rng.bytes(int(rng.integers(9))), function=number // 3)
            made.table(number // 3, int(rng.integers(4)), rng.bytes(int(rng.integers(6))))
        source = made.source()
        blobs, trees = source.read(funcdata.PARSER), source.read(inltree.PARSER)
        assert (blobs.size >= 0).all()
        assert (blobs.end[:-1] <= blobs.start[1:]).all()
        assert (blobs.end <= len(source.image.data)).all()
        tree = trees.nodes(trees.count)
        assert ((tree.name >= 0) & (tree.name < 1 << 20)).all()
        functions = np.repeat(np.arange(made.functions), 4)
        trees.innermost(functions, rng.integers(1 << 33, size=len(functions)))


def test_tables_that_overlap_are_decoded_once() -> None:
    """Thousands of tables to the end of the pctab must not cost their number times its length; nor one tree for all."""
    made = Made("1.26")
    made.pctab += b"\2" * 100_000
    made.uses.append(np.stack([np.zeros(90_000), np.full(90_000, 5), np.arange(1, 90_001)], axis=1).astype(np.int64))
    _, steps = inltree.steps_of(made.blob(0, made.u4(0, 0)).source().read(pclntab.PARSER), 5)
    assert len(steps.key) <= 100_000
    assert inltree.affordable(np.array([5, 1 << 60, 4, 3]), 10).tolist() == [5, 0, 0, 0]


REAL = [builds.Build("hello", go) for go in ("1.13", "1.16", "1.18", "1.21", "1.22", "1.27")]
REAL += [builds.Build("hello", go, goarch=goarch) for go in ("1.22", "1.27") for goarch in ("386", "s390x")]


@pytest.mark.builds
@pytest.mark.parametrize("build", REAL, ids=builds.Build.label)
def test_real_trees(build: builds.Build) -> None:
    """Every node names a function that there is a name for, and was called from within its owner."""
    binary = goforensics.binary.open(builds.executable(build))
    table, trees = binary.read(pclntab.PARSER), binary.read(inltree.PARSER)
    tree = trees.nodes(trees.count)
    assert len(tree.owner) > 500
    before = np.frombuffer(table.data, np.uint8)[tree.name - 1]
    assert ((before == 0) | (tree.name == table.header.tables.get("funcnametab"))).all()
    assert (tree.parent_pc < table.funcs.size[tree.owner].astype(np.int64)).all()
    assert (tree.parent_pc >= 0).all()


@pytest.mark.builds
@pytest.mark.parametrize("build", REAL[2:], ids=builds.Build.label)
def test_nothing_but_padding_and_functions_between_real_blobs(build: builds.Build) -> None:
    """Since 1.26 all is accounted for; from 1.18 on the blobs lie among runtime.funcval: addresses of functions."""
    binary = goforensics.binary.open(builds.executable(build))
    image, blobs, table = binary.image, binary.read(funcdata.PARSER), binary.read(pclntab.PARSER)
    low, high = blobs.region
    covered = np.zeros(high - low + 1, np.int64)
    np.add.at(covered, blobs.start - low, 1)
    np.add.at(covered, blobs.end - low, -1)
    raw = np.frombuffer(image.data[low:high], np.uint8)
    rest = np.where(np.cumsum(covered)[:-1] == 0, raw, 0).astype(np.uint8)
    first = -(image.address_of(low) or 0) % image.pointer_size
    words = np.unique(rest[first : first + (len(rest) - first) // 8 * 8].view(image.word))
    module = binary.read(moduledata.PARSER)
    entries = table.funcs.entry + np.uint64(module.text)
    assert set(words[words > 0].tolist()) <= set(entries.tolist())
    assert table.inside is None or not rest.any()
    assert not rest[:first].any()
