"""Rules held against one executable: what each found, and what became of those that found nothing."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

import msgspec

import goforensics.report as report
from goforensics.analysis import mapping
from goforensics.audit import findings
from goforensics.binary import Binary
from goforensics.errors import GoForensicsError
from goforensics.policy import Allowance, Policy
from goforensics.report_audit import Audit, Check, Finding, State
from goforensics.rules import catalogue
from goforensics.rules.protocol import NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject

MOST_FINDINGS = 1000  # of one rule in one image; a hostile file can make one of every byte
GRAVITY: tuple[State, ...] = ("off", "not-applicable", "passed", "unknown", "found", "failed")
Progress = Callable[[str, int, int], None]


class _Said(msgspec.Struct, frozen=True):
    """What one rule said of one image."""

    check: Check
    found: list[Finding] = []


def _silent(step: str, done: int, total: int) -> None:
    pass


def audit(
    binary: Binary,
    policy: Policy,
    *,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    baseline: Collection[str] = (),
    today: datetime.date | None = None,
    rules: Sequence[Rule] | None = None,
    progress: Progress = _silent,
) -> Audit:
    """Hold an executable against a policy.

    `only` and `skip` name rules, by id or family/*; `baseline` has the fingerprints of known findings; `today` decides
    which allowances have expired (default: this day, UTC); `rules` are those of the catalogue.
    Raises UsageError for a rule that is not there, NotGoError if the file shows no trace of Go's toolchain.
    """
    if rules is None:
        catalogue.require_known((*only, *skip))
        rules = catalogue.rules()
    day = today or datetime.datetime.now(datetime.UTC).date()
    allowances = [each for each in policy.allow if not findings.expired(each, day)]
    subjects = [Subject(part) for part in binary.slices or (binary,)]
    for subject in subjects:
        mapping.must_be_go(subject.binary)
    said: list[list[_Said]] = []
    for number, rule in enumerate(rules):
        progress(rule.id, number, len(rules))
        off = reason_off(rule, policy, only, skip)
        said.append([_off(rule, off) if off else _held(rule, each, policy, allowances) for each in subjects])
    found = findings.merged(each for row in said for answer in row for each in answer.found)
    found = [msgspec.structs.replace(each, known=each.fingerprint in baseline) for each in found]
    return Audit(
        file=_file(binary, subjects),
        build=subjects[0].build,
        profile=policy.profile,
        fail_on=policy.fail_on,
        ship=findings.ships(found, policy.fail_on),
        findings=found,
        checks=[_together(row, subjects) for row in said],
        unread=[*mapping.unread_everywhere(binary), *_unmapped(subjects)],
    )


def reason_off(rule: Rule, policy: Policy, only: Collection[str], skip: Collection[str]) -> str:
    """Why a rule is not asked; "" if it is.  The command line goes before the policy, the policy before the profile."""
    if any(catalogue.matches(rule.id, each) for each in skip):
        return "skipped by --skip"
    if only:
        return "" if any(catalogue.matches(rule.id, each) for each in only) else "not named by --only"
    stated = findings.stated(rule.id, policy)
    if stated == "off":
        return "off by the policy"
    if stated is None and policy.profile not in rule.profiles:
        return f"no part of the profile {policy.profile}"
    return ""


def _off(rule: Rule, reason: str) -> _Said:
    return _Said(Check(rule.id, "off", reason))


def _held(rule: Rule, subject: Subject, policy: Policy, allowances: Sequence[Allowance]) -> _Said:
    """One rule on one image.  Whatever goes wrong in it is its own, and what it found until then stands."""
    found: list[Finding] = []
    state: State = "failed"
    try:
        for each in _drafted(rule, subject, policy, allowances):
            found.append(each)
    except UnknownError as error:
        state, reason = "unknown", str(error)
    except NotApplicableError as error:
        state, reason = "not-applicable", str(error)
    except GoForensicsError as error:
        reason = str(error)
    except Exception as error:
        reason = f"internal error: {type(error).__name__}: {error}"
    else:
        over = len(found) > MOST_FINDINGS
        state = "found" if found else "passed"
        reason = f"only the first {MOST_FINDINGS:,} findings are listed" if over else ""
    if found and state != "failed":
        state = "found"
    return _Said(Check(rule.id, state, findings.clipped(reason)), found[:MOST_FINDINGS])


def _drafted(rule: Rule, subject: Subject, policy: Policy, allowances: Sequence[Allowance]) -> Iterator[Finding]:
    for draft in islice(rule.check(subject, policy), MOST_FINDINGS + 1):
        yield findings.finding(rule, draft, subject, policy, allowances)


def _together(row: Sequence[_Said], subjects: Sequence[Subject]) -> Check:
    """One rule's answer for the file: the gravest of its images', with the reasons of each."""
    checks = [said.check for said in row]
    if len(checks) == 1:
        return checks[0]
    gravest = max(checks, key=lambda check: GRAVITY.index(check.state))
    named = zip(checks, subjects, strict=True)
    reasons = [f"{subject.image.goarch}: {check.reason}" for check, subject in named if check.reason]
    same = {check.reason for check in checks}
    return Check(gravest.rule, gravest.state, gravest.reason if len(same) == 1 else "; ".join(reasons))


def _unmapped(subjects: Sequence[Subject]) -> Iterator[report.Unread]:
    """Files whose bytes could not be laid to owners: evidence has no package then."""
    for subject in subjects:
        if (error := subject.unmapped) is not None:
            yield report.Unread("byte map", error.offset, str(error))


def _file(binary: Binary, subjects: Sequence[Subject]) -> report.File:
    """What the file is, of all its images."""
    first = subjects[0].file
    if not binary.slices:
        return first
    images = [subject.image for subject in subjects]
    return msgspec.structs.replace(
        first,
        path=binary.file.path,
        format="macho-fat",
        size=len(binary.file.data),
        sha256=binary.file.sha256,
        slices=[report.Slice(image.goarch, image.base, len(image.data)) for image in images],
    )


def partial(document: Audit) -> bool:
    """Whether something could not be finished or read, so that the audit is not the whole answer."""
    return bool(document.unread or document.notes) or any(check.state == "failed" for check in document.checks)
