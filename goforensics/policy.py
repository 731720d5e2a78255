"""The policy: what a team wants of its releases.

Its file is goforensics.toml; keys there have hyphens for underscores.
"""

from __future__ import annotations

import datetime
from typing import Literal

import msgspec

from goforensics.report_audit import Severity

Profile = Literal["release", "container", "debug"]
MIB = 1 << 20


class _Table(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True, kw_only=True):
    """A table of the file: a key that is not there is a mistake."""


class Allowance(_Table, frozen=True):
    """A finding that is accepted."""

    rule: str  # its id, or a family with /*
    reason: str
    match: str = ""  # a part of the finding's owner, title or evidence text; "" for every finding of the rule
    expires: datetime.date | None = None  # the last day on which it holds


class BuildRules(_Table, frozen=True):
    """How releases are built.  Flags as `go version -m` shows them: "-trimpath", "CGO_ENABLED=0", "-tags=netgo"."""

    require: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    min_go: str | None = None  # "1.25" or "1.25.3"
    vcs: bool | None = None  # the stamp must be there and say vcs.modified=false; None: as the profile says
    commit: str | None = None  # the revision that the stamp must have, or its beginning
    version: bool | None = None  # the main module's version must not be (devel); None: as the profile says
    replace: bool = False  # replace directives are fine
    hosts: tuple[str, ...] = ()  # the only hosts that modules may come from, * for any part of a name; () for all


class SizeRules(_Table, frozen=True):
    """Budgets in file bytes, written 41943040 or "40MiB"."""

    max: int | str | None = None
    delta: int | str = 5 * MIB
    delta_percent: float | None = None
    reclaimable: float = 0.5  # greatest share of the file that could be reclaimed


class InternalRules(_Table, frozen=True):
    """Names that must not leave the house; * stands for any part of a name."""

    hosts: tuple[str, ...] = ()  # "*.corp.example": host names in strings
    modules: tuple[str, ...] = ()  # "git.corp.example/*": module paths
    patterns: dict[str, str] = {}  # name -> regular expression (RE2 syntax)


class SecretRules(_Table, frozen=True):
    """Shapes of secrets besides the well-known ones."""

    patterns: dict[str, str] = {}  # name -> regular expression (RE2 syntax)


class Policy(_Table, frozen=True):
    """All of it.  What the file leaves out is as the profile has it."""

    profile: Profile = "release"
    fail_on: Severity = "medium"
    targets: tuple[str, ...] = ()  # where the binary must run: scratch, alpine, debian:12, glibc:2.31, …
    severity: dict[str, Severity | Literal["off"]] = {}  # by rule id, or family/*
    allow: tuple[Allowance, ...] = ()
    build: BuildRules = BuildRules()
    size: SizeRules = SizeRules()
    internal: InternalRules = InternalRules()
    secrets: SecretRules = SecretRules()
