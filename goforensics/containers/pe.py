"""PE: Windows executables and DLLs.

Source of truth: Microsoft's PE format; Go's src/debug/pe and cmd/link/internal/ld/pe.go.  Go's linker names no
section after its own structures, so those are found by structure; its debug sections have long names, which are
offsets in the COFF string table and which LIEF leaves as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

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
from goforensics.containers.lief_support import PeSection, parse_pe
from goforensics.errors import FormatError, require

SYMBOL = 18  # bytes of a COFF symbol
FILE_HEADER = 24  # bytes of the signature and IMAGE_FILE_HEADER
SECTION_HEADER = 40
IMPORT = 20  # bytes of an IMAGE_IMPORT_DESCRIPTOR
EXECUTE, WRITE, CODE = 0x20000000, 0x80000000, 0x20  # IMAGE_SCN_*
DLL, RELOCS_STRIPPED = 0x2000, 0x0001  # IMAGE_FILE_*
DYNAMIC_BASE = 0x0040  # IMAGE_DLLCHARACTERISTICS_*
IMPORTS, CERTIFICATES, RELOCATIONS = 1, 4, 5  # IMAGE_DIRECTORY_ENTRY_*
METADATA = {".reloc", ".idata", ".didat", ".edata", ".pdata", ".xdata", ".rsrc", ".buildid", ".CRT", ".tls"}
DEBUG = (".debug_", ".zdebug_")
MACHINES = {0x8664: "amd64", 0x014C: "386", 0xAA64: "arm64", 0x01C0: "arm", 0x01C2: "arm", 0x01C4: "arm"}
MAX_NAME = 1024  # bytes of a name that are shown
MAX_IMPORTS = 4096
MAX_ALIGNMENT = 1 << 16  # of FileAlignment; more zeros than that are no rounding
LAST = (1 << 64) - 1  # address


class PeImage(Image):
    """A PE executable or DLL.  Addresses are those at the preferred image base.

    FormatError if the headers cannot be read; a section or a table that lies outside of the file is a Problem.
    """

    format = "pe"
    base = 0
    goos = "windows"
    order = "<"

    def __init__(self, data: memoryview) -> None:
        self.data, self.problems = data, []
        self._file_header()
        head = parse_pe(data[: self._section_table + SECTION_HEADER * self._count])
        self.image_base, self._headers_size, self._directories = head.image_base, head.size, head.directories
        self.dll_flags = head.dll_flags
        self._raw = [self._clipped(section) for section in head.sections]
        self.entry = self._address(head.entry) if head.entry else 0
        moves = head.dll_flags & DYNAMIC_BASE and self._relocatable
        self.position_independent = bool(moves and self._directory(RELOCATIONS)[1])
        if len(self._raw) < self._count:
            reason = f"{self._count} sections, {len(self._raw)} can be read"
            self.problems.append(Problem("section headers", self._section_table, reason))
        self.sections = tuple(self._section(*raw) for raw in self._raw)
        self.segments = tuple(self._segments())

    def _file_header(self) -> None:
        """The file header, which says where everything else is; LIEF gives some of it as names only."""
        data = self.data
        require(len(data) >= 64, "shorter than its header", "PE headers", 0)
        self._pe = int.from_bytes(data[60:64], "little")
        require(self._pe + FILE_HEADER + 2 <= len(data), "cut off", "PE headers", min(self._pe, len(data)))
        require(bytes(data[self._pe : self._pe + 4]) == b"PE\0\0", "no PE signature", "PE headers", self._pe)
        fields = struct.unpack_from("<HHIIIHH", data, self._pe + 4)
        machine, self._count, _, self._symbols_at, self._symbols, optional, flags = fields
        self._section_table = self._pe + FILE_HEADER + optional
        magic = int.from_bytes(data[self._pe + FILE_HEADER :][:2], "little")
        self.bits = 64 if magic == 0x20B else 32
        self.goarch = MACHINES.get(machine, f"{machine:#x}")
        self.purpose = "library" if flags & DLL else "executable"
        self._relocatable = not flags & RELOCS_STRIPPED

    def _address(self, rva: int) -> int:
        """Where `rva` is loaded; a hostile image base must not lead out of 64 bits."""
        return (self.image_base + rva) & LAST

    def _directory(self, index: int) -> tuple[int, int]:
        """(RVA, size) of a data directory; zeros if there is none."""
        return self._directories[index] if index < len(self._directories) else (0, 0)

    def certificates(self) -> tuple[int, int]:
        """Offset and size, as stated, of the attribute certificate table, which holds a signature; zeros if none."""
        return self._directory(CERTIFICATES)

    @property
    def optional_header(self) -> int:
        """The offset of the optional header."""
        return self._pe + FILE_HEADER

    def directory_offset(self, index: int) -> int:
        """The offset of the entry of a data directory, which may lie behind the last one that there is."""
        return self.optional_header + (112 if self.bits == 64 else 96) + 8 * index

    def _clipped(self, section: PeSection) -> tuple[PeSection, str, int, int]:
        """(the header, its whole name, offset, bytes that the file holds)."""
        offset, size = section.offset, section.size
        held = max(0, min(size, len(self.data) - offset)) if offset else 0
        name = self._long_name(section.name)
        if held < size and offset:
            self.problems.append(Problem(name, offset, f"a section of {size} bytes ends past the file", size - held))
        return section, name, offset, held

    def _long_name(self, raw: bytes) -> str:
        """The whole name of a section: "/4" stands for the one at offset 4 of the COFF string table."""
        short = raw.split(b"\0", 1)[0]
        long = b""
        if short[:1] == b"/" and short[1:].isdigit() and self._symbols_at:
            long = _until_nul(self.data, self._strings_at + int(short[1:]))
        return (long or short).decode("utf-8", "backslashreplace")

    @property
    def _strings_at(self) -> int:
        """The offset of the COFF string table, which begins with its size."""
        return int(self._symbols_at + SYMBOL * self._symbols)

    def _section(self, raw: PeSection, name: str, offset: int, held: int) -> Section:
        """A debug section is cut to its content, as debug/pe does; others keep the zeros that fill the alignment."""
        flags, memory = raw.flags, raw.memory_size
        zlib = name.startswith(".zdebug_") and bytes(self.data[offset : offset + 4]) == b"ZLIB"
        return Section(
            name=name,
            offset=offset,
            file_size=min(held, memory) if name.startswith(DEBUG) and memory else held,
            address=self._address(raw.rva),
            memory_size=memory,
            role=_role(name, flags),
            writable=bool(flags & WRITE),
            compression="zdebug" if zlib else None,
        )

    def _segments(self) -> Iterator[Segment]:
        size = min(self._headers_size, len(self.data))
        yield Segment("headers", 0, size, self.image_base, self._headers_size, False, False)
        for raw, name, offset, held in self._raw:
            flags, memory = raw.flags, raw.memory_size
            address, loaded = self._address(raw.rva), min(held, memory) if memory else held
            yield Segment(name, offset, loaded, address, memory, bool(flags & WRITE), bool(flags & EXECUTE))

    def claims(self) -> Iterator[Claims]:
        """Headers and their zeros, what lies outside of sections, and the zeros that round a section up."""
        ends = (0, self._pe, self._section_table, self._section_table + SECTION_HEADER * self._count)
        names = ("DOS header and stub", "PE header", "section headers")
        there = list(zip(names, ends[:-1], ends[1:], strict=True))
        yield _claims("(headers)", there, "header", "metadata")
        end = min(self._headers_size, len(self.data))
        if ends[-1] < end and _zero(self.data[ends[-1] : end]):
            yield _claims("(headers)", [("padding", ends[-1], end)], "padding", "padding")
        yield from self._outside()
        labels = {"structure": "padding", "kind": "padding", "origin": "padding"}
        yield Claims.of("pe.rounding", Level.TABLE, self._rounding(), **labels)

    def _outside(self) -> Iterator[Claims]:
        """Symbols that no section holds (GNU ld's), and the certificates, whose directory holds a file offset."""
        try:
            table = self.symbol_table()
        except FormatError:
            table = None
        if table is not None and not any(s.offset <= table.offset < s.offset + s.file_size for s in self.sections):
            ranges = [
                ("symtab", table.offset, table.strings_offset),
                ("strtab", table.strings_offset, table.strings_offset + table.strings_size),
            ]
            yield _claims("(symbols)", ranges, "symbol table", "symbols")
        at, size = self._directory(CERTIFICATES)
        if at and size and at + size <= len(self.data):
            yield _claims("(certificates)", [("certificates", at, at + size)], "metadata", "metadata")

    def _rounding(self) -> list[tuple[int, int]]:
        spans = []
        for raw, _, offset, held in self._raw:
            used = min(held, raw.memory_size or held)
            if used < held < used + MAX_ALIGNMENT and _zero(self.data[offset + used : offset + held]):
                spans.append((offset + used, offset + held))
        return spans

    def symbol_table(self) -> SymbolTable | None:
        """The COFF symbols, which Go's linker keeps in a section of their own."""
        if not self._symbols or not self._symbols_at:
            return None
        self.bytes_at(self._symbols_at, SYMBOL * self._symbols + 4, "symtab")
        size = int.from_bytes(self.data[self._strings_at : self._strings_at + 4], "little")
        self.bytes_at(self._strings_at, size, "strtab")
        return SymbolTable("coff", self._symbols_at, self._symbols, self._strings_at, size)

    def dynamic(self) -> Dynamic:
        """The DLLs that the import directory names, as they are spelled there."""
        return Dynamic(needed=tuple(self._imported()))

    def _imported(self) -> Iterator[str]:
        rva, size = self._directory(IMPORTS)
        if not rva or not size:
            return
        at = self.offset_of(self._address(rva))
        require(at is not None, f"RVA {rva:#x} is not in the file", "import table", 0)
        for i in range(MAX_IMPORTS):
            record = struct.unpack("<5I", self.bytes_at((at or 0) + i * IMPORT, IMPORT, "import table"))
            if not any(record):
                return
            name = self.offset_of(self._address(record[3]))
            require(name is not None, "a name is not in the file", "import table", (at or 0) + i * IMPORT)
            yield _until_nul(self.data, name or 0).decode("utf-8", "backslashreplace")
        raise FormatError(f"more than {MAX_IMPORTS} entries", structure="import table", offset=at or 0)

    def relocations(self) -> Relocations:
        """None: base relocations add to words that already hold their value."""
        return NO_RELOCATIONS


def _claims(section: str, parts: list[tuple[str, int, int]], kind: str, origin: str) -> Claims:
    ranges = [(start, end) for _, start, end in parts]
    names = [name for name, _, _ in parts]
    return Claims.of("pe", Level.TABLE, ranges, section=section, structure=names, kind=kind, origin=origin)


def _zero(data: memoryview) -> bool:
    return not np.frombuffer(data, np.uint8).any()


def _until_nul(data: memoryview, at: int) -> bytes:
    return bytes(data[at : at + MAX_NAME]).split(b"\0", 1)[0]


def _role(name: str, flags: int) -> Role:
    if name.startswith(DEBUG):
        return "debug"
    if name == ".symtab":
        return "symbols"
    if name in METADATA:
        return "metadata"
    return "code" if flags & (EXECUTE | CODE) else "data"
