"""hardening/signature: executables that Windows and macOS cannot tell the maker of."""

from __future__ import annotations

from goforensics.analysis import hardening
from goforensics.clues import headers
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft for none, for one that is cut off, and for one that names nobody."""
    image = subject.image
    if image.format == "elf":
        raise NotApplicableError("ELF files carry no signature")
    kind, fact = hardening.signature(image)
    hits = [headers.hit(fact)]
    if kind == "broken":
        return [Draft("its signature is broken", hits, "broken", severity="high")]
    if kind == "none" and image.format == "macho" and image.goarch == "arm64":
        return [Draft("has no signature: macOS on arm64 does not start it", hits, "none", severity="high")]
    if kind == "none":
        return [Draft("is not signed", hits, "none")]
    return [Draft("is signed ad hoc, by nobody", hits, "ad hoc")] if kind == "ad hoc" else []


RULE = Rule(
    id="hardening/signature",
    title="Not signed by its maker",
    severity="low",
    why="Windows' SmartScreen and macOS' Gatekeeper warn of, or stop, a downloaded program that no known maker signed.",
    fix="sign the release: signtool, osslsigncode, codesign with an identity",
    limits="Tells whether there is a signature, not whether it is valid.  A release may be signed by other means.",
    check=check,
    profiles=("release",),
)
