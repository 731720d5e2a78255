"""Itabs: what has an interface, a type and that type's hash, and how far each goes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from test_types import TYPES, Laid, Order, decode, given, hash_of

from goforensics.errors import FormatError
from goforensics.sections import itabs, types

BOTH: list[tuple[int, Order]] = [(4, "<"), (4, ">"), (8, "<"), (8, ">")]


def laid_out(pointer: int, order: Order, methods: int = 2) -> Laid:
    """An interface of some methods and two types."""
    laid = Laid(pointer, order)
    laid.name("n", "I")
    laid.type("I", 20, [("p", 0), ("p", TYPES), ("p", methods), ("p", methods)])
    laid.type("int", 2)
    laid.type("T", 2)
    return laid


def itab(laid: Laid, label: str, concrete: str, methods: int = 2, wrong: int = 0) -> None:
    laid.align(laid.pointer)
    laid.put(
        label, [("p", "I"), ("p", concrete), ("4", hash_of(concrete) + wrong), ("4", 0), *[("p", 0x1000)] * methods]
    )


@pytest.mark.parametrize(("pointer", "order"), BOTH)
def test_found_by_reference_and_behind_one_another(pointer: int, order: Order) -> None:
    laid = laid_out(pointer, order)
    itab(laid, "1", "T")
    itab(laid, "2", "int")
    itab(laid, "no hash", "int", wrong=1)
    itab(laid, "3", "T")
    laid.put("rest", bytes(64))
    source = given(laid, listed=("I", "int", "T"), pointed=(laid.at["1"], laid.at["3"], laid.at["no hash"], TYPES))
    found = source.read(itabs.PARSER)
    assert found.start.tolist() == [laid.at[name] for name in "123"]
    assert found.end.tolist() == [laid.ends[name] for name in "123"]
    known = decode(source).address
    assert known[found.concrete].tolist() == [laid.at["T"], laid.at["int"], laid.at["T"]]


@pytest.mark.parametrize(("pointer", "order"), BOTH)
def test_found_by_the_linkers_list(pointer: int, order: Order) -> None:
    laid = laid_out(pointer, order)
    itab(laid, "1", "T")
    laid.put("list", [("p", "1")])
    fields = {"itablinks": laid.at["list"], "itablinks.len": 1}
    found = given(laid, listed=("I",), fields=fields).read(itabs.PARSER)
    assert found.start.tolist() == [laid.at["1"]]
    offset = laid.at["1"] - TYPES
    found = given(laid, listed=("I", "T"), fields={"itaboffset": offset, "itabsize": 8 + 4 * pointer}).read(
        itabs.PARSER
    )
    assert found.end.tolist() == [laid.ends["1"]]


def test_one_of_a_type_without_the_methods_is_shorter() -> None:
    laid = laid_out(8, "<", methods=9)
    for label in "12":
        itab(laid, label, "T", methods=1)
    laid.put("rest", bytes(256))
    found = given(laid, listed=("I", "T"), pointed=(laid.at["1"], laid.at["2"])).read(itabs.PARSER)
    assert found.end.tolist() == [laid.at["2"], laid.at["2"] + 24 + 9 * 8]


def test_none() -> None:
    laid = laid_out(8, "<")
    laid.put("rest", bytes(64))
    with pytest.raises(FormatError) as error:
        given(laid, listed=("I", "T"), pointed=(TYPES, laid.at["rest"], 2**64 - 1, 0)).read(itabs.PARSER)
    assert error.value.absent


@pytest.mark.parametrize("count", [0, 1 << 20, (1 << 64) - 1])
def test_counts_of_methods_that_cannot_be(count: int) -> None:
    laid = laid_out(8, "<", methods=count)
    itab(laid, "1", "T", methods=1)
    found = given(laid, listed=("I", "T"), pointed=(laid.at["1"],)).read(itabs.PARSER)
    assert found.start.tolist() == [laid.at["1"]]
    assert found.end.tolist() == [laid.place]


def test_every_prefix_and_broken_bytes() -> None:
    laid = laid_out(8, "<")
    for label in "123":
        itab(laid, label, "T")
    good, rng = laid.build(), np.random.default_rng(6)
    pointed = tuple(laid.at[label] for label in "123")
    bad = [good[:length] for length in range(8, len(good), 5)]
    for _ in range(100):
        broken = np.frombuffer(good, np.uint8).copy()
        broken[rng.integers(len(good), size=rng.integers(1, 8))] = rng.choice([0, 1, 0xFF])
        bad.append(broken.tobytes())
    for raw in bad:
        source = given(laid, raw, listed=("I", "T"), pointed=pointed)
        try:
            found = source.read(itabs.PARSER)
        except FormatError:
            continue
        assert (found.start < found.end).all()
        assert (found.end <= TYPES + len(raw)).all()
        assert (found.end[:-1] <= found.start[1:]).all()
        assert (found.concrete < len(source.read(types.PARSER).address)).all()


def test_many_cost_little() -> None:
    laid = laid_out(8, "<", methods=1)
    for i in range(3000):
        itab(laid, f"{i}", "T", methods=1)
    begun = time.monotonic()
    found = given(laid, listed=("I", "T"), pointed=(laid.at["0"], laid.at["2999"])).read(itabs.PARSER)
    assert time.monotonic() - begun < 1
    assert 2 <= len(found.start) <= 3000
