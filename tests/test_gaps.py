"""What claims leave out: the cells of the byte map that nothing is said of."""

from __future__ import annotations

import random

import numpy as np

from goforensics.analysis.gaps import gaps
from goforensics.bytemap import ByteMap, Claims, Level

SIZE = 60


def by_map(claims: list[Claims]) -> list[tuple[int, int]]:
    found = ByteMap.build(SIZE, claims, ("origin",))
    free = np.repeat(found.codes["origin"] == 0, np.diff(found.bounds))
    edges = np.flatnonzero(np.diff(np.r_[False, free, False]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_as_the_map_has_it() -> None:
    """Claims in any order, over one another, empty, turned round, outside of the file, and on other columns."""
    generator = random.Random(3)
    for _ in range(500):
        claims = []
        for number in range(generator.randrange(6)):
            ranges = [(generator.randrange(-9, 70), generator.randrange(-9, 70)) for _ in range(generator.randrange(4))]
            column = generator.choice(["origin", "origin", "section"])
            claims.append(Claims.of(f"s{number}", generator.choice(list(Level)), ranges, **{column: "x"}))
        assert gaps(SIZE, claims, "origin") == by_map(claims)


def test_nothing_claimed() -> None:
    assert gaps(SIZE, [], "origin") == [(0, SIZE)]
    assert gaps(0, [], "origin") == []
