"""Findings: fingerprints, severities, allowances, merging, the baseline; no executable is needed."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import msgspec
import pytest
from audits import draft, found, made_rule

from goforensics.audit import baseline, findings
from goforensics.audit.engine import reason_off
from goforensics.audit.remedy import chosen, remedy
from goforensics.policy import Allowance, Policy
from goforensics.report import Build
from goforensics.report_audit import Evidence

NO_BUILD = Build(None, None, None, [], {}, None, None)


def test_a_fingerprint_is_of_rule_owner_and_text() -> None:
    one = findings.fingerprint("a/b", "example.com/m", "some  text\n")
    assert len(one) == 16
    assert int(one, 16) >= 0
    assert one == findings.fingerprint("a/b", "example.com/m@v1.2.3", " some text")
    assert findings.fingerprint("a/b", "example.com/m@v1.2.3/sub", "x") == findings.fingerprint(
        "a/b", "example.com/m/sub", "x"
    )
    others = [("a/c", "example.com/m", "some text"), ("a/b", "", "some text"), ("a/b", "example.com/m", "sometext")]
    assert len({one, *(findings.fingerprint(*each) for each in others)}) == 4
    assert findings.fingerprint("a/b", "", "\udcff") != one


def test_the_more_precise_severity_counts() -> None:
    rule, plain = made_rule("a/b", "low"), draft()
    own = draft(severity="critical")

    def severity(policy: dict[str, str], each: object = plain) -> str:
        return findings.severity_of(rule, each, Policy(severity=policy))  # type: ignore[arg-type]

    assert severity({}) == "low"
    assert severity({}, own) == "critical"
    assert severity({"a/*": "high"}, own) == "high"
    assert severity({"a/*": "high", "a/b": "medium", "x/*": "critical"}) == "medium"
    assert severity({"a/b": "off"}) == "low"


def test_why_a_rule_is_off() -> None:
    rule = made_rule("a/b", profiles=("release",))
    off, other = Policy(severity={"a/*": "off"}), Policy(profile="debug")
    assert reason_off(rule, Policy(), (), ()) == ""
    assert "policy" in reason_off(rule, off, (), ())
    assert "profile debug" in reason_off(rule, other, (), ())
    assert reason_off(rule, Policy(profile="debug", severity={"a/b": "low"}), (), ()) == ""
    assert "--skip" in reason_off(rule, Policy(), ("a/b",), ("a/*",))
    assert "--only" in reason_off(rule, Policy(), ("a/c",), ())
    assert reason_off(rule, off, ("a/*",), ()) == reason_off(rule, other, ("a/b",), ()) == ""


def test_what_an_allowance_allows() -> None:
    each = draft("paths of /home/alice", ["/home/alice/a", "/home/alice/b"])

    def allows(rule: str, match: str = "") -> bool:
        return findings.allows(Allowance(rule=rule, reason="r", match=match), "a/b", "example.com/m", each)

    assert allows("a/b")
    assert allows("a/*")
    assert not allows("a/c")
    assert not allows("b/*")
    assert allows("a/b", "example.com")
    assert allows("a/b", "paths of")
    assert allows("a/b", "alice/")
    assert not allows("a/b", "alice/a"), "one place of two"
    assert not findings.allows(Allowance(rule="a/b", reason="r", match="x"), "a/b", "", draft(texts=[]))


def test_an_allowance_holds_to_its_last_day() -> None:
    day = datetime.date(2026, 6, 1)
    each = Allowance(rule="a/b", reason="r", expires=day)
    assert not findings.expired(each, day)
    assert findings.expired(each, day + datetime.timedelta(days=1))
    assert not findings.expired(Allowance(rule="a/b", reason="r"), day)


def test_one_fingerprint_is_one_finding() -> None:
    places = [Evidence(f"text {i}", "rodata", i) for i in range(30)]
    one = found("a/b", "low", evidence=places[:15], allowed="r")
    other = found("a/b", "high", evidence=places[10:30])
    merged = findings.merged([one, other, found("a/c", "medium")])
    assert [(each.rule, each.severity, each.count) for each in merged] == [("a/b", "high", 35), ("a/c", "medium", 0)]
    assert merged[0].evidence == places[: findings.MOST_EVIDENCE]
    assert merged[0].allowed is None


def test_the_gravest_comes_first() -> None:
    rows = findings.merged(found(f"a/{each}", each) for each in ("medium", "critical", "low", "high"))
    assert [each.severity for each in rows] == ["critical", "high", "medium", "low"]


def test_what_ships() -> None:
    high = found("a/b", "high")
    assert not findings.ships([high], "high")
    assert findings.ships([high], "critical")
    assert findings.ships([found("a/b", "high", known=True), found("a/c", "critical", allowed="r")], "low")
    assert findings.ships([], "low")


def test_a_baseline_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    rows = [found("a/b", "high", title="t\udcff"), found("a/c", "low"), found("a/b", "high", title="t\udcff")]
    baseline.write(str(path), rows)
    assert baseline.read(str(path)) == {each.fingerprint for each in rows}
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert raw["schema"] == baseline.SCHEMA
    assert [each["rule"] for each in raw["findings"]] == ["a/b", "a/c"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"schema": "goforensics.audit-baseline/2", "findings": []}', "goforensics.audit-baseline/2"),
        ('{"schema": "goforensics.audit/1", "findings": []}', "no baseline"),
        ("[]", "no baseline"),
        ("{", "no baseline"),
        ("\udcff", "no baseline"),
        ("[" * 100_000, "no baseline"),
        ('{"schema": "goforensics.audit-baseline/1"}', "findings"),
        ('{"schema": "goforensics.audit-baseline/1", "findings": [{"fingerprint": 1}]}', "fingerprint"),
    ],
)
def test_a_baseline_that_is_none(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(baseline.BaselineError, match=words) as caught:
        baseline.read(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(baseline.BaselineError, match="No such file"):
        baseline.read(str(tmp_path / "missing"))


def test_the_remedy_repeats_the_build_but_for_the_fault() -> None:
    settings = {"CGO_ENABLED": "1", "GOOS": "linux", "GOARCH": "arm64", "-tags": "a,b", "-buildmode": "exe"}
    settings |= {"-ldflags": "-X main.token=hunter2", "vcs.revision": "0", "GOARM64": "v8.0"}
    build = Build("go1.27", "example.com/app", None, [], settings, None, None)
    paths = found("paths/home", "high", mends=["-trimpath"])
    debug = found("size/debug-data", "low", mends=["-ldflags=-s -w"])
    start = "CGO_ENABLED=1 GOARCH=arm64 GOARM64=v8.0 GOOS=linux go build"
    line = remedy([paths, debug], build)
    assert line == f"{start} -tags=a,b -trimpath '-ldflags=-s -w' example.com/app"
    resolver = found("cgo/resolver", "low", mends=["-tags=netgo"])
    assert remedy([resolver], build) == f"{start} -tags=a,b,netgo example.com/app"
    target = found("cgo/target", "high", mends=["CGO_ENABLED=0"])
    assert remedy([resolver, target], build) == f"{start} -tags=a,b example.com/app".replace("ED=1", "ED=0")
    race = found("build/instrumented", "high", mends=["-race=false"])
    assert remedy([race], build) == f"{start} -tags=a,b example.com/app"
    assert remedy([debug], NO_BUILD) == "go build '-ldflags=-s -w'"


def test_the_first_of_two_that_want_different_things_has_its_way() -> None:
    rows = [
        found("cgo/floor", "high", mends=["-buildmode=exe"]),
        found("hardening/pie", "low", mends=["-buildmode=pie"]),
    ]
    assert remedy(rows, NO_BUILD) == "go build -buildmode=exe"
    assert remedy(rows[::-1], NO_BUILD) == "go build -buildmode=pie"


def test_the_remedy_names_no_list_of_files_and_no_flag_of_a_stranger() -> None:
    rows = [found("build/trimpath", "medium", mends=["-trimpath"])]
    assert remedy(rows, msgspec.structs.replace(NO_BUILD, path="command-line-arguments")) == "go build -trimpath ."
    assert remedy(rows, msgspec.structs.replace(NO_BUILD, path="-toolexec=x")) == "go build -trimpath"
    assert remedy(rows, msgspec.structs.replace(NO_BUILD, path="a;b")) == "go build -trimpath 'a;b'"


def test_only_what_fails_is_mended_unless_all_is_asked_for() -> None:
    high, low = found("a/b", "high"), found("a/c", "low")
    allowed, known = found("a/d", "high", allowed="r"), found("a/e", "high", known=True)
    rows = [high, low, allowed, known]
    assert chosen(rows, "medium") == [high]
    assert chosen(rows, "low") == [high, low]
    assert chosen(rows, None) == [high, low, known]


def test_what_no_flag_mends_has_no_remedy() -> None:
    assert remedy([found("secrets/cloud-key", "critical")], NO_BUILD) == remedy([], NO_BUILD) == ""
