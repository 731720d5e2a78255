"""Is the commit stamped into the file?"""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded, vcs
from goforensics.policy import Policy
from goforensics.report_audit import Severity
from goforensics.rules.protocol import Draft, NotApplicableError, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding that names the cause, as far as the file tells it."""
    if policy.build.commit is None:
        vcs.wanted(policy)
    info = recorded.info(subject)
    if vcs.revision(info):
        return
    if vcs.from_cache(info) and policy.build.commit is None:
        raise NotApplicableError("built from the module cache: the main module's version and checksum name the sources")
    cause = vcs.cause(info)
    asked = policy.build.vcs or policy.build.commit is not None
    severity: Severity = "medium" if asked else "low"
    hit = recorded.absent(f"path {info.mod.path or '(none)'}; no vcs.revision")
    yield Draft(f"no VCS stamp: {cause.why}", [hit], "no stamp", severity=severity, fix=cause.fix, mends=cause.mends)


RULE = Rule(
    id="build/vcs",
    title="No VCS stamp",
    severity="low",
    why="Nobody can tell which commit the file was built from. Where the policy asks for a stamp (build.vcs, "
    "build.commit) its absence is a finding of medium severity.",
    fix="build the package (not a list of files) in its repository, with -buildvcs=true",
    limits="The record is what the build said of itself. Without a stamp -buildvcs=false cannot be told from a "
    "directory that is no repository.",
    check=check,
)
