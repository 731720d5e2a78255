"""The search for secrets: candidates in all of the file's bytes, each verified in the Go string around it."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import msgspec

from goforensics.policy import Policy
from goforensics.report_audit import Severity
from goforensics.rules import instrings, matching, secrets_assignments, secrets_keys, secrets_tokens, secrets_urls
from goforensics.rules.once import once
from goforensics.rules.protocol import Draft, Hit, UnknownError
from goforensics.rules.secrets_words import Match, Shape, Text, digest, redacted
from goforensics.rules.subject import Subject
from goforensics.rules.values import Value, texts, values
from goforensics.rules.wheres import where

SHAPES: tuple[Shape, ...] = (
    *secrets_tokens.SHAPES,
    *secrets_keys.SHAPES,
    *secrets_urls.SHAPES,
    *secrets_assignments.SHAPES,
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
    scan = once(subject, _scan)
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
    except matching.TooManyError as error:
        cut = str(error)
    return Scan(list(found.values()), cut)


def _matches(subject: Subject) -> Iterator[tuple[Shape, Text, Match, int]]:
    """(shape, string, match, offset of the string's first byte) of everything verified."""
    anchors = [(re.compile(shape.anchor), shape) for shape in SHAPES]
    data = subject.image.data
    for offset, size in matching.spans(data, [shape.anchor for shape in SHAPES]):
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
    known = once(subject, _places)
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
    known = once(subject, _specific)
    return any(bisect_left(known, start) < bisect_left(known, start + size) for start, size, _ in value.places)


def _specific(subject: Subject) -> list[int]:
    """Offsets of the secrets of such rules, in order."""
    found = (s for s in once(subject, _scan).secrets if s.rule != secrets_assignments.RULE_ID)
    return sorted(hit.offset for secret in found for hit in secret.hits if hit.offset is not None)


def custom(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """The shapes of the policy.  Raises UnknownError for a pattern that RE2 does not take."""
    for name, pattern in policy.secrets.patterns.items():
        yield from _custom(subject, name, pattern.encode())


def _custom(subject: Subject, name: str, pattern: bytes) -> Iterator[Draft]:
    found: dict[str, list[Hit]] = {}
    shown: dict[str, str] = {}
    late: UnknownError | None = None
    try:
        for start, end in instrings.matches(subject, pattern):
            secret = bytes(subject.image.data[start:end])
            shown[digest(secret)] = label = f"{name} {redacted('', len(secret))}"
            place = Hit(f"{label}{_set(subject, start, end - start)}", where(subject, start), start, end - start)
            found.setdefault(digest(secret), []).append(place)
    except UnknownError as error:
        late = error
    for key, places in found.items():
        yield Draft(shown[key], places, f"{name} {key}")
    if late:
        raise UnknownError(f"pattern {name}: {late}")
