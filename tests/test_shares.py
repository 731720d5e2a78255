"""Dividing what is shared: sums stay exact, whatever the fractions."""

from __future__ import annotations

import numpy as np
import pytest

from goforensics.analysis.shares import sharing, whole_numbers


@pytest.mark.parametrize("seed", range(20))
def test_whole_numbers_sum_and_stay_near(seed: int) -> None:
    rng = np.random.default_rng(seed)
    total = int(rng.integers(0, 10_000))
    weight = rng.random(int(rng.integers(1, 500))) * (rng.random() < 0.8) + 1e-9
    parts = total * weight / weight.sum()
    whole = whole_numbers(parts, total)
    assert int(whole.sum()) == total
    assert (np.abs(whole - parts) <= 1).all()
    assert (whole >= 0).all()


def test_fractions_that_round_up_in_great_number_give_way() -> None:
    parts = np.full(100, 1 - 5e-7)
    assert int(whole_numbers(parts, 99).sum()) == 99
    assert whole_numbers(np.zeros(0), 0).tolist() == []


def test_sharing_by_definition() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        owner, item = rng.integers(0, 6, (2, 40))
        found = sharing(owner, item, 30)
        users = [set(owner[item == i].tolist()) for i in range(30)]
        assert found.users.tolist() == [int((item == i).sum()) for i in range(30)]
        assert found.alone.tolist() == [len(u) == 1 for u in users]
        seen: set[tuple[int, int]] = set()
        for k, pair in enumerate(zip(owner.tolist(), item.tolist(), strict=True)):
            assert bool(found.first[k]) is (pair not in seen)
            seen.add(pair)
