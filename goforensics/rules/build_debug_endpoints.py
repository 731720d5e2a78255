"""Packages that serve the program's insides over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject

PACKAGES = {
    "net/http/pprof": "/debug/pprof/: profiles, the command line, and traces that slow the program while they last",
    "expvar": "/debug/vars: the command line and memory statistics",
}


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding per package that has code in the file."""
    for package, what in PACKAGES.items():
        hit = recorded.linked(subject, package)
        if hit is not None:
            yield Draft(f"{package} is linked in, which registers {what}", [hit], package, package)


RULE = Rule(
    id="build/debug-endpoints",
    title="Debug endpoints are linked in",
    severity="low",
    why="Importing net/http/pprof or expvar is enough to register its handlers. If the program serves "
    "http.DefaultServeMux on an address that others reach, they can read its command line and slow it down.",
    fix="serve http.DefaultServeMux on localhost only, or leave the import out of releases by a build tag",
    limits="Whether the program serves http.DefaultServeMux, and where, cannot be told: low severity, and no proof "
    "of a fault.",
    check=check,
    profiles=("release", "container"),
)
