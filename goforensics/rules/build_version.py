"""Has the main module a version?"""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded
from goforensics.policy import Policy
from goforensics.report_audit import Severity
from goforensics.rules.protocol import Draft, NotApplicableError, Rule
from goforensics.rules.subject import Subject
from goforensics.sections.buildinfo import BuildInfo
from goforensics.sections.goversion import release

STAMPED = (24,)  # the minor release since which go build takes the version from the repository's tags


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A version is what begins like v1; +dirty, a major version in the path and versions made of commits are fine."""
    _wanted(policy)
    info = recorded.info(subject)
    main = info.mod.main
    severity: Severity = "medium" if policy.build.version else "low"
    if main is None:
        why, fix = _cause(info)
        hit = recorded.absent(f"path {info.mod.path or '(none)'}; no main module")
        yield Draft(f"no main module and so no version: {why}", [hit], "no main module", severity=severity, fix=fix)
    elif not (main.version.startswith("v") and main.version[1:2].isdigit()):
        told = f"its version is {main.version}" if main.version else "no version is recorded"
        hit = recorded.module(main, f"{main.path} {main.version}".strip())
        yield Draft(f"{main.path}: {told}", [hit], "no version", main.path, severity, _fix(release(info.version)))


def _cause(info: BuildInfo) -> tuple[str, str]:
    """Why there is no main module, and what to do."""
    if info.mod.path == recorded.FILES:
        return "built from a list of files (go build main.go)", "build the package: go build . or go build ./cmd/x"
    if not info.mod.path and info.setting("-compiler") is None:
        return "not built by the go command", "build it with go build in its repository"
    return "not built in a module", "build a package of a module"


def _wanted(policy: Policy) -> None:
    if policy.build.version is False:
        raise NotApplicableError("the policy does not want a version (build.version = false)")
    if policy.build.version is None and policy.profile != "release":
        raise NotApplicableError(f"the {policy.profile} profile asks for no version (build.version = true does)")


def _fix(known: tuple[int, ...]) -> str:
    tagged = "go build (Go 1.24 or later) in a repository at a tagged commit, with -buildvcs=true"
    return tagged if known >= STAMPED else f"go install path@version, or {tagged}"


RULE = Rule(
    id="build/version",
    title="The main module has no version",
    severity="low",
    why="Vulnerability scanners, SBOM and VEX tools match the main module by its version; (devel) matches nothing. "
    "Where the policy asks for a version (build.version) its absence is a finding of medium severity.",
    fix="go build (Go 1.24 or later) in a repository at a tagged commit, with -buildvcs=true",
    limits="A version set by -ldflags=-X is a variable of the program, which no tool reads as the module's version.",
    check=check,
)
