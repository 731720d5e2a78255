"""hardening/textrel: code that the loader has to write into."""

from __future__ import annotations

from goforensics.analysis import hardening
from goforensics.clues import headers
from goforensics.errors import FormatError
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule, UnknownError
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if the dynamic tags say so."""
    headers.elf_only(subject, "text relocations")
    try:
        fact = hardening.text_relocations(subject.image)
    except FormatError as error:
        raise UnknownError(f"the dynamic tables cannot be read: {error}") from None
    return [Draft("its code is relocated when it is loaded", [headers.hit(fact)], "textrel")] if fact.holds else []


RULE = Rule(
    id="hardening/textrel",
    title="Text relocations",
    severity="medium",
    why="The loader makes the code writable to relocate it: its pages are no longer shared between processes, SELinux "
    "forbids it by default, and musl and Android refuse to load such a file.",
    fix="compile C and assembly with -fPIC",
    limits="Believes the dynamic tags.",
    check=check,
)
