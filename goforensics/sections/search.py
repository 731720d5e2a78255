"""Needles in an image's bytes, without a second copy of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goforensics.containers.image import Image, Segment

STEP = 1 << 20  # bytes copied at a time: bytes.find is twenty times as fast as a scan of the memoryview


def find_all(data: memoryview, needle: bytes) -> Iterator[int]:
    """Offsets in `data` of every occurrence of `needle` (not empty), in order, overlapping ones included."""
    for start in range(0, len(data), STEP):
        chunk = bytes(data[start : start + STEP + len(needle) - 1])
        at = chunk.find(needle)
        while at >= 0:
            yield start + at
            at = chunk.find(needle, at + 1)


def held(image: Image) -> list[Segment]:
    """The segments with bytes in the file; a hostile empty one may lie anywhere in 64 bits."""
    return [s for s in image.segments if s.file_size and s.offset < len(image.data)]


def file_ranges(segments: Iterable[Segment]) -> Iterator[tuple[int, int]]:
    """The `(start, end)` offsets that segments hold, in order and each byte once, however many headers claim it."""
    start = end = 0
    for s in sorted(segments, key=lambda s: s.offset):
        if s.offset > end:
            yield from [(start, end)] if end > start else []
            start = end = s.offset
        end = max(end, s.offset + s.file_size)
    yield from [(start, end)] if end > start else []


def text(raw: bytes | bytearray | memoryview) -> str:
    r"""A str of what should be UTF-8; undecodable bytes become \xNN."""
    return bytes(raw).decode("utf-8", "backslashreplace")
