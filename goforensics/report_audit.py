"""The documents of audit and gate: findings with their evidence, and what every rule had to say."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from goforensics.report import Build, Document, File, Unread

SCHEMA: Literal["goforensics.audit/1"] = "goforensics.audit/1"
SUMMARY_SCHEMA: Literal["goforensics.audits/1"] = "goforensics.audits/1"
Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
# found: at least one finding; passed: looked, and nothing there; unknown: the file does not tell; not applicable: the
# question makes no sense for this file; off: the policy or the command line says so; failed: the rule could not finish.
State = Literal["found", "passed", "unknown", "not-applicable", "off", "failed"]


class Evidence(Document, frozen=True):
    """One place that shows a finding.  `offset` is in the file; None where it is what the file has not got."""

    text: str  # what is there, secrets redacted
    where: str  # filetab, dwarf, buildinfo:-ldflags, rodata, dynamic:NEEDED, header, …
    offset: int | None = None
    length: int = 0
    section: str | None = None
    owner: str | None = None  # the package whose bytes they are, as the byte map says


class Finding(Document, frozen=True):
    """Something that should not be shipped."""

    rule: str  # family/name
    title: str  # what is wrong with this file, in one line
    severity: Severity
    fingerprint: str  # the same for the same finding in the next build: of rule, owner and normalised text
    owner: str  # module or package that it is about, "" for the file
    count: int  # places in all, of which `evidence` has the first
    evidence: list[Evidence]
    fix: str
    known: bool = False  # in the baseline: does not fail the audit
    allowed: str | None = None  # the reason that the policy gives for it; does not fail the audit
    # Flags of go build that do what `fix` says: "-trimpath", "-ldflags=-s -w", "CGO_ENABLED=0".
    mends: list[str] = msgspec.field(default_factory=list)


class Check(Document, frozen=True):
    """What became of one rule."""

    rule: str
    state: State
    reason: str = ""


class Audit(Document, frozen=True, kw_only=True):
    """The audit of one executable."""

    schema: Literal["goforensics.audit/1"] = SCHEMA
    file: File
    build: Build
    profile: str
    fail_on: Severity
    ship: bool  # no finding at or above `fail_on` that is neither known nor allowed
    findings: list[Finding]  # gravest first
    checks: list[Check]  # every rule, by name
    unread: list[Unread]
    remedy: str | None = None  # with --fix: the command that builds it without what flags can mend; "" for none
    # What is wrong with the policy or the baseline that it was held against.
    notes: list[str] = msgspec.field(default_factory=list)


class AuditedFile(Document, frozen=True):
    """One row of the summary."""

    path: str
    ship: bool
    counts: dict[Severity, int]  # findings neither known nor allowed; severities that have none are left out
    known: int
    allowed: int
    unknown: int  # rules without an answer
    failed: int  # rules that could not finish, and structures that could not be read


class FailedFile(Document, frozen=True):
    """A file that could not be audited."""

    path: str
    reason: str


class Audits(Document, frozen=True, kw_only=True):
    """All the files of one audit, after the documents of each."""

    schema: Literal["goforensics.audits/1"] = SUMMARY_SCHEMA
    ship: bool  # every file ships, and there is at least one
    files: list[AuditedFile]  # in the order of the documents
    failed: list[FailedFile]
    passed_over: int  # files in directories that are no Go executables
    notes: list[str] = msgspec.field(default_factory=list)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an Audit."""
    return msgspec.json.schema(Audit)


def summary_schema() -> dict[str, Any]:
    """The JSON Schema of Audits."""
    return msgspec.json.schema(Audits)
