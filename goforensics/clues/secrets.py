"""The search for secrets: candidates in all of the file's bytes, each verified in the Go string around it."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import msgspec

from goforensics import patterns
from goforensics.clues import secret_assignments, secret_keys, secret_tokens, secret_urls, strings
from goforensics.clues.grouping import Found, grouped
from goforensics.clues.linker_values import Value, values
from goforensics.clues.places import where
from goforensics.clues.secret_shapes import Match, Shape, Text, digest, redacted
from goforensics.clues.strings import texts
from goforensics.policy import Policy
from goforensics.report_audit import Severity
from goforensics.rules.protocol import Draft, Hit, UnknownError
from goforensics.rules.subject import Subject

SHAPES: tuple[Shape, ...] = (
    *secret_tokens.SHAPES,
    *secret_keys.SHAPES,
    *secret_urls.SHAPES,
    *secret_assignments.SHAPES,
)
BEFORE, BEHIND = 1 << 12, 1 << 16  # bytes of a string that are looked at around a candidate
FIX = (
    "Revoke it: whoever has the file has it.  Then hand the next one to the program when it runs (environment, file, "
    "secret store), not through -ldflags=-X, //go:embed or a constant."
)


class Secret(msgspec.Struct, frozen=True):
    """One secret and where it is."""

    rule: str
    label: str
    shown: str
    digest: str
    severity: Severity | None
    hits: list[Hit]


class Scan(msgspec.Struct, frozen=True):
    """What was found, and why something may be missing."""

    secrets: list[Secret]
    cut: str  # "" if everything was looked at


def drafts(subject: Subject, rule: str) -> Iterator[Draft]:
    """The secrets that a rule reports.  Raises UnknownError after them if the search had to stop early."""
    scan = subject.once(_scan)
    for secret in scan.secrets:
        if secret.rule == rule:
            yield draft(secret)
    if scan.cut:
        raise UnknownError(scan.cut)


def draft(secret: Secret) -> Draft:
    """As a finding."""
    title = f"{secret.label} {secret.shown}"
    return Draft(title, secret.hits, f"{secret.label} {secret.digest}", severity=secret.severity)


def _scan(subject: Subject) -> Scan:
    found: dict[tuple[str, str, str], Secret] = {}
    cut = ""
    try:
        for shape, text, match, base in _matches(subject):
            secret = text.data[match.start : match.end]
            key = shape.rule, match.label, digest(secret)
            first = Secret(*key[:2], match.shown, key[2], match.severity, [])
            found.setdefault(key, first).hits.extend(_hits(subject, match, base, text.exact))
    except patterns.TooManyError as error:
        cut = str(error)
    return Scan(list(found.values()), cut)


def _matches(subject: Subject) -> Iterator[tuple[Shape, Text, Match, int]]:
    """(shape, string, match, offset of the string's first byte) of everything verified."""
    anchors = [(re.compile(shape.anchor), shape) for shape in SHAPES]
    data = subject.image.data
    for offset, size in patterns.spans(data, [shape.anchor for shape in SHAPES]):
        raw = bytes(data[offset : offset + size])
        text, base = bounded(subject, offset, size)
        for anchor, shape in anchors:
            if anchor.match(raw):
                match = shape.verify(text)
                if match is not None:
                    yield shape, text, match, base


def bounded(subject: Subject, offset: int, size: int) -> tuple[Text, int]:
    """The string around a candidate, as much of it as matters, and the offset where that begins."""
    bound = texts(subject).bound(offset, size)
    low, high = max(bound.start, offset - BEFORE), min(bound.end, offset + BEHIND)
    data = bytes(subject.image.data[low:high])
    return Text(data, offset - low, bound.exact, (low, high) == (bound.start, bound.end)), low


def _hits(subject: Subject, match: Match, base: int, exact: bool) -> Iterator[Hit]:
    """The secret's place, and those of what belongs to it."""
    for start, end in ((match.start, match.end), *match.also):
        offset, size = base + start, end - start
        yield Hit(f"{match.label} {match.shown}{_set(subject, offset, size)}", where(subject, offset), offset, size)


def _set(subject: Subject, offset: int, size: int) -> str:
    """Which -X put it there."""
    known = subject.once(_places)
    number = bisect_right(known, (offset, 1 << 63, "")) - 1
    if number < 0 or offset + size > known[number][1]:
        return ""
    return f", set by -X {known[number][2] or '(a variable)'}"


def _places(subject: Subject) -> list[tuple[int, int, str]]:
    """(start, end, variable) of every value, by offset."""
    each = ((start, start + size, value.variable) for value in values(subject) for start, size, _ in value.places)
    return sorted(each)


def specific(subject: Subject, value: Value) -> bool:
    """Whether a rule that knows its format reports a secret in this value."""
    known = subject.once(_specific)
    return any(bisect_left(known, start) < bisect_left(known, start + size) for start, size, _ in value.places)


def _specific(subject: Subject) -> list[int]:
    """Offsets of the secrets of such rules, in order."""
    found = (s for s in subject.once(_scan).secrets if s.rule != secret_assignments.RULE_ID)
    return sorted(hit.offset for secret in found for hit in secret.hits if hit.offset is not None)


def custom(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """The shapes of the policy.  Raises UnknownError for a pattern that RE2 does not take."""
    for name, pattern in policy.secrets.patterns.items():
        yield from _custom(subject, name, pattern.encode())


def _custom(subject: Subject, name: str, pattern: bytes) -> Iterator[Draft]:
    def draft(key: str, hits: list[Hit]) -> Draft:
        return Draft(f"{name} {redacted('', hits[0].length)}", hits, f"{name} {key}")

    return grouped(_in_strings(subject, name, pattern), draft)


def _in_strings(subject: Subject, name: str, pattern: bytes) -> Iterator[Found]:
    """The digest and the place of every match."""
    try:
        for start, end in strings.matches(subject, pattern):
            size = end - start
            text = f"{name} {redacted('', size)}{_set(subject, start, size)}"
            yield digest(bytes(subject.image.data[start:end])), Hit(text, where(subject, start), start, size)
    except UnknownError as error:
        raise UnknownError(f"pattern {name}: {error}") from None
