"""One rule on one file, without the engine."""

from __future__ import annotations

from pathlib import Path

from goforensics import binary
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject


def drafts(rule: Rule, path: Path, policy: Policy | None = None) -> list[Draft]:
    """Everything that it finds; raises what the rule raises."""
    return list(rule.check(Subject(binary.open(path)), policy or Policy()))


def verdict(rule: Rule, path: Path, policy: Policy | None = None) -> str:
    """ "found", "passed", "unknown" or "not-applicable"."""
    try:
        return "found" if drafts(rule, path, policy) else "passed"
    except UnknownError:
        return "unknown"
    except NotApplicableError:
        return "not-applicable"


def shown(rule: Rule, path: Path, policy: Policy | None = None) -> list[bytes]:
    """The bytes at every place that it shows."""
    data = path.read_bytes()
    hits = [hit for draft in drafts(rule, path, policy) for hit in draft.hits]
    return [data[hit.offset : hit.offset + hit.length] for hit in hits if hit.offset is not None]
