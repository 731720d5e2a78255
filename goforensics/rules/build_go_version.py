"""The oldest Go release that the policy accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.errors import UsageError
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections import goversion

MINIMUM = re.compile(r"(?:go)?(1\.\d+(?:\.\d+)?(?:(?:rc|beta)\d+)?)")


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Compare releases.  UsageError for a minimum that is none."""
    if policy.build.min_go is None:
        raise NotApplicableError("the policy names no minimum Go version (build.min-go)")
    wanted = MINIMUM.fullmatch(policy.build.min_go)
    if wanted is None:
        raise UsageError(f"build.min-go is a release such as 1.25 or 1.25.3; {policy.build.min_go!r} is not")
    version = _version(subject)
    if goversion.release(version) < goversion.release(f"go{wanted[1]}"):
        title = f"built with {version}, older than the go{wanted[1]} that the policy asks for"
        yield Draft(title, [_place(subject, version)], "go version")


def _version(subject: Subject) -> str:
    version = subject.build.go_version
    if version is None:
        raise UnknownError("nothing in the file says which Go release built it")
    if not goversion.release(version):
        raise UnknownError(f"{version} is no release: it cannot be compared with one")
    if subject.build.version_source == "data":
        found = subject.binary.maybe(goversion.PARSER)
        if found and found.others:
            raise UnknownError(f"several versions are in the file, {version} is the newest")
    return version


def _place(subject: Subject, version: str) -> Hit:
    """The version's text: in the build information, or where it was found instead."""
    source = subject.build.version_source or ""
    if subject.info is not None and source == "buildinfo":
        at = bytes(subject.image.data[subject.info.offset :][: subject.info.size]).find(version.encode())
        place = None if at < 0 else subject.info.offset + at
        return Hit(version, "buildinfo", place, len(version.encode()) if place is not None else 0)
    found = subject.binary.maybe(goversion.PARSER)
    place = found.offset if found and found.offset else None
    return Hit(version, source, place, len(version.encode()) if place is not None else 0)


RULE = Rule(
    id="build/go-version",
    title="Built with a Go release that is too old",
    severity="high",
    why="The standard library and the runtime are part of the file: their known faults stay in it until it is built "
    "again with a later release.",
    fix="build with a later toolchain (go.mod: toolchain, or GOTOOLCHAIN)",
    limits="A development version (devel go1.26-…) is unknown. Fixes that a distributor put into an older release do "
    "not show in its number.",
    check=check,
)
