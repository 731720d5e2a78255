"""integrity/buildinfo: build information that is not there, or not Go's."""

from __future__ import annotations

import re

from goforensics.errors import FormatError
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject
from goforensics.sections import buildinfo
from goforensics.sections.buildinfo import BuildInfo

VERSION = re.compile(r"go\d|devel\b")


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if scanners cannot tell what the file was built from."""
    try:
        info = subject.binary.read(buildinfo.PARSER)
    except FormatError as error:
        if error.absent:
            return [Draft("has no build information", [Hit("no blob with Go's magic", "buildinfo")], "absent")]
        return [Draft("its build information cannot be read", [_at(subject, error)], "broken", severity="high")]
    return _overwritten(info)


def _overwritten(info: BuildInfo) -> list[Draft]:
    hit = Hit(f"version {info.go_version[:80]!r}", "buildinfo", info.offset, info.size)
    if not VERSION.match(info.go_version):
        return [Draft("its build information names no release of Go", [hit], "version")]
    broken = [Hit(problem, "buildinfo", info.mod_offset or info.offset, info.mod_size) for problem in info.mod.problems]
    return [Draft("its module information cannot be read", broken, "modules")] if broken else []


def _at(subject: Subject, error: FormatError) -> Hit:
    offset = error.offset - subject.image.base
    return Hit(error.reason, "buildinfo", offset if 0 <= offset < len(subject.image.data) else None)


RULE = Rule(
    id="integrity/buildinfo",
    title="Build information is missing or overwritten",
    severity="medium",
    why="Vulnerability scanners and go version -m go by it: without it a file has no known modules, and a scan that "
    "finds nothing has looked at nothing.  The go command always writes it.",
    fix="build with the go command, in module mode; garble and rules that call the linker themselves leave it out",
    limits="That it is there does not make it true: build/* rules judge what it says.",
    check=check,
)
