"""Mach-O: macOS and iOS executables and libraries, thin or universal.

Source of truth: Apple's <mach-o/loader.h> and <mach-o/fixup-chains.h>; Go's src/debug/macho and
cmd/link/internal/ld/macho.go.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from goforensics.bytemap import Claims, Level
from goforensics.containers.image import (
    Dynamic,
    Image,
    Problem,
    Purpose,
    Relocations,
    Role,
    Section,
    Segment,
    SymbolTable,
)
from goforensics.containers.lief_support import number, parse_macho, text
from goforensics.containers.macho_fixups import chained
from goforensics.errors import FormatError, require

MAX_SLICES = 64
FAT = {b"\xca\xfe\xba\xbe": (20, ">IIIII"), b"\xca\xfe\xba\xbf": (32, ">IIQQII")}  # entry size, entry
MAGICS = {0xFEEDFACE: 32, 0xFEEDFACF: 64}
CPUS = {0x01000007: "amd64", 7: "386", 0x0100000C: "arm64", 12: "arm"}
PURPOSES: dict[int, Purpose] = {1: "object", 2: "executable", 4: "core", 6: "library", 8: "library"}
IOS = {2, 7}  # platforms of LC_BUILD_VERSION: iOS and its simulator
MH_PIE = 0x200000
INSTRUCTIONS = 0x80000400  # S_ATTR_PURE_INSTRUCTIONS | S_ATTR_SOME_INSTRUCTIONS
ZEROFILL = {1, 12, 18}  # section types without bytes in the file
WRITE, EXECUTE = 2, 4  # VM_PROT_*
METADATA = {"__unwind_info", "__eh_frame", "__got", "__la_symbol_ptr", "__nl_symbol_ptr", "__mod_init_func"}
LC_SYMTAB, LC_DYSYMTAB, LC_RPATH, LC_BUILD_VERSION, LC_CHAINED = 0x2, 0xB, 0x8000001C, 0x32, 0x80000034
LC_DYLD_INFO = {0x22, 0x80000022}
LINKEDIT_DATA = {  # commands that are an offset and a size in __LINKEDIT
    0x1D: "code signature",
    0x1E: "segment split info",
    0x26: "function starts",
    0x29: "data in code",
    0x2B: "code signing requirements",
    0x2E: "linker optimization hints",
    0x80000033: "export trie",
    LC_CHAINED: "chained fixups",
}
DYLD_INFO = ("rebase", "bind", "weak bind", "lazy bind", "export trie")


def slices(data: memoryview) -> list[tuple[int, int]]:
    """(offset, size) of each image in a universal file; the whole file if it is thin."""
    shape = FAT.get(bytes(data[:4]))
    if shape is None:
        return [(0, len(data))]
    size, layout = shape
    count = int.from_bytes(data[4:8], "big")
    require(count <= MAX_SLICES and 8 + size * count <= len(data), f"{count} slices do not fit", "fat header", 4)
    return [tuple(struct.unpack_from(layout, data, 8 + size * i)[2:4]) for i in range(count)]


def fat_claims(data: memoryview) -> list[Claims]:
    """The header of a universal file; nothing for a thin one."""
    shape = FAT.get(bytes(data[:4]))
    if shape is None:
        return []
    end = 8 + shape[0] * len(slices(data))
    return [Claims.of("fat", Level.TABLE, [(0, end)], section="(headers)", structure="fat header", kind="metadata")]


def macho_images(data: memoryview) -> Iterator[MachoImage]:
    """One image per slice that can be read.  FormatError if there is none."""
    found, first = 0, FormatError("no slices", structure="fat header")
    for offset, size in slices(data):
        try:
            require(offset + size <= len(data), f"a slice of {size} bytes is cut off", "fat header", offset)
            yield MachoImage(data[offset : offset + size], offset)
            found += 1
        except FormatError as error:
            first = error if not found else first
    if not found:
        raise first


class MachoImage(Image):
    """One Mach-O image."""

    format = "macho"

    def __init__(self, data: memoryview, base: int = 0) -> None:
        self.data, self.base, self.problems = data, base, []
        require(len(data) >= 32, "shorter than its header", "Mach-O headers", 0)
        self.order = "<" if int.from_bytes(data[:4], "little") in MAGICS else ">"
        fields = struct.unpack_from(self.order + "7I", data)
        magic, cpu, _, kind, _, self._commands_size, flags = fields
        require(magic in MAGICS, f"unknown magic {magic:#x}", "Mach-O headers", 0)
        self.bits = 32 if magic == 0xFEEDFACE else 64
        self._header = 28 if self.bits == 32 else 32
        self.goarch = CPUS.get(cpu, f"{cpu:#x}")
        self.purpose = PURPOSES.get(kind, "library")
        self.position_independent = bool(flags & MH_PIE)
        self._lief = parse_macho(data)
        self._commands = list(self._load_commands(fields[4]))
        self.goos = "ios" if self._platform() in IOS else "darwin"
        self.entry = 0
        self.segments = tuple(self._segments())
        self.sections = tuple(self._sections())

    def _load_commands(self, count: int) -> Iterator[tuple[int, int, int]]:
        """(command, offset, size) of each load command that lies in the file."""
        at, end = self._header, min(self._header + self._commands_size, len(self.data))
        for _ in range(count):
            if at + 8 > end:
                break
            command, size = struct.unpack_from(self.order + "II", self.data, at)
            if size < 8 or at + size > end:
                self.problems.append(Problem("load commands", at, f"a command of {size} bytes"))
                break
            yield command, at, size
            at += size

    def _fields(self, command: int, count: int) -> tuple[int, ...] | None:
        """The first `count` words behind a command's size."""
        for found, at, size in self._commands:
            if found == command and size >= 8 + 4 * count:
                return struct.unpack_from(f"{self.order}{count}I", self.data, at + 8)
        return None

    def _platform(self) -> int:
        return (self._fields(LC_BUILD_VERSION, 1) or (0,))[0]

    def _segments(self) -> Iterator[Segment]:
        for segment in self._lief.segments:
            offset, size, access = int(segment.file_offset), int(segment.file_size), number(segment, "init_protection")
            held = max(0, min(size, len(self.data) - offset))
            if held < size:
                self.problems.append(Problem(text(segment, "name"), offset, f"a segment of {size} bytes is cut off"))
            writable = bool(access & WRITE) or text(segment, "name") == "__DATA_CONST"  # fixed up, then made read-only
            name, address, memory = text(segment, "name"), int(segment.virtual_address), int(segment.virtual_size)
            yield Segment(name, offset, held, address, memory, writable, bool(access & EXECUTE))

    def _sections(self) -> Iterator[Section]:
        for segment in self._lief.segments:
            for section in segment.sections:
                yield self._section(section, segment)

    def _section(self, section: Any, segment: Any) -> Section:
        name, size, offset = f"{text(segment, 'name')},{text(section, 'name')}", int(section.size), int(section.offset)
        in_file = 0 if number(section, "type") in ZEROFILL else size
        held = max(0, min(in_file, len(self.data) - offset))
        if held < in_file:
            self.problems.append(Problem(name, offset, f"a section of {size} bytes is cut off"))
        zlib = ",__zdebug_" in name and bytes(self.data[offset : offset + 4]) == b"ZLIB"
        return Section(
            name=name,
            offset=offset,
            file_size=held,
            address=int(section.virtual_address),
            memory_size=0 if text(segment, "name") == "__DWARF" else size,
            role=_role(text(segment, "name"), text(section, "name"), number(section, "flags")),
            writable=bool(number(segment, "init_protection") & WRITE),
            compression="zdebug" if zlib else None,
        )

    def claims(self) -> Iterator[Claims]:
        """The header, the load commands and every table of __LINKEDIT but the symbols'."""
        end = self._header + self._commands_size
        ranges, names = [(0, self._header), (self._header, end)], ["Mach-O header", "load commands"]
        yield Claims.of("macho", Level.TABLE, ranges, section="(headers)", structure=names, kind="metadata")
        tables = list(self._tables())
        yield Claims.of(
            "macho.linkedit",
            Level.TABLE,
            [(at, at + size) for _, at, size in tables],
            section="__LINKEDIT",
            structure=[name for name, _, _ in tables],
            kind="metadata",
        )

    def _tables(self) -> Iterator[tuple[str, int, int]]:
        """(name, offset, size)."""
        for command, at, size in self._commands:
            if command in LINKEDIT_DATA and size >= 16:
                yield LINKEDIT_DATA[command], *struct.unpack_from(self.order + "II", self.data, at + 8)
            elif command in LC_DYLD_INFO and size >= 48:
                words = struct.unpack_from(self.order + "10I", self.data, at + 8)
                yield from zip(DYLD_INFO, words[0::2], words[1::2], strict=True)
            elif command == LC_DYSYMTAB and size >= 80:
                words = struct.unpack_from(self.order + "18I", self.data, at + 8)
                yield "indirect symbols", words[12], 4 * words[13]

    def symbol_table(self) -> SymbolTable | None:
        """LC_SYMTAB; None where it has no symbols."""
        found = self._fields(LC_SYMTAB, 4)
        if found is None or not found[1]:
            return None
        offset, count, strings, size = found
        self.bytes_at(offset, count * (16 if self.bits == 64 else 12), "symtab")
        self.bytes_at(strings, size, "strtab")
        return SymbolTable("nlist", offset, count, strings, size)

    def dynamic(self) -> Dynamic:
        """The dynamic linker, libraries and run paths that the load commands name."""
        binary = self._lief
        own = [lib for lib in binary.libraries if _command(lib) == "ID_DYLIB"]
        needed = tuple(text(lib, "name") for lib in binary.libraries if _command(lib) != "ID_DYLIB")
        return Dynamic(
            interpreter=text(binary.dylinker, "name") if binary.has_dylinker else None,
            needed=needed,
            rpath=tuple(text(entry, "path") for entry in binary.rpaths) if binary.has_rpath else (),
            soname=text(own[0], "name") if own else None,
        )

    def relocations(self) -> Relocations:
        """Chained fixups; the words that rebase opcodes name hold their value."""
        found = self._fields(LC_CHAINED, 2)
        starts = [(s.offset, s.address, s.file_size) for s in self.segments]
        return chained(self.data, self.order, found, starts)


def _command(library: Any) -> str:
    return str(library.command).rsplit(".", 1)[-1]


def _role(segment: str, section: str, flags: int) -> Role:
    if segment == "__DWARF":
        return "debug"
    if section in METADATA:
        return "metadata"
    return "code" if flags & INSTRUCTIONS else "data"
