"""cgo/floor: the oldest C library that a binary runs with, where the policy does not say where it must run."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.analysis.targets import dotted
from goforensics.clues import requirements
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """One draft for a binary that asks for a C library; a static one asks for none."""
    told = requirements.linux(subject)
    if policy.targets:
        raise NotApplicableError("the policy names targets: cgo/target judges it")
    return [] if told.static else list(_drafts(subject))


def _drafts(subject: Subject) -> Iterator[Draft]:
    told, packages = requirements.linux(subject), requirements.brings_c(subject)
    newest = told.asks("GLIBC")
    if newest:
        title, hits = f"needs glibc {dotted(newest[0][0])} or newer", requirements.symbol_hits(told, newest[0][1])
    elif told.needed:
        library = {"glibc": "glibc", "musl": "musl"}.get(told.libc, told.needed[0][0])
        title, hits = f"needs {library} where it runs", requirements.loader_hits(told)
    else:
        title, hits = (
            f"needs the loader {(told.interpreter or ('', 0))[0]}, and no library",
            requirements.loader_hits(told),
        )
    fix, flags = requirements.mend(told, packages)
    yield Draft(title, [*hits, *requirements.package_hits(packages)], "dynamically linked", fix=fix, mends=flags)


RULE = Rule(
    id="cgo/floor",
    title="Needs a C library of the system that it runs on",
    severity="low",
    why="glibc's symbols have versions: a binary that was linked on a new distribution does not start on an older one, "
    "and none that is dynamically linked starts in an image without its loader.",
    fix="build with CGO_ENABLED=0, or name the places where it must run as the policy's targets",
    limits="Says what the file asks for, not whether the places where it will run have it: name them as targets.  musl "
    "has no symbol versions.",
    check=check,
    profiles=("release", "container"),
)
