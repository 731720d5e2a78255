"""Host names of the house, by the policy's patterns."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.grouping import Found
from goforensics.clues.names import NEXT, by_name, hit, host_pattern
from goforensics.clues.strings import matches, texts
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per host."""
    if not policy.internal.hosts:
        raise NotApplicableError("the policy names no internal hosts")
    return by_name(_hosts(subject, [host_pattern(each) for each in policy.internal.hosts]), "the internal host")


def _hosts(subject: Subject, patterns: list[bytes]) -> Iterator[Found]:
    for start, end in matches(subject, b"|".join(patterns)):
        bound = texts(subject).bound(start, end - start)
        before = bytes(subject.image.data[max(bound.start, start - 1) : start])
        behind = bytes(subject.image.data[end : min(bound.end, end + 1)])
        if not (NEXT.match(before) or NEXT.match(behind)):
            place = hit(subject, start, end - start)
            yield place.text.lower(), place


RULE = Rule(
    id="internal/host",
    title="An internal host's name is in the file",
    severity="medium",
    why="It draws a map of the house's network for everybody who has the file.",
    fix="Hand addresses to the program when it runs: defaults in the source, -X and embedded files stay in it.",
    limits="Names that are put together at run time, and those inside of compressed debug data, are not seen.",
    check=check,
)
