"""What can go wrong, each as one line a person can act on."""

from __future__ import annotations


class GoForensicsError(Exception):
    """The base of every error that is raised on purpose.  `str(error)` is one line for the user."""


class UsageError(GoForensicsError):
    """The question makes no sense: an unknown column, an option without its partner."""


class ReadError(GoForensicsError):
    """The operating system did not hand over the bytes: no permission, a directory, a device."""


class NotGoError(GoForensicsError):
    """The bytes are no executable of Go's own toolchain: `what` they are, and what can be done (`advice`)."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}: {advice}")
        self.what = what
        self.advice = advice


class FormatError(GoForensicsError):
    """One structure is absent or broken; everything else in the file may still be read.

    `structure` is Go's or the container's name for it, `offset` the file offset in bytes of the field at fault.
    `absent` tells a structure that is simply not there from one that is there and cannot be read.
    """

    def __init__(self, reason: str, *, structure: str, offset: int = 0, absent: bool = False) -> None:
        super().__init__(f"{structure} at {offset:#x}: {reason}")
        self.reason = reason
        self.structure = structure
        self.offset = offset
        self.absent = absent


def require(ok: object, reason: str, structure: str, offset: int) -> None:
    """Raise a FormatError unless `ok`; parsers read as a list of such facts."""
    if not ok:
        raise FormatError(reason, structure=structure, offset=int(offset))
