"""The testing package in a program."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.analysis.callers import callers
from goforensics.analysis.samecode import program
from goforensics.clues import recorded
from goforensics.errors import FormatError
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject

PACKAGE = "testing"
START = "testing.MainStart"  # what the main function that go test writes calls
FLAGS = "testing.Init"  # registers test.v and its kin
INIT = re.compile(r"testing\.init(?:\.\d+)?")


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding if it has code in the file, with the packages whose code calls it."""
    hit = recorded.linked(subject, PACKAGE)
    if hit is None:
        return
    names = {h.text for h in recorded.named(subject, (START, FLAGS))}
    title, severity = "the testing package is linked in", RULE.severity
    if START in names and (subject.build.path or "").endswith(".test"):
        title = "a test binary, as go test -c makes it"
    elif FLAGS in names:
        title += ", with what registers its test.* flags"
    elif not _left(subject):
        title, severity = "the testing package is imported; of its code only the initialization is left", "low"
    yield Draft(title, [hit, *_users(subject)], "testing", PACKAGE, severity)


def _left(subject: Subject) -> bool:
    """More of the package than what runs when the program starts."""
    table, owners = recorded.table(subject)
    mine = (owners.names[code] == PACKAGE for code in owners.codes.tolist())
    return any(it and not INIT.fullmatch(name) for name, it in zip(table.names, mine, strict=True))


def _users(subject: Subject) -> Iterator[Hit]:
    """The packages that call it, as far as direct calls tell."""
    table, owners = recorded.table(subject)
    package = [owners.names[code] for code in owners.codes.tolist()]
    mine = frozenset(n for n, p in zip(table.names, package, strict=True) if p == PACKAGE)
    try:
        found = callers(program(subject.binary), mine)
    except FormatError:
        return
    home = dict(zip(table.names, package, strict=True))
    users = sorted({home.get(name, "") for name in found} - {"", PACKAGE, "runtime"})
    for user in users:
        there = recorded.linked(subject, user)
        if there is not None:
            yield Hit(f"called by {user}", there.where, there.offset, there.length)


RULE = Rule(
    id="build/testing",
    title="The testing package is linked in",
    severity="medium",
    why="Code for tests ended up in a release: helpers, fakes and, with testing.Init, the flags test.v, test.run and "
    "so on beside the program's own. If only its initialization is left the finding is of low severity.",
    fix="move what imports testing into _test.go files or a package that only tests import",
    limits="Who imports it is not recorded. Packages whose code calls it directly are named, on amd64, 386 and "
    "arm64; one that only mentions its types is not.",
    check=check,
    profiles=("release", "container"),
)
