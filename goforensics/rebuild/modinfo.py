"""The module information that cmd/go would record if the same program were built with other flags.

Source of truth: Go's cmd/go/internal/load/pkg.go (setBuildInfo) and src/runtime/debug/mod.go (BuildInfo.String).  Since
Go 1.18 the flags are lines of it; with -trimpath those that may hold a path are left out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from goforensics.rebuild.contents import Declined
from goforensics.rebuild.flags import Flags
from goforensics.sections.buildinfo import MUST_QUOTE
from goforensics.sections.quoted import unquote

BUILD = b"build\t"
LDFLAGS = b"build\t-ldflags="
PGO = b"build\t-pgo="
TRIMPATH = b"build\t-trimpath=true\n"
DROPPED = (LDFLAGS, *(b"build\tCGO_%s=" % name for name in (b"CFLAGS", b"CPPFLAGS", b"CXXFLAGS", b"LDFLAGS")))
BEFORE_LDFLAGS = tuple(
    BUILD + name + b"=" for name in (b"-asan", b"-asmflags", b"-buildmode", b"-compiler", b"-gccgoflags", b"-gcflags")
)
BEFORE_TRIMPATH = (
    *BEFORE_LDFLAGS,
    LDFLAGS,
    *(b"build\t-%s=" % n for n in (b"cover", b"pgo", b"msan", b"race", b"tags")),
)
NAMED_TRIMPATH = (1, 19)  # the first release that records -trimpath itself
SIMPLE = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def rebuilt(text: bytes, flags: Flags, trimmed: bool, release: tuple[int, int]) -> bytes:
    """The module information (sentinels excluded) after a rebuild; `trimmed` says that -trimpath is in force then.

    `release` is the recorded one.  Declined where the recorded flags cannot be read.
    """
    lines = text.splitlines(keepends=True)
    if not any(line.startswith(BUILD) for line in lines):
        return text  # Go 1.17 and before record no flags
    if trimmed:
        return b"".join(_trimmed(lines, release))
    return b"".join(_with_ldflags(lines, flags.ldflags))


def recorded_ldflags(text: bytes) -> str:
    """The value of -ldflags as typed, "" if none is recorded.  Declined if it cannot be read."""
    line = next((line for line in text.splitlines() if line.startswith(LDFLAGS)), LDFLAGS)
    value = line[len(LDFLAGS) :]
    try:
        plain = unquote(value) if value[:1] in (b'"', b"`") else value
        return plain.decode()
    except (ValueError, UnicodeDecodeError):
        raise Declined("the recorded -ldflags cannot be read") from None


def _trimmed(lines: list[bytes], release: tuple[int, int]) -> Iterator[bytes]:
    kept = [_base_name(line) for line in lines if not line.startswith(DROPPED)]
    if TRIMPATH in kept or release < NAMED_TRIMPATH:
        return iter(kept)
    return iter(_inserted(kept, TRIMPATH, BEFORE_TRIMPATH))


def _base_name(line: bytes) -> bytes:
    """-trimpath leaves of a profile's path its last element."""
    return PGO + posixpath.basename(line[len(PGO) :]) if line.startswith(PGO) else line


def _with_ldflags(lines: list[bytes], added: tuple[str, ...]) -> list[bytes]:
    if not added:
        return lines
    old = recorded_ldflags(b"".join(lines))
    new = LDFLAGS + _value(" ".join([*([old] if old else []), *added])) + b"\n"
    if old:
        return [new if line.startswith(LDFLAGS) else line for line in lines]
    return _inserted(lines, new, BEFORE_LDFLAGS)


def _inserted(lines: list[bytes], new: bytes, before: tuple[bytes, ...]) -> list[bytes]:
    """`new` after the last of the lines that cmd/go writes before it, else before the first setting."""
    places = [i + 1 for i, line in enumerate(lines) if line.startswith(before)]
    first = next((i for i, line in enumerate(lines) if line.startswith(BUILD)), len(lines))
    at = max(places, default=first)
    return [*lines[:at], new, *lines[at:]]


def _value(value: str) -> bytes:
    """A setting's value, quoted where runtime/debug quotes it: strconv.Quote."""
    if not MUST_QUOTE & set(value.encode()):
        return value.encode()
    if not value.isprintable() and not value.isascii():
        raise Declined("the recorded -ldflags hold characters that are not printable")
    return b'"' + "".join(map(_quoted, value)).encode() + b'"'


def _quoted(char: str) -> str:
    code = ord(char)
    if code in SIMPLE:
        return SIMPLE[code]
    return char if char.isprintable() else f"\\x{code:02x}"
