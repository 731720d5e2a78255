"""Broken copies of an ELF executable, made to order: the same file and seed give the same copies.

Three families: bytes changed in a place where a reader must trust a number, tables that point where nothing is, and
sizes that no memory has room for.
"""

from __future__ import annotations

import random
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HUGE = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, 1 << 63, (1 << 64) - 1)
SHF_COMPRESSED, ELFCOMPRESS_ZLIB = 0x800, 1
Mutant = tuple[str, bytes]


@dataclass(frozen=True)
class Place:
    """A part of the file: its offset and size, and its section's header where it is one."""

    offset: int
    size: int
    header: int = 0


class Elf:
    """As much of an ELF file's layout as breaking it takes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.wide, self.order = data[4] == 2, "<" if data[5] == 1 else ">"
        self.word = "Q" if self.wide else "I"
        self.header_size = 64 if self.wide else 52
        self.counts_at = 0x36 if self.wide else 0x2A  # e_phentsize and the four numbers after it
        self.phoff, self.shoff = self.unpack("2" + self.word, 0x20 if self.wide else 0x1C)
        self.phentsize, self.phnum, self.shentsize, self.shnum, self.shstrndx = self.unpack("5H", self.counts_at)
        self.sections = dict(self._sections())

    def unpack(self, form: str, at: int) -> tuple[int, ...]:
        """Numbers of the file's byte order."""
        return struct.unpack_from(self.order + form, self.data, at)

    def field(self, number: int) -> int:
        """Offset of a section header's field after the type: 2 address, 3 offset, 4 size; 1 is the flags."""
        return 8 + (number - 1) * (8 if self.wide else 4)

    def _sections(self) -> Iterator[tuple[str, Place]]:
        """The linkers' own order of fields: name and type in 32 bits each, then flags, address, offset, size."""
        headers = [self.shoff + i * self.shentsize for i in range(self.shnum)]
        names = self._extent(headers[self.shstrndx]).offset
        for at in headers:
            start = names + self.unpack("I", at)[0]
            yield self.data[start : self.data.index(b"\0", start)].decode(), self._extent(at)

    def _extent(self, at: int) -> Place:
        offset, size = self.unpack("2" + self.word, at + self.field(3))
        return Place(offset, 0 if self.unpack("I", at + 4)[0] == 8 else size, at)

    def patched(self, *changes: tuple[int, str, int]) -> bytes:
        """A copy with numbers (offset, format, value) written into it."""
        out = bytearray(self.data)
        for at, form, value in changes:
            bits = 8 * struct.calcsize(form)
            struct.pack_into(self.order + form, out, at, value & ((1 << bits) - 1))
        return bytes(out)


def truncated(elf: Elf, rng: random.Random, count: int) -> Iterator[Mutant]:
    """Cut off at any place, in the headers too."""
    for i in range(count):
        limit = 1024 if i % 4 == 0 else len(elf.data)
        yield "truncated", elf.data[: rng.randrange(limit)]


def _noise(elf: Elf, rng: random.Random, place: Place) -> bytes:
    """One to six bytes of a place replaced, half of the time near its beginning."""
    out = bytearray(elf.data)
    reach = min(place.size, rng.choice((64, 512, place.size)))
    for _ in range(rng.randint(1, 6)):
        out[place.offset + rng.randrange(reach)] = rng.choice((0, 0x01, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))
    return bytes(out)


def headers(elf: Elf, rng: random.Random, count: int) -> Iterator[Mutant]:
    """Noise in the file's, the segments' and the sections' headers."""
    places = (
        ("file-header", Place(16, elf.header_size - 16)),
        ("segments", Place(elf.phoff, elf.phentsize * elf.phnum)),
        ("sections", Place(elf.shoff, elf.shentsize * elf.shnum)),
    )
    for i in range(count):
        kind, place = places[i % len(places)]
        yield kind, _noise(elf, rng, place)


def _chosen(elf: Elf, *words: str) -> list[tuple[str, Place]]:
    return [(name, place) for name, place in elf.sections.items() if place.size and any(word in name for word in words)]


def contents(elf: Elf, rng: random.Random, count: int) -> Iterator[Mutant]:
    """Noise in the tables that are read, each about as often as the others."""
    places = _chosen(
        elf, "pclntab", "buildinfo", "debug_", "symtab", "dyn", "gnu.version", "note", "module", "data.rel"
    )
    for i in range(count):
        name, place = places[i % len(places)]
        yield name.strip("."), _noise(elf, rng, place)


def pclntab_words(elf: Elf, rng: random.Random, count: int) -> Iterator[Mutant]:
    """Counts and offsets of the pclntab's header, and words of its functab, made extreme."""
    for name, place in _chosen(elf, "gopclntab"):
        for i in range(count):
            form, at = (
                ("I", 4 * rng.randrange(place.size // 4))
                if i % 2
                else (elf.word, 8 + struct.calcsize(elf.word) * (i % 8))
            )
            yield f"{name.strip('.')}-word", elf.patched((place.offset + at, form, rng.choice(HUGE)))


def cleared(elf: Elf, rng: random.Random, count: int) -> Iterator[Mutant]:
    """Whole headers and whole tables of zeros."""
    parts = [
        ("file-header", Place(0x10, elf.header_size - 0x10)),
        ("segments", Place(elf.phoff, elf.phentsize * elf.phnum)),
    ]
    parts += [
        ("sections", Place(elf.shoff, elf.shentsize * elf.shnum)),
        *_chosen(elf, "pclntab", "buildinfo", "symtab", "debug_"),
    ]
    for name, place in parts[:count]:
        zeros = bytes(place.size)
        yield f"cleared-{name.strip('.')}", elf.data[: place.offset] + zeros + elf.data[place.offset + place.size :]


def overlapping(elf: Elf, rng: random.Random, count: int) -> Iterator[Mutant]:
    """Sections moved over one another, and over the headers."""
    places = list(elf.sections.values())[1:]
    for _ in range(count):
        moved, onto = rng.choice(places), rng.choice([*places, Place(0, 1)])
        yield "overlapping", elf.patched((moved.header + elf.field(3), elf.word, onto.offset))


def oversized(elf: Elf, rng: random.Random, count: int) -> Iterator[Mutant]:
    """Sizes and offsets beyond the file's, and past what the number holds when added up."""
    places = _chosen(elf, "pclntab", "buildinfo", "symtab", "strtab", "debug_", "text", "data")
    for i in range(count):
        _, place = places[i % len(places)]
        changed = [(place.header + elf.field(rng.choice((3, 4))), elf.word, rng.choice(HUGE))]
        yield "oversized", elf.patched(*changed)


def bombs(elf: Elf, rng: random.Random, count: int) -> Iterator[Mutant]:
    """Compressed debug data that says it is another size than it is, or that is truly enormous."""
    body = zlib.compress(bytes(64 << 20), 9)
    claims = (64 << 20, 1 << 40, (1 << 64) - 1, 0, 1)
    for (_, place), claim in list(zip(_chosen(elf, "debug_", "gopclntab"), claims, strict=False))[:count]:
        form = "<IIQQ" if elf.wide else "<III"
        fields = (ELFCOMPRESS_ZLIB, 0, claim, 1) if elf.wide else (ELFCOMPRESS_ZLIB, claim & 0xFFFFFFFF, 1)
        blob = struct.pack(form.replace("<", elf.order), *fields) + body
        yield "bomb", elf.patched(
            (place.header + elf.field(1), elf.word, SHF_COMPRESSED),
            (place.header + elf.field(3), elf.word, len(elf.data)),
            (place.header + elf.field(4), elf.word, len(blob)),
        ) + blob  # fmt: skip


def odd(elf: Elf, rng: random.Random, count: int) -> Iterator[Mutant]:
    """Things that only look like the file, or are counted wrongly."""
    many = elf.patched((elf.counts_at + 6, "H", 0), (elf.shoff + elf.field(4), elf.word, 0xFFFFFF))
    made = [
        ("magic-only", elf.data[:4]),
        ("noise", elf.data[: elf.header_size] + rng.randbytes(50_000)),
        ("script", b"#!/bin/sh\n" + elf.data),
        ("archive", b"!<arch>\n" + elf.data),
        ("too-many-sections", many),
        ("no-name-table", elf.patched((elf.counts_at + 8, "H", 0xFFFF))),
        ("other-class", elf.data[:4] + bytes([3 - elf.data[4]]) + elf.data[5:]),
        ("other-order", elf.data[:5] + bytes([3 - elf.data[5]]) + elf.data[6:]),
    ]
    yield from made[:count]


FAMILIES: tuple[tuple[Callable[[Elf, random.Random, int], Iterator[Mutant]], int], ...] = (
    (truncated, 16),
    (headers, 24),
    (contents, 32),
    (pclntab_words, 14),
    (cleared, 7),
    (overlapping, 8),
    (oversized, 14),
    (bombs, 5),
    (odd, 8),
)


def mutants(data: bytes, seed: int = 1) -> Iterator[Mutant]:
    """Every broken copy of one ELF file with section headers, with its kind."""
    elf, rng = Elf(data), random.Random(seed)
    for family, count in FAMILIES:
        yield from family(elf, rng, count)


def main(arguments: list[str]) -> int:
    """Write them into a folder, as files named NNN-kind: mutants.py IN OUT."""
    if len(arguments) != 2:
        print(main.__doc__, file=sys.stderr)
        return 2
    source, folder = map(Path, arguments)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (kind, data) in enumerate(mutants(source.read_bytes())):
        (folder / f"{number:03d}-{kind}").write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
