"""The size rules, and sizes as people write them."""

from __future__ import annotations

import importlib
from itertools import pairwise
from pathlib import Path

import builds
import msgspec
import pytest
import specimens_size
from specimens import RELEASES, Specimen, build

from goforensics.binary import open as open_binary
from goforensics.bytesizes import parse
from goforensics.errors import UsageError
from goforensics.policy import Policy, SizeRules
from goforensics.rebuild import predict, strip
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject


def rule(name: str) -> Rule:
    found: Rule = importlib.import_module(f"goforensics.rules.size_{name.replace('-', '_')}").RULE
    return found


def found(name: str, subject: Subject, **rules: object) -> list[Draft]:
    return list(rule(name).check(subject, Policy(size=SizeRules(**rules))))  # type: ignore[arg-type]


def hello(go: str, *flags: str, goos: str = "linux") -> Subject:
    goarch = "arm64" if goos == "darwin" else "amd64"
    return Subject(open_binary(builds.executable(builds.Build("hello", go, goos, goarch, flags))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5MiB", 5 * 1024 * 1024),
        (" 5 mib ", 5 * 1024 * 1024),
        ("5MB", 5_000_000),
        ("1.5KiB", 1536),
        ("0", 0),
        ("7B", 7),
        ("40000000", 40_000_000),
        ("2GiB", 2 << 30),
        ("1TB", 10**12),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "MiB", "-1", "5 M", "5mb/s", "1e6", "0.5", "1.0001KiB", "٣", "9" * 19 + "TiB", "1" * 40, "5\x00MiB", "inf"],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("specimen", specimens_size.SPECIMENS, ids=lambda s: s.rule)
def test_specimens(specimen: Specimen, go: str) -> None:
    policy, check = specimens_size.POLICIES.get(specimen.rule, Policy()), rule(specimen.rule.partition("/")[2]).check
    assert list(check(Subject(open_binary(build(specimen.bad, go))), policy))
    assert not list(check(Subject(open_binary(build(specimen.good, go))), policy))


@pytest.mark.builds
def test_exactly_the_budget_is_fine() -> None:
    subject = hello("1.27")
    size = len(subject.image.data)
    assert not found("budget", subject, max=size)
    assert not found("budget", subject, max=f"{size}B")
    (draft,) = found("budget", subject, max=size - 1)
    assert f"{size:,} bytes, 1 over" in draft.title
    with pytest.raises(NotApplicableError):
        found("budget", subject)


@pytest.mark.builds
@pytest.mark.parametrize("goos", ["linux", "windows", "darwin"])
def test_debug_data_is_counted_to_the_byte(goos: str) -> None:
    subject = hello("1.27", goos=goos)
    (draft,) = found("debug-data", subject)
    places = sorted((hit.offset or 0, hit.length) for hit in draft.hits)
    assert all(one[0] + one[1] <= two[0] for one, two in pairwise(places))  # counted once
    assert f"{sum(hit.length for hit in draft.hits):,} bytes" in draft.title
    rows = {s.name: s.file_size for s in subject.image.sections}
    assert {hit.text.partition(":")[0] for hit in draft.hits} >= {n for n in rows if "debug_" in n and rows[n]}
    assert not found("debug-data", hello("1.27", builds.STRIP, goos=goos))


@pytest.mark.builds
def test_the_share_that_could_be_reclaimed_is_that_of_the_real_rebuild() -> None:
    before, after = hello("1.27"), hello("1.27", "-trimpath", builds.STRIP)
    size, freed = len(before.image.data), len(before.image.data) - len(after.image.data)
    (draft,) = found("reclaimable", before, reclaimable=(freed - 1) / size)
    assert draft.title.startswith(f"{freed:,} bytes")
    assert not found("reclaimable", before, reclaimable=(freed + 1) / size)


@pytest.mark.builds
def test_what_cannot_be_predicted_is_unknown_or_bounded(tmp_path: Path) -> None:
    before, after = hello("1.27"), hello("1.27", "-trimpath", builds.STRIP)
    (tmp_path / "grown").write_bytes(bytes(before.image.data) + b"x")  # no linker would have written that
    subject = Subject(open_binary(tmp_path / "grown"))
    with pytest.raises(UnknownError, match="not predicted") as error:
        found("reclaimable", subject, reclaimable=0.4)
    most = int(str(error.value).split("at most ")[1].split()[0].replace(",", ""))
    assert len(before.image.data) - len(after.image.data) < most < len(before.image.data)
    assert not found("reclaimable", subject, reclaimable=most / len(subject.image.data))


@pytest.mark.builds
def test_strip_stands_in_where_no_rebuild_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = hello("1.27")
    size = len(subject.image.data)
    table = [msgspec.structs.replace(row, declined="a reason") for row in predict.table(subject.binary)]
    monkeypatch.setattr(predict, "table", lambda binary: table)
    freed = size - strip.size(subject.image, "-s")
    (draft,) = found("reclaimable", subject, reclaimable=(freed - 1) / size)
    assert (draft.title.split(" bytes")[0], draft.fix) == (f"{freed:,}", "strip -s")
