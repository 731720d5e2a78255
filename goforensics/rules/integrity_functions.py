"""integrity/functions: a Go executable without functions that can be told."""

from __future__ import annotations

from goforensics.errors import FormatError
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject
from goforensics.sections import pclntab


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft for no table, for a broken one, and for one that says less than it says that it says."""
    image = subject.image
    try:
        table = subject.binary.read(pclntab.PARSER)
    except FormatError as error:
        title = "has no function table" if error.absent else "its function table cannot be read"
        inside = 0 < error.offset - image.base < len(image.data)
        return [Draft(title, [Hit(str(error), "pclntab", error.offset - image.base if inside else None)], "pclntab")]
    read, stated = len(table.funcs.name), table.header.functions
    if read == stated:
        return []
    hit = Hit(f"{stated} functions are stated, {read} can be read", "pclntab", table.offset, table.header.header_size)
    return [Draft(f"{stated - read} of its functions cannot be read", [hit], "functions")]


RULE = Rule(
    id="integrity/functions",
    title="No functions can be told",
    severity="high",
    why="Every check on what code is in the file goes by the function table: with none, or with no function in it, a "
    "check that finds nothing has looked at nothing.",
    fix="build it again with Go's own toolchain, and do not edit the table",
    limits="Says that the table cannot be read, not why.",
    check=check,
)
