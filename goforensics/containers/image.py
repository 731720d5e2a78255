"""Image: one executable image as its container describes it, the same for ELF, PE and Mach-O.

An address is where a byte lives in memory when the program runs as linked; an offset is where it lies in the
image's bytes.  Nothing here knows Go: the parsers in `sections` find Go's structures in an Image.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from functools import cached_property
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.bytemap import Claims
from goforensics.errors import FormatError

Words = NDArray[np.uint64]
Role = Literal["code", "data", "symbols", "debug", "metadata"]
Purpose = Literal["executable", "library", "object", "core"]


class Section(msgspec.Struct, frozen=True):
    """A named range.  `file_size` is 0 for what has no bytes in the file (.bss)."""

    name: str  # ELF ".text", PE ".text" (long names resolved), Mach-O "__TEXT,__text"
    offset: int  # bytes from the start of the image
    file_size: int  # bytes in the file, compressed if `compression`
    address: int  # 0 if not loaded
    memory_size: int  # bytes in memory; 0 if not loaded
    role: Role
    writable: bool = False
    compression: Literal["zlib", "zstd", "zdebug", "unknown"] | None = None  # "zdebug": "ZLIB", big-endian size, zlib


class Segment(msgspec.Struct, frozen=True):
    """A range that the loader maps: an ELF PT_LOAD, a Mach-O segment, a PE section."""

    name: str
    offset: int
    file_size: int
    address: int
    memory_size: int
    writable: bool
    executable: bool


class Relocations(msgspec.Struct, frozen=True):
    """Words that the loader fills in and whose file bytes do not hold the value (ELF RELA, RELR; chained fixups)."""

    addresses: Words  # (n,) increasing
    values: Words  # (n,) the address that the word will hold


NO_RELOCATIONS = Relocations(np.empty(0, np.uint64), np.empty(0, np.uint64))


class SymbolTable(msgspec.Struct, frozen=True):
    """Where a container keeps its symbol records; `sections.symtab` decodes them all at once."""

    record: Literal["elf", "nlist", "coff"]
    offset: int  # of the first record
    count: int  # records, as bounded by the bytes that are there
    strings_offset: int
    strings_size: int


class Dynamic(msgspec.Struct, frozen=True):
    """What the dynamic linker is told."""

    interpreter: str | None = None
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    versions: Mapping[str, tuple[str, ...]] = {}  # library -> symbol versions asked of it
    soname: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """Something in the container that could not be read; the rest could."""

    structure: str
    offset: int
    reason: str
    missing: int = 0  # bytes that it should have and that lie behind the file's end


class Image(ABC):
    """One executable image.  Subclasses read a container's headers in __init__ and answer the rest when asked.

    `data` holds the image's own bytes (for a fat file: the slice's), `base` says where in the file they begin.
    Every offset handed out is relative to `data` and every name is a str that may hold any character.
    """

    data: memoryview
    base: int
    format: Literal["elf", "pe", "macho"]
    goos: str  # Go's GOOS, "" where the container does not tell
    goarch: str  # Go's GOARCH, or the container's own name for a machine Go does not know
    bits: Literal[32, 64]
    order: Literal["<", ">"]
    purpose: Purpose
    position_independent: bool
    entry: int  # address; 0 for none
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    problems: list[Problem]

    @abstractmethod
    def claims(self) -> Iterator[Claims]:
        """The container's own structures (headers, header tables), at Level.TABLE, sections and segments excluded."""

    @abstractmethod
    def symbol_table(self) -> SymbolTable | None:
        """Where the symbol table is; None if there is none.  FormatError if it is broken."""

    @abstractmethod
    def dynamic(self) -> Dynamic:
        """What the dynamic linker is told.  FormatError if it cannot be read."""

    @abstractmethod
    def relocations(self) -> Relocations:
        """The words whose file bytes do not hold their value.  FormatError if the tables are broken."""

    @property
    def pointer_size(self) -> int:
        """Bytes in a pointer."""
        return self.bits // 8

    @property
    def word(self) -> np.dtype[np.unsignedinteger]:
        """The NumPy type of a pointer in this image's byte order."""
        return np.dtype(f"{self.order}u{self.pointer_size}")

    def section(self, *names: str) -> Section | None:
        """The first section with one of these names that has bytes in the file."""
        return next((s for s in self.sections if s.name in names and s.file_size), None)

    def bytes_at(self, offset: int, size: int, structure: str) -> memoryview:
        """`size` bytes at `offset`; FormatError unless all of them are in the image."""
        if offset < 0 or size < 0 or offset + size > len(self.data):
            raise FormatError(f"{size} bytes do not lie in the file", structure=structure, offset=self.base + offset)
        return self.data[offset : offset + size]

    def offset_of(self, address: int) -> int | None:
        """The offset of the byte that is loaded at `address`; None if the file does not hold it."""
        found = self.offsets_of(np.array([address], np.uint64))[0]
        return None if found < 0 else int(found)

    def address_of(self, offset: int) -> int | None:
        """Where the byte at `offset` is loaded; None if it is not."""
        for s in self._held:
            if s.offset <= offset < s.offset + s.file_size:
                return s.address + offset - s.offset
        return None

    def offsets_of(self, addresses: Words) -> NDArray[np.int64]:
        """(n,) offsets of the bytes loaded at `addresses`, -1 where the file does not hold them."""
        found = np.full(len(addresses), -1, np.int64)
        for s in self._held:
            mine = (addresses >= s.address) & (addresses - np.uint64(s.address) < s.file_size)
            found[mine] = (addresses[mine] - np.uint64(s.address)).astype(np.int64) + s.offset
        return np.where(found < len(self.data), found, -1)

    @cached_property
    def inflating(self) -> dict[int, Future[bytes | bytearray]]:
        """By offset the sections that `sections.compression` inflates before anyone asks."""
        return {}

    @cached_property
    def _held(self) -> tuple[Segment, ...]:
        """Segments with bytes in the file, at addresses that exist."""
        size = len(self.data)
        return tuple(s for s in self.segments if s.file_size and s.offset < size and s.address + s.file_size < 1 << 64)

    @cached_property
    def _fixed(self) -> Relocations:
        try:
            return self.relocations()
        except FormatError as error:
            self.problems.append(Problem(error.structure, error.offset, error.reason))
            return NO_RELOCATIONS

    def words(self, address: int, count: int, structure: str) -> Words:
        """(count,) pointer-sized words at `address`, as they will be once the loader has run."""
        offset = self.offset_of(address)
        if offset is None:
            raise FormatError(f"address {address:#x} is not in the file", structure=structure)
        raw = self.bytes_at(offset, count * self.pointer_size, structure)
        out = np.frombuffer(raw, self.word).astype(np.uint64)
        addresses, values = self.fixed_words(address, address + len(raw))
        at = (addresses - np.uint64(address)) // np.uint64(self.pointer_size)
        out[at.astype(np.int64)] = values
        return out

    def fixed_words(self, start: int, end: int) -> tuple[Words, Words]:
        """(addresses, values) of the words in `[start, end)` that only the loader fills in, by address."""
        fixed = self._fixed
        first, last = np.searchsorted(fixed.addresses, np.array([start, end], np.uint64)).tolist()
        return fixed.addresses[first:last], fixed.values[first:last]

    def pointers_to(self, target: int) -> list[int]:
        """Addresses of aligned words that hold `target` once the program runs: in writable segments, or relocated."""
        found = set(self._fixed.addresses[self._fixed.values == np.uint64(target)].tolist())
        needle = struct.pack(self.order + ("Q" if self.bits == 64 else "I"), target)
        for start, end in self._writable:
            for at in self._find(needle, start, end):
                address = self.address_of(at)
                if address is not None and address % self.pointer_size == 0:
                    found.add(address)
        return sorted(found)

    @cached_property
    def _writable(self) -> list[tuple[int, int]]:
        """Offsets of what is in writable segments, each byte once however segments overlap."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted((s.offset, s.offset + s.file_size) for s in self._held if s.writable):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def _find(self, needle: bytes, start: int, end: int) -> Iterator[int]:
        """Offsets of every `needle` in [start, end)."""
        body = bytes(self.data[start:end])
        at = body.find(needle)
        while at >= 0:
            yield start + at
            at = body.find(needle, at + 1)
