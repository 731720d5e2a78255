"""integrity/pclntab: a function table whose magic somebody overwrote."""

from __future__ import annotations

from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections import pcheader
from goforensics.sections.pcheader import MAGICS


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if the table's magic is not that of its layout."""
    header = subject.binary.maybe(pcheader.PARSER)
    if header is None:
        raise UnknownError("no function table can be read: integrity/functions judges that")
    if not header.magic_overwritten:
        return []
    whose = f", which is Go {MAGICS[header.magic]}'s," if header.magic in MAGICS else ""
    text = f"magic {header.magic:#010x}{whose} on a table laid out as Go {header.layout}'s"
    hit = Hit(text, "pclntab", header.offset, 4)
    return [Draft("the function table's magic was overwritten", [hit], "pclntab magic")]


RULE = Rule(
    id="integrity/pclntab",
    title="Function table made unreadable",
    severity="medium",
    why="Obfuscators such as garble write another magic, so that debuggers and scanners do not find the functions.  "
    "What such a file does can be audited only by those who built it.",
    fix="build with the go command alone if others are to audit the file",
    limits="Go 1.18's layout and Go 1.20's differ in one field, so that the magic of one on the other is believed.",
    check=check,
)
