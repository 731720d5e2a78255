"""Levers on the pclntab: their arithmetic on tables made here, the bounds on real rebuilds, and the matrix of them."""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Sequence

import builds
import levers as rebuilds
import msgspec
import numpy as np
import pytest
from fakes import FakeImage, FakeSource, segment
from test_funcdata import G, H, Made
from test_matrix import FakeGo, Run, go, run  # noqa: F401 - fixtures
from test_pclntab import varint

import goforensics.binary
from goforensics.analysis import levers, uninlined
from goforensics.matrix.flagsets import LEVERS
from goforensics.report_matrix import BuildMatrix
from goforensics.sections import calls, functions, inlined, inltree, pclntab, pctables
from goforensics.sections.functions import Functions
from goforensics.sections.pclntab import Pclntab

INL, PCLN = 2, -1  # PCDATA numbers: slot 3 + k
Pairs = Sequence[tuple[int, int]]  # a value, and where it ends


def encoded(*pairs: tuple[int, int]) -> bytes:
    """A pc-value table, as funcpctab writes it."""
    out, value, pc = b"", -1, 0
    for new, end in pairs:
        delta = new - value
        out += varint(delta << 1 if delta >= 0 else (-delta << 1) - 1) + varint(end - pc)
        value, pc = new, end
    return out + b"\0"


def saved(made: Made) -> int:
    source = made.source()
    return uninlined.saved(
        source.read(pclntab.PARSER),
        source.read(inltree.PARSER),
        source.read(inlined.PARSER),
        pctables.SLOTS.index("pcln"),
    )


@pytest.mark.parametrize("quantum", [1, 4])
def test_an_inlined_body_reads_as_its_call(quantum: int) -> None:
    """f calls g in line 11, and g calls h in 301; both are inlined, so that f has lines of theirs."""
    lines = [(10, 4), (11, 8), (300, 12), (301, 16), (900, 20), (302, 24), (11, 28), (12, 300)]
    made = Made("1.20", quantum=quantum)
    made.table(0, PCLN, encoded(*lines)).table(0, INL, encoded((-1, 8), (0, 16), (1, 20), (0, 24), (-1, 300)))
    made.blob(3, made.node(G, 6 * quantum) + made.node(H, 14 * quantum)).blob(0, made.u4(0, 0))
    assert saved(made) == len(encoded(*lines)) - len(encoded((10, 4), (11, 28), (12, 300)))


def test_a_table_that_others_share_is_saved_once() -> None:
    lines, index = encoded((10, 4), (300, 8), (10, 12)), encoded((-1, 4), (0, 8), (-1, 12))
    made = Made("1.20")
    for function in (0, 1):
        made.blob(3, made.node(G, 2), function=function)
    made.table(0, PCLN, lines).table(0, INL, index)
    made.uses += [made.uses[1] + np.array([[1, 0, 0]]), made.uses[2] + np.array([[1, 0, 0]])]
    made.blob(0, made.u4(0, 0))
    assert saved(made) == len(lines) - len(encoded((10, 12)))


def test_a_tree_that_is_a_ring_ends() -> None:
    made = Made("1.20").table(0, PCLN, encoded((10, 4), (300, 8))).table(0, INL, encoded((-1, 4), (0, 8)))
    made.blob(3, made.node(G, 5)).blob(0, made.u4(0, 0))  # the call lies in the very body that it stands for
    assert saved(made) == 0


def test_nothing_inlined_is_nothing_saved() -> None:
    made = Made("1.20").table(0, PCLN, encoded((10, 4), (300, 8))).blob(0, made_map())
    assert saved(made) == 0
    assert saved(Made("1.20").blob(0, made_map())) == 0  # without any table


def made_map() -> bytes:
    return struct.pack("<2I", 0, 0)


TABLES: list[list[tuple[int, int]]] = [
    [(0, 1)],
    [(63, 127), (-1, 128), (64, 300)],  # the sizes of varints change here
    [(8191, 16383), (0, 40000), (1 << 20, 1 << 22)],
    [(0, 1)],  # equal to the first
]


def test_the_size_of_tables() -> None:
    """Equal neighbours are one step, equal tables are one."""
    number = np.repeat(np.arange(len(TABLES)), [2 * len(table) for table in TABLES])
    halves = [(value, at) for table in TABLES for value, end in table for at in (end - 1 + (end == 1), end)]
    values, ends = (np.array(column) for column in zip(*halves, strict=True))
    assert uninlined.size(number, values, ends) == sum(len(encoded(*table)) for table in TABLES[:-1])


# Records.


def table(layout: str, length: Sequence[int], uses: Sequence[tuple[int, int]], pointer: int = 8) -> Pclntab:
    """A pclntab with records of these lengths, whose functions use (function, slot)."""
    made = Made(layout, pointer=pointer)
    for function, slot in uses:
        made.table(function, slot - 3, encoded((function + slot, 4)))
    made.functions = len(length)
    found = made.blob(0, made_map()).source().read(pclntab.PARSER)
    zero = np.zeros(len(length), np.int64)
    funcs = pclntab.Funcs(zero.astype(np.uint64), zero.astype(np.uint64), zero, np.array(length), *[zero] * 4)
    return msgspec.structs.replace(found, funcs=funcs)


@pytest.mark.parametrize(
    ("uses", "freed"),
    [
        ([(0, 7)], 5 * 4),  # places 3 to 7 go
        ([(0, 6), (0, 7)], 4),  # place 7 goes
        ([(0, 3), (0, 7)], 4 * 4),
        ([(0, 7), (0, 8)], 0),  # something behind keeps it
        ([(0, 6)], 0),  # there is none
    ],
)
def test_records_have_places_up_to_the_last_table(uses: list[tuple[int, int]], freed: int) -> None:
    assert levers.shorter_records(table("1.26", [92], uses, pointer=4), levers.PANIC_BOUNDS) == freed
    rounded = -(-92 // 8) * 8 - -(-(92 - freed) // 8) * 8
    assert levers.shorter_records(table("1.26", [92], uses), levers.PANIC_BOUNDS) == rounded


@pytest.mark.parametrize("quantum", levers.BACK_BYTES)
def test_what_comes_back_and_what_goes(quantum: int) -> None:
    assert levers.returning(0, 0, quantum) == (0, 0)
    assert levers.returning_bound(0, 0, quantum) == 0
    one, ten = levers.returning(1, 0, quantum)[0], levers.returning(10, 0, quantum)[0]
    assert abs(ten - 10 * one) <= 5  # but for rounding
    assert levers.returning(0, 1000, quantum)[1] > 1000  # what lines lose, and more
    assert levers.returning_bound(10, 1000, quantum) > levers.returning_bound(10, 0, quantum) > 0


# Calls.

LOW, CODE = 0x401000, 0x200  # address and offset of the code


def source(code: bytes, goarch: str) -> FakeSource:
    image = FakeImage(bytes(CODE) + code, segments=[segment(0, CODE + len(code), LOW - CODE)])
    image.goarch = goarch
    found, none = FakeSource(image), np.empty(0, np.int64)
    places = Functions(none.astype(np.uint64), none, none, none, (LOW, LOW + len(code)))
    found._read[functions.PARSER.name] = places
    return found


def call(at: int, to: int) -> bytes:
    return b"\xe8" + struct.pack("<i", to - (at + 5))


def branch(at: int, to: int) -> bytes:
    return struct.pack("<I", 0x25 << 26 | ((to - at) // 4 & 0x3FFFFFF))


@pytest.mark.parametrize(("goarch", "made"), [("amd64", call), ("386", call), ("arm64", branch)])
@pytest.mark.parametrize("step", [1 << 21, 16])
def test_calls(goarch: str, made: object, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwards and backwards, also across the places where the text is cut; other calls do not count."""
    assert callable(made)
    monkeypatch.setattr(calls, "STEP", step)
    code = bytearray(96)
    for at, to in ((0, 64), (12, 68), (28, 64), (40, 0), (88, 0)):
        code[at : at + len(made(at, to))] = made(at, to)
    assert count(source(bytes(code), goarch), 64) == 2
    assert count(source(bytes(code), goarch), 0) == 2
    assert count(source(bytes(code), goarch), 64, 68, 4) == 3


def count(found: FakeSource, *places: int) -> int | None:
    return calls.count(found, np.array([LOW + place for place in places], np.uint64))


def test_calls_of_machines_that_are_not_known() -> None:
    assert count(source(bytes(64), "s390x"), 0) is None


@pytest.mark.parametrize("goarch", ["amd64", "arm64"])
@pytest.mark.parametrize("size", range(1, 7))
def test_calls_in_next_to_no_code(goarch: str, size: int) -> None:
    assert count(source(b"\xe8" * size, goarch), 0) == 0


# Real rebuilds.


@pytest.mark.builds
@pytest.mark.parametrize("build", rebuilds.quick(), ids=lambda build: f"{build.program}-{build.go}-{build.goarch}")
def test_rebuilds_lie_within_the_bounds(build: builds.Build) -> None:
    every = list(rebuilds.tried(build))
    assert [(one.lever.flags, one.lever.exact) for one in every] == [
        (levers.NO_INLINING, True),
        (levers.NO_INLINING, False),
        (levers.NO_BOUNDS_CHECKS, True),
        (levers.NO_BOUNDS_CHECKS, False),
    ]
    assert [one for one in every if not one.held] == []
    assert all(one.lever.bound < 0.05 * one.size for one in every)  # or it would say nothing
    assert all(one.change for one in every)


@pytest.mark.builds
def test_what_is_pulled_already_is_not_offered() -> None:
    flags = (builds.STRIP, *levers.NO_INLINING)
    found = levers.levers(goforensics.binary.open(builds.executable(builds.Build("hello", "1.27", flags=flags))))
    assert {lever.flags for lever in found} == {levers.NO_BOUNDS_CHECKS}


@pytest.mark.builds
@pytest.mark.parametrize(("minor", "goarch"), [("1.18", "amd64"), ("1.27", "s390x")])
def test_no_estimate_where_none_was_tested(minor: str, goarch: str) -> None:
    path = builds.executable(builds.Build("hello", minor, goarch=goarch, flags=(builds.STRIP,)))
    found = levers.levers(goforensics.binary.open(path))
    assert found
    assert all(lever.exact and not lever.bound for lever in found)


# The matrix.


def test_the_matrix_of_levers(run: Run, go: FakeGo) -> None:  # noqa: F811
    code, out, err = run("--levers", "--no-reproducible", "--format", "json")
    assert (code, err) == (0, "")
    document = msgspec.json.decode(out, type=BuildMatrix)
    assert [row.name for row in document.rows] == [one.name for one in LEVERS]
    asked = {word for arguments, *_ in go.asked("build") for word in arguments if word.startswith("-gcflags")}
    assert asked == {word for one in LEVERS for word in one.flags if word.startswith("-gcflags")}
    assert {*levers.NO_INLINING, *levers.NO_BOUNDS_CHECKS} <= asked


@pytest.mark.parametrize("format_", ["text", "markdown", "csv"])
def test_its_tables_show_the_pclntab(format_: str, run: Run, go: FakeGo) -> None:  # noqa: F811
    size = len(goforensics.binary.open(go.folder / "program").read(pclntab.PARSER).data)
    code, out, _ = run("--levers", "--no-reproducible", "--format", format_)
    assert code == 0
    if format_ == "csv":
        assert {row["pclntab_bytes"] for row in csv.DictReader(io.StringIO(out))} == {str(size)}
    else:
        assert "pclntab" in out
        assert sum(f"{size:,}" in line for line in out.splitlines()) >= len(LEVERS)


def test_levers_and_a_table_of_flags_exclude_each_other(run: Run, go: FakeGo) -> None:  # noqa: F811
    code, out, err = run("--levers", "--flags", str(go.table))
    assert (code, out) == (2, "")
    assert "--levers" in err
