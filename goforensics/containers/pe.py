"""PE: Windows executables and DLLs.

Source of truth: Microsoft's PE format; Go's src/debug/pe and cmd/link/internal/ld/pe.go.  Go's linker names no
section after its own structures, so those are found by structure; its debug sections have long names, which are
offsets in the COFF string table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from goforensics.bytemap import Claims, Level
from goforensics.containers.image import (
    NO_RELOCATIONS,
    Dynamic,
    Image,
    Problem,
    Relocations,
    Role,
    Section,
    Segment,
    SymbolTable,
)
from goforensics.containers.lief_support import number, parse_pe, text
from goforensics.errors import require

SYMBOL = 18  # bytes of a COFF symbol
SECTION_HEADER = 40
EXECUTE, WRITE, CODE = 0x20000000, 0x80000000, 0x20  # IMAGE_SCN_*
DLL, RELOCS_STRIPPED = 0x2000, 0x0001  # IMAGE_FILE_*
METADATA = {".reloc", ".idata", ".edata", ".pdata", ".xdata", ".rsrc", ".CRT", ".tls"}
MACHINES = {0x8664: ("amd64", 64), 0x014C: ("386", 32), 0xAA64: ("arm64", 64), 0x01C4: ("arm", 32)}
MAX_NAME = 1024
MAX_ROUNDING = 65536  # bytes: more than any file alignment
DLL_CHARACTERISTICS, DYNAMIC_BASE = 70, 0x40  # offset in the optional header; IMAGE_DLLCHARACTERISTICS_*
CERTIFICATES = {64: 112 + 4 * 8, 32: 96 + 4 * 8}  # the certificate table's directory, by bits: a file offset and a size


class PeImage(Image):
    """A PE executable or DLL.  Addresses are those of the preferred image base."""

    format = "pe"
    base = 0
    goos = "windows"
    order = "<"

    def __init__(self, data: memoryview) -> None:
        self.data, self.problems = data, []
        self._headers()
        self._lief = parse_pe(data)
        self.image_base = int(self._lief.optional_header.imagebase)
        self.entry = self.image_base + int(self._lief.optional_header.addressof_entrypoint)
        self._raw = [self._clipped(section) for section in self._lief.sections]
        self.sections = tuple(self._section(*raw) for raw in self._raw)
        self.segments = tuple(self._segments())

    def _headers(self) -> None:
        """The few fields of the file header that LIEF would only give as names."""
        data = self.data
        require(len(data) >= 64, "shorter than its header", "PE headers", 0)
        self._pe = int.from_bytes(data[60:64], "little")
        require(self._pe + 26 <= len(data), "cut off", "PE headers", self._pe)
        fields = struct.unpack_from("<HHIIIHH", data, self._pe + 4)
        machine, self._count, _, self._symbols_at, self._symbols, self._optional, flags = fields
        magic = int.from_bytes(data[self._pe + 24 : self._pe + 26], "little")
        self.goarch, self.bits = MACHINES.get(machine, (f"{machine:#x}", 64))[0], 64 if magic == 0x20B else 32
        self.purpose = "library" if flags & DLL else "executable"
        at = self._pe + 24 + DLL_CHARACTERISTICS
        moves = int.from_bytes(data[at : at + 2], "little") & DYNAMIC_BASE
        self.position_independent = bool(moves) and not flags & RELOCS_STRIPPED

    def _clipped(self, section: Any) -> tuple[Any, str, int, int]:
        """(LIEF's section, its whole name, offset, bytes that the file holds)."""
        offset, size = int(section.offset), int(section.size)
        held = max(0, min(size, len(self.data) - offset)) if offset else 0
        name = self._long_name(bytes(section.fullname))
        if held < size and offset:
            self.problems.append(Problem(name, offset, f"a section of {size} bytes is cut off"))
        return section, name, offset, held

    def _long_name(self, raw: bytes) -> str:
        """ "/4" is the name at offset 4 of the COFF string table."""
        short = raw.rstrip(b"\0")
        if short[:1] != b"/" or not short[1:].isdigit():
            return short.decode("utf-8", "backslashreplace")
        at = self._symbols_at + SYMBOL * self._symbols + int(short[1:])
        text = bytes(self.data[at : at + MAX_NAME]).split(b"\0", 1)[0] if self._symbols_at else b""
        return (text or short).decode("utf-8", "backslashreplace")

    def _section(self, raw: Any, name: str, offset: int, held: int) -> Section:
        flags = number(raw, "characteristics")
        zlib = name.startswith(".zdebug_") and bytes(self.data[offset : offset + 4]) == b"ZLIB"
        size = min(held, int(raw.virtual_size)) if name.startswith((".zdebug_", ".debug_")) else held
        return Section(
            name=name,
            offset=offset,
            file_size=size,
            address=self.image_base + int(raw.virtual_address),
            memory_size=int(raw.virtual_size),
            role=_role(name, flags),
            writable=bool(flags & WRITE),
            compression="zdebug" if zlib else None,
        )

    def _segments(self) -> Iterator[Segment]:
        for raw, name, offset, held in self._raw:
            flags, size = number(raw, "characteristics"), int(raw.virtual_size)
            address = self.image_base + int(raw.virtual_address)
            loaded = min(held, size)
            yield Segment(name, offset, loaded, address, size, bool(flags & WRITE), bool(flags & EXECUTE))

    def claims(self) -> Iterator[Claims]:
        """The DOS stub, the headers and the zeros that round a section up to the file's alignment."""
        table = self._pe + 24 + self._optional
        ends = (0, self._pe, table, table + SECTION_HEADER * self._count)
        names = ("DOS header and stub", "PE header", "section headers")
        ranges = list(pairwise(ends))
        yield Claims.of("pe", Level.TABLE, ranges, section="(headers)", structure=names, kind="metadata")
        at, size = self._certificates()
        yield Claims.of("pe.signature", Level.TABLE, [(at, at + size)], structure="certificates", kind="metadata")
        yield from self._rounding()

    def _certificates(self) -> tuple[int, int]:
        """(offset, size) of the Authenticode signatures, which lie behind the last section."""
        at = self._pe + 24 + CERTIFICATES[self.bits]
        if at + 8 > min(len(self.data), self._pe + 24 + self._optional):
            return 0, 0
        offset, size = struct.unpack_from("<II", self.data, at)
        return (offset, size) if offset + size <= len(self.data) else (0, 0)

    def _rounding(self) -> Iterator[Claims]:
        spans = []
        for raw, _, offset, held in self._raw:
            used = min(held, int(raw.virtual_size))
            if used < held <= used + MAX_ROUNDING and not any(bytes(self.data[offset + used : offset + held])):
                spans.append((offset + used, offset + held))
        yield Claims.of("pe.rounding", Level.TABLE, spans, structure="padding", kind="padding")

    def symbol_table(self) -> SymbolTable | None:
        """The COFF symbols, which Go's linker keeps in a section of their own."""
        if not self._symbols or not self._symbols_at:
            return None
        strings = self._symbols_at + SYMBOL * self._symbols
        self.bytes_at(self._symbols_at, SYMBOL * self._symbols + 4, "symtab")
        size = int.from_bytes(self.data[strings : strings + 4], "little")
        self.bytes_at(strings, size, "strtab")
        return SymbolTable("coff", self._symbols_at, self._symbols, strings, size)

    def dynamic(self) -> Dynamic:
        """The DLLs that the import table names."""
        return Dynamic(needed=tuple(text(entry, "name") for entry in self._lief.imports))

    def relocations(self) -> Relocations:
        """None: base relocations add to words that already hold their value."""
        return NO_RELOCATIONS


def _role(name: str, flags: int) -> Role:
    if name.startswith((".debug_", ".zdebug_")):
        return "debug"
    if name == ".symtab":
        return "symbols"
    if name in METADATA:
        return "metadata"
    return "code" if flags & (EXECUTE | CODE) else "data"
