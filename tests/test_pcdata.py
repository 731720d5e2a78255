"""What functions weigh in the pclntab: sums to the byte, parts by definition, names of each release."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import builds
import numpy as np
import pytest
import toolchains
from fakes import FakeSource
from test_pclntab import CASES, LAYOUTS, TWO, Builder, image_of

import goforensics.binary
from goforensics.analysis import heaviest, pcdata
from goforensics.analysis.pcdata import Weights
from goforensics.errors import FormatError
from goforensics.sections import inltree, pcitems, slotnames
from goforensics.sections.protocol import Source

THREE = {**TWO, "main.init": (0x30, "/src/main.go", 1)}
RELEASES = toolchains.minors()
REAL = [builds.Build("hello", go) for go in RELEASES]
REAL += [
    builds.Build("hello", go, goarch=arch) for go in ("1.22", "1.27") for arch in ("386", "arm64", "s390x", "mips")
]
REAL += [builds.Build("hello", "1.27", goos="windows"), builds.Build("hello", "1.27", "darwin", "arm64")]
REAL += [builds.Build("hello", go, flags=("-buildmode=pie", builds.STRIP)) for go in ("1.16", "1.22", "1.27")]


def whole(weights: Weights) -> int:
    """All bytes that are accounted for inside the table."""
    return sum(int((p.own + p.apportioned).sum()) for p in weights.parts if p.inside) + sum(weights.rest.values())


def by_definition(source: Source) -> dict[str, tuple[dict[int, int], dict[int, Fraction]]]:
    """By structure, own bytes and exact apportioned ones of each function, counted use by use."""
    found: dict[str, tuple[dict[int, int], dict[int, Fraction]]] = {}
    for sort in source.read(pcitems.PARSER):
        own, divided = found.setdefault(sort.structure, (defaultdict(int), defaultdict(Fraction)))
        users = defaultdict(list)
        for owner, item in zip(sort.owner.tolist(), sort.item.tolist(), strict=True):
            users[item].append(owner)
        for item, owners in users.items():
            size = int(sort.ends[item] - sort.starts[item])
            if len(set(owners)) == 1:
                own[owners[0]] += size
            else:
                for owner in owners:
                    divided[owner] += Fraction(size, len(owners))
    return found


@pytest.mark.parametrize(("layout", "width", "order"), CASES)
def test_built_tables_sum(layout: str, width: int, order: str) -> None:
    builder = Builder(layout, width, order, THREE)
    weights = pcdata.weigh(FakeSource(image_of(builder.build(), builder)))
    assert whole(weights) == len(weights.table.data)
    parts = {part.name: part for part in weights.parts}
    names = [len(name.encode()) + 1 for name in THREE]
    assert parts["name"].own.tolist() == names
    assert parts["name"].shared.tolist() == [0, 0, 0]
    assert parts["filetab"].shared[0] == parts["filetab"].shared[2] > 0  # /src/main.go is two functions'
    assert weights.rest["header"] == weights.table.header.header_size


@pytest.mark.parametrize("layout", LAYOUTS)
def test_broken_tables_sum_or_are_errors(layout: str) -> None:
    rng = np.random.default_rng(7)
    builder = Builder(layout, 8, "<", THREE)
    good = np.frombuffer(builder.build(), np.uint8)
    read = 0
    for _ in range(300):
        bad = good.copy()
        bad[rng.integers(len(bad), size=rng.integers(1, 5))] = rng.integers(256)
        try:
            weights = pcdata.weigh(FakeSource(image_of(bad.tobytes(), builder)))
        except FormatError:
            continue
        read += 1
        assert whole(weights) == len(weights.table.data)
        assert min(weights.rest.values()) > 0
        assert all(int(column.min(initial=0)) >= 0 for p in weights.parts for column in (p.own, p.apportioned))
    assert read > 100


def test_tables_of_several_slots_are_divided_by_uses() -> None:
    """main.f8's pcsp table, of every function, is its pcfile table too: it has two of ten parts of it."""
    funcs = {f"main.f{i}": (16, f"/src/{i}.go", 100 + i) for i in range(9)}
    builder = Builder("1.20", 8, "<", funcs)
    source = FakeSource(image_of(builder.build(), builder))
    shared = next(sort for sort in source.read(pcitems.PARSER) if sort.structure == pcitems.SEVERAL)
    size = int((shared.ends - shared.starts).sum())
    parts = {part.name: part for part in pcdata.weigh(source).parts}
    assert parts["pcsp"].apportioned.sum() + parts["pcfile"].apportioned[8] == size
    assert parts["pcfile"].own[8] == 0
    assert parts["pcsp"].shared[8] == size  # once, though it is used twice
    assert parts["pcfile"].shared[8] == 0


@pytest.mark.builds
@pytest.mark.parametrize("build", REAL, ids=builds.Build.label)
def test_real_tables_sum_to_the_section(build: builds.Build) -> None:
    binary = goforensics.binary.open(builds.executable(build))
    weights = pcdata.weigh(binary)
    section = next((s for s in binary.image.sections if s.name.endswith("gopclntab")), None)
    assert whole(weights) == len(weights.table.data) == (section.file_size if section else len(weights.table.data))
    for part in weights.parts:
        assert part.name == "functab" or (part.own + part.apportioned).sum() > 0
    outside = {part.name for part in weights.parts if not part.inside}
    assert bool(outside) is not toolchains.at_least(build.go, "1.26")
    if outside:
        assert "inline tree" in outside


@pytest.mark.builds
@pytest.mark.parametrize("build", [REAL[0], REAL[-9], REAL[len(RELEASES) - 1]], ids=builds.Build.label)
def test_parts_are_those_of_the_items(build: builds.Build) -> None:
    """Own bytes are exact; apportioned ones within a byte of the fraction."""
    binary = goforensics.binary.open(builds.executable(build))
    weights, items = pcdata.weigh(binary), by_definition(binary)
    count = len(weights.table.funcs.record)
    for structure in ("_func", "functab", "funcnametab", "filetab", "funcnametab/inlined only"):
        name = pcdata.PARTS[structure][0]
        part = next(part for part in weights.parts if part.name == name)
        own, divided = items.get(structure, ({}, {}))
        if structure == "filetab" and "filetab/index" in items:
            continue  # the two are one part
        assert part.own.tolist() == [own.get(i, 0) for i in range(count)]
        exact = [divided.get(i, Fraction(0)) for i in range(count)]
        assert int(part.apportioned.sum()) == sum(exact)
        assert all(abs(a - b) <= 1 for a, b in zip(part.apportioned.tolist(), exact, strict=True))


@pytest.mark.builds
@pytest.mark.parametrize("build", REAL, ids=builds.Build.label)
def test_transitions_are_the_steps_of_the_tables(build: builds.Build) -> None:
    binary = goforensics.binary.open(builds.executable(build))
    weights = pcdata.weigh(binary)
    slots = {name: slot for slot, name in slotnames.slot_names(binary, range(8)).items()}
    seen = 0
    for part in weights.parts:
        if part.transitions is not None:
            which, steps = inltree.steps_of(weights.table, slots[part.name])
            entries = np.r_[np.bincount(steps.table, minlength=int(which.max()) + 1), 1][which]
            assert part.transitions.tolist() == (entries - 1).tolist()
            seen += 1
    assert seen >= 6


@pytest.mark.builds
def test_pcdata_is_called_as_each_release_calls_it() -> None:
    """Go's funcdata.go of 1.13: RegMapIndex; from 1.15 on UnsafePoint; PanicBounds came with 1.26."""

    def names(go: str) -> tuple[str, ...]:
        binary = goforensics.binary.open(builds.executable(builds.Build("hello", go)))
        return tuple(p.name for p in pcdata.weigh(binary).parts if p.group == "PCDATA")

    assert set(names("1.13")) == {"RegMapIndex", "StackMapIndex", "InlTreeIndex"}
    assert set(names("1.15")) == {"UnsafePoint", "StackMapIndex", "InlTreeIndex"}
    assert "ArgLiveIndex" in names("1.18")
    assert "PanicBounds" not in names("1.25")
    assert "PanicBounds" in names("1.27")


@pytest.mark.builds
@pytest.mark.parametrize("build", REAL, ids=builds.Build.label)
def test_inspect_has_the_same_figures(build: builds.Build) -> None:
    binary = goforensics.binary.open(builds.executable(build))
    weights, quick = pcdata.weigh(binary), heaviest.weigh(binary)
    left_out = ("cutab", "filetab", "findfunctab", "names of inlined functions")
    counted = [part for part in weights.parts if part.inside and part.name not in left_out]
    zero = np.zeros(len(quick.own), np.int64)
    assert quick.own.tolist() == sum((part.own for part in counted), zero).tolist()
    assert quick.shared.tolist() == sum((part.shared for part in counted), zero).tolist()
    assert quick.pcdata.tolist() == sum((p.own for p in counted if p.group == "PCDATA"), zero).tolist()
