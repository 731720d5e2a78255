"""cgo/resolver: net and os/user linked with C where pure Go versions would do."""

from __future__ import annotations

from goforensics.clues import requirements
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, NotApplicableError, Rule
from goforensics.rules.subject import Subject

TAGS = {"net": "netgo", "os/user": "osusergo"}


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """One draft for each of the two packages that is linked with C."""
    requirements.linux(subject)
    if not subject.packages & TAGS.keys():
        raise NotApplicableError("neither net nor os/user is linked in")
    found = requirements.brings_c(subject)
    others = [name for name in found if name not in (*TAGS, "runtime/cgo")]
    drafts = []
    for name in TAGS.keys() & found.keys():
        function, at = found[name]
        title = f"{name} asks the C library" + ("" if others else ", and nothing but the standard library needs C")
        fix = f"-tags {TAGS[name]}" if others else f"CGO_ENABLED=0, or -tags {TAGS[name]}"
        flag = f"-tags={TAGS[name]}" if others else "CGO_ENABLED=0"
        hit = Hit(function, "funcnametab", at, len(function.encode()))
        drafts.append(Draft(title, [hit], "linked with C", name, fix=fix, mends=(flag,)))
    return sorted(drafts, key=lambda draft: draft.owner)


RULE = Rule(
    id="cgo/resolver",
    title="Names are looked up by the C library",
    severity="low",
    why="With cgo, net looks names up through getaddrinfo and os/user through getpwnam_r: a C library that has to be "
    "there at run time, and name service modules with it.  Go's own versions need neither.",
    fix="CGO_ENABLED=0, or -tags netgo,osusergo",
    limits="Needs the function table.  Which of its two resolvers net takes is decided at run time: by GODEBUG, "
    "resolv.conf and nsswitch.conf.",
    check=check,
    profiles=("release", "container"),
)
