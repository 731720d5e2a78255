"""The Go string that a byte of a text lies in.

Go strings have no terminators: a text found by its looks runs on into its neighbours.  A string's header in data tells
its bounds exactly; for a constant that only code uses, strings lie end to end, and it ends where the next one begins.
Source of truth: Go's src/runtime/string.go (stringStruct), cmd/link/internal/ld/data.go (addstrdata, for -X).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image, Words
from goforensics.errors import FormatError
from goforensics.sections import buildinfo, gostrings, references
from goforensics.sections.protocol import Parser, Source
from goforensics.sections.region import words_at
from goforensics.sets import among, distinct

T = TypeVar("T")
STRUCTURE = "string headers"
RUN = 1 << 16  # bytes of a printable run, at most
LEAST = 4  # bytes of what -X set: single bytes lie in a table of the runtime's
LARGEST = 1 << 31  # bytes of one string
NOT_TEXT = bytes(set(range(32)) - set(b"\t\n\r")) + b"\x7f"  # what ends a printable run


class Headers(msgspec.Struct, frozen=True, eq=False):
    """String headers (or slices, whose first two words are the same): text and its length, by address of the text."""

    slot: Words  # (n,) where the header is
    start: Words  # (n,) address of the first byte, increasing
    end: Words  # (n,)
    reach: Words  # (n,) the largest end so far
    sure: NDArray[np.bool_]  # (n,) the first word is a pointer, for the linker says so


class Bound(msgspec.Struct, frozen=True):
    """Offsets in the image of the string around a text."""

    start: int
    end: int
    exact: bool  # a header says so; else the end is where the next string begins, or where text ends


class Texts:
    """One image's strings.  Whatever is not known of them, `bound` has an answer, and says how good it is."""

    def __init__(self, source: Source) -> None:
        self.image = source.image
        self.headers = _optional(source, PARSER)
        self.area = _optional(source, gostrings.PARSER)
        targets = _optional(source, references.PARSER)
        pointed = [targets.targets] if targets else []
        pointed += [self.headers.start] if self.headers else []
        self.pointed = distinct(np.concatenate(pointed)) if pointed else np.empty(0, np.uint64)
        area = (self.area.start, self.area.end) if self.area else (0, 0)
        self.starts = gostrings.starts(area, self.pointed) if self.area else np.empty(0, np.uint64)

    def bound(self, offset: int, size: int) -> Bound:
        """The string that holds the bytes `[offset, offset + size)` of the image."""
        address = self.image.address_of(offset)
        if address is None:
            return self._run(offset, size)
        base = offset - address
        cut = self._cut(address)
        exact = self._header(address, address + size, cut)
        if exact is not None:
            return Bound(exact[0] + base, exact[1] + base, True)
        if cut is not None:
            return Bound(cut[0] + base, max(cut[1], address + size) + base, False)
        return self._run(offset, size)

    def _cut(self, address: int) -> tuple[int, int] | None:
        """The piece of the strings' area around an address."""
        if self.area is None or not self.area.start <= address < self.area.end:
            return None
        at = int(np.searchsorted(self.starts, np.uint64(address), side="right"))
        end = int(self.starts[at]) if at < len(self.starts) else self.area.end
        return int(self.starts[at - 1]), end

    def _header(self, low: int, high: int, cut: tuple[int, int] | None) -> tuple[int, int] | None:
        """The shortest string that a header says is around `[low, high)`.

        Among data any two words can look like a header.  One counts if the linker names its first word as a pointer,
        or if it agrees with where strings begin.
        """
        found = self.headers
        if found is None:
            return None
        first, last = (
            np.searchsorted(found.reach, np.uint64(high)),
            np.searchsorted(found.start, np.uint64(low), "right"),
        )
        rows = np.arange(first, max(first, last))
        rows = rows[found.end[rows] >= high]
        begins = found.start[rows] == np.uint64(cut[0]) if cut else np.zeros(len(rows), bool)
        ends = among(found.end[rows], self.pointed) if cut else np.zeros(len(rows), bool)
        rows = rows[found.sure[rows] | (begins & (found.end[rows] <= np.uint64(cut[1] if cut else 0))) | ends]
        if not len(rows):
            return None
        best = rows[np.argmin(found.end[rows] - found.start[rows])]
        return int(found.start[best]), int(found.end[best])

    def _run(self, offset: int, size: int) -> Bound:
        """The printable text around, where no string is known: up to what is no text, or RUN bytes."""
        low = max(offset - RUN, 0)
        before = bytes(self.image.data[low:offset])
        after = bytes(self.image.data[offset + size : offset + size + RUN])
        start = max((before.rfind(byte) for byte in NOT_TEXT), default=-1) + 1
        end = min((at for byte in NOT_TEXT if (at := after.find(byte)) >= 0), default=len(after))
        return Bound(low + start, offset + size + end, False)


class SetString(msgspec.Struct, frozen=True):
    """A string that the linker was told to put into a variable: -X, or one that it sets itself."""

    variable: int  # address of the variable
    offset: int  # of the text in the image
    size: int


def set_strings(source: Source) -> list[SetString]:
    """The texts of -X, whether or not the build information still has the flag.

    The compiler lays string constants into one area.  Only the linker's addstrdata makes a read-only string outside of
    it, with a NUL behind, and a variable that points at it.  Those shorter than LEAST bytes are left out.
    """
    headers, area = _optional(source, PARSER), _optional(source, gostrings.PARSER)
    if headers is None or area is None:
        return []
    size = (headers.end - headers.start).astype(np.int64)
    offset, raw = source.image.offsets_of(headers.start), np.frombuffer(source.image.data, np.uint8)
    outside = (headers.start < area.start) | (headers.start >= area.end)
    rows = np.flatnonzero(headers.sure & outside & (size >= LEAST) & (offset >= 0) & (offset + size < len(raw)))
    rows = rows[raw[offset[rows] + size[rows]] == 0]
    constant = np.zeros(len(rows), bool)
    for low, high in _data(source.image, writable=False):
        constant |= (offset[rows] >= low) & (offset[rows] < high)
    info = _optional(source, buildinfo.PARSER)
    version = info.go_version.encode() if info else b""
    found = []
    for row in rows[constant].tolist():
        at, length = int(offset[row]), int(size[row])
        text = bytes(source.image.data[at : at + length])
        if _is_text(text) and text != version:
            found.append(SetString(int(headers.slot[row]), at, length))
    return found


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return not any(byte in raw for byte in NOT_TEXT)


def decode(source: Source) -> Headers:
    """Every pair of words in loaded data that may be a string's header.  FormatError if there is no moduledata."""
    known = source.read(references.PARSER)
    image = source.image
    slot = distinct(np.concatenate([known.slot, *(_words(image, s) for s in _data(image, writable=True))]))
    start = words_at(image, slot)
    size = words_at(image, slot + np.uint64(image.pointer_size))
    good = (size > 0) & (size < min(LARGEST, len(image.data)))
    slot, start, size = slot[good], start[good], size[good]
    first, last = image.offsets_of(start), image.offsets_of(start + size - np.uint64(1))
    inside = (first >= 0) & (last == first + size.astype(np.int64) - 1)
    order = np.flatnonzero(inside)[np.argsort(start[inside], kind="stable")]
    slot, start, size = slot[order], start[order], size[order]
    end = start + size
    return Headers(slot, start, end, np.maximum.accumulate(end), among(slot, known.slot))


def _data(image: Image, *, writable: bool) -> list[tuple[int, int]]:
    """(start, end) offsets of loaded data that is not code: of sections or, where they are lost, of segments.

    None lies over another, whatever the headers say.
    """
    held = [s for s in image.sections if s.role == "data" and s.file_size and s.address and "pclntab" not in s.name]
    spans = [(s.offset, s.file_size) for s in held if writable or not s.writable]
    if not any(s.file_size for s in image.sections):
        parts = [s for s in image.segments if s.file_size and not s.executable]
        spans = [(s.offset, s.file_size) for s in parts if writable or not s.writable]
    out, reached = [], 0
    for offset, size in sorted(spans):
        start, end = max(offset, reached), min(offset + size, len(image.data))
        if start < end:
            out.append((start, end))
            reached = end
    return out


def _words(image: Image, span: tuple[int, int]) -> Words:
    """Addresses of the aligned words in a range of offsets that hold the address of a byte of the file."""
    pointer = image.pointer_size
    address = image.address_of(span[0])
    if address is None:
        return np.empty(0, np.uint64)
    skip = -address % pointer
    count = max(span[1] - span[0] - skip, 0) // pointer
    words = np.frombuffer(image.data, image.word, count, span[0] + skip)
    rows = np.zeros(count, bool)
    for s in image.segments:
        if s.file_size and not s.executable:
            rows |= (words >= s.address) & (words < s.address + s.file_size)
    return np.flatnonzero(rows).astype(np.uint64) * np.uint64(pointer) + np.uint64(address + skip)


def _optional(source: Source, parser: Parser[T]) -> T | None:
    try:
        return source.read(parser)
    except FormatError:
        return None


PARSER = Parser(STRUCTURE, decode)
