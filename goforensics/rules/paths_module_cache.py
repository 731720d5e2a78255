"""Paths in the module cache."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.paths import FIX, Leak, drafts, places
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per cache."""
    return drafts(subject, _wanted, lambda prefix, count: f"{places(count)} in the module cache {prefix}")


def _wanted(leak: Leak) -> str:
    return leak.prefix if leak.kind == "module-cache" else ""


RULE = Rule(
    id="paths/module-cache",
    title="The module cache's directory is in the file",
    severity="medium",
    why=(
        "The directory tells where the build ran and as whom, every dependency's file is named with it, traces "
        "print it, and two builds in two places differ by it."
    ),
    fix=FIX,
    limits=(
        "Read in the file table, DWARF, the build information, run paths and strings; a path inside of compressed"
        " DWARF has that section's place."
    ),
    check=check,
)
