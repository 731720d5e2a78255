"""integrity/overlap: bytes that two structures want."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.analysis import extent
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft for sections, another for the structures in them."""
    sections = [
        Hit(f"{o.first} and {o.second}", "section headers", o.start, o.end - o.start)
        for o in extent.overlaps(subject.image)
    ]
    drafts = [Draft("sections overlap", sections, "sections")] if sections else []
    inside = list(_structures(subject))
    return [*drafts, Draft("structures overlap", inside, "structures")] if inside else drafts


def _structures(subject: Subject) -> Iterator[Hit]:
    """What two parsers claim, or one parser for two things; sections have a draft of their own."""
    for dispute in subject.bytemap.disputes:
        first, second = dispute.claimants
        if not ("section" in first and "section" in second):
            text = f"{first}, twice" if first == second else f"{first} and {second}"
            yield Hit(text, "byte map", dispute.start, dispute.end - dispute.start)


RULE = Rule(
    id="integrity/overlap",
    title="Overlapping structures",
    severity="high",
    why="No linker gives the same bytes to two structures.  Headers that do were damaged, or made so that one tool "
    "reads something else than another or than the loader.",
    fix="build or fetch it again",
    limits="Bytes that nothing claims may have been overwritten: integrity/changed judges the file as a whole.",
    check=check,
)
