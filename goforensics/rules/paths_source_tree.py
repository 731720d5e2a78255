"""Paths of the main module's directory, and absolute paths of no known kind."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.clues.paths import FIX, Leak, drafts, places, windows
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject

RUN_PATHS = ("rpath", "runpath")  # that is where a library is looked for when the program runs
# What distributions put there, Debian's own build directory, and the one in which Go's releases were made, which the
# C objects of runtime/cgo name that they came with up to Go 1.19.
SYSTEM = re.compile(
    r"/(?:usr/(?:local/|[^/]+-linux-[^/]+/)?(?:include|lib|lib32|lib64|libexec|share|src)(?:/|$)|lib(?:32|64)?(?:/|$)"
    r"|build/(?:reproducible-path/)?[^/]+-[\d.]|workdir/go(?:/|$)|opt/rh/|Library/Developer/|Applications/Xcode)"
)


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per directory."""
    return drafts(subject, _wanted, _title, lambda leak: "low" if leak.kind == "other" else None)


def _title(prefix: str, count: int) -> str:
    return f"{places(count)} in {prefix}"


def _wanted(leak: Leak) -> str:
    if leak.kind not in ("main-module", "other") or windows(leak.path) or SYSTEM.match(leak.path):
        return ""
    return "" if leak.hit.where in RUN_PATHS else leak.prefix


RULE = Rule(
    id="paths/source-tree",
    title="A directory of the build machine is in the file",
    severity="medium",
    why=(
        "The main module's directory tells how the source is kept; traces print it, and two builds in two places "
        "differ by it. Other directories tell less: low."
    ),
    fix=FIX,
    limits=(
        "The directories of compilers and system headers are the same on every machine and are passed over. Run "
        "paths into the system and the paths that a program opens are its own. Read in the file table, DWARF, the"
        " build information, run paths and strings; a path inside of compressed DWARF has that section's place."
    ),
    check=check,
)
