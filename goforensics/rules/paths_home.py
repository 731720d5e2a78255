"""Paths of home directories."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.analysis.paths import USER
from goforensics.clues.paths import FIX, Leak, drafts, places
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject

# The directory; Bazel keeps everybody's files apart by their names elsewhere, too.
ACCOUNT = re.compile(rf"({USER})(?=[/\\]|$)|(.*?/_bazel_[^/]+)(?=/)")
# Accounts that are no person's: of systems, containers and CI.
MACHINES = frozenset(
    (
        *("root", "runner", "vsts", "circleci", "jenkins", "gitlab-runner", "buildkite-agent", "travis", "semaphore"),
        *("builder", "build", "buildbot", "ci", "bazel", "abuild", "mockbuild", "nixbld", "linuxbrew", "docker"),
        *("ubuntu", "debian", "centos", "ec2-user", "vagrant", "vscode", "node", "app", "user", "container"),
        *("containeradministrator", "runneradmin", "administrator", "admin"),
    )
)


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per account."""
    return drafts(subject, _wanted, _title, lambda leak: "medium" if machine(_wanted(leak)) else None)


def _title(directory: str, count: int) -> str:
    return f"the account {account(directory)}: {places(count)} below {directory}"


def account(directory: str) -> str:
    """The name of whose home directory it is."""
    return re.split(r"[/\\]|_bazel_", directory)[-1]


def _wanted(leak: Leak) -> str:
    found = ACCOUNT.match(leak.path)
    directory = next((name for name in found.groups() if name), "") if found else ""
    return "" if machine(directory) and leak.kind != "home" else directory


def machine(directory: str) -> bool:
    """Whether it is the home of an account that is no person's."""
    return account(directory).lower() in MACHINES


RULE = Rule(
    id="paths/home",
    title="A person's home directory is in the file",
    severity="high",
    why=(
        "It gives a person's account name to everybody who has the file: personal data, and half of a login. "
        "Accounts of machines (root, runner, jenkins) name nobody: medium, and other rules have their caches."
    ),
    fix=FIX,
    limits=(
        "Paths that another rule reports too, such as a module cache in a home directory, are counted here "
        "because of the name. In strings, accounts of documentation are passed over. Read in the file table, "
        "DWARF, the build information, run paths and strings; a path inside of compressed DWARF has that "
        "section's place."
    ),
    check=check,
)
