"""Secrets of shapes that the policy names."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.secrets import FIX, custom
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Each secret once, with every place that it is in.  UnknownError for a pattern that RE2 does not take."""
    if not policy.secrets.patterns:
        raise NotApplicableError("the policy has no patterns of secrets")
    return custom(subject, policy)


RULE = Rule(
    id="secrets/pattern",
    title="A secret of the policy's own shape is in the file",
    severity="high",
    why="Your own systems have tokens whose shape nobody else knows.",
    fix=FIX,
    limits="The pattern's word is taken for it; a match ends where the Go string around it ends.",
    check=check,
)
