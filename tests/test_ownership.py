"""ownership: the scoring of the byte map, on a truth made by hand and on a real one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ownership
import pytest
import verify_map
from builds import Build
from fakes import FakeImage, segment
from linktruth import STRIPPED, Truth
from ownership import CODE, DATA, GAPS, TABLES_PART

from goforensics.bytemap import ByteMap, Claims, Labels, Level, Shares

BASE = 0x1000
PACKAGES = ("main", "net", "os", "(shared)")


@dataclass(frozen=True)
class Symbol:
    """One symbol, and the names of those that it refers to."""

    name: str
    package: str
    at: int
    size: int
    section: str = ".rodata"
    refers: tuple[str, ...] = ()
    merged: bool = False


# net made s as main did, and the linker kept os's; t is reached through s.
SYMBOLS = (
    Symbol("main.main", "main", 0, 14, ".text", ("main.table", "go:string.s", "net.Used", "main.mine")),
    Symbol("net.Dial", "net", 16, 16, ".text", ("go:string.s",)),
    Symbol("main.table", "main", 32, 16),
    Symbol("go:string.s", "os", 48, 8, refers=("go:string.t",), merged=True),
    Symbol("go:string.t", "os", 56, 8, merged=True),
    Symbol("net.Used", "net", 64, 16),
    Symbol("main.mine", "main", 80, 16),
    Symbol("runtime.cutab", "", 96, 8, ".gopclntab"),
    Symbol("runtime.itablink", "", 104, 8, refers=("go:string.t",)),
)


def truth() -> Truth:
    names = [s.name for s in SYMBOLS]
    pairs = [(i, names.index(name)) for i, s in enumerate(SYMBOLS) for name in s.refers]
    source, target = np.array(pairs, np.int64).T
    count, none, zero = len(names), np.full(len(names), -1), np.zeros(len(pairs), np.int64)
    return Truth(
        path=Path("made-by-hand"),
        name=names,
        package=[s.package for s in SYMBOLS],
        address=np.array([BASE + s.at for s in SYMBOLS], np.uint64),
        size=np.array([s.size for s in SYMBOLS]),
        section=np.array([s.section for s in SYMBOLS]),
        kind=np.array([""] * count),
        outer=none,
        container=np.zeros(count, bool),
        content_addressed=np.array([s.merged for s in SYMBOLS]),
        duplicate_ok=np.zeros(count, bool),
        source=source,
        offset=zero,
        reloc_size=zero + 8,
        reloc_type=zero,
        target=target,
        addend=zero,
        weak=np.zeros(len(pairs), bool),
        reloc_types=["R_ADDR"],
    )


def scored(*claims: Claims) -> ownership.Score:
    image = FakeImage(bytes(112), segments=[segment(0, 112, BASE)])
    return ownership.score(truth(), ByteMap.build(112, claims, ownership.COLUMNS), image)


def owned(*places: tuple[int, int, str]) -> Claims:
    """Objects of one package each; main.main's padding and the table are always as they should be."""
    ranges = [(start, end) for start, end, _ in places]
    names = [f"object {start}" for start, _, _ in places]
    return Claims.of("objects", Level.ITEM, ranges, package=[name for *_, name in places], symbol=names)


REST = (
    Claims.of("padding", Level.ITEM, [(14, 16)], structure="code padding", kind="padding"),
    Claims.of("pclntab", Level.ITEM, [(96, 104)], structure="pclntab/cutab"),
)
CODE_RIGHT = ((0, 14, "main"), (16, 32, "net"))
DATA_RIGHT = ((32, 48, "main"), (48, 56, "net"), (56, 64, "main"), (64, 80, "net"), (80, 96, "main"))
LINKED = (104, 112, "runtime")


def test_everything_right() -> None:
    found = scored(owned(*CODE_RIGHT, *DATA_RIGHT, LINKED), *REST)
    assert dict(found.size) == {CODE: 30, GAPS: 2, DATA: 72, TABLES_PART: 8}
    assert dict(found.right) == dict(found.size)
    assert found.wrong == []
    assert found.percent() == 100


def test_nothing_known() -> None:
    found = scored()
    assert found.percent() == 0
    assert {w.cause for w in found.wrong} == {ownership.NO_OWNER, ownership.GAP, ownership.TABLE}


def test_who_only_lists_everything_owns_nothing() -> None:
    """runtime.itablink, like other tables, refers to what it lists; that does not make it the runtime's."""
    places = (*DATA_RIGHT[:2], (56, 64, "runtime"), *DATA_RIGHT[3:])
    found = scored(owned(*CODE_RIGHT, *places, LINKED), *REST)
    assert [(w.name, w.given, w.bytes) for w in found.wrong] == [("go:string.t", "runtime", 8)]


def test_data_of_importers_only() -> None:
    places = (*DATA_RIGHT[:3], (64, 80, "main"), *DATA_RIGHT[4:])
    found = scored(owned(*CODE_RIGHT, *places, LINKED), *REST)
    assert [(w.cause, w.name, w.bytes) for w in found.wrong] == [(ownership.EXPORTED, "net.Used", 16)]
    assert found.percent(DATA) == pytest.approx(100 * 56 / 72)


def test_cut_and_merged() -> None:
    """main.mine lies in an object that goes on from the one before."""
    found = scored(owned(*CODE_RIGHT, *DATA_RIGHT[:3], (64, 96, "net"), LINKED), *REST)
    assert [(w.cause, w.name, w.bytes) for w in found.wrong] == [(ownership.MISCUT, "main.mine", 16)]


def test_shared_bytes_count_by_their_part() -> None:
    everyone = {"package": Labels(np.arange(3, dtype=np.int32), PACKAGES)}
    users = Shares(np.array([0, 2]), np.array([0, 1], np.int32), np.array([3.0, 1.0]), everyone)
    one = np.zeros(1, np.int32)
    labels = {"package": Labels(one + 3, PACKAGES), "users": Labels(one, users)}
    shared = Claims("shared", Level.ITEM, np.array([80]), np.array([96]), labels)
    found = scored(owned(*CODE_RIGHT, *DATA_RIGHT[:4], LINKED), shared, *REST)
    assert [(w.cause, w.name, w.bytes) for w in found.wrong] == [(ownership.SPLIT, "main.mine", 4)]
    assert found.causes(DATA) == [(ownership.SPLIT, 4, found.wrong[0])]


@pytest.mark.builds
def test_hello() -> None:
    found = verify_map.scored(Build("hello", "1.27", flags=STRIPPED))
    assert found.size[DATA] > 200_000
    assert found.percent(DATA) >= verify_map.OTHER_DATA
    assert found.percent() >= verify_map.LOADED
