"""The strings of a file, and a policy's pattern in them: no match runs from one string into the next."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics import patterns
from goforensics.analysis.texts import Texts
from goforensics.rules.protocol import UnknownError
from goforensics.rules.subject import Subject


def texts(subject: Subject) -> Texts:
    """The file's strings."""
    return subject.once(_texts)


def _texts(subject: Subject) -> Texts:
    return Texts(subject.binary)


def matches(subject: Subject, pattern: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) offsets in the image of every match, each once.

    A match in the bytes may begin in one string and end in another: it is looked for anew in each of them.
    Raises UnknownError for a pattern that RE2 does not take, and once there are more than can be looked at.
    """
    done = 0
    try:
        for offset, size in patterns.spans(subject.image.data, [pattern]):
            for start, end in _again(subject, pattern, offset, size):
                if start >= done:
                    yield start, end
                    done = end
    except (patterns.PatternError, patterns.TooManyError) as error:
        raise UnknownError(str(error)) from None


def _again(subject: Subject, pattern: bytes, offset: int, size: int) -> Iterator[tuple[int, int]]:
    """The matches that touch the match in the bytes, in each of the strings that it runs through."""
    at, end = offset, offset + size
    while at < end:
        bound = texts(subject).bound(at, 1)
        if bound.start <= offset and end <= bound.end:
            yield offset, end
            return
        low, high = max(bound.start, at - patterns.OVERLAP), min(bound.end, at + patterns.OVERLAP)
        for first, last in patterns.matches(pattern, bytes(subject.image.data[low:high])):
            if low + first < end and low + last > offset:
                yield low + first, low + last
        at = max(bound.end, at + 1)
