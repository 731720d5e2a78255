"""Data objects: pieces are disjoint and cover what is free; known extents stay whole; few false starts."""

from __future__ import annotations

import random

import numpy as np
import pytest

from goforensics.analysis.objects import Extents, Objects, cut, false_starts
from goforensics.containers.image import Words


def words(values: list[int]) -> Words:
    return np.array(values, np.uint64)


def extents(structure: str, *pairs: tuple[int, int]) -> Extents:
    return Extents(structure, words([a for a, _ in pairs]), words([b for _, b in pairs]))


def pieces(found: Objects) -> list[tuple[int, int, str]]:
    names = [found.structures[code] for code in found.structure.tolist()]
    return list(zip(found.start.tolist(), found.end.tolist(), names, strict=True))


def test_cut_at_what_is_known_and_at_starts() -> None:
    found = cut([(100, 200, "data")], [extents("type", (120, 140))], words([100, 130, 150]))
    assert pieces(found) == [(100, 120, "data"), (120, 140, "type"), (140, 150, "data"), (150, 200, "data")]
    assert found.pointed.tolist() == [True, False, False, True]
    assert found.plain.tolist() == [True, False, True, True]
    assert found.at(words([99, 100, 119, 120, 139, 199, 200])).tolist() == [-1, 0, 0, 1, 1, 3, -1]


def test_areas_apart() -> None:
    found = cut([(50, 60, "b"), (10, 20, "a")], [], words([5, 15, 30, 60]))
    assert pieces(found) == [(10, 15, "a"), (15, 20, "a"), (50, 60, "b")]
    assert found.at(words([20, 49])).tolist() == [-1, -1]


def test_an_extent_is_cut_to_what_is_free() -> None:
    found = cut([(10, 20, "a")], [extents("x", (5, 12), (18, 30), (40, 50))], words([]))
    assert pieces(found) == [(10, 12, "x"), (12, 18, "a"), (18, 20, "x")]


def test_of_equal_starts_the_first_named_stands() -> None:
    found = cut([(0, 10, "a")], [extents("x", (2, 4)), extents("y", (2, 8), (3, 6))], words([]))
    assert pieces(found) == [(0, 2, "a"), (2, 4, "x"), (4, 10, "a")]


def test_nothing_gives_nothing() -> None:
    for found in (cut([], [], words([])), cut([], [extents("x", (2, 4))], words([1, 2]))):
        assert pieces(found) == []
        assert found.at(words([2])).tolist() == [-1]
    assert pieces(cut([(4, 4, "a"), (6, 8, "a")], [], words([4]))) == [(6, 8, "a")]


def test_addresses_at_the_top() -> None:
    top = 2**64 - 1
    found = cut([(top - 16, top, "a")], [extents("x", (top - 8, top))], words([top - 12, top]))
    assert pieces(found) == [(top - 16, top - 12, "a"), (top - 12, top - 8, "a"), (top - 8, top, "x")]


def by_hand(free: list[tuple[int, int, str]], known: list[Extents], starts: list[int]) -> list[tuple[int, int, str]]:
    """Every address by itself, then runs of them."""
    sides = [(int(a), i, int(b), e.structure) for i, e in enumerate(known) for a, b in zip(e.start, e.end, strict=True)]
    reach, kept = -1, []
    for start, _, end, structure in sorted(sides, key=lambda side: side[:2]):
        if end > start and start >= reach:
            kept.append((start, end, structure))
        reach = max(reach, end) if end > start else reach
    inside = {at: (start, structure) for start, end, structure in kept for at in range(start, end)}
    ends = {end for _, end, _ in kept}
    out: list[tuple[int, int, str]] = []
    for low, high, name in sorted(free):
        for at in range(low, high):
            new = at == low or (at not in inside and (at in starts or at in ends)) or (inside.get(at, (-1,))[0] == at)
            structure = inside[at][1] if at in inside else name
            out = [*out, (at, at + 1, structure)] if new else [*out[:-1], (out[-1][0], at + 1, structure)]
    return out


@pytest.mark.parametrize("seed", range(200))
def test_random_cuts(seed: int) -> None:
    rng = random.Random(seed)
    bounds = sorted(rng.sample(range(60), 2 * rng.randint(0, 4)))
    free = [(a, b, rng.choice("ab")) for a, b in zip(bounds[::2], bounds[1::2], strict=True)]
    known = []
    for name in rng.sample("xyz", rng.randint(0, 3)):
        pairs = [(at := rng.randrange(60), at + rng.randint(0, 9)) for _ in range(rng.randint(0, 4))]
        known.append(extents(name, *sorted(pairs)))
    starts = sorted(rng.sample(range(62), rng.randint(0, 12)))
    rng.shuffle(free)
    found = cut(free, known, words(starts))
    assert pieces(found) == by_hand(free, known, starts)
    assert found.pointed.tolist() == [start in starts for start in found.start.tolist()]
    assert all((name in "ab") == plain for (_, _, name), plain in zip(pieces(found), found.plain.tolist(), strict=True))
    every = found.at(np.arange(61, dtype=np.uint64)).tolist()
    assert every == [next((i for i, (a, b, _) in enumerate(pieces(found)) if a <= at < b), -1) for at in range(61)]


def sized(sizes: list[int], at: int = 0x1000) -> list[int]:
    """Starts of objects of these sizes, and the end of the last."""
    return [at + sum(sizes[:i]) for i in range(len(sizes) + 1)]


def doubts(starts: list[int], doubtful: list[int]) -> list[int]:
    found = cut([(starts[0], starts[-1], "data")], [], words(starts[:-1]))
    return [int(start) for start in false_starts(found, words(doubtful))]


def test_a_false_start_is_out_of_order() -> None:
    starts = sized([512] * 12 + [301, 211] + [512] * 3)  # 301 + 211: one of 512, cut at an odd address
    false = starts[13]
    assert false % 2
    assert doubts(starts, [false]) == [false]
    assert doubts(starts, starts) == [false]
    assert doubts(starts, []) == []


def test_objects_in_order_begin_where_they_do() -> None:
    starts = sized([256 + 8 * i for i in range(40)])
    assert doubts(starts, starts) == []
    odd = sized([301 + 16 * i for i in range(40)])
    assert doubts(odd, odd) == []


def test_small_objects_are_not_doubted() -> None:
    starts = sized([64] * 12 + [31, 33] + [64] * 3)
    assert doubts(starts, starts) == []


def test_known_extents_are_not_doubted() -> None:
    starts = sized([512] * 12 + [301, 211] + [512] * 3)
    false = starts[13]
    found = cut([(starts[0], starts[-1], "data")], [extents("type", (false, starts[14]))], words(starts))
    assert false_starts(found, words([false])).tolist() == []
    assert false_starts(cut([], [], words([])), words([1])).tolist() == []
