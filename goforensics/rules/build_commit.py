"""Is it the commit that was to be released?"""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded, vcs
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Compare with the revision of the stamp, else with the 12 digits in a version made of a commit."""
    if policy.build.commit is None:
        raise NotApplicableError("the policy expects no commit (build.commit)")
    expected, info = policy.build.commit.strip().lower(), recorded.info(subject)
    revision, short = vcs.revision(info), vcs.pseudo(info)
    if revision is None and short is None:
        raise UnknownError("no commit is recorded")
    if revision is not None:
        matches, hit = revision.lower().startswith(expected), recorded.setting(subject, "vcs.revision")
    else:
        matches, main = (short or "").startswith(expected[:12]), info.mod.main
        hit = recorded.module(main, f"{main.path} {main.version}") if main else None
    if not matches:
        title = f"built from commit {revision or short}, the policy expects {policy.build.commit}"
        yield Draft(title, [hit] if hit else [], "commit")
    elif revision is None and len(expected) > len(short or ""):
        raise UnknownError(f"only the first 12 digits of the commit are recorded: {short}")


RULE = Rule(
    id="build/commit",
    title="Built from another commit",
    severity="high",
    why="What is about to be released is not what was reviewed and tagged.",
    fix="build the expected commit",
    limits="The stamp says what the build said of itself; build/modified tells whether the sources were that commit.",
    check=check,
)
