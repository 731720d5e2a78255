"""What inlining costs: all code is somebody's, copies are counted right, in built tables, broken ones and real ones."""

from __future__ import annotations

from typing import Any

import builds
import numpy as np
import pytest
import toolchains
from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile

import goforensics.binary
from goforensics.analysis import callees as gathered
from goforensics.analysis import inlining
from goforensics.analysis.inlining import Copies
from goforensics.binary import Binary
from goforensics.sections import inltree

pytestmark = pytest.mark.builds

RELEASES = toolchains.minors()
ARCHES = [builds.Build("inlined", go, goarch=arch) for go in ("1.20", "1.27") for arch in ("386", "arm64", "s390x")]
COUNTED = [builds.Build("inlined", go) for go in RELEASES] + ARCHES
SUMS = [builds.Build("hello", go) for go in RELEASES]
SUMS += [builds.Build("hello", go, goarch=arch) for go in ("1.22", "1.27") for arch in ("386", "arm64", "s390x")]


def opened(build: builds.Build) -> Binary:
    return goforensics.binary.open(builds.executable(build))


def by_name(copies: Copies) -> dict[str, int]:
    found = gathered.callees(copies)
    return dict(zip(found.names, range(len(found.names)), strict=True))


@pytest.mark.parametrize("build", COUNTED, ids=builds.Build.label)
def test_copies_are_as_many_as_the_source_has(build: builds.Build) -> None:
    copies = opened(build).read(inlining.PARSER)
    found, row = gathered.callees(copies), by_name(copies)
    leaf, outer = row["main.leaf"], row["main.outer"]
    assert (int(found.copies[leaf]), int(found.copies[outer])) == (8, 2)
    assert "main.unused" not in row
    calls, hosts = gathered.callers(copies, found)
    assert (int(calls[leaf]), int(hosts[leaf])) == (3, 3)  # direct, outer, main; direct, nested, main
    assert (int(calls[outer]), int(hosts[outer])) == (1, 1)
    assert gathered.out_of_line(copies, found)[[leaf, outer]].tolist() == [0, 0]


@pytest.mark.parametrize("build", COUNTED, ids=builds.Build.label)
def test_copies_hold_those_within_them(build: builds.Build) -> None:
    copies = opened(build).read(inlining.PARSER)
    found, row = gathered.callees(copies), by_name(copies)
    lines = gathered.lines(copies, found)
    leaf, outer = row["main.leaf"], row["main.outer"]
    inside = copies.parent >= 0
    within = inside & (found.callee == leaf) & (found.callee[copies.parent] == outer)
    assert int(within.sum()) == 4
    assert lines.cumulative_code[outer] == found.code[outer] + copies.code[within].sum()
    assert lines.cumulative_code[leaf] == found.code[leaf]
    assert lines.within[leaf] == 0 < lines.within[outer]
    assert lines.calls[outer] == 2


@pytest.mark.parametrize("build", SUMS, ids=builds.Build.label)
def test_all_code_is_somebodys(build: builds.Build) -> None:
    copies = opened(build).read(inlining.PARSER)
    each = np.bincount(copies.nodes.owner, copies.code, len(copies.size)).astype(np.int64)
    assert (copies.own >= 0).all()
    assert (copies.own + each == copies.size).all()
    found = gathered.callees(copies)
    assert int(found.code.sum() + copies.own.sum()) == int(copies.table.funcs.size.sum())
    assert len(copies.code) == int(found.copies.sum()) > 200


@pytest.mark.parametrize("build", SUMS, ids=builds.Build.label)
def test_pairs_are_as_long_as_the_tables_that_hold_them(build: builds.Build) -> None:
    """All pairs of a table and the zero at its end are its bytes: sizes from values are those of the varints."""
    copies = opened(build).read(inlining.PARSER)
    uses = copies.table.tables
    trees = opened(build).read(inltree.PARSER)
    for slot in (inlining.PCFILE, inlining.PCLN, inlining._slot(trees)):
        which, steps = inltree.steps_of(copies.table, slot)
        tables = np.unique(uses.table[uses.slot == slot])
        pairs = np.bincount(steps.table, inlining._pair_sizes(steps), len(tables)).astype(np.int64)
        assert (pairs + 1 == uses.size[tables]).all()
        assert len(which) == len(copies.size)


@pytest.mark.parametrize("build", SUMS, ids=builds.Build.label)
def test_every_parent_comes_first(build: builds.Build) -> None:
    """A copy is in what is at the place of its call, as nodes of Go up to 1.19 say themselves."""
    binary = opened(build)
    copies, trees = binary.read(inlining.PARSER), binary.read(inltree.PARSER)
    nodes = copies.nodes
    value = trees.steps.value(trees.which[nodes.owner], nodes.parent_pc // trees.table.header.quantum)
    assert (value < nodes.node).all()
    assert (nodes.parent_pc >= 0).all()
    if trees.shape.has_parent:
        at = trees.tree[nodes.owner] + trees.shape.size * nodes.node
        raw = np.frombuffer(binary.image.data, np.uint8)[at[:, None] + np.arange(2)]
        said = raw.view(f"{binary.image.order}i2")[:, 0]
        assert (said == value).all()


@pytest.mark.parametrize("build", SUMS[:1] + SUMS[-4:], ids=builds.Build.label)
def test_code_is_the_innermost_copys_at_every_pc(build: builds.Build) -> None:
    """Counted byte by byte, as the runtime would look up each."""
    binary = opened(build)
    copies, trees = binary.read(inlining.PARSER), binary.read(inltree.PARSER)
    quantum = trees.table.header.quantum
    largest = np.argsort(-np.bincount(copies.nodes.owner, minlength=len(copies.size)))[:20]
    for function in largest.tolist():
        pc = np.arange(copies.size[function])
        value = trees.steps.value(np.full(len(pc), trees.which[function]), pc // quantum)
        mine = copies.nodes.owner == function
        assert np.bincount(value[value >= 0], minlength=int(mine.sum())).tolist() == copies.code[mine].tolist()
        assert int((value < 0).sum()) == copies.own[function]


@pytest.mark.parametrize("slot", [inlining.PCFILE, inlining.PCLN])
def test_a_pair_belongs_to_the_copy_it_begins_in(slot: int) -> None:
    binary = opened(builds.Build("hello", "1.27"))
    copies, trees = binary.read(inlining.PARSER), binary.read(inltree.PARSER)
    number, size = inlining.line_spans(copies, slot)
    which, steps = inltree.steps_of(copies.table, slot)
    rows = np.flatnonzero((which >= 0) & (np.bincount(copies.spans.owner, minlength=len(which)) > 0))
    first = np.searchsorted(copies.nodes.owner, np.arange(len(copies.size)))
    at = 0
    for function in rows.tolist():
        end = steps.key[steps.table == which[function]] % steps.width
        begin = np.r_[0, end[:-1]]
        value = trees.steps.value(np.full(len(begin), trees.which[function]), begin)
        assert number[at : at + len(begin)].tolist() == np.where(value >= 0, value + first[function], -1).tolist()
        at += len(begin)
    assert at == len(number) == len(size)


def test_without_inlining_nothing_is_charged() -> None:
    copies = opened(builds.Build("inlined", "1.27", flags=("-gcflags=all=-l",))).read(inlining.PARSER)
    assert not {"main.leaf", "main.outer"} & set(gathered.callees(copies).names)
    assert len(copies.code) < 100  # what the runtime's own rules still inline
    assert int(copies.own.sum() + copies.code.sum()) == int(copies.size.sum())


def _origin(die: DIE) -> int:
    """Offset of the entry for the function that an inlined one is a copy of."""
    attribute = die.attributes["DW_AT_abstract_origin"]
    relative = attribute.form != "DW_FORM_ref_addr"
    return int(attribute.value + (die.cu.cu_offset if relative else 0))


def _length(die: DIE, ranges: Any) -> int:
    """Bytes of code that an entry covers; `ranges` are those of the file, of which pyelftools types little."""
    attributes = die.attributes
    if "DW_AT_high_pc" in attributes:
        low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
        return int(high.value - (low if high.form == "DW_FORM_addr" else 0))
    if "DW_AT_ranges" not in attributes:
        return 0
    entries = ranges.get_range_list_at_offset(attributes["DW_AT_ranges"].value, cu=die.cu)
    return sum(int(each.end_offset - each.begin_offset) for each in entries if hasattr(each, "end_offset"))


def debug_copies(build: builds.Build) -> dict[str, tuple[int, int]]:
    """By function how many copies the debug data has, and the bytes that they cover."""
    names, found = {}, []
    with builds.executable(build).open("rb") as stream:
        dwarf = ELFFile(stream).get_dwarf_info()
        for unit in dwarf.iter_CUs():
            for die in unit.iter_DIEs():
                if die.tag == "DW_TAG_inlined_subroutine":
                    found.append((_origin(die), _length(die, dwarf.range_lists())))
                elif die.tag == "DW_TAG_subprogram" and "DW_AT_inline" in die.attributes:
                    names[die.offset] = die.attributes["DW_AT_name"].value.decode()
    sums: dict[str, tuple[int, int]] = {}
    for origin, length in found:
        copies, covered = sums.get(names[origin], (0, 0))
        sums[names[origin]] = (copies + 1, covered + length)
    return sums


@pytest.mark.parametrize("go", [go for go in RELEASES if toolchains.at_least(go, "1.21")])
@pytest.mark.parametrize("program", ["inlined", "hello"])
def test_copies_and_their_code_are_those_of_the_debug_data(program: str, go: str) -> None:
    """The compiler writes DWARF's inlined calls by another way.  Before Go 1.21 that lost some, or named them another
    way; before 1.16 it left out of a copy's code what is inlined into it.
    """
    build = builds.Build(program, go)
    copies = opened(build).read(inlining.PARSER)
    found = gathered.callees(copies)
    lines = gathered.lines(copies, found)
    both = zip(found.names, zip(found.copies.tolist(), lines.cumulative_code.tolist(), strict=True), strict=True)
    assert dict(both) == debug_copies(build)
