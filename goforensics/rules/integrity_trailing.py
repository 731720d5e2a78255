"""integrity/trailing: bytes behind everything that the headers tell of."""

from __future__ import annotations

from goforensics.analysis import extent
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft for what was appended."""
    image = subject.image
    found = extent.trailing(image)
    if found is None:
        return []
    if not image.sections:
        raise UnknownError("without section headers it is not known where the last section ends")
    offset, size = found
    what = extent.payload(image.data[offset:])
    return [Draft(f"{what} is appended: {size} bytes", [Hit(what, "trailing", offset, size)], f"trailing {what}")]


RULE = Rule(
    id="integrity/trailing",
    title="Trailing data",
    severity="medium",
    why="Bytes behind the end of an executable do nothing for it: they are a payload that the program opens itself, or "
    "that somebody else put there.  Neither a linker nor strip leaves them.",
    fix="embed the files with //go:embed, or leave the file as the build wrote it",
    limits="A few zeros up to a page are rounding.  In a universal Mach-O file each slice is looked at by itself.",
    check=check,
)
