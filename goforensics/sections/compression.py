"""Compressed debug sections: SHF_COMPRESSED's header, and the older .zdebug_ one.

Source of truth: Go's src/debug/elf/file.go (Section.Open), cmd/link/internal/ld/dwarf.go (compressSyms); the gABI's
Elf32_Chdr and Elf64_Chdr.  What a header declares is only a claim: the limits here hold whatever it says.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from goforensics.containers.image import Image, Section
from goforensics.errors import FormatError, require

CHDR = {(bits, order): order + ("IIQQ" if bits == 64 else "III") for bits in (32, 64) for order in "<>"}
SIZE_FIELD = {64: 2, 32: 1}  # ch_type, (ch_reserved,) ch_size, ch_addralign
FEED = 1 << 20  # compressed bytes handed over at a time: what zlib does not take yet, it copies
STEP = 1 << 20  # bytes inflated at a time
THREADS = 2
FLOOR = 64 << 20
RATIO = 20
CEILING = 256 << 20
"""A section may inflate to RATIO times its bytes in the file, or to FLOOR if that is more; never past CEILING.

DEFLATE reaches 1032:1 on zeros, but DWARF is dense: over the builds of all releases from Go 1.13 to 1.27 the highest
ratio of any section was 7.1, a .debug_loc.  FLOOR keeps small sections out of the question (a large Go program's
largest section has about 60 MB) and is what a hostile one may cost; with CEILING the three sections that are held at
once (for line programs), and a file that can fill them, stay below 1 GiB together.
"""


def limit(section: Section) -> int:
    """The most bytes that `section` may inflate to."""
    return min(max(FLOOR, RATIO * section.file_size), CEILING)


def uncompressed_size(image: Image, section: Section) -> int:
    """The section's size in bytes as its header declares it.

    FormatError if the header is cut short, is no such header, or declares more than `limit`.
    """
    return _header(image, section)[1] if section.compression else section.file_size


def ahead(image: Image, sections: Iterable[Section]) -> None:
    """Begin to inflate `sections` in other threads, which zlib lets run; `content` then has them at hand.

    They stay in memory with the image, so those that together would take more than the file does are left out.
    """
    room = len(image.data)
    with_room = []
    for section in sections:
        try:
            room -= uncompressed_size(image, section)
        except FormatError:
            continue  # `content` will say why
        if room < 0:
            break
        with_room.append(section)
    pool = ThreadPoolExecutor(THREADS)
    image.inflating.update({s.offset: pool.submit(_content, image, s) for s in with_room})
    pool.shutdown(wait=False)


def content(image: Image, section: Section) -> bytes | bytearray:
    """The section's bytes, inflated if need be.

    FormatError if the stream is broken, if its size is not the declared one, or if that is more than `limit`.
    """
    begun = image.inflating.get(section.offset)
    return begun.result() if begun else _content(image, section)


def _content(image: Image, section: Section) -> bytes | bytearray:
    raw = image.bytes_at(section.offset, section.file_size, section.name)
    if not section.compression:
        return bytes(raw)
    skip, declared = _header(image, section)
    if section.compression == "zstd":
        return _zstd(section, bytes(raw[skip:]), declared)
    try:
        return _inflate(section, raw[skip:], declared)
    except zlib.error as error:
        raise FormatError(f"cannot be inflated ({error})", structure=section.name, offset=section.offset) from None


def _header(image: Image, section: Section) -> tuple[int, int]:
    """Bytes before the compressed stream, and the size declared in them."""
    at, name = section.offset, section.name
    require(section.compression != "unknown", "compressed in a way that is not known", name, at)
    layout = struct.Struct(">4sQ" if section.compression == "zdebug" else CHDR[image.bits, image.order])
    require(section.file_size >= layout.size, "shorter than its compression header", name, at)
    fields = layout.unpack(image.bytes_at(at, layout.size, name))
    require(section.compression != "zdebug" or fields[0] == b"ZLIB", "no ZLIB header", name, at)
    declared = int(fields[-1] if section.compression == "zdebug" else fields[SIZE_FIELD[image.bits]])
    most = limit(section)
    require(declared <= most, f"declares {declared} bytes, more than the {most} allowed", name, at)
    return layout.size, declared


def _inflate(section: Section, stream: memoryview, declared: int) -> bytes | bytearray:
    """Inflate in steps, so that a stream that goes on past `declared` costs one step and not its full size."""
    machine = zlib.decompressobj()
    out, size = bytearray(declared), 0  # memory is taken up as it is written, not as it is declared
    for start in range(0, len(stream), FEED):
        rest: bytes | memoryview = stream[start : start + FEED]
        piece = b""
        while not machine.eof and (rest or len(piece) == STEP):  # after a full step there may be more to come
            piece = machine.decompress(rest, STEP)
            rest = machine.unconsumed_tail
            fits = size + len(piece) <= declared
            require(fits, f"inflates past the {declared} bytes declared", section.name, section.offset)
            out[size : size + len(piece)] = piece
            size += len(piece)
    reason = f"inflates to {size} bytes, not the {declared} declared"
    require(machine.eof and size == declared, reason, section.name, section.offset)
    return out


def _zstd(section: Section, stream: bytes, declared: int) -> bytes | bytearray:
    """Zstandard, where Python itself has it (3.14 and later)."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        reason = "zstd needs Python 3.14 or later"
        raise FormatError(reason, structure=section.name, offset=section.offset) from None
    machine = zstd.ZstdDecompressor()
    try:
        out: bytes = machine.decompress(stream, max_length=declared + 1)
    except zstd.ZstdError as error:
        raise FormatError(f"cannot be inflated ({error})", structure=section.name, offset=section.offset) from None
    reason = f"inflates to something else than the {declared} bytes declared"
    require(len(out) == declared, reason, section.name, section.offset)
    return out
