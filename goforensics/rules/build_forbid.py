"""Flags that the policy forbids."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.flags import answers
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding per flag that is in force; UnknownError, after them, if some cannot be told."""
    if not policy.build.forbid:
        raise NotApplicableError("the policy forbids no flags (build.forbid)")
    found = answers(subject, policy.build.forbid)
    for answer in found:
        if answer.state == "present":
            yield Draft(f"built with {answer.flag}, which the policy forbids", [answer.hit], answer.flag)
    unknown = [f"{answer.flag}: {answer.reason}" for answer in found if answer.state == "unknown"]
    if unknown:
        raise UnknownError("; ".join(unknown))


RULE = Rule(
    id="build/forbid",
    title="A forbidden build flag was used",
    severity="medium",
    why="The team decided what its releases must not be built with.",
    fix="build without the flag, or take it out of build.forbid",
    limits="As for build/require: what the go command does not record is unknown, unless the file shows it. "
    "Several tags in one -tags= are forbidden only together; forbid them one by one.",
    check=check,
)
