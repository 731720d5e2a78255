"""Rules, drafts, findings and audits made up, for tests that need no executable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from goforensics.audit.findings import fingerprint
from goforensics.policy import Policy, Profile
from goforensics.report import Build, File, Stripped
from goforensics.report_audit import Audit, Check, Evidence, Finding, Severity
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject

PROFILES: tuple[Profile, ...] = ("release", "container", "debug")
Checking = Callable[[Subject, Policy], Iterable[Draft]]


def nothing(subject: Subject, policy: Policy) -> list[Draft]:
    """A check that finds nothing."""
    return []


def made_rule(
    name: str = "a/b", severity: Severity = "high", check: Checking = nothing, profiles: tuple[Profile, ...] = PROFILES
) -> Rule:
    """A rule."""
    return Rule(name, "a title", severity, "why", "mend it", "limits", check, profiles)


def draft(title: str = "a title", texts: Sequence[str] = ("text",), **more: Any) -> Draft:
    """A draft with a place per text, none of them with an offset."""
    return Draft(title, [Hit(text, "rodata") for text in texts], more.pop("key", title), **more)


def found(rule: str, severity: Severity, title: str = "a title", **more: Any) -> Finding:
    """A finding."""
    evidence: list[Evidence] = more.pop("evidence", [])
    mark = fingerprint(rule, "", title)
    owner, fix = more.pop("owner", ""), more.pop("fix", "mend it")
    return Finding(rule, title, severity, mark, owner, len(evidence), evidence, fix, **more)


def audit(findings: Sequence[Finding] = (), ship: bool = True, path: str = "app", **more: Any) -> Audit:
    """An audit of a file."""
    stripped = Stripped(symtab=True, dwarf=True)
    file = File(path, 4096, "0" * 64, "elf", "linux", "amd64", 64, "little", "exe", "internal", stripped)
    return Audit(
        file=file,
        build=Build("go1.27.3", "example.com/app", None, [], {}, None, None),
        profile="release",
        fail_on="medium",
        ship=ship,
        findings=list(findings),
        checks=more.pop("checks", [Check("a/b", "passed"), Check("a/c", "unknown", "the file does not say")]),
        unread=more.pop("unread", []),
        **more,
    )
