"""From a rule's drafts to findings: fingerprint, severity under the policy, owner and section of each place."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from goforensics.policy import Allowance, Policy
from goforensics.report_audit import SEVERITIES, Evidence, Finding, Severity
from goforensics.rules.catalogue import matches
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject

MOST_EVIDENCE = 20  # places shown of one finding
MOST_TEXT = 1000  # characters shown of one place
DIGITS = 16  # hexadecimal, of a fingerprint
VERSION = re.compile(r"@[^/]*")  # of a module in its owner or path


def fingerprint(rule: str, owner: str, key: str) -> str:
    """What a finding is known by from one build to the next: 16 hexadecimal digits.

    Of the rule, the owner without a version, and the text with its white space evened out; never of an offset.
    """
    parts = (rule, VERSION.sub("", owner), " ".join(key.split()))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:DIGITS]


def stated(rule: str, policy: Policy) -> Severity | Literal["off"] | None:
    """The policy's word on a rule: by its id, else by its family; None if it says nothing."""
    family = f"{rule.partition('/')[0]}/*"
    return next((policy.severity[name] for name in (rule, family, "*") if name in policy.severity), None)


def severity_of(rule: Rule, draft: Draft, policy: Policy) -> Severity:
    """The policy's, else the finding's own, else the rule's.  A rule that is off is asked by --only."""
    said = stated(rule.id, policy)
    return draft.severity or rule.severity if said is None or said == "off" else said


def finding(rule: Rule, draft: Draft, subject: Subject, policy: Policy, allowances: Sequence[Allowance]) -> Finding:
    """One finding, its places at the file's offsets; `allowances` are those that hold.

    The owner in the fingerprint is the one that the rule names: what the byte map says of a string changes with who
    else uses it.
    """
    # Each once, of twice as many: compressed debug data has one place for all that is in it.
    shown = list(dict.fromkeys(evidence(hit, subject) for hit in draft.hits[: 2 * MOST_EVIDENCE]))[:MOST_EVIDENCE]
    owner = draft.owner or _common(shown)
    return Finding(
        rule=rule.id,
        title=clipped(draft.title),
        severity=severity_of(rule, draft, policy),
        fingerprint=fingerprint(rule.id, draft.owner, draft.key),
        owner=owner,
        count=len(draft.hits),
        evidence=shown,
        fix=draft.fix or rule.fix,
        mends=list(draft.mends if draft.fix else rule.mends),
        allowed=next((each.reason for each in allowances if allows(each, rule.id, owner, draft)), None),
    )


def _common(places: Sequence[Evidence]) -> str:
    """Who owns all the places, "" where they are several's or nobody's: (shared)."""
    owners = {place.owner or "" for place in places}
    said = owners.pop() if len(owners) == 1 else ""
    return "" if said.startswith("(") else said


def evidence(hit: Hit, subject: Subject) -> Evidence:
    """One place, with what the byte map says of its first byte."""
    text = clipped(hit.text)
    if hit.offset is None or not 0 <= hit.offset < len(subject.image.data):
        return Evidence(text, hit.where)
    said = subject.owner(hit.offset)
    offset = hit.offset + subject.image.base
    owner = said.get("package") or said.get("module") or None
    return Evidence(text, hit.where, offset, hit.length, said.get("section") or None, owner)


def clipped(text: str) -> str:
    """At most MOST_TEXT characters of it."""
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"


def merged(found: Iterable[Finding]) -> list[Finding]:
    """Findings of one fingerprint as one: the gravest severity, all the places."""
    out: dict[str, Finding] = {}
    for each in found:
        first = out.get(each.fingerprint)
        out[each.fingerprint] = each if first is None else _joined(first, each)
    return sorted(out.values(), key=lambda f: (-SEVERITIES.index(f.severity), f.rule, f.owner, f.title, f.fingerprint))


def _joined(one: Finding, other: Finding) -> Finding:
    return msgspec.structs.replace(
        one,
        severity=max(one.severity, other.severity, key=SEVERITIES.index),
        count=one.count + other.count,
        evidence=list(dict.fromkeys([*one.evidence, *other.evidence]))[:MOST_EVIDENCE],
        mends=list(dict.fromkeys([*one.mends, *other.mends])),
        allowed=one.allowed if other.allowed is not None else None,
    )


def expired(allowance: Allowance, today: datetime.date) -> bool:
    """Whether its last day is over."""
    return allowance.expires is not None and allowance.expires < today


def allows(allowance: Allowance, rule: str, owner: str, draft: Draft) -> bool:
    """Whether a finding is meant.  A part of the text of a place must be in that of every place."""
    part = allowance.match
    if not matches(rule, allowance.rule):
        return False
    if part in owner or part in draft.title:
        return True
    return bool(draft.hits) and all(part in hit.text for hit in draft.hits)


def counts(found: Finding) -> bool:
    """Whether it can fail an audit."""
    return not found.known and found.allowed is None


def ships(found: Iterable[Finding], fail_on: Severity) -> bool:
    """Whether none at or above `fail_on` counts."""
    least = SEVERITIES.index(fail_on)
    return not any(counts(each) and SEVERITIES.index(each.severity) >= least for each in found)
