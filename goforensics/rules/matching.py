"""Many patterns in all of a file's bytes in one pass, in time that grows with the bytes alone.

The standard library's `re` takes twenty times as long, and a pattern of a policy could make it take for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from goforensics.errors import GoForensicsError

STEP = 1 << 20  # bytes searched at a time
OVERLAP = 1 << 12  # bytes; the longest that a candidate can be
MEMORY = 64 << 20  # bytes that the automaton may take
MOST = 20_000  # matches; a hostile file can make one of every few bytes


class PatternError(GoForensicsError):
    """A pattern that RE2 does not take, as a sentence."""


class TooManyError(GoForensicsError):
    """More matches than are looked at, as a sentence."""


def spans(data: memoryview, patterns: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of every match of any pattern, in order, none over another.

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


def check(pattern: str) -> None:
    """Raise PatternError unless RE2 takes a pattern."""
    _machine(pattern.encode())


def matches(pattern: bytes, text: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of every match in a short text that is not empty."""
    for found in _machine(pattern).finditer(text):
        if found.end() > found.start():
            yield found.span()


@cache
def _machine(pattern: bytes) -> Any:  # re2 has no types
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise PatternError(f"{pattern.decode('utf-8', 'backslashreplace')!r}: {_said(error)}") from None


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "backslashreplace") if isinstance(said, bytes) else str(said)
