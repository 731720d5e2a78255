"""hardening/canary: C code that does not check its stack."""

from __future__ import annotations

from goforensics.analysis import hardening
from goforensics.clues import headers
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if there is C code, and none of it checks its stack."""
    if not subject.links.cgo:
        raise NotApplicableError("no C code: Go checks the bounds of its slices and has no canaries")
    fact = hardening.canaries(subject.binary)
    static = subject.image.format == "elf" and not (subject.dynamic.interpreter or subject.dynamic.needed)
    if fact.holds and static:
        raise UnknownError("static: the C library may be all that refers to __stack_chk_fail")
    if fact.holds is None:
        raise UnknownError("no symbols are left to tell")
    return [] if fact.holds else [Draft("its C code has no stack canaries", [headers.hit(fact)], "no canaries")]


RULE = Rule(
    id="hardening/canary",
    title="C code without stack canaries",
    severity="low",
    why="A canary ends the program when C code has written past an array on the stack, before the return that an "
    "attacker wants.  Go code needs none, and gcc leaves them out unless it is asked or the distribution asks for it.",
    fix="CGO_CFLAGS='-O2 -g -fstack-protector-strong'",
    limits="Tells that some C code has them, not that all has.  What FORTIFY_SOURCE did cannot be told from a binary "
    "with any precision and is not reported.",
    check=check,
)
