"""Items of the pclntab: all of it, each byte once, with the right users; built tables, broken ones and real ones."""

from __future__ import annotations

import builds
import numpy as np
import pytest
from fakes import FakeSource
from test_pclntab import CASES, LAYOUTS, TEXT, TWO, Builder, image_of

import goforensics.binary
from goforensics.errors import FormatError
from goforensics.sections import funcdata, moduledata, pcitems, pclntab, pcparts
from goforensics.sections.arrays import Offsets, strings
from goforensics.sections.moduledata import ModuleData
from goforensics.sections.pcitems import Items
from goforensics.sections.protocol import Source

THREE = {**TWO, "main.init": (0x30, "/src/main.go", 1)}


def cover(size: int, starts: Offsets, ends: Offsets) -> Offsets:
    """(size,) in how many of the ranges each byte is."""
    steps = np.zeros(size + 1, np.int64)
    np.add.at(steps, np.minimum(starts, size), 1)
    np.add.at(steps, np.minimum(ends, size), -1)
    return np.cumsum(steps)[:-1]


def differences(source: Source, sorts: list[Items]) -> list[str]:
    """What is wrong: bytes of items in two of them, outside of their part, or of a part and in none."""
    table, claims = source.read(pclntab.PARSER), source.read(pcparts.PARSER)
    size, low = len(source.image.data), table.offset
    every = [np.concatenate(sides) for sides in zip(*((s.starts, s.ends) for s in sorts), strict=True)]
    covered = cover(size, every[0], every[1])
    found = [f"{int((covered > 1).sum())} twice"] if (covered > 1).any() else []
    mine = covered[low : low + len(table.data)]
    nonzero = np.frombuffer(table.data, np.uint8) != 0
    for part in {str(c.labels["structure"]).removeprefix(pcparts.PREFIX) for c in claims}:
        there = [c for c in claims if c.labels["structure"] == pcparts.PREFIX + part]
        extent = sum((cover(len(table.data), c.starts, c.ends) for c in there), np.zeros(len(table.data))) > 0
        items = [s for s in sorts if s.structure.split("/")[0] == part]
        if part not in ("header", "padding"):
            rest = extent & (mine == 0) & (nonzero | (part != "funcdata"))  # whose padding is in no part of its own
            found += [f"{int(rest.sum())} of {part} in no item"] if rest.any() else []
        inside = sum((cover(size, s.starts, s.ends)[low : low + len(table.data)] for s in items), np.zeros(len(extent)))
        outside = (inside > 0) & ~extent
        found += [f"{int(outside.sum())} of {part} elsewhere"] if outside.any() else []
    return found


def users(sorts: list[Items], structure: str) -> list[list[int]]:
    """The functions of each item of one sort."""
    sort = next(s for s in sorts if s.structure == structure)
    return [sorted(sort.owner[sort.item == i].tolist()) for i in range(len(sort.starts))]


@pytest.mark.parametrize(("layout", "width", "order"), CASES)
def test_every_byte_is_in_one_item(layout: str, width: int, order: str) -> None:
    builder = Builder(layout, width, order, THREE)
    source = FakeSource(image_of(builder.build(), builder))
    sorts = source.read(pcitems.PARSER)
    assert differences(source, sorts) == []
    assert not source.image.problems
    assert users(sorts, "functab") == [[0], [1], [2], [2]]
    assert users(sorts, "_func") == users(sorts, "funcnametab") == [[0], [1], [2]]
    assert users(sorts, "filetab") == [[0, 2], [1]]
    assert users(sorts, "filetab/index" if layout == "1.2" else "cutab") == [[0, 2], [1]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_are_divided_evenly_among_uses(layout: str) -> None:
    builder = Builder(layout, 8, "<", THREE)
    sorts = FakeSource(image_of(builder.build(), builder)).read(pcitems.PARSER)
    each = pcitems.per_function(sorts, 3)
    used = sum(int((s.ends - s.starts)[np.unique(s.item)].sum()) for s in sorts)
    assert each.sum() == pytest.approx(used)
    names = next(s for s in sorts if s.structure == "funcnametab")
    alone = pcitems.per_function([names], 3)
    assert alone.tolist() == [len(name.encode()) + 1 for name in THREE]
    shared = Items("", np.array([0, 9]), np.array([9, 12]), np.array([0, 1, 1]), np.array([0, 0, 0]))
    assert pcitems.per_function([shared], 2).tolist() == [3, 6]


def test_a_table_of_several_slots_is_said_to_be() -> None:
    """main.f's pcsp table and its pcfile table are equal: both have 8 for 16 bytes."""
    funcs = {f"main.f{i}": (16, f"/src/{i}.go", 100 + i) for i in range(9)}
    builder = Builder("1.20", 8, "<", funcs)
    sorts = FakeSource(image_of(builder.build(), builder)).read(pcitems.PARSER)
    assert users(sorts, "pctab/several slots") == [[*range(8), 8, 8]]
    assert len(users(sorts, "pctab/pcfile")) == 8
    assert users(sorts, "pctab/pcln") == [[i] for i in range(9)]
    assert users(sorts, "pctab/pcdata 0") == [list(range(9))]


def test_a_missing_item_and_a_double_one_are_seen() -> None:
    """The check itself."""
    builder = Builder("1.26", 8, "<", THREE)
    source = FakeSource(image_of(builder.build(), builder))
    sorts = source.read(pcitems.PARSER)
    assert differences(source, [s for s in sorts if s.structure != "cutab"]) == ["8 of cutab in no item"]
    assert any("twice" in line for line in differences(source, [*sorts, sorts[0]]))
    moved = Items("cutab", sorts[0].starts, sorts[0].ends, sorts[0].owner, sorts[0].item)
    assert any("of cutab elsewhere" in line for line in differences(source, [moved, *sorts[1:]]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_broken_bytes_never_overlap_nor_escape(layout: str) -> None:
    rng = np.random.default_rng(2)
    builder = Builder(layout, 8, "<", THREE)
    good = np.frombuffer(builder.build(), np.uint8)
    read = 0
    for _ in range(300):
        bad = good.copy()
        bad[rng.integers(len(bad), size=rng.integers(1, 5))] = rng.integers(256)
        source = FakeSource(image_of(bad.tobytes(), builder))
        try:
            sorts = source.read(pcitems.PARSER)
        except FormatError:
            continue
        read += 1
        assert not any("twice" in line for line in differences(source, sorts))
        pcitems.per_function(sorts, len(source.read(pclntab.PARSER).funcs.record))
    assert read > 100


def test_a_dropped_function_does_not_move_the_others() -> None:
    builder = Builder("1.20", 8, "<", THREE)
    raw = bytearray(builder.build())
    functab = FakeSource(image_of(bytes(raw), builder)).read(pclntab.PARSER).header.tables["functab"]
    raw[functab + 4 : functab + 8] = b"\xff\xff\xff\x7f"
    source = FakeSource(image_of(bytes(raw), builder))
    sort = source.read(pcitems.PARSER)[0]
    assert (sort.starts - source.read(pclntab.PARSER).offset).tolist() == [functab + at for at in (8, 16, 24)]


@pytest.mark.parametrize("layout", ["1.16", "1.20"])
def test_buckets(layout: str) -> None:
    """One per 4096 bytes of code; the last one has a byte for each 256 that are left."""
    sizes = (0x1800, 0x600, 0x1210)
    builder = Builder(layout, 8, "<", {f"main.f{i}": (size, "/m.go", 1) for i, size in enumerate(sizes)})
    source = FakeSource(image_of(builder.build(), builder))
    fields = {"findfunctab": TEXT, "minpc": TEXT, "maxpc": TEXT + sum(sizes), "text": TEXT}
    source._read[moduledata.PARSER.name] = ModuleData(0, 0, fields)
    starts, ends, owner, bucket = funcdata.buckets(source)
    assert (ends - starts).tolist() == [20, 20, 20, 5]
    uses = sorted(zip(bucket.tolist(), owner.tolist(), strict=True))
    assert uses == [(0, 0), (1, 0), (1, 1), (1, 2), (2, 2), (3, 2)]


REAL = [builds.Build("hello", go) for go in ("1.13", "1.16", "1.18", "1.20", "1.22", "1.25", "1.26", "1.27")]
REAL += [builds.Build("hello", go, goarch=goarch) for go in ("1.22", "1.27") for goarch in ("386", "s390x")]
REAL += [builds.Build("hello", "1.27", goos="windows"), builds.Build("hello", "1.27", "darwin", "arm64")]
REAL += [builds.Build("hello", go, flags=("-buildmode=pie", builds.STRIP)) for go in ("1.16", "1.22", "1.27")]
REAL += [builds.Build("cgo", go, cgo=True) for go in ("1.22", "1.27")] + [builds.Build("app", "1.27")]


@pytest.mark.builds
@pytest.mark.parametrize("build", REAL, ids=builds.Build.label)
def test_real_tables(build: builds.Build) -> None:
    """Nothing is left, and all has users but the byte that no table begins with and layout 1.2's count of files."""
    binary = goforensics.binary.open(builds.executable(build))
    sorts = binary.read(pcitems.PARSER)
    assert differences(binary, sorts) == []
    idle = {s.structure: len(s.starts) - len(np.unique(s.item)) for s in sorts}
    assert {name: n for name, n in idle.items() if n} in ({"pctab/unused": 1}, {"filetab/index/unused": 1})
    each = pcitems.per_function(sorts, len(binary.read(pclntab.PARSER).funcs.record))
    assert each.min() > 0


@pytest.mark.builds
@pytest.mark.parametrize("build", REAL, ids=builds.Build.label)
def test_the_users_of_a_bucket_are_those_it_names(build: builds.Build) -> None:
    """The linker wrote into each bucket the first function with code in its part of the text."""
    binary = goforensics.binary.open(builds.executable(build))
    starts, _, owner, bucket = funcdata.buckets(binary)
    first = np.full(len(starts), np.iinfo(np.int64).max)
    np.minimum.at(first, bucket, owner)
    data, order = np.frombuffer(binary.image.data, np.uint8), binary.image.order
    assert first.tolist() == data[starts[:, None] + np.arange(4)].view(f"{order}u4")[:, 0].tolist()


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.16", "1.22", "1.27"])
def test_entries_that_functions_reach_name_files(go: str) -> None:
    """An entry without a file is one whose code the linker dropped: no function may reach it."""
    binary = goforensics.binary.open(builds.executable(builds.Build("hello", go)))
    sorts = {s.structure: s for s in binary.read(pcitems.PARSER)}
    words = np.frombuffer(binary.image.data, np.uint8)[sorts["cutab"].starts[:, None] + np.arange(4)].view("<u4")[:, 0]
    filetab = binary.read(pclntab.PARSER).header.tables["filetab"]
    assert words.max() < pclntab.NO_FILE
    files = strings(binary.read(pclntab.PARSER).data, words.astype(np.int64) + filetab)
    assert {"fmt/print.go", "runtime/proc.go"} <= {"/".join(file.split("/")[-2:]) for file in files}
