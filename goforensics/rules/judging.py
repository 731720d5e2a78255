"""What rules on headers share: a fact as evidence, and what a file is for."""

from __future__ import annotations

from goforensics.analysis.hardening import Fact
from goforensics.policy import Policy
from goforensics.rules.protocol import Hit, NotApplicableError
from goforensics.rules.subject import Subject


def hit(fact: Fact) -> Hit:
    """A fact as evidence."""
    return Hit(fact.text, fact.where, fact.offset, fact.length)


def elf_only(subject: Subject, what: str) -> None:
    """Raise NotApplicableError for a file that has no such thing."""
    if subject.image.format != "elf":
        raise NotApplicableError(f"{subject.image.format} files have no {what}")


def goos(subject: Subject) -> str:
    """GOOS as recorded, else as the container shows."""
    return subject.settings.get("GOOS") or subject.image.goos


def requires(policy: Policy, flag: str) -> bool:
    """Whether the policy wants a build flag, with or without the dash."""
    return any(wanted.lstrip("-") == flag.lstrip("-") for wanted in policy.build.require)
