"""Was the working tree clean?"""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded, vcs
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule, UnknownError
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """By vcs.modified, or the main module's version, which ends in +dirty since Go 1.24."""
    vcs.wanted(policy)
    info = recorded.info(subject)
    told, main = recorded.setting(subject, "vcs.modified"), info.mod.main
    hits = [told] if told and told.text == "vcs.modified=true" else []
    if main and main.version.partition("+")[2].split(".")[-1] == "dirty":
        hits.append(recorded.module(main, f"{main.path} {main.version}"))
    if hits:
        commit = vcs.revision(info) or vcs.pseudo(info) or "the stamped commit"
        title = f"built from a working tree that was not commit {commit[:12]}: files had been changed or added"
        yield Draft(
            title if vcs.revision(info) else f"built from a changed working tree ({main and main.version})",
            hits,
            "modified",
        )
    elif told is None:
        raise UnknownError("no VCS stamp says whether files had been changed")
    elif told.text != "vcs.modified=false":
        raise UnknownError(f"{told.text}: neither true nor false")


RULE = Rule(
    id="build/modified",
    title="Built from changed sources",
    severity="medium",
    why="The commit in the stamp is not what was built: nobody can build, or read, the same sources again.",
    fix="build from a clean checkout; files that the build itself makes belong into .gitignore",
    limits="Files that the repository ignores do not count as changes.",
    check=check,
)
