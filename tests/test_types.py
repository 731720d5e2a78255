"""Type descriptors: every kind, both encodings of names, the three layouts of maps; damage costs itself and no time."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from fakes import FakeImage, FakeSource, segment

from goforensics.errors import FormatError
from goforensics.sections import types
from goforensics.sections.moduledata import ModuleData
from goforensics.sections.references import References
from goforensics.sections.region import region
from goforensics.sections.types import Types

Order = Literal["<", ">"]
Item = tuple[str, int | str]  # how wide, and a number or a label: of an address ("p") or an offset from TYPES ("o")
TYPES = 0x500000
UNCOMMON, NAMED = 1, 4
MAPS = ("old", "swiss", "split")
CASES = [(p, o, w, m) for p in (4, 8) for o in ("<", ">") for w in (False, True) for m in MAPS]
NONE = np.empty(0, np.uint64)


class Laid:
    """Names and descriptors one behind the other, as the linker leaves them."""

    def __init__(self, pointer: int = 8, order: Order = "<", *, wide: bool = False, start: int = TYPES) -> None:
        self.pointer, self.order, self.wide, self.start = pointer, order, wide, start
        self.pieces: list[list[Item] | bytes] = []
        self.at: dict[str, int] = {}
        self.kinds: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.place = start
        self.put("", bytes(2 * pointer))

    def size(self, item: Item) -> int:
        return {"p": self.pointer, "o": 4}.get(item[0]) or int(item[0])

    def put(self, label: str, piece: list[Item] | bytes) -> None:
        self.at[label] = self.place
        self.pieces.append(piece)
        self.place += len(piece) if isinstance(piece, bytes) else sum(self.size(item) for item in piece)
        self.ends[label] = self.place

    def align(self, to: int) -> None:
        self.pieces.append(bytes(-self.place % to))
        self.place += -self.place % to

    def text(self, text: str) -> bytes:
        raw = text.encode()
        if self.wide:
            return struct.pack(">H", len(raw)) + raw
        return (bytes([len(raw)]) if len(raw) < 128 else bytes([len(raw) & 127 | 128, len(raw) >> 7])) + raw

    def name(self, label: str, text: str, tag: str = "", path: str = "") -> None:
        flag = (2 if tag else 0) | (4 if path else 0)
        self.put(label, bytes([flag]) + self.text(text) + (self.text(tag) if tag else b""))
        if path:
            self.put(f"{label} path", [("o", path)])
            self.ends[label] = self.place

    def type(
        self,
        label: str,
        kind: int,
        more: Sequence[Item] = (),
        *,
        size: int = 8,
        path: str = "",
        **also: int | str,
    ) -> None:
        """A descriptor: abi.Type, what the kind adds, and abi.UncommonType if a package declares it."""
        self.align(self.pointer)
        flags = UNCOMMON | NAMED if path else 0
        items: list[Item] = [
            ("p", size),
            ("p", 0),
            ("4", hash_of(label)),
            ("1", flags),
            ("1", 8),
            ("1", 8),
            ("1", kind),
        ]
        items += [("p", also.get("equal", 0)), ("p", also.get("gcdata", 0))]
        items += [("o", also.get("name", "n")), ("o", also.get("pointer", 0)), *more]
        if path:
            items += [("o", path), ("2", also.get("methods", 0)), ("2", 0), ("4", 16), ("4", 0)]
        self.put(label, items)
        self.kinds[label] = kind

    def build(self) -> bytes:
        out = b""
        for piece in self.pieces:
            if isinstance(piece, bytes):
                out += piece
                continue
            for item in piece:
                kind, value = item
                number = self.at[value] - (self.start if kind == "o" else 0) if isinstance(value, str) else value
                code = {1: "B", 2: "H", 4: "I", 8: "Q"}[self.size(item)]
                out += struct.pack(self.order + code, number)
        return out


def hash_of(label: str) -> int:
    return sum(label.encode()) * 0x10001


def map_of(layout: str, pointer: int) -> tuple[list[Item], int]:
    """What a map's descriptor adds, and the size of its bucket or group type."""
    head: list[Item] = [("p", "int"), ("p", "string"), ("p", "group"), ("p", 0)]
    if layout == "old":
        return [*head, ("1", 8), ("1", 16), ("2", 208), ("4", 0)], 208
    if layout == "swiss":
        return [*head, ("p", 200), ("p", 24), ("p", 8), ("p", 0)], 200
    return [*head, ("p", 200), ("p", 8), ("p", 8), ("p", 72), ("p", 16), ("p", 0), ("p", 0)], 200


def world(pointer: int, order: Order, wide: bool, maps: str) -> Laid:
    """A program's types; all can be reached from T, which refers to itself.

    The map is listed too: the lists of any program have some, and only these tell the layout.
    """
    laid = Laid(pointer, order, wide=wide)
    laid.name("main", "main")
    laid.name("lib", "example.com/lib")
    laid.name("n", "*main.T")
    laid.name("A", "A", tag='json:"a"')
    laid.name("b", "b", path="lib")
    laid.name("M", "M")
    laid.name("long", "struct { " + "x" * 300 + " }")
    extra, size = map_of(maps, pointer)
    laid.type("int", 2, equal=0x1234)
    laid.type("string", 24, size=16, path="main")
    laid.type("slice", 23, [("p", "int")])
    laid.type("array", 17, [("p", "int"), ("p", "slice"), ("p", 3)])
    laid.type("chan", 18, [("p", "array"), ("p", 3)])
    laid.type("group", 25, [("p", 0), ("p", 0), ("p", 0), ("p", 0)], size=size, name="long")
    laid.type("map", 21, extra, path="lib")
    laid.type("any", 20, [("p", 0), ("p", 0), ("p", 0), ("p", 0)])
    laid.type("interface", 20, [("p", "lib"), ("p", "imethods"), ("p", 1), ("p", 1)], path="lib")
    laid.put("imethods", [("o", "M"), ("o", "func")])
    counts: list[Item] = [("2", 3), ("2", 0x8001), *([("4", 0)] if pointer == 8 else [])]
    laid.type("func", 19, counts)
    laid.put("parameters", [("p", "map"), ("p", "chan"), ("p", "any"), ("p", "PT")])
    laid.ends["func"] = laid.place
    laid.type("PT", 22, [("p", "T")])
    laid.type("unnamed", 22, [("p", "PT")])
    fields: list[Item] = [("p", "main"), ("p", "fields"), ("p", 2), ("p", 2)]
    laid.type("T", 25, fields, path="main", methods=1, pointer="PT", gcdata=TYPES + 8)
    laid.put("methods", [("o", "M"), ("o", "func"), ("4", 0x10), ("4", 0xFFFFFFFF)])
    laid.put("fields", [("p", "A"), ("p", "unnamed"), ("p", 0), ("p", "b"), ("p", "interface"), ("p", 8)])
    laid.ends["T"] = laid.place
    return laid


def given(
    laid: Laid,
    raw: bytes | None = None,
    listed: tuple[str, ...] = ("T", "map"),
    pointed: tuple[int, ...] = (),
    fields: dict[str, int] | None = None,
) -> FakeSource:
    """A source with nothing but types, a list of some of them, and what code points at."""
    raw = laid.build() if raw is None else raw
    links = struct.pack(f"{laid.order}{len(listed)}i", *(laid.at[label] - laid.start for label in listed))
    end = laid.start + len(raw)
    parts = [segment(0, len(raw), laid.start), segment(len(raw), len(links), end + 64)]
    image = FakeImage(raw + links, segments=parts, bits=64 if laid.pointer == 8 else 32, order=laid.order)
    source = FakeSource(image)
    all_fields = {"types": laid.start, "etypes": end, "typelinks": end + 64, "typelinks.len": len(listed)} | (
        fields or {}
    )
    source._read["moduledata"] = ModuleData(0, 0, all_fields)
    source._read["references"] = References(NONE, np.array(pointed, np.uint64), NONE, NONE)
    return source


def decode(source: FakeSource) -> Types:
    found = source.read(types.PARSER)
    assert (np.diff(found.address.astype(np.int64)) > 0).all()
    assert (np.diff(found.name_start.astype(np.int64)) > 0).all()
    assert len(found.address) == len(found.kind) == len(found.package) == len(found.pointee) == len(found.end)
    assert (found.end > found.address).all()
    assert (found.package < len(found.packages)).all()
    return found


@pytest.mark.parametrize(("pointer", "order", "wide", "maps"), CASES)
def test_follows_every_kind(pointer: int, order: Order, wide: bool, maps: str) -> None:
    laid = world(pointer, order, wide, maps)
    found = decode(given(laid))
    label = {laid.at[name]: name for name in laid.kinds}
    assert [label.get(at) for at in found.address.tolist()] == list(laid.kinds)
    assert found.kind.tolist() == list(laid.kinds.values())
    packages = {
        label[at]: found.packages[p] for at, p in zip(found.address.tolist(), found.package.tolist(), strict=True)
    }
    said = {"string": "main", "map": "example.com/lib", "interface": "example.com/lib", "T": "main"}
    assert {name: package for name, package in packages.items() if package} == said
    assert {label[at] for at in found.address[found.named].tolist()} == set(said)
    pointee = {label[int(found.address[i])]: int(to) for i, to in enumerate(found.pointee.tolist()) if to >= 0}
    assert {name: label[int(found.address[to])] for name, to in pointee.items()} == {"PT": "T", "unnamed": "PT"}
    ends = {label[at]: end for at, end in zip(found.address.tolist(), found.end.tolist(), strict=True)}
    assert ends == {name: laid.ends[name] for name in laid.kinds} | {"interface": laid.ends["imethods"]}
    names = ["main", "lib", "n", "A", "b", "M", "long"]
    assert found.name_start.tolist() == [laid.at[name] for name in names]
    assert found.name_end.tolist() == [laid.ends[name] for name in names]
    assert found.gcdata[found.address == laid.at["T"]].tolist() == [TYPES + 8]


@pytest.mark.parametrize(("pointer", "order", "wide", "maps"), CASES)
def test_parts_and_edges(pointer: int, order: Order, wide: bool, maps: str) -> None:
    laid = world(pointer, order, wide, maps)
    found = decode(given(laid))
    sizes = {name: int((end - start).sum()) for name, (_, start, end) in found.parts.items()}
    assert sizes["type/uncommon"] == 4 * 16
    assert sizes["type/fields"] == 2 * 3 * pointer
    assert sizes["type/methods"] == 16 + 8
    assert sizes["type/parameters"] == 4 * pointer
    edges = set(zip(*(side.tolist() for side in found.edges), strict=True))
    wanted = [("T", "PT"), ("PT", "T"), ("T", "func"), ("T", "A"), ("b", "lib"), ("map", "group"), ("array", "slice")]
    wanted += [
        ("func", "map"),
        ("func", "PT"),
        ("interface", "func"),
        ("interface", "M"),
        ("T", "n"),
        ("T", "interface"),
    ]
    assert {(laid.at[a], laid.at[b]) for a, b in wanted} <= edges
    assert {(laid.at["int"], 0x1234), (laid.at["T"], TYPES + 8)} <= edges
    assert all(target > 0 for _, target in edges)


def test_what_only_code_points_at() -> None:
    laid = world(8, "<", False, "swiss")
    laid.align(32)
    laid.type("apart", 2)
    laid.type("behind", 2)  # nothing points at it
    found = decode(given(laid, pointed=(laid.at["apart"], laid.at["T"] + 8), fields={"itaboffset": laid.place - TYPES}))
    assert {laid.at["apart"], laid.at["behind"]} <= set(found.address.tolist())
    assert len(found.address) == len(laid.kinds)


def test_nothing_is_no_type() -> None:
    laid = Laid()
    laid.put("T", bytes(256))
    for pointed in ((), (TYPES + 8, TYPES + 16, 0, 2**64 - 1)):
        with pytest.raises(FormatError):
            decode(given(laid, listed=("T",), pointed=pointed))


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (TYPES, TYPES), (TYPES, TYPES + (1 << 40)), (5, 9), (TYPES + 9, TYPES)]
)
def test_bounds_that_hold_nothing(start: int, end: int) -> None:
    laid = world(8, "<", False, "old")
    with pytest.raises(FormatError):
        given(laid, fields={"types": start, "etypes": end}).read(types.PARSER)


@pytest.mark.parametrize(("pointer", "order", "wide", "maps"), [(8, "<", False, "split"), (4, ">", True, "old")])
def test_every_prefix(pointer: int, order: Order, wide: bool, maps: str) -> None:
    laid = world(pointer, order, wide, maps)
    raw = laid.build()
    for length in range(8, len(raw), 7):
        try:
            found = decode(given(laid, raw[:length]))
        except FormatError:
            continue
        assert (found.address < TYPES + length).all()


@pytest.mark.parametrize(("pointer", "order", "wide", "maps"), [(8, "<", False, "swiss"), (4, ">", False, "split")])
def test_broken_bytes(pointer: int, order: Order, wide: bool, maps: str) -> None:
    laid = world(pointer, order, wide, maps)
    good, rng = np.frombuffer(laid.build(), np.uint8), np.random.default_rng(5)
    for _ in range(100):
        bad = good.copy()
        bad[rng.integers(len(bad), size=rng.integers(1, 12))] = rng.choice(
            [0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))]
        )
        try:
            found = decode(given(laid, bad.tobytes()))
        except FormatError:
            continue
        for _, start, end in found.parts.values():
            assert (start < end).all()


def test_addresses_at_the_top_are_an_error() -> None:
    laid = Laid(start=0xFFFF_FFFF_8000_0000)
    laid.name("n", "int")
    laid.type("int", 2)
    with pytest.raises(FormatError):
        decode(given(laid, listed=("int",)))


def test_tables_over_one_another_cost_no_more_than_the_memory() -> None:
    laid, many = Laid(), 4000
    laid.name("n", "T")
    laid.type("T", 25, [("p", 0), ("p", TYPES), ("p", 1), ("p", 0)])
    for i in range(many):
        laid.type(f"s{i}", 25, [("p", 0), ("p", TYPES), ("p", 12 * many // 4), ("p", 0)])
    begun = time.monotonic()
    found = decode(given(laid, listed=tuple(f"s{i}" for i in range(many))))
    assert time.monotonic() - begun < 3
    assert len(found.address) >= many
    _, start, end = found.parts["type/fields"]
    assert int((end - start).sum()) <= 4 * (laid.place - TYPES)


def test_a_long_chain_ends() -> None:
    laid, many = Laid(), 6000
    laid.name("n", "T")
    for i in range(many):
        laid.type(f"s{i}", 22, [("p", f"s{i - 1}" if i else "s0")])
    begun = time.monotonic()
    found = decode(given(laid, listed=(f"s{many - 1}",)))
    assert time.monotonic() - begun < 3
    assert 100 <= len(found.address) <= many


@pytest.mark.parametrize(("pointer", "order"), [(8, "<"), (4, ">")])
def test_a_region_is_relocated_and_bounded(pointer: int, order: Order) -> None:
    raw = bytes(range(64))
    fixed = {TYPES + 8: 0x11223344, TYPES + 62: 5}  # the second is cut off by the end
    bits: Literal[32, 64] = 64 if pointer == 8 else 32
    image = FakeImage(raw, segments=[segment(0, 64, TYPES)], bits=bits, order=order, relocations=fixed)
    memory = region(image, TYPES, TYPES + 64, "test")
    at = np.array([TYPES + 8, TYPES + 9, TYPES + 63, TYPES + 64, TYPES - 1, 0, 2**64 - 1], np.uint64)
    assert memory.word(at)[0] == 0x11223344
    assert memory.uint(at, 1)[2:].tolist() == [63, 0, 0, 0, 0]
    assert memory.uint(at, 4)[2:].tolist() == [0] * 5
    assert memory.holds(at, 1).tolist() == [True, True, True, False, False, False, False]
    assert memory.uint(np.array([TYPES + 33, TYPES + 16], np.uint64), 2).tolist() == [
        int.from_bytes(raw[a : a + 2], "little" if order == "<" else "big") for a in (33, 16)
    ]
    with pytest.raises(FormatError):
        region(image, TYPES, TYPES + 65, "test")
