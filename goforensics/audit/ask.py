"""What the command line, the policy and the baseline ask of every file, with what is wrong in them."""

from __future__ import annotations

from typing import Any

import msgspec

from goforensics import policyfile
from goforensics.audit import baseline
from goforensics.audit.examine import Question
from goforensics.policy import Policy, Profile
from goforensics.policychecks import target
from goforensics.report_audit import Severity
from goforensics.rules import catalogue


class Options(msgspec.Struct, frozen=True):
    """The options of the command line; what is left out is as the policy has it."""

    policy: str | None = None
    profile: Profile | None = None
    fail_on: Severity | None = None
    targets: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    baseline: str | None = None
    fix: bool = False
    fix_all: bool = False


def question(options: Options) -> Question:
    """What to ask, its `notes` a sentence for each mistake in policy and baseline, of which the rest applies.

    Raises UsageError for what is wrong in the options themselves.
    """
    catalogue.require_known((*options.only, *options.skip))
    for name in options.targets:
        target(name)
    read = policyfile.load(options.policy)
    notes = [str(problem) for problem in read.problems]
    known: frozenset[str] = frozenset()
    if options.baseline is not None:
        try:
            known = baseline.read(options.baseline)
        except baseline.BaselineError as error:
            notes.append(f"{error}; audited without it")
    return Question(
        policy=effective(read.policy, options),
        only=options.only,
        skip=options.skip,
        baseline=known,
        fix="all" if options.fix_all else "failing" if options.fix else "no",
        notes=tuple(notes),
    )


def effective(policy: Policy, options: Options) -> Policy:
    """The policy with what the command line says in its place."""
    said: dict[str, Any] = {"profile": options.profile, "fail_on": options.fail_on, "targets": options.targets or None}
    return msgspec.structs.replace(policy, **{name: value for name, value in said.items() if value is not None})
