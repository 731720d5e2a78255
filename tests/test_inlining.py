"""What inlining costs: all code is somebody's, copies are counted right, in built tables, broken ones and real ones."""

from __future__ import annotations

import builds
import inlining_checks
import numpy as np
import pytest
import toolchains
from inlining_checks import opened

from goforensics.analysis import callees as gathered
from goforensics.analysis import inlining
from goforensics.analysis.inlining import Copies
from goforensics.sections import inltree

pytestmark = pytest.mark.builds

RELEASES = toolchains.minors()
ARCHES = [builds.Build("inlined", go, goarch=arch) for go in ("1.20", "1.27") for arch in ("386", "arm64", "s390x")]
COUNTED = [builds.Build("inlined", go) for go in RELEASES] + ARCHES
SUMS = [builds.Build("hello", go) for go in RELEASES]
SUMS += [builds.Build("hello", go, goarch=arch) for go in ("1.22", "1.27") for arch in ("386", "arm64", "s390x")]


def by_name(copies: Copies) -> dict[str, int]:
    found = gathered.callees(copies)
    return dict(zip(found.names, range(len(found.names)), strict=True))


@pytest.mark.parametrize("build", COUNTED, ids=builds.Build.label)
def test_copies_are_as_many_as_the_source_has(build: builds.Build) -> None:
    copies = opened(build).read(inlining.PARSER)
    found, row = gathered.callees(copies), by_name(copies)
    leaf, outer = row["main.leaf"], row["main.outer"]
    assert inlining_checks.COPIES.items() <= inlining_checks.counted(copies).items()
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
    assert inlining_checks.unequal(copies) == 0
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


@pytest.mark.parametrize("go", inlining_checks.DEBUG_DATA)
@pytest.mark.parametrize("program", ["inlined", "hello"])
def test_copies_and_their_code_are_those_of_the_debug_data(program: str, go: str) -> None:
    """The compiler writes DWARF's inlined calls by another way."""
    build = builds.Build(program, go)
    copies = opened(build).read(inlining.PARSER)
    assert inlining_checks.copies_and_code(copies) == inlining_checks.debug_copies(build)
