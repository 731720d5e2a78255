"""Paths of a Windows machine."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.paths import FIX, Leak, drafts, places, windows
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per directory."""
    return drafts(subject, _wanted, lambda prefix, count: f"{places(count)} in {prefix}")


def _wanted(leak: Leak) -> str:
    mine = leak.kind in ("main-module", "other") and windows(leak.path)
    return leak.prefix if mine else ""


RULE = Rule(
    id="paths/windows",
    title="A directory of a Windows machine is in the file",
    severity="medium",
    why=("A drive's directory or a share tells where the build ran, a share also the name of a server inside."),
    fix=FIX,
    limits=(
        "Home directories, module caches, toolchains, temporary and CI directories have rules of their own. Read "
        "in the file table, DWARF, the build information, run paths and strings; a path inside of compressed "
        "DWARF has that section's place."
    ),
    check=check,
)
