"""Names of owners: whose an item is that one, several or nobody uses, in every column, and what the map makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeSource
from msgspec.structs import replace
from test_pclntab import Builder, image_of

from goforensics.analysis.modules import Modules
from goforensics.analysis.packages import Packages
from goforensics.analysis.vocabulary import Holdings, Vocabulary
from goforensics.bytemap import ByteMap, Claims, Labels, Shares
from goforensics.sections import pclntab

NAMES = ["main.main", "runtime.gc", "fmt.Print", "fmt.Scan", "example.com/dep/a.F", "example.com/dep/b.F"]
CODES = np.array([1, 2, 3, 3, 4, 5], np.int32)
PACKAGES = ["", "main", "runtime", "fmt", "example.com/dep/a", "example.com/dep/b", "os"]  # the last without code
MAIN, RUNTIME, PRINT, SCAN, A, B = range(6)
Uses = dict[int, float]


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    builder = Builder("1.20", 8, "<", dict.fromkeys(NAMES, (16, "/f.go", 1)))
    table = FakeSource(image_of(builder.build(), builder)).read(pclntab.PARSER)
    modules = Modules("example.com/app", ["example.com/dep"], {}, True)
    return Vocabulary(table, Packages(CODES, PACKAGES[:6], {}, CODES), PACKAGES, modules)


def holdings(*uses: Uses, of_packages: bool = False, origin: str = "metadata", weights: bool = True) -> Holdings:
    """Ranges of ten bytes each."""
    item = [i for i, of in enumerate(uses) for _ in of]
    start = np.arange(len(uses)) * 10
    weight = np.array([w for of in uses for w in of.values()], np.float64) if weights else None
    owner = np.array([o for of in uses for o in of], np.int64)
    return Holdings(
        "test", "kind", "thing", start, start + 10, np.array(item, np.int64), owner, weight, of_packages, origin=origin
    )


def said(claims: list[Claims], offset: int) -> tuple[str, str, str, str]:
    found = ByteMap.build(1000, claims).owner(offset)
    return found["package"], found["module"], found["origin"], found["symbol"]


SHARED = "(shared)"
CASES: list[tuple[Uses, tuple[str, str, str, str]]] = [
    ({MAIN: 1}, ("main", "example.com/app", "main", "main.main")),
    ({A: 2}, ("example.com/dep/a", "example.com/dep", "dependency", "example.com/dep/a.F")),
    ({PRINT: 1, SCAN: 1}, ("fmt", "std", "std", SHARED)),
    ({RUNTIME: 1, PRINT: 1}, (SHARED, "std", "std", SHARED)),  # two origins of one module
    ({A: 1, B: 5}, (SHARED, "example.com/dep", "dependency", SHARED)),
    ({MAIN: 1, A: 1, B: 1}, (SHARED, SHARED, "shared", SHARED)),
    ({}, ("", "", "metadata", "")),
]


@pytest.mark.parametrize(("uses", "wanted"), CASES)
def test_whose_an_item_is(words: Vocabulary, uses: Uses, wanted: tuple[str, str, str, str]) -> None:
    assert said(words.claims(holdings(uses)), 5) == wanted
    around = words.claims(holdings({MAIN: 1}, {}, uses, {A: 1, B: 1}))  # the same among others
    assert said(around, 25) == wanted


def test_owners_that_are_packages(words: Vocabulary) -> None:
    claims = words.claims(holdings({6: 1}, {3: 1}, {3: 1, 6: 1}, of_packages=True))
    assert said(claims, 0) == ("os", "std", "std", "")
    assert said(claims, 10) == ("fmt", "std", "std", "")
    assert said(claims, 20)[:3] == (SHARED, "std", "std")


def test_what_can_be_stripped_keeps_its_origin(words: Vocabulary) -> None:
    claims = words.claims(holdings({MAIN: 1}, {MAIN: 1, A: 1}, {}, origin="debug"))
    found = ByteMap.build(30, claims)
    assert [row.bytes for row in found.group(()) if row.origin == "debug"] == [30]
    apart = {(row.path[0], row.origin): row.bytes for row in found.group(("package",), apportioned=True)}
    assert apart == {("main", "debug"): 15, ("example.com/dep/a", "debug"): 5, ("(debug)", "debug"): 10}


def test_shared_bytes_are_divided_by_weight(words: Vocabulary) -> None:
    found = ByteMap.build(40, words.claims(holdings({MAIN: 3, A: 1}, {A: 1, PRINT: 4}, {B: 7}, {})))
    rows = {(row.path[0], row.origin): row.bytes for row in found.group(("symbol",), apportioned=True)}
    assert sum(rows.values()) == 40
    assert rows[("example.com/dep/b.F", "dependency")] == 10
    assert rows[("fmt.Print", "std")] == 8
    assert rows[("main.main", "main")] in (7, 8)
    assert rows[("(metadata)", "metadata")] == 10
    even = ByteMap.build(10, words.claims(holdings({MAIN: 3, A: 1}, weights=False)))
    assert {row.bytes for row in even.group(("package",), apportioned=True)} == {5}


def test_users_are_kept_of_shared_items_only(words: Vocabulary) -> None:
    (claims,) = words.claims(holdings({MAIN: 1}, {MAIN: 1, A: 2}, {B: 1}, {PRINT: 1, SCAN: 1, B: 9}))
    label = claims.labels["users"]
    assert isinstance(label, Labels)
    assert isinstance(label.names, Shares)
    assert label.names.first.tolist() == [0, 0, 2, 5]
    texts = [label.names[code] for code in label.codes.tolist()]
    assert texts == ["", "example.com/dep/a.F, main.main", "", "example.com/dep/b.F, fmt.Print, fmt.Scan"]


def test_nothing_held(words: Vocabulary) -> None:
    claims = words.claims(holdings())
    assert [len(c.starts) for c in claims] == [0]
    assert ByteMap.build(4, claims).group(()) == ByteMap.build(4, []).group(())


def test_a_program_without_packages(words: Vocabulary) -> None:
    bare = replace(words, functions=Packages(np.zeros(6, np.int32), [""], {}, np.zeros(6, np.int32)), packages=[""])
    assert said(bare.claims(holdings({MAIN: 1})), 0)[3] == "main.main"
