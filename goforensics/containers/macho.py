"""Mach-O: macOS and iOS executables and libraries, thin or universal.

Source of truth: Apple's <mach-o/loader.h>, <mach-o/fat.h> and <mach-o/fixup-chains.h>; Go's src/debug/macho and
cmd/link/internal/ld/macho.go.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goforensics.bytemap import Claims, Level
from goforensics.containers.image import (
    NO_RELOCATIONS,
    Dynamic,
    Image,
    Problem,
    Purpose,
    Relocations,
    Role,
    Section,
    Segment,
    SymbolTable,
    Words,
)
from goforensics.containers.lief_support import MachoSection, MachoSegment, parse_macho
from goforensics.containers.recognise import fat_header_size, fat_slices
from goforensics.errors import FormatError, require

MAGICS = {0xFEEDFACE: 32, 0xFEEDFACF: 64}
CPUS = {0x01000007: "amd64", 7: "386", 0x0100000C: "arm64", 12: "arm"}
PURPOSES: dict[int, Purpose] = {1: "object", 2: "executable", 4: "core"}
IOS = {2, 7}  # PLATFORM_IOS, PLATFORM_IOSSIMULATOR
MH_PIE = 0x200000
INSTRUCTIONS = 0x80000400  # S_ATTR_PURE_INSTRUCTIONS | S_ATTR_SOME_INSTRUCTIONS
ZEROFILL = {1, 12, 18}  # section types without bytes in the file
WRITE, EXECUTE = 2, 4  # VM_PROT_*
METADATA = {"__unwind_info", "__eh_frame", "__got", "__la_symbol_ptr", "__nl_symbol_ptr", "__mod_init_func"}
LC_SYMTAB, LC_DYSYMTAB, LC_ID_DYLIB, LC_LOAD_DYLINKER, LC_RPATH = 0x2, 0xB, 0xD, 0xE, 0x8000001C
LC_UUID = 0x1B
LC_SEGMENTS = {0x1, 0x19}
LC_DYLD_INFO = {0x22, 0x80000022}
LC_VERSION_MIN_IPHONEOS, LC_BUILD_VERSION, LC_DYLD_CHAINED_FIXUPS = 0x25, 0x32, 0x80000034
LOAD_DYLIBS = {0xC, 0x80000018, 0x8000001F, 0x20, 0x80000023}  # plain, weak, re-exported, lazy, upward
LINKEDIT_DATA = {  # commands that are an offset and a size in __LINKEDIT
    0x1D: "code signature",
    0x1E: "segment split info",
    0x26: "function starts",
    0x29: "data in code",
    0x2B: "code signing requirements",
    0x2E: "linker optimization hints",
    0x80000033: "export trie",
    LC_DYLD_CHAINED_FIXUPS: "chained fixups",
}
DYLD_INFO = ("rebase", "bind", "weak bind", "lazy bind", "export trie")
MAX_PATH = 4096
LAST = (1 << 64) - 1  # address

FIXUPS = "chained fixups"
PAGE_SIZES = {0x1000, 0x4000}  # dyld takes no others
NO_START, MULTI = 0xFFFF, 0x8000  # DYLD_CHAINED_PTR_START_NONE, _MULTI (32-bit formats only)
ADDRESSES = {1, 2, 10}  # formats whose targets are addresses; in all others they count from the image's base
STRIDES = {1: 8, 2: 4, 6: 4, 7: 4, 9: 8, 10: 4, 12: 8}  # by DYLD_CHAINED_PTR_* format: bytes per unit of the distance
ARM64E = {1, 7, 9, 10, 12}


def macho_images(data: memoryview) -> Iterator[MachoImage]:
    """One image per slice that can be read; what the others lack is among the first one's problems.

    FormatError if no slice can be read.
    """
    found: list[MachoImage] = []
    broken: list[FormatError] = []
    for offset, size in fat_slices(data) or [(0, len(data))]:
        try:
            require(offset < len(data), "a slice is not in the file", "fat header", min(offset, len(data)))
            image = MachoImage(data[offset : offset + size], offset)
        except FormatError as error:
            broken.append(error)
            continue
        if offset + size > len(data):
            reason, missing = f"a slice of {size} bytes ends past the file", offset + size - len(data)
            image.problems.append(Problem("fat header", offset, reason, missing))
        found.append(image)
    if not found:
        raise broken[0]
    found[0].problems += [Problem(e.structure, e.offset, e.reason) for e in broken]
    return iter(found)


def fat_claims(data: memoryview) -> list[Claims]:
    """The header of a universal file with its table of slices; nothing for a thin one."""
    end = fat_header_size(data)
    claim = _claims("fat", "(headers)", [("fat header", 0, end)], "header", "metadata")
    return [claim] if end else []


class MachoImage(Image):
    """One Mach-O image; `base` is where a universal file has it.

    FormatError if the header or the load commands cannot be read at all; a segment, section or command that is
    broken is a Problem.
    """

    format = "macho"
    aligns: tuple[int, ...]  # of each section, the exponent of two as stated: cap it

    def __init__(self, data: memoryview, base: int = 0) -> None:
        self.data, self.base, self.problems = data, base, []
        commands = self._file_header()
        head = parse_macho(data[: min(self._end, len(data))])
        self._commands = list(self._load_commands(commands))
        self.goos = "ios" if self._is_ios() else "darwin"
        raw = head.segments
        self.segments = tuple(self._segment(segment) for segment in raw)
        self.sections = tuple(self._section(section, segment) for segment in raw for section in segment.sections)
        self.aligns = tuple(section.align for segment in raw for section in segment.sections)
        self.entry = head.entry & LAST
        listed = sum(command in LC_SEGMENTS for command, _, _ in self._commands)
        if len(raw) < listed:
            self._problem("load commands", self._header, f"{listed} segments, {len(raw)} can be read")

    def _file_header(self) -> int:
        """Read mach_header(_64); the number of load commands."""
        require(len(self.data) >= 28, "shorter than its header", "Mach-O headers", self.base)
        self.order = "<" if int.from_bytes(self.data[:4], "little") in MAGICS else ">"
        magic, cpu, _, kind, count, size, flags = struct.unpack_from(self.order + "7I", self.data)
        require(magic in MAGICS, f"unknown magic {magic:#x}", "Mach-O headers", self.base)
        self.bits = 32 if magic == 0xFEEDFACE else 64
        self._header = 28 if self.bits == 32 else 32
        self._end = self._header + size  # of the load commands
        self.goarch = CPUS.get(cpu, f"{cpu:#x}")
        self.purpose = PURPOSES.get(kind, "library")
        self.flags = int(flags)  # MH_*
        self.position_independent = bool(flags & MH_PIE)
        return int(count)

    def _problem(self, structure: str, offset: int, reason: str, missing: int = 0) -> None:
        self.problems.append(Problem(structure, self.base + offset, reason, missing))

    def _load_commands(self, count: int) -> Iterator[tuple[int, int, int]]:
        """(command, offset, size) of each load command that lies in the file."""
        at, end = self._header, min(self._end, len(self.data))
        for i in range(count):
            command, size = struct.unpack_from(self.order + "II", self.data, at) if at + 8 <= end else (0, 0)
            if size < 8 or at + size > end:
                self._problem("load commands", at, f"{count} commands, {i} can be read")
                return
            yield command, at, size
            at += size

    def _fields(self, command: int, count: int) -> tuple[int, ...] | None:
        """The first `count` words behind the size of the first such command; None if there is none."""
        for found, at, size in self._commands:
            if found == command and size >= 8 + 4 * count:
                return struct.unpack_from(f"{self.order}{count}I", self.data, at + 8)
        return None

    def _is_ios(self) -> bool:
        platform = self._fields(LC_BUILD_VERSION, 1)
        if platform is None:
            return any(command == LC_VERSION_MIN_IPHONEOS for command, _, _ in self._commands)
        return platform[0] in IOS

    def _clip(self, name: str, offset: int, size: int) -> int:
        """How many of `size` bytes at `offset` the file holds; a problem if not all."""
        held = max(0, min(size, len(self.data) - offset))
        if held < size:
            self._problem(name, min(offset, len(self.data)), f"{size} bytes end past the file", size - held)
        return held

    def _segment(self, raw: MachoSegment) -> Segment:
        return Segment(
            name=raw.name,
            offset=raw.offset,
            file_size=self._clip(raw.name, raw.offset, raw.size),
            address=raw.address,
            memory_size=raw.memory_size,
            writable=bool(raw.access & WRITE) or raw.name == "__DATA_CONST",  # fixed up, then made read-only
            executable=bool(raw.access & EXECUTE),
        )

    def _section(self, raw: MachoSection, segment: MachoSegment) -> Section:
        name, offset, size = f"{raw.segment or segment.name},{raw.name}", raw.offset, raw.size
        held = 0 if raw.kind in ZEROFILL else self._clip(name, offset, size)
        zlib = ",__zdebug_" in name and bytes(self.data[offset : offset + 4]) == b"ZLIB"
        loaded = not name.startswith("__DWARF,")
        return Section(
            name=name,
            offset=offset,
            file_size=held,
            address=raw.address if loaded else 0,
            memory_size=size if loaded else 0,
            role=_role(name, raw.flags),
            writable=bool(segment.access & WRITE),
            compression="zdebug" if zlib else None,
        )

    def claims(self) -> Iterator[Claims]:
        """The header, the load commands, the zeros behind them, and every table of __LINKEDIT."""
        heads = [("Mach-O header", 0, self._header), ("load commands", self._header, self._end)]
        yield _claims("macho", "(headers)", heads, "header", "metadata")
        first = min((s.offset for s in self.sections if s.file_size and s.offset >= self._end), default=0)
        if first and not np.frombuffer(self.data[self._end : first], np.uint8).any():
            yield _claims("macho", "(headers)", [("padding", self._end, first)], "padding", "padding")
        tables = [(name, at, at + size) for name, at, size in self._tables() if size and at + size <= len(self.data)]
        yield _claims("macho.linkedit", "__LINKEDIT", tables, "metadata", "metadata")
        yield from self._symbol_claims()

    def _tables(self) -> Iterator[tuple[str, int, int]]:
        """(name, offset, size) of the tables in __LINKEDIT, but for the symbols'."""
        for command, at, size in self._commands:
            if command in LINKEDIT_DATA and size >= 16:
                yield LINKEDIT_DATA[command], *struct.unpack_from(self.order + "II", self.data, at + 8)
            elif command in LC_DYLD_INFO and size >= 48:
                words = struct.unpack_from(self.order + "10I", self.data, at + 8)
                yield from zip(DYLD_INFO, words[0::2], words[1::2], strict=True)
            elif command == LC_DYSYMTAB and size >= 80:
                words = struct.unpack_from(self.order + "18I", self.data, at + 8)
                yield "indirect symbols", words[12], 4 * words[13]

    def _symbol_claims(self) -> Iterator[Claims]:
        """The same ranges as `sections.symtab` claims, for their section."""
        try:
            table = self.symbol_table()
        except FormatError:
            return
        if table is not None:
            end, strings_end = table.offset + table.count * self._nlist, table.strings_offset + table.strings_size
            parts = [("symtab", table.offset, end), ("strtab", table.strings_offset, strings_end)]
            yield _claims("macho.symbols", "__LINKEDIT", parts, "symbol table", "symbols")

    @property
    def load_commands(self) -> list[tuple[int, int, int]]:
        """(LC_*, offset, size) of each load command that lies in the file, in its order."""
        return self._commands

    def commands(self) -> frozenset[int]:
        """The kinds of load commands (LC_*) that there are."""
        return frozenset(command for command, _, _ in self._commands)

    def linkedit(self) -> dict[str, tuple[int, int]]:
        """Offset and size, as stated, of each table in __LINKEDIT by its name here, but for the symbols'."""
        return {name: (at, size) for name, at, size in self._tables()}

    @property
    def _nlist(self) -> int:
        return 16 if self.bits == 64 else 12

    def symbol_table(self) -> SymbolTable | None:
        """LC_SYMTAB; None where it has no symbols."""
        found = self._fields(LC_SYMTAB, 4)
        if found is None or not found[1]:
            return None
        offset, count, strings, size = found
        self.bytes_at(offset, count * self._nlist, "symtab")
        self.bytes_at(strings, size, "strtab")
        return SymbolTable("nlist", offset, count, strings, size)

    def dynamic(self) -> Dynamic:
        """The dynamic linker, the libraries and the run paths that the load commands name."""
        return Dynamic(
            interpreter=next(self._paths({LC_LOAD_DYLINKER}), None),
            needed=tuple(self._paths(LOAD_DYLIBS)),
            rpath=tuple(self._paths({LC_RPATH})),
            soname=next(self._paths({LC_ID_DYLIB}), None),
        )

    def _paths(self, commands: set[int]) -> Iterator[str]:
        """The string of each such command: the word behind its size is the string's distance from its start."""
        for command, at, size in self._commands:
            if command in commands and size >= 12:
                start = int(struct.unpack_from(self.order + "I", self.data, at + 8)[0])
                raw = bytes(self.data[at + min(start, size) : at + min(size, start + MAX_PATH)])
                yield raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")

    def relocations(self) -> Relocations:
        """The rebased words of chained fixups; those of rebase opcodes hold their value."""
        place = self._fields(LC_DYLD_CHAINED_FIXUPS, 2)
        if place is None or not place[1]:
            return NO_RELOCATIONS
        table = self.bytes_at(place[0], place[1], FIXUPS)
        starts = self._chain_starts(table, place[0])
        found = [self._follow(kind, *parts) for kind, parts in starts.items()]
        offsets, values = (np.concatenate(column) for column in zip(*found, strict=True)) if found else ((), ())
        addresses = self._addresses(np.array(offsets, np.int64))
        addresses, first = np.unique(addresses, return_index=True)
        return Relocations(addresses, np.array(values, np.uint64)[first])

    def _addresses(self, offsets: NDArray[np.int64]) -> Words:
        """(n,) where the bytes at `offsets` are loaded."""
        found = np.zeros(len(offsets), np.uint64)
        for s in self.segments:
            mine = (offsets >= s.offset) & (offsets < s.offset + s.file_size)
            found[mine] = (offsets[mine] - s.offset).astype(np.uint64) + np.uint64(s.address)
        return found

    def _chain_starts(self, table: memoryview, at: int) -> dict[int, tuple[list[int], list[int], list[int]]]:
        """Per pointer format the chains' first offsets, the ends of their pages and of their segments."""
        require(len(table) >= 28, "cut off", FIXUPS, self.base + at)
        start = struct.unpack_from(self.order + "I", table, 4)[0]
        require(start + 4 <= len(table), "starts are not in the table", FIXUPS, self.base + at)
        count = struct.unpack_from(self.order + "I", table, start)[0]
        require(start + 4 + 4 * count <= len(table), f"{count} segments do not fit", FIXUPS, self.base + at)
        require(count <= len(self.segments), f"{count} segments", FIXUPS, self.base + at)
        chains: dict[int, tuple[list[int], list[int], list[int]]] = {}
        covered = 0
        for segment, to in zip(
            self.segments, struct.unpack_from(f"{self.order}{count}I", table, start + 4), strict=False
        ):
            if not to:
                continue
            covered += segment.file_size
            require(covered <= len(self.data), "segments overlap", FIXUPS, self.base + at)  # bounds all that follows
            try:
                self._page_starts(table, start + to, segment, chains)
            except FormatError as error:
                self._problem(FIXUPS, at, f"{segment.name}: {error.reason}")
        return chains

    def _page_starts(
        self, table: memoryview, at: int, segment: Segment, chains: dict[int, tuple[list[int], list[int], list[int]]]
    ) -> None:
        """Add a segment's chains: dyld_chained_starts_in_segment."""
        require(at + 22 <= len(table), "starts are not in the table", FIXUPS, at)
        _, page_size, kind, _, _, count = struct.unpack_from(self.order + "IHHQIH", table, at)
        require(page_size in PAGE_SIZES, f"pages of {page_size} bytes", FIXUPS, at)
        require(kind in STRIDES, f"pointer format {kind} is not read", FIXUPS, at)
        require(at + 22 + 2 * count <= len(table), f"{count} pages do not fit", FIXUPS, at)
        firsts, page_ends, ends = chains.setdefault(kind, ([], [], []))
        end = segment.offset + segment.file_size
        for page, first in enumerate(struct.unpack_from(f"{self.order}{count}H", table, at + 22)):
            where = segment.offset + page * page_size
            if first < min(page_size, NO_START) and not first & MULTI and where + first + 8 <= end:
                firsts.append(where + first)
                page_ends.append(where + page_size)
                ends.append(end)

    def _follow(self, kind: int, firsts: list[int], page_ends: list[int], ends: list[int]) -> Any:
        """(offsets (n,), values (n,)) of the rebased words: all chains of one format, a link of each at a time.

        A distance only leads forward and not out of its page, so there are at most 4096 steps.
        """
        at = np.array(firsts, np.int64)
        last = np.minimum(np.array(page_ends, np.int64) - 1, np.array(ends, np.int64) - 8)
        raw, shift, mask = np.frombuffer(self.data, np.uint8), np.uint64(51), 0x7FF if kind in ARM64E else 0xFFF
        offsets, words = [at[:0]], [np.empty(0, np.uint64)]
        while len(at):
            word = raw[at[:, None] + np.arange(8)].view(self.order + "u8")[:, 0].astype(np.uint64)
            offsets.append(at)
            words.append(word)
            distance = (word >> shift & np.uint64(mask)).astype(np.int64) * STRIDES[kind]
            alive = (distance > 0) & (at + distance <= last)
            if int((distance > 0).sum()) > int(alive.sum()):
                self._problem(FIXUPS, int(at[(distance > 0) & ~alive][0]), "a chain leaves its page")
            at, last = (at + distance)[alive], last[alive]
        found, word = np.concatenate(offsets), np.concatenate(words)
        rebased = word >> np.uint64(62 if kind in ARM64E else 63) & np.uint64(1) == 0
        return found[rebased], self._targets(kind, word[rebased])

    def _targets(self, kind: int, word: Words) -> Words:
        """(n,) addresses that rebased words stand for: <mach-o/fixup-chains.h>'s *_rebase and *_auth_rebase."""
        base = np.uint64(next((s.address for s in self.segments if s.offset == 0 and s.file_size), 0))
        bits = np.uint64(43 if kind in ARM64E else 36)
        high = word >> bits & np.uint64(0xFF)
        target = (word & ((np.uint64(1) << bits) - np.uint64(1))) + (np.uint64(0) if kind in ADDRESSES else base)
        plain: Words = target | high << np.uint64(56)
        if kind not in ARM64E:
            return plain
        signed = word >> np.uint64(63) == 1
        return np.where(signed, (word & np.uint64(0xFFFFFFFF)) + base, plain)


def _claims(source: str, section: str, parts: list[tuple[str, int, int]], kind: str, origin: str) -> Claims:
    ranges = [(start, end) for _, start, end in parts]
    names = [name for name, _, _ in parts]
    return Claims.of(source, Level.TABLE, ranges, section=section, structure=names, kind=kind, origin=origin)


def _role(name: str, flags: int) -> Role:
    segment, section = name.split(",", 1)
    if segment == "__DWARF":
        return "debug"
    if section in METADATA:
        return "metadata"
    return "code" if flags & INSTRUCTIONS else "data"
