"""Who built it where: user@host in values of -X and in settings of the build."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.clues.grouping import Found
from goforensics.clues.linker_values import values
from goforensics.clues.names import by_name, host_pattern
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject

USER = re.compile(
    r"(?<![0-9A-Za-z._%+/:@-])([A-Za-z_][0-9A-Za-z_.-]{0,31})@([0-9A-Za-z](?:[0-9A-Za-z.-]{0,100}[0-9A-Za-z])?)"
    r"(?![0-9A-Za-z@/:(-]|\.[0-9A-Za-z])"
)
# Domains that no mail comes from: a machine's own name, or one of the house.
INSIDE = re.compile(r"(?i)[^.]+|.*\.(?:local|localdomain|lan|intern|internal|corp|home|private|intranet)")
VERSION = re.compile(r"(?i)v?\d+(?:\.\d+)*[0-9a-z.-]*|latest|main|master|head|upgrade|patch")  # module@version


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per user and host."""
    hosts = [re.compile(host_pattern(each)) for each in policy.internal.hosts]
    return by_name(_users(subject, hosts), "the build's user and machine")


def _users(subject: Subject, hosts: list[re.Pattern[bytes]]) -> Iterator[Found]:
    for value in values(subject):
        for found in USER.finditer(value.text):
            host = found[2]
            house = INSIDE.fullmatch(host) or any(each.fullmatch(host.encode()) for each in hosts)
            if not house or VERSION.fullmatch(host):
                continue
            raw, start = value.text.encode(), len(value.text[: found.start()].encode())
            size = len(found[0].encode())
            for offset, length, where in value.places:
                at = (offset + start, size) if length == len(raw) else (offset, length)
                yield found[0], Hit(f"{found[0]}, set by -X {value.variable or '(a variable)'}", where, *at)


RULE = Rule(
    id="internal/user",
    title="The name of who built it, and of the machine, is in the file",
    severity="low",
    why="Scripts that stamp builds with $(whoami)@$(hostname) hand a login and a machine's name to everybody.",
    fix="Stamp the commit instead: go build does so itself (vcs.revision), or set the name of a team.",
    limits=(
        "Only in values of -X. A host with a public domain may be a mail address, which is meant to be read: it "
        "counts only if the policy names the host as internal."
    ),
    check=check,
)
