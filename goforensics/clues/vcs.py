"""The version control stamp: what there is of it, or why there is none."""

from __future__ import annotations

import re
from typing import NamedTuple

from goforensics.clues import recorded
from goforensics.policy import Policy
from goforensics.rules.protocol import NotApplicableError
from goforensics.sections.buildinfo import BuildInfo
from goforensics.sections.goversion import release

PSEUDO = re.compile(r"(?:^v\d+\.0\.0-|\.0\.|-0\.)\d{14}-([0-9a-f]{12})(?:\+.*)?$")


def wanted(policy: Policy) -> None:
    """NotApplicableError unless the policy, or its profile, wants a stamp."""
    if policy.build.vcs is False:
        raise NotApplicableError("the policy does not want a stamp (build.vcs = false)")
    if policy.build.vcs is None and policy.profile == "debug":
        raise NotApplicableError("the debug profile asks for no stamp (build.vcs = true does)")


def revision(info: BuildInfo) -> str | None:
    """The commit that the build was stamped with, None without a stamp."""
    return info.setting("vcs.revision") or None


def pseudo(info: BuildInfo) -> str | None:
    """The first 12 digits of the commit, of a main module whose version is made of it."""
    found = PSEUDO.search(info.mod.main.version) if info.mod.main else None
    return found[1] if found else None


def from_cache(info: BuildInfo) -> bool:
    """Built as go install path@version does it: version and checksum say which sources, there is no repository."""
    main = info.mod.main
    return main is not None and main.version.startswith("v") and bool(main.sum)


class Cause(NamedTuple):
    """Why there is no stamp, what to do, and the flags that do it."""

    why: str
    fix: str
    mends: tuple[str, ...] = ()


def cause(info: BuildInfo) -> Cause:
    """As far as the file tells."""
    known = release(info.version)
    if known and known < recorded.SETTINGS:
        return Cause(f"{info.version} does not write one", "build with Go 1.18 or later")
    if info.mod.path == recorded.FILES:
        return Cause(
            "it was built from a list of files (go build main.go)",
            "build the package: go build . or go build ./cmd/x",
        )
    if info.setting("-compiler") is None:
        return Cause(
            "no settings are recorded: it was not built by the go command",
            "build it with go build in its repository",
        )
    if info.mod.main is None:
        return Cause("it was built outside of a module", "build a package of a module")
    if info.mod.main.version.startswith("v"):
        return Cause(
            f"the package is of {info.mod.main.path} {info.mod.main.version}, a dependency without a repository",
            "build the package in its own module and repository",
        )
    return Cause(
        "-buildvcs=false was given, or there was no repository, or no git to read it; which, is not recorded",
        "build in the repository with -buildvcs=true, which fails where it cannot stamp",
        ("-buildvcs=true",),
    )
