"""integrity/pclntab: a function table whose magic somebody overwrote."""

from __future__ import annotations

from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections import pcheader
from goforensics.sections.pcheader import MAGICS


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if the table's geometry is Go's and its magic no release's."""
    header = subject.binary.maybe(pcheader.PARSER)
    if header is None:
        raise UnknownError("no function table can be read: integrity/functions judges that")
    if not header.magic_overwritten or header.magic in MAGICS:
        return []
    hit = Hit(f"magic {header.magic:#010x} on a table laid out as Go {header.layout}'s", "pclntab", header.offset, 4)
    return [Draft("the function table's magic was overwritten", [hit], "pclntab magic")]


RULE = Rule(
    id="integrity/pclntab",
    title="Function table made unreadable",
    severity="medium",
    why="Obfuscators such as garble write another magic, so that debuggers and scanners do not find the functions.  "
    "What such a file does can be audited only by those who built it.",
    fix="build with the go command alone if others are to audit the file",
    limits="The magic of another release is not told from a release that is not known yet.",
    check=check,
)
