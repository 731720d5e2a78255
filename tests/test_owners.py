"""Owners: who is said to refer, what pointers hand on, and that cycles, fans and long chains stay cheap."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from goforensics.analysis import owners
from goforensics.analysis.owners import MOST, ROUNDS, Pairs, spread_out

Owned = dict[int, dict[int, float]]
Edges = list[tuple[int, int]]


def numbers(values: list[int]) -> owners.Numbers:
    return np.array(values, np.int64)


def spread(
    count: int,
    said: list[tuple[int, int]],
    edges: Edges = [],  # noqa: B006 - only read
    fixed: dict[int, int] | None = None,
    single: tuple[int, ...] = (),
    rank: list[int] | None = None,
) -> Owned:
    """spread_out with (object, package) of each reference; by object its packages and their weights."""
    names = numbers([(fixed or {}).get(i, -1) for i in range(count)])
    pairs = Pairs.of(numbers([i for i, _ in said]), numbers([p for _, p in said]))
    along = numbers([a for a, _ in edges]), numbers([b for _, b in edges])
    ones = np.isin(np.arange(count), single)
    found = spread_out(count, pairs, names, ones, along, numbers(rank or list(range(64))))
    out: Owned = {}
    for item, package, weight in zip(found.item.tolist(), found.package.tolist(), found.weight.tolist(), strict=True):
        assert package not in out.setdefault(item, {})
        assert weight > 0
        out[item][package] = weight
    assert list(out) == sorted(out)
    return out


def test_every_reference_counts() -> None:
    assert spread(3, [(0, 5), (0, 5), (0, 7), (2, 1)]) == {0: {5: 2, 7: 1}, 2: {1: 1}}


def test_nothing_is_owned_by_nobody() -> None:
    assert spread(0, []) == {}
    assert spread(3, [], [(0, 1), (1, 2)]) == {}


def test_what_an_object_says_of_itself_stands() -> None:
    assert spread(2, [(0, 5), (1, 5)], [(1, 0)], fixed={0: 9}) == {0: {9: 1}, 1: {5: 1}}


def test_pointers_hand_on_one_reference_together() -> None:
    found = spread(4, [(0, 5), (0, 5), (0, 5), (0, 7), (1, 8)], [(0, 2), (1, 2), (2, 3)])
    assert found[2] == {5: 0.75, 7: 0.25, 8: 1}
    assert found[3] == {5: 0.375, 7: 0.125, 8: 0.5}


def test_what_code_refers_to_gains_the_owners_of_what_points_there() -> None:
    assert spread(2, [(0, 5), (1, 7)], [(0, 1)]) == {0: {5: 1}, 1: {5: 1, 7: 1}}


def test_a_variable_is_the_lowest_ranks() -> None:
    rank = [3, 2, 1, 0]
    assert spread(1, [(0, 0), (0, 3), (0, 1)], single=(0,), rank=rank) == {0: {3: 1}}
    # pointers give it an owner only if no code does
    assert spread(2, [(0, 3), (1, 1)], [(0, 1)], single=(1,), rank=rank)[1] == {1: 1}
    assert spread(3, [(0, 3), (1, 1)], [(0, 2), (1, 2)], single=(2,), rank=rank)[2] == {3: 1}


def test_what_nobody_refers_to_is_its_parts_owners() -> None:
    found = spread(4, [(1, 5), (2, 6)], [(0, 1), (0, 2), (3, 0)])
    assert found[0] == {5: 1, 6: 1}
    assert 3 not in found  # only one step: what it is made of is itself kept for reflection alone


def test_a_cycle_ends() -> None:
    assert spread(3, [(0, 5)], [(0, 1), (1, 2), (2, 0), (1, 1)]) == {0: {5: 2}, 1: {5: 1}, 2: {5: 1}}


def test_a_chain_is_followed_so_far_and_no_further() -> None:
    length = 3 * ROUNDS
    found = spread(length, [(0, 5)], [(i, i + 1) for i in range(length - 1)])
    assert sorted(found) == list(range(ROUNDS + 1))


def test_a_fan_of_many_owners_costs_little() -> None:
    many, targets = 5000, 5000
    said = Pairs.of(np.zeros(many, np.int64), np.arange(many))
    edges = np.zeros(targets, np.int64), np.arange(1, targets + 1)
    none, rank = np.full(targets + 1, -1), np.arange(many)
    begun = time.monotonic()
    found = spread_out(targets + 1, said, none, np.zeros(targets + 1, bool), edges, rank)
    assert time.monotonic() - begun < 2
    length = np.bincount(found.item)
    assert length[0] == many
    assert set(length[1:].tolist()) == {MOST}
    assert found.weight[found.item > 0].sum() == pytest.approx(targets)


def test_merged_adds_weights_in_order() -> None:
    pairs = Pairs(numbers([1, 0, 1]), numbers([2, 3, 2]), np.array([0.5, 1, 2])).merged()
    assert (pairs.item.tolist(), pairs.package.tolist(), pairs.weight.tolist()) == ([0, 1], [3, 2], [1, 2.5])


def by_hand(
    count: int, said: list[tuple[int, int]], edges: Edges, fixed: dict[int, int], single: tuple[int, ...]
) -> Owned:
    """The definition, an edge at a time; rank is the package's number."""
    found: Owned = {i: {p: 1.0} for i, p in fixed.items()}
    for item, package in said:
        if item not in fixed:
            of = found.setdefault(item, {})
            of[package] = of.get(package, 0) + 1

    def lowest() -> None:
        for item in single:
            if item in found:
                found[item] = {min(found[item]): found[item][min(found[item])]}

    def hand_on(pairs: Edges) -> None:
        before = {i: dict(of) for i, of in found.items()}
        for a, b in pairs:
            if b in single and b in before:
                continue
            for package, weight in before[a].items():
                of = found.setdefault(b, {})
                of[package] = of.get(package, 0) + weight / sum(before[a].values())
        lowest()

    lowest()
    waiting = [(a, b) for a, b in edges if a != b and b not in fixed]
    while ready := [(a, b) for a, b in waiting if a in found]:
        waiting = [edge for edge in waiting if edge not in ready]
        hand_on(ready)
    hand_on([(part, whole) for whole, part in edges if whole not in found and part in found])
    return found


@pytest.mark.parametrize("seed", range(150))
def test_random_objects(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randint(1, 15)
    said = [(rng.randrange(count), rng.randrange(5)) for _ in range(rng.randint(0, 12))]
    edges = [(rng.randrange(count), rng.randrange(count)) for _ in range(rng.randint(0, 25))]
    fixed = {rng.randrange(count): rng.randrange(5) for _ in range(rng.randint(0, 3))}
    single = tuple({rng.randrange(count) for _ in range(rng.randint(0, 4))} - set(fixed))
    found, wanted = spread(count, said, edges, fixed, single), by_hand(count, said, edges, fixed, single)
    assert {i: set(of) for i, of in found.items()} == {i: set(of) for i, of in wanted.items()}
    for item, of in wanted.items():
        assert found[item] == pytest.approx(of)
    rng.shuffle(said)
    rng.shuffle(edges)
    again = spread(count, said, edges, fixed, single)
    assert list(again) == list(found)
    for item, of in found.items():
        assert again[item] == pytest.approx(of)
