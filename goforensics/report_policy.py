"""The documents of `goforensics policy`."""

from __future__ import annotations

from typing import Literal

from goforensics.report import Document
from goforensics.report_audit import Severity


class PolicyProblem(Document, frozen=True):
    """A mistake in a policy."""

    path: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        """One line for a person: FILE:LINE: what is wrong."""
        return f"{self.path}{f':{self.line}' if self.line else ''}: {self.message}"


class PolicyTemplate(Document, frozen=True, kw_only=True):
    """A new policy file."""

    schema: Literal["goforensics.policytemplate/1"] = "goforensics.policytemplate/1"
    profile: str
    text: str


class PolicyCheck(Document, frozen=True, kw_only=True):
    """What is wrong with a policy file."""

    schema: Literal["goforensics.policycheck/1"] = "goforensics.policycheck/1"
    path: str
    problems: list[PolicyProblem]


class PolicyValue(Document, frozen=True):
    """One value of a policy, and who says so: a line of the file, or "default"."""

    key: str
    value: str
    source: str


class RuleState(Document, frozen=True):
    """A rule under a policy; `severity` is "off" where it is not asked."""

    rule: str
    title: str
    severity: Severity | Literal["off"]
    source: str


class PolicyExplanation(Document, frozen=True, kw_only=True):
    """A policy as it counts."""

    schema: Literal["goforensics.policy/1"] = "goforensics.policy/1"
    path: str | None
    values: list[PolicyValue]
    rules: list[RuleState]
    problems: list[PolicyProblem]


class RuleExplanation(Document, frozen=True, kw_only=True):
    """A rule in full, under a policy."""

    schema: Literal["goforensics.rule/1"] = "goforensics.rule/1"
    path: str | None
    state: RuleState
    default: Severity
    profiles: list[str]
    why: str
    fix: str
    limits: str
