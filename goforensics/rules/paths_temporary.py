"""Paths in directories for temporary files."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.paths import FIX, Leak, drafts, places
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per directory."""
    return drafts(subject, _wanted, lambda prefix, count: f"{places(count)} in the temporary directory {prefix}")


def _wanted(leak: Leak) -> str:
    return leak.prefix if leak.kind == "temporary" else ""


RULE = Rule(
    id="paths/temporary",
    title="A temporary directory is in the file",
    severity="low",
    why=("Its name is another one at every build, so that no two builds are the same; it tells little else."),
    fix=FIX,
    limits=(
        "cmd/go's own placeholder /tmp/go-build is the same everywhere and is passed over. Read in the file "
        "table, DWARF, the build information, run paths and strings; a path inside of compressed DWARF has that "
        "section's place."
    ),
    check=check,
)
