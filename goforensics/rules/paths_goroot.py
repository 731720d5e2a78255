"""Paths of a toolchain that is not where toolchains usually are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.clues.paths import FIX, Leak, drafts, places
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject

# Where Go is by default: go.dev's packages and images, Debian, Fedora, Alpine, Arch, Homebrew, Windows.
USUAL = re.compile(
    r"/usr/(?:local/go|lib/go(?:-\d[\d.]*|lang)?|share/go(?:-\d[\d.]*|lang)?|lib64/go(?:/[\d.]+)?)"
    r"|(?:/usr/local|/opt/homebrew|/home/linuxbrew/\.linuxbrew)/(?:Cellar|opt)/go(?:@[\d.]+)?(?:/[^/]+)?/libexec"
    r"|[Cc]:[\\/](?:Program Files[\\/])?[Gg]o"
)


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per toolchain."""
    return drafts(subject, _wanted, lambda prefix, count: f"{places(count)} with the toolchain's directory {prefix}")


def _wanted(leak: Leak) -> str:
    return leak.prefix if leak.kind == "goroot" and not USUAL.fullmatch(leak.prefix) else ""


RULE = Rule(
    id="paths/goroot",
    title="The toolchain's directory is in the file",
    severity="low",
    why=(
        "An unusual GOROOT tells how the build machine is set up, and is the first thing that makes two builds "
        "differ; it names nobody. The directories of Go's installers, images and distributions tell nothing."
    ),
    fix=FIX,
    limits=(
        "GOROOT is what the file table has before src/runtime; a trimmed build has none. Read in the file table, "
        "DWARF, the build information, run paths and strings; a path inside of compressed DWARF has that "
        "section's place."
    ),
    check=check,
)
