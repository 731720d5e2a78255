"""What the rules on internal names share: the policy's patterns as expressions, and hits gathered by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from goforensics.rules.protocol import Draft, Hit, UnknownError
from goforensics.rules.subject import Subject
from goforensics.rules.wheres import where

Found = tuple[str, Hit]  # the name, and where it is
PART = rb"[0-9A-Za-z_-]"
NEXT = re.compile(rb"[0-9A-Za-z_-]")
SHOWN = 200  # bytes


def host_pattern(pattern: str) -> bytes:
    """A host name of the policy, * for any part of it, as an expression.  A host's letters have no case."""
    parts = (re.escape(part.encode("idna" if not part.isascii() else "ascii")) for part in pattern.split("*"))
    return b"(?i:" + (PART + b"[0-9A-Za-z_.-]*").join(parts) + b")"


def path_pattern(pattern: str) -> re.Pattern[str]:
    """A module path of the policy; what ends in /* is the module called so, too."""
    stem = pattern.removesuffix("/*")
    rest = "(?:/.*)?" if stem != pattern else ""
    return re.compile("[^/]*".join(re.escape(part) for part in stem.split("*")) + rest)


def hit(subject: Subject, offset: int, size: int) -> Hit:
    """A place, its text as it is."""
    text = bytes(subject.image.data[offset : offset + min(size, SHOWN)]).decode("utf-8", "backslashreplace")
    return Hit(text, where(subject, offset), offset, size)


def by_name(found: Iterable[Found], title: str) -> Iterator[Draft]:
    """One finding per name; what `found` raises comes after those that it gave."""
    groups: dict[str, list[Hit]] = {}
    late: UnknownError | None = None
    try:
        for name, place in found:
            groups.setdefault(name, []).append(place)
    except UnknownError as error:
        late = error
    for name, hits in groups.items():
        yield Draft(f"{title} {name}", hits, name)
    if late:
        raise late
