"""Flags that the policy requires."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import flags
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject

FIX = "build with the flags that the policy requires, or take them out of build.require"


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding per flag that is missing; UnknownError, after them, if some cannot be told."""
    if not policy.build.require:
        raise NotApplicableError("the policy requires no flags (build.require)")
    found = flags.answers(subject, policy.build.require)
    for answer in found:
        if answer.state == "absent":
            yield Draft(
                f"built without {answer.flag}, which the policy requires",
                [answer.hit],
                answer.flag,
                fix=FIX,
                mends=flags.mends(answer.flag),
            )
    unknown = [f"{answer.flag}: {answer.reason}" for answer in found if answer.state == "unknown"]
    if unknown:
        raise UnknownError("; ".join(unknown))


RULE = Rule(
    id="build/require",
    title="A required build flag is missing",
    severity="medium",
    why="The team decided how its releases are built; a binary that was built otherwise did not come out of that "
    "build.",
    fix=FIX,
    limits="Under -trimpath the go command does not record -ldflags: then -s and -w are judged by what is in the "
    "file, other linker flags are unknown. Flags such as -mod are never recorded, nor is GOFLAGS: its flags are "
    "looked for one by one. A file that strip has worked on counts as built with -s.",
    check=check,
)
