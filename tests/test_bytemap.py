"""The map's promises: every byte once, the more specific claim wins, order does not matter, disputes are kept."""

from __future__ import annotations

import random

import numpy as np
import pytest

from goforensics.bytemap import COLUMNS, ByteMap, Claims, Level

NAMES = ("a", "b", "c", "d")


def random_claims(rng: random.Random, size: int) -> list[Claims]:
    """A few batches of ranges, some empty, overlapping or outside of the file."""
    batches = []
    for number in range(rng.randint(0, 6)):
        ranges = [(at := rng.randint(-5, size + 5), at + rng.randint(-2, size // 2)) for _ in range(rng.randint(0, 8))]
        labels = {c: [rng.choice(NAMES) for _ in ranges] for c in rng.sample(COLUMNS, rng.randint(1, len(COLUMNS)))}
        batches.append(Claims.of(f"s{number}", rng.choice(list(Level)), ranges, **labels))
    return batches


def by_hand(size: int, claims: list[Claims], column: str) -> list[str]:
    """The same by the definition, a byte at a time."""
    out = [""] * size
    level = [0] * size
    for batch in sorted(claims, key=lambda c: (c.level, c.source)):
        label = batch.labels.get(column)
        if label is None:
            continue
        rows = sorted(
            range(len(batch.starts)), key=lambda i: (max(int(batch.starts[i]), 0), -min(int(batch.ends[i]), size))
        )
        mine: dict[int, str] = {}
        for i in rows:
            text = label if isinstance(label, str) else label.names[label.codes[i]]
            for at in range(max(0, int(batch.starts[i])), min(size, int(batch.ends[i]))):
                mine.setdefault(at, text)
        for at, text in mine.items():
            if level[at] != batch.level:
                out[at], level[at] = text, batch.level
    return out


@pytest.mark.parametrize("seed", range(300))
def test_random_claims(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.randint(1, 60)
    claims = random_claims(rng, size)
    found = ByteMap.build(size, claims)
    assert found.bounds[0] == 0
    assert found.bounds[-1] == size
    assert (np.diff(found.bounds) > 0).all()
    for columns in (("section",), ("package", "structure"), COLUMNS):
        assert sum(row.bytes for row in found.group(columns)) == size
    for column in COLUMNS:
        assert [found.owner(at)[column] for at in range(size)] == by_hand(size, claims, column)
    rng.shuffle(claims)
    again = ByteMap.build(size, claims)
    assert again.group(COLUMNS) == found.group(COLUMNS)
    assert again.disputes == found.disputes


def test_the_more_specific_claim_owns_the_byte_and_inherits_the_rest() -> None:
    section = Claims.of("s", Level.SECTION, [(0, 10)], section=".text", origin="section-only")
    code = Claims.of("f", Level.ITEM, [(2, 5)], package="fmt", origin="std")
    found = ByteMap.build(12, [code, section])
    assert found.owner(3) == dict.fromkeys(COLUMNS, "") | {"section": ".text", "package": "fmt", "origin": "std"}
    assert [(row.path, row.origin, row.bytes) for row in found.group(("package",))] == [
        (("(section-only)",), "section-only", 7),
        (("fmt",), "std", 3),
        (("(unknown)",), "unknown", 2),
    ]


def test_two_claims_of_one_level_are_a_dispute() -> None:
    claims = [Claims.of(s, Level.TABLE, [r], structure=s) for s, r in (("x", (0, 6)), ("y", (4, 9)))]
    found = ByteMap.build(9, claims)
    assert [(d.start, d.end, d.claimants) for d in found.disputes] == [(4, 6, ("x", "y"))]
    assert found.owner(5)["structure"] == "x"


def test_agreement_is_no_dispute() -> None:
    claims = [Claims.of(s, Level.TABLE, [(0, 4)], kind="debug") for s in ("x", "y")]
    assert not ByteMap.build(4, claims).disputes


def test_outside_of_the_file_nobody_owns() -> None:
    found = ByteMap.build(4, [])
    for offset in (-1, 4):
        with pytest.raises(IndexError):
            found.owner(offset)
