"""strconv.Quote undone.  Source of truth: Go's src/strconv/quote.go (unquote, UnquoteChar)."""

from __future__ import annotations

import re

SIMPLE = dict(zip(b'abfnrtv\\"', b'\a\b\f\n\r\t\v\\"', strict=True))
ESCAPE = re.compile(rb'\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\"]))')
INTERPRETED = re.compile(rb'"(?:[^"\\\n]|\\.)*"', re.DOTALL)
RAW = re.compile(rb"`[^`]*`")


def quoted_prefix(data: bytes) -> bytes:
    """The quoted string that `data` begins with, quotes and all.  ValueError if it begins with none."""
    found = INTERPRETED.match(data) or RAW.match(data)
    if found is None:
        raise ValueError("no quoted string")
    unquote(found[0])
    return found[0]


def unquote(data: bytes) -> bytes:
    """The bytes that a quoted string stands for.  ValueError unless all of `data` is one."""
    if RAW.fullmatch(data):
        return data[1:-1].replace(b"\r", b"")
    if not INTERPRETED.fullmatch(data):
        raise ValueError("no quoted string")
    out, at, body = bytearray(), 0, data[1:-1]
    while (back := body.find(b"\\", at)) >= 0:
        found = ESCAPE.match(body, back)
        if found is None:
            raise ValueError("unknown escape")
        out += body[at:back] + _escaped(found)
        at = found.end()
    return bytes(out + body[at:])


def _escaped(found: re.Match[bytes]) -> bytes:
    """The bytes of one escape: \\x and octal are bytes, \\u and \\U are code points in UTF-8."""
    byte, short, long, octal, simple = found.groups()
    if simple:
        return bytes([SIMPLE[simple[0]]])
    if short or long:
        return _code_point(int(short or long, 16))
    value = int(byte, 16) if byte else int(octal, 8)
    if value > 255:
        raise ValueError("octal escape of more than a byte")
    return bytes([value])


def _code_point(value: int) -> bytes:
    if value > 0x10FFFF or 0xD800 <= value < 0xE000:
        raise ValueError("no such code point")
    return chr(value).encode()
