"""Regular expressions in time that grows with what is searched alone, whatever they are: RE2, of which this is all.

The standard library's `re` takes twenty times as long for many patterns, and one that a user wrote could make it take
for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from goforensics.errors import GoForensicsError, UsageError

STEP = 1 << 20  # bytes searched at a time
OVERLAP = 1 << 12  # bytes; the longest that a match can be
MOST = 20_000  # matches; a hostile file can make one of every few bytes
MEMORY = 64 << 20  # bytes that the automaton of many patterns may take
MEMORY_OF_ONE = 8 << 20  # and that of an expression which a user wrote
LONGEST = 1000  # characters of such an expression


class PatternError(GoForensicsError):
    """A pattern that RE2 does not take, as a sentence."""


class TooManyError(GoForensicsError):
    """More matches than are looked at, as a sentence."""


def matcher(expression: str) -> Callable[[str], bool]:
    """Whether a user's expression is found anywhere in a text.  Raises UsageError for what is none."""
    if len(expression) > LONGEST:
        raise UsageError(f"an expression of {len(expression):,} characters: at most {LONGEST:,} are taken")
    try:
        search = _compiled(expression, MEMORY_OF_ONE).search
    except PatternError as error:
        reason = str(error).removeprefix(f"{expression!r}: ")
        raise UsageError(f"{expression!r} is no regular expression (RE2 syntax): {reason}") from None
    return lambda text: search(text) is not None


def spans(data: memoryview, patterns: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of every match of any pattern in all of the data, in order, none over another.

    Raises PatternError for a pattern that is wrong, TooManyError after MOST matches.
    """
    if not patterns:
        return
    machine = _machine(b"|".join(b"(?:%s)" % pattern for pattern in patterns))
    count, done = 0, 0
    for base in range(0, len(data), STEP):
        chunk = bytes(data[base : base + STEP + OVERLAP])
        for found in machine.finditer(chunk, max(done - base, 0)):
            start, end = found.span()
            if start >= STEP:
                break  # the next step has it, whole
            if start == end:
                continue
            done = base + end
            yield base + start, end - start
            count += 1
            if count >= MOST:
                raise TooManyError(f"more than {MOST:,} places look like one; the rest was not looked at")


def matches(pattern: bytes, text: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of every match in a short text that is not empty.  Raises PatternError as `spans`."""
    for found in _machine(pattern).finditer(text):
        if found.end() > found.start():
            yield found.span()


@cache
def _machine(pattern: bytes) -> Any:  # re2 has no types
    return _compiled(pattern, MEMORY)


def _compiled(pattern: str | bytes, memory: int) -> Any:
    """Compiled: text in UTF-8, bytes as bytes.  Raises PatternError."""
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors = memory, False
    if isinstance(pattern, bytes):
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        shown = pattern if isinstance(pattern, str) else pattern.decode("utf-8", "backslashreplace")
        raise PatternError(f"{shown!r}: {_said(error)}") from None


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else b""
    return said.decode("utf-8", "backslashreplace") if isinstance(said, bytes) else str(error)
