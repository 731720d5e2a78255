"""The map's promises: every byte once, the more specific claim wins, order does not matter, disputes are kept."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from goforensics.bytemap import COLUMNS, UNKNOWN, ByteMap, Claims, Labels, Level, Shares

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


OWNED = ("package", "module", "symbol", "origin")  # columns in which users may have names


def random_shares(rng: random.Random) -> Shares:
    """A few sets of users, the first empty; not every column names them."""
    sizes = [0, *(rng.randint(0, 4) for _ in range(rng.randint(0, 4)))]
    owners = {}
    for column in rng.sample(OWNED, rng.randint(1, len(OWNED))):
        owners[column] = Labels(np.array([rng.randrange(5) for _ in range(5)], np.int32), (*NAMES, ""))
    count = sum(sizes)
    users = np.array([rng.randrange(5) for _ in range(count)], np.int32)
    weight = np.array([rng.randint(1, 9) for _ in range(count)], np.float64)
    return Shares(np.cumsum([0, *sizes]), users, weight, owners)


def with_users(rng: random.Random, claims: list[Claims]) -> list[Claims]:
    """The same claims, some of which say who uses their bytes."""
    out = []
    for batch in claims:
        labels = {column: label for column, label in batch.labels.items() if column != "users"}
        if rng.random() < 0.7:
            shares = random_shares(rng)
            codes = np.array([rng.randrange(len(shares)) for _ in batch.starts], np.int32)
            labels["users"] = Labels(codes, shares)
        out.append(Claims(batch.source, batch.level, batch.starts, batch.ends, labels))
    return out


def without_users(batch: Claims) -> Claims:
    labels = {column: label for column, label in batch.labels.items() if column != "users"}
    return Claims(batch.source, batch.level, batch.starts, batch.ends, labels)


def users_by_hand(size: int, claims: list[Claims]) -> list[tuple[Shares, int] | None]:
    """Who uses each byte: the shares and the number of the item in them."""
    items: dict[str, tuple[Shares, int]] = {}
    plain = []
    for number, batch in enumerate(claims):
        label = batch.labels.get("users")
        if isinstance(label, Labels) and isinstance(label.names, Shares):
            names = [f"{number}:{i}" for i in range(len(label.names))]
            items |= {name: (label.names, i) for i, name in enumerate(names)}
            labels = {"users": Labels(label.codes, names)}
            plain.append(Claims(batch.source, batch.level, batch.starts, batch.ends, labels))
    return [items.get(text) for text in by_hand(size, plain, "users")]


def divided_by_hand(
    size: int, claims: list[Claims], by: tuple[str, ...]
) -> dict[tuple[tuple[str, ...], str], Fraction]:
    """Every byte's exact part of every row."""
    columns = {column: by_hand(size, claims, column) for column in (*by, "origin")}
    out: dict[tuple[tuple[str, ...], str], Fraction] = {}
    for at, used in enumerate(users_by_hand(size, claims)):
        own = {column: columns[column][at] for column in columns}
        parts: list[tuple[dict[str, str], Fraction]] = []
        if used is not None:
            shares, item = used
            mine = range(int(shares.first[item]), int(shares.first[item + 1]))
            whole = sum(int(shares.weight[i]) for i in mine)
            for i in mine:
                called = {c: label.names[label.codes[shares.owner[i]]] for c, label in shares.owners.items()}
                parts.append((own | called, Fraction(int(shares.weight[i]), whole)))
        for labels, part in parts or [(own, Fraction(1))]:
            origin = labels["origin"] or UNKNOWN
            key = tuple(labels[column] or f"({origin})" for column in by), origin
            out[key] = out.get(key, Fraction(0)) + part
    return out


@pytest.mark.parametrize("seed", range(200))
def test_apportioned(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.randint(1, 60)
    claims = with_users(rng, random_claims(rng, size))
    found = ByteMap.build(size, claims)
    for by in (("package",), ("symbol", "section"), ("module", "kind", "package"), ()):
        rows = found.group(by, apportioned=True)
        exact = divided_by_hand(size, claims, by)
        assert sum(row.bytes for row in rows) == size
        got = {(row.path, row.origin): row.bytes for row in rows}
        assert len(got) == len(rows)
        assert got.keys() <= exact.keys()
        for key, part in exact.items():
            assert abs(got.get(key, 0) - part) < 1, key
    owned = ByteMap.build(size, [without_users(batch) for batch in claims])
    every = tuple(column for column in COLUMNS if column != "users")
    assert found.group(every) == owned.group(every)


@pytest.mark.parametrize("seed", range(100))
def test_columns_that_nobody_asks_for_change_nothing(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.randint(1, 60)
    claims = with_users(rng, random_claims(rng, size))
    whole = ByteMap.build(size, claims)
    by = tuple(rng.sample([column for column in COLUMNS if column not in ("users", "origin")], rng.randint(0, 4)))
    part = ByteMap.build(size, claims, (*by, "origin"))
    assert part.group(by) == whole.group(by)
    assert len(part.bounds) <= len(whole.bounds)
    part = ByteMap.build(size, claims, (*by, "origin", "users"))
    assert part.group(by, apportioned=True) == whole.group(by, apportioned=True)


def test_shares_say_who_most() -> None:
    owners = {
        "symbol": Labels(np.array([0, 1, 1, 1], np.int32), ("main.f", "")),
        "package": Labels(np.array([0, 0, 1, 2], np.int32), ("main", "fmt", "os")),
    }
    first, owner = np.array([0, 0, 1, 5]), np.array([2, 0, 1, 2, 3], np.int32)
    shares = Shares(first, owner, np.array([1, 1, 5, 3, 2.0]), owners)
    assert list(shares) == ["", "fmt", "main, fmt, os, 1 more"]
