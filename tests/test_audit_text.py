"""How an audit looks: the answer first, gaps never as clean, and no text from a file obeyed."""

from __future__ import annotations

import json

import pytest
from audits import audit, found
from jsonschema import Draft202012Validator

from goforensics import report_audit
from goforensics.renderers import View, render, render_all
from goforensics.report import Unread
from goforensics.report_audit import Audit, AuditedFile, Audits, Check, Evidence, FailedFile

HOSTILE = "\x1b[31m[bold red]x[/] \u202e\u2028\x07"


def shown(document: Audit | Audits, **view: int) -> str:
    return "".join(render(document, "text", View(**view)))  # type: ignore[arg-type]


def first(document: Audit) -> str:
    """The line of the answer."""
    return shown(document).splitlines()[2]


def test_the_answer_comes_first() -> None:
    findings = [found("a/b", "high"), found("a/c", "high"), found("a/d", "medium"), found("a/e", "low")]
    assert first(audit(findings, ship=False)) == "✗ do not ship: 2 high, 1 medium, 1 low"
    assert first(audit(findings[3:])) == "✓ ship; 1 low, below medium"
    assert first(audit([found("a/b", "high", known=True)])) == "✓ ship"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"checks": [Check("a/b", "failed", "x")]}, "1 rule could not finish"),
        ({"unread": [Unread("pclntab", 1, "cut")]}, "1 structure could not be read"),
        ({"notes": ["p.toml:1: unknown key"]}, "not everything asked for could be applied"),
    ],
)
def test_a_gap_is_no_clean_bill(more: dict[str, object], words: str) -> None:
    line = first(audit(**more))  # type: ignore[arg-type]
    assert line.startswith("! nothing found against shipping, but ")
    assert words in line


def test_a_finding_with_its_evidence_and_fix() -> None:
    places = [Evidence(f"/home/alice/{i}", "filetab", 4096 + i, 5, ".gopclntab", "main") for i in range(5)]
    text = shown(audit([found("paths/home", "high", "a home directory", owner="main", evidence=places)], ship=False))
    for words in (
        "high: a home directory",
        "paths/home · main",
        "  0x1000  filetab  /home/alice/0",
        "→ mend it",
    ):
        assert words in text
    assert "/home/alice/2" in text
    assert "/home/alice/3" not in text
    assert "(2 more places" in text


def test_a_place_is_shown_once() -> None:
    """A path that is a fault in two ways."""
    shared = [Evidence(f"/home/alice/{i}", "filetab", 4096 + i, 5) for i in range(3)]
    other = Evidence("/home/alice/other", "filetab", 9999, 5)
    rows = [
        found("build/trimpath", "medium", evidence=shared),
        found("paths/home", "medium", evidence=[*shared, other]),
        found("paths/gopath", "medium", evidence=shared),
    ]
    text = shown(audit(rows, ship=False))
    assert text.count("/home/alice/1") == text.count("/home/alice/other") == 1
    assert text.count("(3 places above, under build/trimpath)") == 2


@pytest.mark.parametrize("width", [60, 80, 120])
def test_places_stand_in_columns_and_whole_where_they_fit(width: int) -> None:
    short, long = "/home/alice/short", f"/home/alice/{'x' * (width - 20)}"
    places = [Evidence(short, "filetab", 0x10, 5), Evidence(long, "dwarf", 0x12345, 5), Evidence("none", "header")]
    lines = shown(audit([found("a/b", "high", evidence=places)], ship=False), width=width).splitlines()
    assert f"     0x10  filetab  {short}" in lines
    assert "  0x12345  dwarf" in lines
    assert f"    {long}" in lines
    assert "           header   none" in lines


def test_what_was_checked() -> None:
    text = shown(audit())
    assert "1 passed, 1 unknown" in text
    assert "passed: 1 a" in text
    assert "unknown: a/c: the file does not say" in text


def test_known_and_allowed_findings_are_listed_with_the_reason() -> None:
    text = shown(audit([found("a/b", "high", known=True), found("a/c", "high", allowed="until June")]))
    assert "in the baseline" in text
    assert "allowed: until June" in text


def test_the_remedy() -> None:
    assert "Build again with" not in shown(audit())
    assert "go build -trimpath" in shown(audit(remedy="go build -trimpath"))
    assert "no flag of go build" in shown(audit([found("a/b", "high")], ship=False, remedy=""))
    assert "--fix-all" in shown(audit([found("a/b", "low")], remedy=""))


@pytest.mark.parametrize("width", [40, 100, 200])
def test_no_text_from_a_file_is_obeyed(width: int) -> None:
    place = Evidence(HOSTILE, HOSTILE, 1, 1, HOSTILE, HOSTILE)
    finding = found("a/b", "high", HOSTILE, owner=HOSTILE, evidence=[place])
    allowed = found("a/c", "high", HOSTILE, allowed=HOSTILE)
    document = audit(
        [finding, allowed],
        ship=False,
        path=HOSTILE,
        checks=[Check("a/b", "failed", HOSTILE), Check("a/c", "unknown", HOSTILE)],
        unread=[Unread(HOSTILE, 1, HOSTILE)],
        remedy=HOSTILE,
        notes=[HOSTILE],
    )
    summary = Audits(
        ship=False,
        files=[AuditedFile(HOSTILE, False, {"high": 1}, 0, 0, 0, 0)],
        failed=[FailedFile(HOSTILE, HOSTILE)],
        passed_over=0,
        notes=[HOSTILE],
    )
    for each in (document, summary):
        text = shown(each, width=width)
        assert all(line.isprintable() for line in text.split("\n"))
        assert "\\x1b" in text
        assert "[/]" in "".join(text.split()).replace("\n", "")


def test_the_summary_ends_with_the_answer() -> None:
    rows = [AuditedFile("bin/a", True, {"low": 2}, 1, 0, 3, 0), AuditedFile("bin/b", False, {"high": 1}, 0, 0, 0, 0)]
    document = Audits(ship=False, files=rows, failed=[FailedFile("bin/c", "cut short")], passed_over=7)
    lines = shown(document).splitlines()
    assert lines[-1] == "✗ do not ship 1 of 2 files; 1 file could not be audited; 7 other files passed over"
    assert any(line.split()[:2] == ["bin/a", "ship"] and "1 known, 3 unknown" in line for line in lines)
    assert any("bin/c: cut short" in line for line in lines)
    good = shown(Audits(ship=True, files=rows[:1], failed=[], passed_over=0)).splitlines()
    assert good[-1] == "✓ ship: 1 file"
    none = shown(Audits(ship=False, files=[], failed=[], passed_over=2)).splitlines()
    assert none[-1] == "✗ no Go executable was audited; 2 other files passed over"


def test_json_keeps_to_the_schemas() -> None:
    document = audit([found("a/b", "high", HOSTILE, evidence=[Evidence("x", "rodata", 1)])], ship=False, notes=["n"])
    summary = Audits(ship=False, files=[AuditedFile("a", False, {"high": 1}, 0, 0, 0, 0)], failed=[], passed_over=0)
    one, two = json.loads("".join(render_all([document, summary], "json", many=True)))
    Draft202012Validator(report_audit.json_schema()).validate(one)
    Draft202012Validator(report_audit.summary_schema()).validate(two)
    assert (one["schema"], two["schema"]) == ("goforensics.audit/1", "goforensics.audits/1")
