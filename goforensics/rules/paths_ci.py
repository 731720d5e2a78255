"""Paths of CI systems and of their sandboxes."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.paths import FIX, Leak, drafts, places
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject

SANDBOXES = ("bazel", "nix")


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per workspace."""
    return drafts(subject, _wanted, _title, lambda leak: "low" if leak.kind in SANDBOXES else None)


def _title(prefix: str, count: int) -> str:
    return f"{places(count)} in the workspace {prefix}"


def _wanted(leak: Leak) -> str:
    return leak.prefix if leak.kind in ("ci", *SANDBOXES) else ""


RULE = Rule(
    id="paths/ci",
    title="A CI system's workspace is in the file",
    severity="medium",
    why=(
        "It names the CI system and, in GitLab's, GitHub's and Jenkins' directories, groups, projects and jobs "
        "that may be nobody else's business. The sandboxes of Bazel and the store of Nix name no project: low."
    ),
    fix=FIX,
    limits=(
        "Told by their usual directories: GitHub, Azure, GitLab, CircleCI, Drone, Bitrise, CodeBuild, Jenkins, "
        "Bazel, Nix. Read in the file table, DWARF, the build information, run paths and strings; a path inside "
        "of compressed DWARF has that section's place."
    ),
    check=check,
)
