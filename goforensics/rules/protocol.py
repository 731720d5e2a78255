"""What a rule is: what it looks for and why, and a function from a file to drafts of findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from goforensics.errors import GoForensicsError
from goforensics.policy import Policy, Profile
from goforensics.report_audit import Severity
from goforensics.rules.subject import Subject


class UnknownError(GoForensicsError):
    """A rule asks something that this file does not tell.  It never counts as clean."""


class NotApplicableError(GoForensicsError):
    """A rule asks something that makes no sense for this file."""


class Hit(msgspec.Struct, frozen=True):
    """One place; the engine adds section and owner from the byte map."""

    text: str  # already redacted where it is a secret
    where: str  # filetab, dwarf, buildinfo:-ldflags, rodata, dynamic:RUNPATH, header, …
    offset: int | None = None  # in the image
    length: int = 0


class Draft(msgspec.Struct, frozen=True):
    """A finding before the engine knows its owner, its severity under the policy and its fingerprint."""

    title: str  # what is wrong with this file, in one line
    hits: list[Hit]
    key: str  # what makes it this finding and no other: text without anything that a rebuild would change
    owner: str = ""  # module or package; "" for the whole file, or for what the byte map says of the first hit
    severity: Severity | None = None  # None: the rule's
    fix: str = ""  # "": the rule's, and so are its flags
    mends: tuple[str, ...] = ()  # flags of go build that do what `fix` says, as Rule.mends


class Rule(msgspec.Struct, frozen=True):
    """One rule.  `check` raises one of the two errors where it has no answer; its texts are for a person."""

    id: str  # family/name: paths/home
    title: str
    severity: Severity
    why: str  # why it matters
    fix: str  # what to do about it
    limits: str  # what it cannot see
    check: Callable[[Subject, Policy], Iterable[Draft]]
    profiles: tuple[Profile, ...] = ("release", "container", "debug")  # where it is on without being asked for
    mends: tuple[str, ...] = ()  # flags of go build that do what `fix` says: "-ldflags=-s -w", "CGO_ENABLED=0"
