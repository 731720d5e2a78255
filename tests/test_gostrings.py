"""Strings: where they begin, told from false starts by their order of size."""

from __future__ import annotations

import random
import time
from itertools import accumulate

import numpy as np
import pytest

from goforensics.sections import gostrings

LOW = 0x4000


def at(sizes: list[int]) -> list[int]:
    """Where strings of these sizes begin, and where the last ends."""
    return list(accumulate(sizes, initial=LOW))


def found(area: tuple[int, int], pointed: list[int]) -> list[int]:
    return [int(start) for start in gostrings.starts(area, np.array(sorted(pointed), np.uint64))]


SIZES = [1, 1, 2, 3, 3, 5, 8, 8, 9, 12, 12, 20, 21, 40]


def test_strings_in_order_stay() -> None:
    places = at([*SIZES, 45])
    assert found((places[0], places[-1]), [3, *places, places[-1] + 9]) == places[:-1]
    assert found((places[0], places[-1]), places[1:]) == places[:-1]  # the first need not be pointed at


def test_the_last_swallows_the_padding_and_may_be_short() -> None:
    for last in (1, 500):
        places = at([*SIZES, last])
        assert found((places[0], places[-1]), places) == places[:-1]


@pytest.mark.parametrize("i", range(6, len(SIZES) - 1))
def test_every_cut_that_breaks_the_order_is_mended(i: int) -> None:
    places = at([*SIZES, 45])
    for inside in range(1, SIZES[i]):
        parts = inside, SIZES[i] - inside
        if SIZES[i - 1] <= parts[0] <= parts[1] <= SIZES[i + 1]:
            continue  # in order all the same
        got = found((places[0], places[-1]), [*places, places[i] + inside])
        assert len(got) == len(places) - 1
        assert set(places[: i + 1]) <= set(got)


def test_one_string_cut_twice() -> None:
    sizes = [10] * 5 + [30] * 6 + [31]
    places = at(sizes)
    false = [places[7] + 3, places[7] + 9]
    assert found((places[0], places[-1]), [*places, *false]) == places[:-1]


def test_a_start_that_nothing_points_at() -> None:
    sizes = [4, 5, 6, 6, 7, 8, 9, 10, 11, 12]
    places = at(sizes)
    seen = [place for place in places if place != places[4]]  # 6 and 7 look like one of 13
    assert found((places[0], places[-1]), seen) == seen[:-1]


def test_next_to_nothing() -> None:
    assert found((LOW, LOW + 1), []) == [LOW]
    for sizes in ([5], [5, 1], [5, 1, 9], [5, 1, 9, 2]):
        places = at(sizes)
        got = found((places[0], places[-1]), places)
        assert got[0] == LOW
        assert set(got) <= set(places)


@pytest.mark.parametrize("seed", range(20))
def test_few_random_false_starts(seed: int) -> None:
    rng = random.Random(seed)
    sizes = sorted(rng.choice((rng.randint(1, 40), rng.randint(20, 300))) for _ in range(2000))
    places = at(sizes)
    false = {rng.randrange(places[600], places[-2]) for _ in range(20)} - set(places)
    got = set(found((places[0], places[-1]), [*places, *false]))
    assert len(set(places[:-1]) - got) <= 4  # hardly a true one is lost
    assert len(got & false) <= 4


@pytest.mark.parametrize("shape", ["falling", "saw", "random", "pairs"])
def test_any_order_is_soon_over(shape: str) -> None:
    count, rng = 5000, random.Random(1)
    sizes = {
        "falling": list(range(count, 0, -1)),
        "saw": [1 + i % 7 for i in range(count)],
        "random": [rng.randint(1, 1000) for _ in range(count)],
        "pairs": [1000 - i % 2 * 999 for i in range(count)],
    }[shape]
    places = at(sizes)
    begun = time.monotonic()
    got = found((places[0], places[-1]), places)
    assert time.monotonic() - begun < 2
    assert got[0] == LOW
    assert set(got) <= set(places)
