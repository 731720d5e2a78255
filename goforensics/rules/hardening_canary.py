"""hardening/canary: C code that does not check its stack."""

from __future__ import annotations

from goforensics.analysis import hardening, linking
from goforensics.errors import FormatError
from goforensics.policy import Policy
from goforensics.rules import judging
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject

THREADS = "pthread_create"  # src/runtime/cgo/gcc_libinit.c and gcc_linux_*.c


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if there is C code, and none of it checks its stack."""
    if not _has_c(subject):
        raise NotApplicableError("no C code: Go checks the bounds of its slices and has no canaries")
    fact = hardening.canaries(subject.binary)
    static = subject.image.format == "elf" and not (subject.dynamic.interpreter or subject.dynamic.needed)
    if fact.holds and static:
        raise UnknownError("static: the C library may be all that refers to __stack_chk_fail")
    if fact.holds is None:
        raise UnknownError("no symbols are left to tell")
    return [] if fact.holds else [Draft("its C code has no stack canaries", [judging.hit(fact)], "no canaries")]


def _has_c(subject: Subject) -> bool:
    """Whether C is linked in besides the start-up code that every system's linker adds.

    With -linkmode=external runtime/cgo's comes along, of which no Go function need be left; it starts threads.
    """
    if subject.links.cgo or subject.image.format != "elf":
        return subject.links.cgo
    try:
        return any(each.name == THREADS for each in linking.read(subject.image).imports)
    except FormatError as error:
        raise UnknownError(f"the dynamic tables cannot be read: {error}") from None


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
