"""Paths below GOPATH/src."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.paths import FIX, Leak, drafts, places
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per workspace."""
    return drafts(subject, _wanted, lambda prefix, count: f"{places(count)} in {prefix}")


def _wanted(leak: Leak) -> str:
    return leak.prefix if leak.kind == "gopath" else ""


RULE = Rule(
    id="paths/gopath",
    title="A directory of GOPATH is in the file",
    severity="medium",
    why=(
        "A GOPATH is somebody's workspace: the directory tells where the build ran, traces print it, and two "
        "builds in two places differ by it."
    ),
    fix=FIX,
    limits=(
        "Told by its shape: …/src/ and a host's name. Read in the file table, DWARF, the build information, run "
        "paths and strings; a path inside of compressed DWARF has that section's place."
    ),
    check=check,
)
