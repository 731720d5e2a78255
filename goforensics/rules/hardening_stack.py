"""hardening/stack: a stack that may hold code."""

from __future__ import annotations

from goforensics.analysis import hardening
from goforensics.clues import headers
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject

READERS = {"linux", "android", "freebsd"}  # whose kernels and loaders read PT_GNU_STACK


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if the headers ask for an executable stack, or leave it to the kernel."""
    image, goos = subject.image, subject.file.goos
    if image.format == "elf" and goos not in READERS:
        raise NotApplicableError(f"{goos or 'the system'} does not read PT_GNU_STACK")
    if not image.segments:
        raise UnknownError("no segment can be read")
    fact = hardening.stack_not_executable(image)
    if fact.holds:
        return []
    if fact.holds is None:
        title = "does not say that its stack holds no code"
        return [Draft(title, [headers.hit(fact)], "no PT_GNU_STACK", severity="medium")]
    return [Draft("has an executable stack", [headers.hit(fact)], "executable stack")]


RULE = Rule(
    id="hardening/stack",
    title="Executable stack",
    severity="high",
    why="On an executable stack an overflow in C code becomes code of the attacker's choice.  On Linux it makes other "
    "readable memory executable, too.  Go never needs one; an assembly file without .note.GNU-stack brings it in.",
    fix="find the object without .note.GNU-stack, or link with -extldflags=-Wl,-z,noexecstack",
    limits="Reads the headers; what a library that is loaded later asks for is not seen.",
    check=check,
)
