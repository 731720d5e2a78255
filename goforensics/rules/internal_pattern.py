"""Names that the policy has a pattern for."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.grouping import Found
from goforensics.clues.names import by_name, hit
from goforensics.clues.strings import matches
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per pattern and text.  UnknownError for a pattern that RE2 does not take."""
    if not policy.internal.patterns:
        raise NotApplicableError("the policy has no patterns of internal names")
    for name, pattern in policy.internal.patterns.items():
        yield from by_name(_found(subject, pattern.encode()), f"{name}:")


def _found(subject: Subject, pattern: bytes) -> Iterator[Found]:
    for start, end in matches(subject, pattern):
        place = hit(subject, start, end - start)
        yield place.text, place


RULE = Rule(
    id="internal/pattern",
    title="A name that must not leave the house is in the file",
    severity="medium",
    why="The policy says so.",
    fix="Take it out of the source, of -X and of embedded files.",
    limits="Compressed debug data is not searched; a match ends where the Go string around it ends.",
    check=check,
)
