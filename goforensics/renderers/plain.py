"""Untrusted text made harmless: what a file or a file system calls something never moves the cursor."""

from __future__ import annotations


def plain(text: str) -> str:
    r"""`text` in printable characters only, the others as \xNN, \uNNNN or \UNNNNNNNN.

    Control and format characters, bidirectional overrides, line and paragraph separators and all spaces but U+0020
    go; a byte that was not UTF-8 (a surrogate, in Python's file names) shows as that byte.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
