"""inittasks: those that moduledata lists, and those of up to 1.20 that depend on one another."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence

import numpy as np
import pytest
from fakes import FakeImage, FakeSource, segment

from goforensics.errors import FormatError
from goforensics.sections import inittasks
from goforensics.sections.functions import Functions
from goforensics.sections.moduledata import ModuleData
from goforensics.sections.references import References

DATA, F, G = 0x8000, 0x1000, 0x1040
NONE = np.empty(0, np.uint64)
WIDTHS = [(4, "<"), (4, ">"), (8, "<"), (8, ">")]


def words(pointer: int, order: str, *values: int) -> bytes:
    return struct.pack(order + ("Q" if pointer == 8 else "I") * len(values), *values)


def given(
    raw: bytes, pointer: int, order: str, pointed: Sequence[int] = (), fields: dict[str, int] | None = None
) -> FakeSource:
    """A program with data, and two functions."""
    parts = [segment(0, len(raw), DATA, writable=True)]
    image = FakeImage(raw, segments=parts, bits=64 if pointer == 8 else 32, order="<" if order == "<" else ">")
    source = FakeSource(image)
    source._read["moduledata"] = ModuleData(0, 0, {"noptrdata": DATA, "enoptrdata": DATA + len(raw)} | (fields or {}))
    source._read["references"] = References(NONE, np.array(pointed, np.uint64), NONE, NONE)
    size = np.array([0x40, 0x40])
    source._read["functions"] = Functions(np.array([F, G], np.uint64), size, size, size, (F, G + 0x40))
    return source


@pytest.mark.parametrize(("pointer", "order"), WIDTHS)
def test_listed(pointer: int, order: str) -> None:
    heads = [struct.pack(f"{order}II", 0, n) for n in (2, 1)]
    raw = heads[0] + words(pointer, order, F, G) + heads[1] + words(pointer, order, G)
    second, at = DATA + 8 + 2 * pointer, DATA + len(raw)
    raw += words(pointer, order, second, DATA)  # the list, in any order
    found = given(raw, pointer, order, fields={"inittasks": at, "inittasks.len": 2}).read(inittasks.PARSER)
    assert found.start.tolist() == [DATA, second]
    assert found.end.tolist() == [second, at]
    assert found.function.tolist() == [F, G]


@pytest.mark.parametrize(("pointer", "order"), WIDTHS)
def test_linked(pointer: int, order: str) -> None:
    low = words(pointer, order, 0, 0, 2, F, G)
    at = DATA + len(low)
    raw = low + words(pointer, order, 0, 1, 1, DATA, G)  # depends on the first
    raw += words(pointer, order, 0, 0, 1, F + 1) + words(pointer, order, 1, 0, 1, F)  # no function; not at its start
    pointed = [at, at + 5 * pointer, at + 9 * pointer, 0, 2**64 - 1]
    found = given(raw, pointer, order, pointed).read(inittasks.PARSER)
    assert found.start.tolist() == [DATA, at]
    assert found.end.tolist() == [at, at + 5 * pointer]
    assert found.function.tolist() == [F, G]


def test_tasks_that_depend_on_one_another_end() -> None:
    raw = words(8, "<", 0, 1, 0, DATA + 32) + words(8, "<", 0, 2, 0, DATA, DATA + 32)
    found = given(raw, 8, "<", [DATA]).read(inittasks.PARSER)
    assert found.start.tolist() == [DATA, DATA + 32]
    assert found.function.tolist() == [0, 0]


@pytest.mark.parametrize("count", [1 << 20, (1 << 63) - 1, (1 << 64) - 1])
def test_counts_that_are_too_large(count: int) -> None:
    for head in ((0, count, 0), (0, 0, count), (0, count, count), (0, 1, count)):
        found = given(words(8, "<", *head, F), 8, "<", [DATA]).read(inittasks.PARSER)
        assert len(found.start) == 0
    raw = struct.pack("<II", 0, count & 0xFFFFFFFF) + words(8, "<", F, DATA)
    found = given(raw, 8, "<", fields={"inittasks": DATA + 16, "inittasks.len": 1}).read(inittasks.PARSER)
    assert found.end.tolist() <= [DATA + 8 + 8 * inittasks.MOST]
    with pytest.raises(FormatError):
        given(raw, 8, "<", fields={"inittasks": DATA + 16, "inittasks.len": count}).read(inittasks.PARSER)


def test_no_data() -> None:
    for fields in ({"noptrdata": 0, "enoptrdata": 64}, {"enoptrdata": DATA + 99}, {"noptrdata": DATA + 1 << 40}):
        with pytest.raises(FormatError):
            given(bytes(32), 8, "<", (), fields).read(inittasks.PARSER)


@pytest.mark.parametrize("listed", [False, True])
def test_broken_bytes(listed: bool) -> None:
    good = words(8, "<", 0, 0, 2, F, G) + words(8, "<", 0, 1, 1, DATA, G)
    fields = {"inittasks": DATA, "inittasks.len": 4} if listed else {}
    rng = np.random.default_rng(7)
    for _ in range(300):
        raw = np.frombuffer(good, np.uint8).copy()
        raw[rng.integers(len(raw), size=rng.integers(1, 6))] = rng.integers(256)
        try:
            found = given(raw[: rng.integers(len(raw) + 1)].tobytes(), 8, "<", [DATA, DATA + 40], fields)
            tasks = found.read(inittasks.PARSER)
        except FormatError:
            continue
        assert (tasks.start < tasks.end).all()


def test_many_tasks_with_many_functions_cost_little() -> None:
    """Every word of the data is pointed at, and looks like a task as long as the data."""
    many = 1500
    raw = words(8, "<", *[0, 0, many] * 20, *[F] * (many + 60))
    begun = time.monotonic()
    given(raw, 8, "<", range(DATA, DATA + len(raw), 8)).read(inittasks.PARSER)
    raw = words(8, "<", *[DATA] * 4000)
    given(raw, 8, "<", range(DATA, DATA + len(raw), 8)).read(inittasks.PARSER)
    assert time.monotonic() - begun < 2
