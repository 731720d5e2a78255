"""LIEF, asked for headers only: it takes a quarter of a second to import, so only PE and Mach-O pay for it.

LIEF copies every section's and segment's bytes, and the file's if they come as anything but `bytes`.  Given only the
bytes up to the end of the header tables it has nothing to copy: no more memory than the headers, and under a
millisecond whatever the size of the file.  What lies behind them is read here in place.

Its objects do not outlive the binary that they belong to (a section asked later reads freed memory), so what they
say is copied into records before anyone else sees it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lief
import msgspec

from goforensics.errors import FormatError, GoForensicsError

MAX_HEADERS = 16 << 20  # bytes: 65 535 PE sections take 2.5 MB

lief.logging.disable()  # it prints what it dislikes in a file; a report lists that itself


class PeSection(msgspec.Struct, frozen=True):
    """An IMAGE_SECTION_HEADER."""

    name: bytes  # eight bytes: the name and NULs, or "/" and an offset in the string table
    offset: int
    size: int  # bytes in the file, as stated
    rva: int
    memory_size: int
    flags: int


class PeHeaders(msgspec.Struct, frozen=True):
    """What LIEF reads of an optional header and of the section table."""

    image_base: int
    entry: int  # RVA
    size: int  # SizeOfHeaders
    dll_flags: int
    directories: list[tuple[int, int]]  # RVA and size
    sections: list[PeSection]


class MachoSection(msgspec.Struct, frozen=True):
    """A section(_64)."""

    name: str
    segment: str  # as the section states it
    offset: int
    size: int
    address: int
    kind: int  # S_REGULAR, S_ZEROFILL, ...
    flags: int
    align: int  # exponent of two, as stated


class MachoSegment(msgspec.Struct, frozen=True):
    """An LC_SEGMENT(_64)."""

    name: str
    offset: int
    size: int
    address: int
    memory_size: int
    access: int  # initprot
    sections: list[MachoSection]


class MachoHeaders(msgspec.Struct, frozen=True):
    """What LIEF reads of the load commands."""

    entry: int  # by LC_MAIN or LC_UNIXTHREAD; 0 if neither tells
    segments: list[MachoSegment]


def parse_pe(headers: memoryview) -> PeHeaders:
    """Read a PE file's bytes up to the end of its section table.  FormatError if LIEF can make nothing of them."""
    config = lief.PE.ParserConfig()
    for name in ("signature", "exports", "imports", "rsrc", "reloc", "exceptions", "arm64x_binary"):
        setattr(config, f"parse_{name}", False)
    with _reading("PE headers"):
        binary = _parsed(lief.PE.parse, headers, config, "PE headers")
        head = binary.optional_header
        return PeHeaders(
            image_base=int(head.imagebase),
            entry=int(head.addressof_entrypoint),
            size=int(head.sizeof_headers),
            dll_flags=int(head.dll_characteristics),
            directories=[(int(d.rva), int(d.size)) for d in binary.data_directories],
            sections=[_pe_section(s) for s in binary.sections],
        )


def _pe_section(raw: Any) -> PeSection:
    return PeSection(
        name=bytes(raw.fullname),
        offset=int(raw.pointerto_raw_data),
        size=int(raw.sizeof_raw_data),
        rva=int(raw.virtual_address),
        memory_size=int(raw.virtual_size),
        flags=int(raw.characteristics),
    )


def parse_macho(headers: memoryview) -> MachoHeaders:
    """Read a slice's bytes up to the end of its load commands.  FormatError if LIEF can make nothing of them."""
    with _reading("Mach-O headers"):
        found = _parsed(lief.MachO.parse, headers, lief.MachO.ParserConfig.quick, "Mach-O headers")
        if not len(found):
            raise FormatError("no Mach-O image", structure="Mach-O headers")
        binary = found.at(0)
        return MachoHeaders(_macho_entry(binary), [_macho_segment(s) for s in binary.segments])


def _macho_entry(binary: Any) -> int:
    try:
        return int(binary.entrypoint) if binary.has_entrypoint else 0
    except Exception:  # a broken LC_UNIXTHREAD costs the entry, not the image
        return 0


def _macho_segment(raw: Any) -> MachoSegment:
    return MachoSegment(
        name=_text(raw, "name"),
        offset=int(raw.file_offset),
        size=int(raw.file_size),
        address=int(raw.virtual_address),
        memory_size=int(raw.virtual_size),
        access=_number(raw.init_protection),
        sections=[_macho_section(s) for s in raw.sections],
    )


def _macho_section(raw: Any) -> MachoSection:
    return MachoSection(
        name=_text(raw, "name"),
        segment=_text(raw, "segment_name"),
        offset=int(raw.offset),
        size=int(raw.size),
        address=int(raw.virtual_address),
        kind=_number(raw.type),
        flags=_number(raw.flags),
        align=int(raw.alignment),
    )


def _number(value: Any) -> int:
    """A field that LIEF gives as a member of an enumeration, or as it is if no member has its value."""
    return int(getattr(value, "value", value))


def _text(raw: Any, name: str) -> str:
    r"""A name up to its NUL; what is not UTF-8 becomes \xNN."""
    try:
        found = getattr(raw, name)
    except UnicodeDecodeError as error:
        found = bytes(error.object)
    text = found if isinstance(found, str) else bytes(found).decode("utf-8", "backslashreplace")
    return text.split("\0", 1)[0]


@contextmanager
def _reading(structure: str) -> Iterator[None]:
    """Turn what LIEF's bindings raise, which is whatever C++ threw, into a FormatError.

    They also warn of a number that is in none of their enumerations; what it means is decided by who asked.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except GoForensicsError:
        raise
    except Exception as error:
        raise FormatError(f"cannot be parsed ({type(error).__name__})", structure=structure) from None


def _parsed(parse: Any, headers: memoryview, config: Any, structure: str) -> Any:
    if len(headers) > MAX_HEADERS:
        raise FormatError(f"headers of {len(headers)} bytes", structure=structure)
    found = parse(bytes(headers), config)
    if found is None:
        raise FormatError("cannot be parsed", structure=structure)
    return found
