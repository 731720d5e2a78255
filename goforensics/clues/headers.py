"""What rules on headers share: a fact as evidence, and what other containers have not got."""

from __future__ import annotations

from goforensics.analysis.hardening import Fact
from goforensics.rules.protocol import Hit, NotApplicableError
from goforensics.rules.subject import Subject


def hit(fact: Fact) -> Hit:
    """A fact as evidence."""
    return Hit(fact.text, fact.where, fact.offset, fact.length)


def elf_only(subject: Subject, what: str) -> None:
    """Raise NotApplicableError for a file that has no such thing."""
    if subject.image.format != "elf":
        raise NotApplicableError(f"{subject.image.format} files have no {what}")
