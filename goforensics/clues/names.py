"""What the rules on internal names share: the policy's patterns as expressions, and hits gathered by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from goforensics.clues.grouping import Found, grouped
from goforensics.clues.places import where
from goforensics.rules.protocol import Draft, Hit
from goforensics.rules.subject import Subject

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
    """One finding per name; UnknownError as `grouped`."""
    return grouped(found, lambda name, hits: Draft(f"{title} {name}", hits, name))
