"""A budget for the whole file."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.bytesizes import parse
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, NotApplicableError, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding if the file is larger; exactly the budget is fine."""
    limit = policy.size.max
    if limit is None:
        raise NotApplicableError("the policy sets no budget (size.max)")
    most = parse(limit) if isinstance(limit, str) else limit
    size = len(subject.image.data)
    if size > most:
        title = f"{size:,} bytes, {size - most:,} over the budget of {most:,}"
        yield Draft(title, [Hit(f"{size:,} bytes", "file")], "budget")


RULE = Rule(
    id="size/budget",
    title="Larger than its budget",
    severity="medium",
    why="Somebody pays for every byte: pulls, cold starts, flash memory. A budget makes growth a decision.",
    fix="see what takes the room: goforensics inspect, and goforensics reclaim for what a rebuild would free",
    limits="Of a universal file each architecture's part is held against the budget by itself.",
    check=check,
)
