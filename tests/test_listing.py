"""Listings of the byte map: views, filters, remainders; whatever is asked, the numbers sum to the file's size."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from samples import sample

import goforensics
from goforensics.analysis.inspect import inspect
from goforensics.analysis.listing import evidence, listing
from goforensics.bytemap import ByteMap, Claims, Labels, Level, Shares
from goforensics.errors import UsageError
from goforensics.question import Filter, parse_filter, question
from goforensics.renderers import View, render
from goforensics.report import MOST_DISPUTES, SizeRow, Sizes, UnknownRange

GREETER = Path(__file__).resolve().parent.parent / "testdata" / "greeter"
PACKAGES = ("fmt", "net", "net/http", "(shared)")
STD = ("std",)
SIZE = 100


@pytest.fixture(scope="module")
def binary() -> goforensics.Binary:
    return goforensics.open(GREETER)


def small(view: str = "owned", *filters: str, by: tuple[str, ...] = ("package",)) -> Sizes:
    """60 bytes of code, of which 10 are read-only data that fmt uses once and net/http three times; 40 unknown."""
    asked = question(by, view, filters)
    code = Claims.of("code", Level.ITEM, [(0, 20), (20, 30), (30, 50)], package=PACKAGES[:3], kind="code", origin="std")
    everyone = {"package": Labels(np.array([0, 2], np.int32), PACKAGES), "origin": Labels(np.zeros(2, np.int32), STD)}
    users = Shares(np.array([0, 2]), np.array([0, 1], np.int32), np.array([1.0, 3.0]), everyone)
    one = np.array([0], np.int32)
    labels: dict[str, Labels | str] = {"package": Labels(one + 3, PACKAGES), "users": Labels(one, users)}
    labels |= {"kind": "rodata", "origin": "shared"}
    data = Claims("data", Level.ITEM, np.array([50]), np.array([60]), labels)
    return listing(ByteMap.build(SIZE, [code, data], asked.painted), asked)


def bytes_of(sizes: Sizes) -> dict[str, int]:
    return {row.name: row.bytes for row in sizes.rows}


def test_each_byte_once() -> None:
    sizes = small()
    assert bytes_of(sizes) == {"(unknown)": 40, "fmt": 20, "net/http": 20, "net": 10, "(shared)": 10}
    assert (sizes.view, sizes.filter, sizes.filtered_out, sizes.total) == ("owned", [], 0, SIZE)


def test_shared_bytes_are_divided_by_use() -> None:
    sizes = small("apportioned")
    assert {name: n for name, n in bytes_of(sizes).items() if name != "(unknown)"} in (
        {"fmt": 22, "net/http": 28, "net": 10},
        {"fmt": 23, "net/http": 27, "net": 10},
    )
    assert (sizes.view, sum(row.bytes for row in sizes.rows)) == ("apportioned", SIZE)


@pytest.mark.parametrize(
    ("value", "label", "expected"),
    [
        ("net", "net", True),
        ("net", "net/http", False),
        ("net/...", "net", True),
        ("net/...", "net/http", True),
        ("net/...", "network", False),
        ("net...", "network", True),
        ("...", "anything", True),
        ("n*", "net", False),
        ("n*", "n*", True),
        ("(shared)", "(shared)", True),
    ],
)
def test_what_a_filter_matches(value: str, label: str, expected: bool) -> None:
    assert Filter("package", value).matches(label) == expected


def test_a_filter_leaves_one_number_behind() -> None:
    sizes = small("owned", "package=net/...")
    assert bytes_of(sizes) == {"net/http": 20, "net": 10}
    assert (sizes.filter, sizes.filtered_out) == (["package=net/..."], 70)


def test_all_filters_hold_and_may_look_elsewhere() -> None:
    sizes = small("owned", "kind=code", "package=net/...", by=("origin",))
    assert (bytes_of(sizes), sizes.filtered_out) == ({"std": 30}, 70)


def test_the_origin_needs_no_brackets() -> None:
    sizes = small("owned", "origin=unknown", by=("origin",))
    assert bytes_of(sizes) == {"unknown": 40}


def test_a_filter_that_nothing_matches() -> None:
    sizes = small("owned", "package=none")
    assert (sizes.rows, sizes.filtered_out, sizes.total) == ([], SIZE, SIZE)


@pytest.mark.parametrize("text", ["package", "package=", "=net", "pakage=net"])
def test_filters_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError):
        parse_filter(text)


def test_questions_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="did you mean 'apportioned'"):
        question(view="aportioned")
    with pytest.raises(UsageError, match="name a column"):
        question(())


@pytest.mark.parametrize("view", ["owned", "apportioned"])
@pytest.mark.parametrize("by", [("section",), ("module", "package"), ("users", "symbol", "origin")])
@pytest.mark.parametrize("filters", [(), ("package=unicode/...", "kind=code")])
def test_a_real_files_rows_sum(
    binary: goforensics.Binary, view: str, by: tuple[str, ...], filters: tuple[str, ...]
) -> None:
    document = inspect(binary, by, view=view, filters=filters)
    for sizes in (document.sizes, document.modules):
        assert sum(row.bytes for row in sizes.rows) + sizes.filtered_out == sizes.total == GREETER.stat().st_size
        assert sizes.view == view
    assert document.modules.filter == []
    assert bool(document.sizes.filtered_out) == bool(filters)


def test_a_filter_changes_no_number(binary: goforensics.Binary) -> None:
    whole = inspect(binary, ("package",)).sizes
    some = inspect(binary, ("package",), filters=["package=unicode/..."]).sizes
    assert some.rows == [row for row in whole.rows if row.name.startswith("unicode")]


def test_nothing_is_shared_any_more_once_it_is_divided(binary: goforensics.Binary) -> None:
    by = ("package", "kind")
    shared = [row for row in inspect(binary, by, view="apportioned").sizes.rows if row.path[0] == "(shared)"]
    assert not shared


def test_what_nobody_knows() -> None:
    claims = [
        Claims.of("s", Level.SECTION, [(10, 30)], section=".text", origin="section-only"),
        Claims.of("a", Level.ITEM, [(20, 25)], origin="main", structure="function"),
    ]
    seen = evidence(ByteMap.build(40, claims))
    assert [(row.offset, row.size, row.section, row.known) for row in seen.unknown] == [
        (0, 10, None, None),
        (10, 10, ".text", "section"),
        (25, 5, ".text", "section"),
        (30, 10, None, None),
    ]
    assert (seen.unknown_bytes, seen.section_only_bytes) == (20, 15)


def test_the_list_of_what_nobody_knows_is_bounded() -> None:
    known = [(2 * i, 2 * i + 1) for i in range(3 * MOST_DISPUTES)]
    seen = evidence(ByteMap.build(6 * MOST_DISPUTES, [Claims.of("a", Level.ITEM, known, origin="main", structure="x")]))
    assert len(seen.unknown) == MOST_DISPUTES
    assert seen.unknown_bytes == 3 * MOST_DISPUTES


# As text.


def tree(top: int = 15, **changed: object) -> list[str]:
    """A listing by module and package as lines without figures' thousands separators."""
    rows = [
        SizeRow(path[-1], list(path), "std" if path[0] == "std" else "dependency", n)
        for path, n in {
            ("std", "fmt"): 300,
            ("std", "net"): 200,
            ("std", "os"): 90,
            ("std", "io"): 80,
            ("m", "m/p"): 400,
            ("m", "m/q"): 50,
            ("(debug)", "(debug)"): 20,
        }.items()
    ]
    sizes = msgspec.structs.replace(Sizes(["module", "package"], rows), **changed)
    document = msgspec.structs.replace(sample(), sizes=sizes)
    shown = "".join(render(document, "text", View(top=top)))
    return shown.split("Where the bytes went, by module, package\n")[1].split("\n\n")[0].splitlines()


def named(lines: list[str]) -> list[tuple[str, int]]:
    found = (re.match(r"( +.+?)  +([\d,]+) ", f"{line} ") for line in lines)
    return [(m[1], int(m[2].replace(",", ""))) for m in found if m]


def test_a_tree_has_a_remainder_at_every_level() -> None:
    assert named(tree(top=2)) == [
        ("  std", 670),
        ("    fmt", 300),
        ("    net", 200),
        ("    (2 others)", 170),
        ("  m", 450),
        ("    m/p", 400),
        ("    m/q", 50),
        ("  (debug)", 20),
        ("  total", 1140),
    ]


def test_the_outer_level_has_its_own() -> None:
    assert named(tree(top=1))[-2:] == [("  (2 others)", 470), ("  total", 1140)]


def test_a_name_is_not_said_again_below() -> None:
    assert [name for name, _ in named(tree())].count("  (debug)") == 1
    assert "    (debug)" not in [name for name, _ in named(tree())]


def test_a_kind_is_told_where_it_changes() -> None:
    lines = tree()
    assert [line.split()[4:5] for line in lines if line.startswith("    ")][:1] == [[]]
    assert " std " in next(line for line in lines if line.startswith("  std ")).replace("  std", "", 1) + " "


def test_what_the_filter_left_out_stands_before_the_total() -> None:
    lines = tree(filter=["kind=code"], filtered_out=1000)
    assert named(lines)[-2:] == [("  (filtered out)", 1000), ("  total", 2140)]
    assert lines[1] == "  only kind=code"


@pytest.mark.parametrize(
    ("view", "words"), [("owned", "each byte once; "), ("apportioned", "shared bytes divided by ")]
)
def test_the_view_is_named(view: str, words: str) -> None:
    assert tree(view=view)[0].startswith(f"  {view}: {words}")


def test_evidence_is_shown_where_there_is_any() -> None:
    assert "Evidence" not in "".join(render(sample(), "text"))
    ranges = [UnknownRange(0x1000 * i, i, ".text", "section") for i in range(1, 9)]
    ranges.append(UnknownRange(0x9000, 1, None, None))
    document = msgspec.structs.replace(sample(), unknown=ranges, unknown_bytes=1, section_only_bytes=36)
    lines = "".join(render(document, "text", View(top=3))).split("Evidence")[1].split("\n\n")[0].splitlines()
    assert lines[0] == "  1 byte unknown, 36 known by their section only"
    assert [line.split()[-1] for line in lines[1:4]] == ["0x7000", "0x8000", "0x9000"]
    assert "(no section): nothing is known" in lines[3]
    assert "(6 more such ranges" in lines[4]
