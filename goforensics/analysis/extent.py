"""How far the headers say that a file reaches, what lies behind that, and which sections want the same bytes.

Source of truth: the System V gABI; Microsoft's PE format; Apple's <mach-o/loader.h>.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from goforensics.containers.image import Image, Section
from goforensics.errors import FormatError

STEP = 1 << 20  # bytes looked at in one go
ROUNDING = 1 << 16  # zeros that a linker may leave behind the last structure: no page is larger
PAYLOADS = (  # what appended data begins with, or a ZIP archive ends with
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x7fELF", "an ELF file"),
    (b"MZ", "a PE file"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"#!", "a script"),
    (b"-----BEGIN ", "a PEM block"),
)
ZIP_END, ZIP_TAIL = b"PK\x05\x06", 22 + (1 << 16)  # the end of a ZIP archive's directory, with the longest comment


class Overlap(msgspec.Struct, frozen=True):
    """Two sections that want the bytes `[start, end)`."""

    start: int
    end: int
    first: str
    second: str


def end(image: Image) -> int:
    """Where the last thing that a header tells of ends, bytes; at most the file's size."""
    ranges = [(s.offset, s.file_size) for s in image.sections if s.file_size]
    ranges += [(s.offset, s.file_size) for s in image.segments if s.file_size]
    return min(max((at + size for at, size in (*ranges, *_tables(image))), default=0), len(image.data))


def _tables(image: Image) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of header tables and of what they tell of outside of sections."""
    if image.format == "elf":
        from goforensics.containers.elf import ElfImage

        assert isinstance(image, ElfImage)
        head = image.header
        yield 0, head["e_ehsize"]
        yield head["e_phoff"], head["e_phnum"] * head["e_phentsize"]
        yield head["e_shoff"], head["e_shnum"] * head["e_shentsize"]
    elif image.format == "pe":
        from goforensics.containers.pe import PeImage

        assert isinstance(image, PeImage)
        yield image.certificates()
    yield from _symbols(image)


def _symbols(image: Image) -> Iterator[tuple[int, int]]:
    try:
        table = image.symbol_table()
    except FormatError:
        return
    if table is not None:
        yield table.strings_offset, table.strings_size


def trailing(image: Image) -> tuple[int, int] | None:
    """(offset, bytes) of what lies behind everything that a header tells of; None for nothing, or a few zeros."""
    start = end(image)
    size = len(image.data) - start
    if not size or (size <= ROUNDING and not _any_byte(image.data[start:])):
        return None
    return start, size


def _any_byte(data: memoryview) -> bool:
    return any(np.frombuffer(data[at : at + STEP], np.uint8).any() for at in range(0, len(data), STEP))


def payload(data: memoryview) -> str:
    """What appended bytes are, by how they begin or end; "data" if nothing tells."""
    head, tail = bytes(data[:16]), bytes(data[-ZIP_TAIL:])
    found = next((what for magic, what in PAYLOADS if head.startswith(magic)), None)
    return found or ("a ZIP archive" if ZIP_END in tail else "data")


def overlaps(image: Image) -> list[Overlap]:
    """Sections that begin before an earlier one ends, each with the one that reaches furthest, by offset."""
    held = sorted((s for s in image.sections if s.file_size), key=lambda s: (s.offset, -s.file_size, s.name))
    found, widest = [], None
    for section in held:
        if widest is not None and section.offset < _end(widest):
            found.append(Overlap(section.offset, min(_end(section), _end(widest)), widest.name, section.name))
        if widest is None or _end(section) > _end(widest):
            widest = section
    return found


def _end(section: Section) -> int:
    return section.offset + section.file_size
