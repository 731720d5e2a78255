"""What shapes of secrets share: a match, what cannot be a secret, and how one is shown without being told."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import msgspec

from goforensics.report_audit import Severity

WORD = re.compile(rb"[0-9A-Za-z_]")
TEMPLATE = re.compile(rb"%[a-z+#]|\{\{|\}\}|\$\{|\$\(|\*\*\*|\.\.\.|\xe2\x80\xa6")  # the verbs and braces of templates
OPENING = (b"$", b"%", b"<", b"{", b"[", b"*", b"(", b"&")
STANDINS = frozenset(
    b"password passwd passphrase pass pwd pw secret token key changeme change-me change_me example user username test "
    b"testing foo bar baz foobar none null nil true false redacted hidden dummy fake sample default unset unknown "
    b"undefined empty todo admin root guest postgres mysql mypassword mysecret mysecretpassword secretpassword "
    b"topsecret supersecret letmein".split()
)
STANDIN = re.compile(
    rb"(?i)(?:your|my|some|the|a)?[-_ ]?(?:x+|\*+|\.+|-+|_+|0+|(?:1|12|123|1234|12345|123456)|"
    rb"(?:your|example|placeholder|insert|replace)[-_ ]?.*|(?:secret|password|passwd|token|pass|pwd|api[-_]?key)\d*)"
)
MADE_UP = re.compile(
    rb"(?i)example|placeholder|redacted|dummy|x{6}|0{6}|1234567|2345678|abcdefg|bcdefgh|a1b2c3|deadbeef|your[-_]"
)
LEAST_DISTINCT = 10  # different characters in 20 or more that somebody drew by lot


class Text(msgspec.Struct, frozen=True):
    """The Go string around a candidate, or the part of it that matters."""

    data: bytes
    at: int  # of the candidate in it
    exact: bool  # its bounds are known, not taken from what is pointed at or from how the bytes look
    whole: bool = True  # `data` is all of the string


class Match(msgspec.Struct, frozen=True):
    """A secret: `data[start:end]` of the text.  What is shown of it tells what it is and how long."""

    label: str  # "GitHub token"
    shown: str
    start: int
    end: int
    severity: Severity | None = None  # None: the rule's
    also: tuple[tuple[int, int], ...] = ()  # further ranges of the text that belong to it


class Shape(msgspec.Struct, frozen=True):
    """What a secret looks like: `anchor` (RE2, bytes) finds candidates, `verify` decides in the bounded string."""

    rule: str  # the id of the rule that reports it
    anchor: bytes
    verify: Callable[[Text], Match | None]


def redacted(prefix: str, size: int) -> str:
    """A secret of `size` bytes, of which `prefix` says what it is."""
    return f"{prefix}****…({size})"


def digest(secret: bytes) -> str:
    """What tells two secrets apart, and from which none of them can be had."""
    return hashlib.sha256(secret).hexdigest()[:16]


def alone(text: bytes, start: int, end: int) -> bool:
    """Whether `[start, end)` is no part of a longer word."""
    before, after = text[max(start - 1, 0) : start], text[end : end + 1]
    return not WORD.match(before) and not WORD.match(after)


def stand_in(value: bytes) -> bool:
    """Whether a password is one of documentation or of a template."""
    low = value.lower()
    if not value or value.startswith(OPENING) or TEMPLATE.search(value) or low in STANDINS:
        return True
    return len(set(value)) < 3 or STANDIN.fullmatch(value) is not None or MADE_UP.search(value) is not None


def made_up(token: bytes) -> bool:
    """Whether the random part of a token was typed and not drawn."""
    return len(set(token)) < min(LEAST_DISTINCT, len(token) // 2) or MADE_UP.search(token) is not None
