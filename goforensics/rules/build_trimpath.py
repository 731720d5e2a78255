"""Was the build trimmed?"""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded, trimming
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """By the record or, for builds that left none, by the names of the source files."""
    told = recorded.setting(subject, "-trimpath")
    if told is not None and told.text == "-trimpath=true":
        return
    hits = trimming.untrimmed(subject)
    if hits:
        yield Draft("built without -trimpath: source files go by their paths on the build machine", hits, "trimpath")


RULE = Rule(
    id="build/trimpath",
    title="Built without -trimpath",
    severity="medium",
    why="Thousands of paths of the build machine, with user names and directories, are in the file whether it is "
    "stripped or not, and the same sources give another file in another directory.",
    fix="go build -trimpath",
    limits="Says only whether the build was trimmed; the paths rules say what is left in the file, which may be "
    "something in spite of -trimpath.",
    check=check,
    profiles=("release", "container"),  # debuggers find the sources by their paths
    mends=("-trimpath",),
)
