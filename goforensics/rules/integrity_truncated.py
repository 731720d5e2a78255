"""integrity/truncated: a file whose end is missing."""

from __future__ import annotations

from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """One draft with every header that tells of bytes behind the end."""
    image = subject.image
    lost = sorted((p for p in set(image.problems) if p.missing > 0), key=lambda p: (-p.missing, p.offset, p.structure))
    if not lost:
        return []
    size = len(image.data)
    hits = [
        Hit(f"{p.structure}: {p.missing} bytes are missing", "headers", _inside(p.offset, image.base, size))
        for p in lost
    ]
    return [Draft("cut off: its headers tell of bytes behind its end", hits, "truncated")]


def _inside(offset: int, base: int, size: int) -> int | None:
    """An offset in the image, of a problem that is noted by the file's offsets; None behind the end."""
    return offset - base if 0 <= offset - base < size else None


RULE = Rule(
    id="integrity/truncated",
    title="Truncated",
    severity="high",
    why="A download or a copy that stopped early may still start, and fail when it first needs what is missing.",
    fix="build or fetch it again, and check its size or its hash",
    limits="Sees what headers tell of: a file that lost only what was appended to it looks whole.",
    check=check,
)
