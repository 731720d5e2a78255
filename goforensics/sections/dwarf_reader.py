"""A cursor over DWARF bytes, and the budget that keeps hostile tables from costing more than their bytes."""

from __future__ import annotations

from typing import Literal

import msgspec

from goforensics.errors import FormatError
from goforensics.sections.search import text

LONGEST = 8192  # bytes of one string that are kept: compilers write their whole command line into a producer


class Budget(msgspec.Struct):
    """What may still be read.  Tables can be shared, so a small file can ask for the same bytes without end."""

    steps: int = 2_000_000  # attributes and table entries; a Go program of 24 MB has 3,000 and 20,000
    text: int = 64 << 20  # bytes of strings; a Go program of 24 MB has 20 kB in units and 1 MB in line programs

    def step(self, structure: str, offset: int, count: int = 1) -> None:
        """Spend `count` steps.  FormatError once there are none left."""
        self.steps -= count
        if self.steps < 0:
            raise FormatError("more entries than an honest file has", structure=structure, offset=offset)

    def keep(self, size: int, structure: str, offset: int) -> None:
        """Spend `size` bytes of text.  FormatError once there are none left."""
        self.text -= size
        if self.text < 0:
            raise FormatError("more text than an honest file has", structure=structure, offset=offset)


class Reader:
    """Reads a section's bytes one after another; FormatError, with the offset in the section, past their end."""

    __slots__ = ("end", "offset", "order", "raw", "section")

    def __init__(
        self, raw: bytes | bytearray, order: str, section: str, offset: int = 0, end: int | None = None
    ) -> None:
        self.raw = raw
        self.order: Literal["little", "big"] = "little" if order == "<" else "big"
        self.section = section
        self.offset = offset
        self.end = len(raw) if end is None else min(end, len(raw))

    def error(self, reason: str) -> FormatError:
        """What is wrong here."""
        return FormatError(reason, structure=self.section, offset=self.offset)

    def skip(self, size: int) -> None:
        """Pass over `size` bytes."""
        if not 0 <= size <= self.end - self.offset:
            raise self.error(f"{size} bytes do not fit")
        self.offset += size

    def take(self, size: int) -> bytes:
        """`size` bytes."""
        start = self.offset
        self.skip(size)
        return bytes(self.raw[start : self.offset])

    def number(self, size: int) -> int:
        """An unsigned number of `size` bytes."""
        start = self.offset
        self.skip(size)
        return int.from_bytes(self.raw[start : self.offset], self.order)

    def uleb(self) -> int:
        """An unsigned LEB128 number; FormatError beyond 64 bits' worth of bytes."""
        value = shift = 0
        while shift < 70:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF
            shift += 7
        raise self.error("a number does not end")

    def sleb(self) -> int:
        """A signed LEB128 number."""
        start = self.offset
        value = self.uleb()
        bits = 7 * (self.offset - start)
        signed = value - (1 << bits) if bits < 64 and value >> (bits - 1) else value
        return signed - (1 << 64) if signed >= 1 << 63 else signed

    def skip_string(self) -> int:
        """Pass over a NUL-ended string; its offset."""
        start = self.offset
        end = self.raw.find(b"\0", start, self.end)
        if end < 0:
            raise self.error("a string does not end")
        self.offset = end + 1
        return start

    def string(self, budget: Budget) -> tuple[str, int]:
        """A NUL-ended string, cut at LONGEST bytes, and the bytes that it takes, its NUL included."""
        found = string_at(self.raw, self.offset, self.section, budget, self.end)
        self.offset += found[1]
        return found

    def length(self) -> tuple[int, int]:
        """An initial length, and how many bytes an offset has in what follows: 4, or 8 in 64-bit DWARF."""
        value = self.number(4)
        if value == 0xFFFFFFFF:
            return self.number(8), 8
        if value >= 0xFFFFFFF0:
            raise self.error(f"reserved length {value:#x}")
        return value, 4


def string_at(
    raw: bytes | bytearray, offset: int, section: str, budget: Budget, end: int | None = None
) -> tuple[str, int]:
    """The NUL-ended string at an offset, cut at LONGEST bytes, and the bytes that it takes, its NUL included.

    FormatError if it does not end before `end`, the section's by default.  The budget pays for the search, too.
    """
    budget.keep(0, section, offset)
    stop = len(raw) if end is None else end
    at = raw.find(b"\0", offset, stop) if 0 <= offset < stop else -1
    budget.keep((at if at >= 0 else max(stop, offset)) - offset, section, offset)
    if at < 0:
        raise FormatError("a string does not end", structure=section, offset=offset)
    return text(raw[offset : min(at, offset + LONGEST)]), at + 1 - offset
