"""symtab: the symbol records of ELF, Mach-O and COFF, decoded all at once.

Source of truth: Go's src/debug/elf/elf.go (Sym32, Sym64), src/debug/macho/macho.go (Nlist32, Nlist64),
src/debug/pe/symbol.go (COFFSymbol) and cmd/link/internal/ld/{symtab,macho,pe}.go, the writers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.bytemap import Claims, Level
from goforensics.containers.image import Image, SymbolTable
from goforensics.errors import FormatError, require
from goforensics.sections.protocol import Parser, Source
from goforensics.sections.search import text

NAME = "symtab"
KIND = "symbol table"
OVERLAP = 16  # times the string table that all names together may take: linkers share tails, a bomb shares everything

ELF = {
    64: [("name", "u4"), ("info", "u1"), ("other", "u1"), ("shndx", "u2"), ("value", "u8"), ("size", "u8")],
    32: [("name", "u4"), ("value", "u4"), ("size", "u4"), ("info", "u1"), ("other", "u1"), ("shndx", "u2")],
}
NLIST = {
    bits: [("name", "u4"), ("type", "u1"), ("sect", "u1"), ("desc", "u2"), ("value", f"u{bits // 8}")] for bits in ELF
}
COFF = [("short", "u1", (8,)), ("value", "u4"), ("section", "i2"), ("type", "u2"), ("class", "u1"), ("aux", "u1")]


class Symbols(msgspec.Struct, frozen=True):
    """Symbols in the order of their records, as parallel arrays; ELF's null symbol and COFF's aux records left out."""

    table: SymbolTable
    value: NDArray[np.uint64]  # (n,) addresses of defined symbols (COFF: the section's address added)
    size: NDArray[np.uint64]  # (n,) bytes; 0 where the format has no sizes (Mach-O, COFF)
    name: NDArray[np.int64]  # (n,) offset in `strings`; past its end: no name
    kind: NDArray[np.uint8]  # (n,) ELF st_info, Mach-O n_type, COFF storage class
    section: NDArray[np.int32]  # (n,) ELF st_shndx, Mach-O n_sect, COFF section number; 0: undefined
    strings: memoryview  # NUL-ended names

    @property
    def count(self) -> int:
        """How many symbols; debug/elf, debug/macho and debug/pe count the same."""
        return len(self.value)

    def names(self, indices: NDArray[np.integer] | None = None) -> list[str]:
        r"""The names of the symbols at `indices` (m,), of all by default; undecodable bytes become \xNN.

        Mach-O's leading underscore of Go names is taken off, as debug/macho does.  FormatError if the names lie
        over one another so much that no linker could have written them.
        """
        raw, left = bytes(self.strings), OVERLAP * len(self.strings)
        found = []
        for start in (self.name if indices is None else self.name[indices]).tolist():
            end = raw.find(b"\0", start)
            end = len(raw) if end < 0 else end
            left -= max(end - start, 0)
            require(left >= 0, "names overlap", "strtab", self.table.strings_offset)
            found.append(text(raw[start:end]))
        return [_go_name(name) for name in found] if self.table.record == "nlist" else found

    def find(self, name: str) -> list[int]:
        """Indices of the symbols called `name`, without decoding the others' names."""
        raw = bytes(self.strings)
        mangled = f"_{name}" if self.table.record == "nlist" and "." in name else name
        return sorted(i for at in _whole(raw, mangled.encode()) for i in np.flatnonzero(self.name == at).tolist())


def decode(source: Source) -> Symbols:
    """Decode the image's symbol table.  FormatError (absent) if it has none, or if its records are not in the file."""
    table = source.image.symbol_table()
    if table is None:
        raise FormatError("no symbol table", structure=NAME, absent=True)
    return decode_table(source.image, table)


def decode_table(image: Image, table: SymbolTable) -> Symbols:
    """Decode the records of one table.  FormatError if they or their strings do not lie in the file."""
    fields = _fields(table.record, image.bits)
    layout = _layout(fields, image.order)
    raw = image.bytes_at(table.offset, table.count * layout.itemsize, NAME)
    strings = image.bytes_at(table.strings_offset, table.strings_size, "strtab")
    records = np.frombuffer(raw, layout)
    return {"elf": _elf, "nlist": _nlist, "coff": _coff}[table.record](image, table, records, strings)


def record_ranges(image: Image, symbols: Symbols) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(start, end) in the image of each symbol's record (n,), its auxiliary records included."""
    table, size = symbols.table, record_size(symbols.table, image.bits)
    first = np.arange(table.count - symbols.count, table.count)
    if table.record == "coff":
        raw = image.bytes_at(table.offset, table.count * size, NAME)
        first = np.flatnonzero(_primary(np.frombuffer(raw, np.uint8)[size - 1 :: size]))
    start = table.offset + size * first.astype(np.int64)
    return start, np.r_[start[1:], table.offset + size * table.count][: len(start)]


def record_size(table: SymbolTable, bits: int) -> int:
    """Bytes in one record."""
    return _layout(_fields(table.record, bits), "<").itemsize


def _fields(record: str, bits: int) -> list[Any]:
    return COFF if record == "coff" else {"elf": ELF, "nlist": NLIST}[record][bits]


def _layout(fields: list[Any], order: str) -> np.dtype[np.void]:
    """The packed record type of `fields` in a byte order."""
    return np.dtype([(name, order + kind, *shape) for name, kind, *shape in fields])


def _elf(image: Image, table: SymbolTable, records: NDArray[Any], strings: memoryview) -> Symbols:
    kept = records[1:]
    return _symbols(table, kept["value"], kept["name"], kept["info"], kept["shndx"], strings, kept["size"])


def _nlist(image: Image, table: SymbolTable, records: NDArray[Any], strings: memoryview) -> Symbols:
    return _symbols(table, records["value"], records["name"], records["type"], records["sect"], strings)


def _coff(image: Image, table: SymbolTable, records: NDArray[Any], strings: memoryview) -> Symbols:
    """COFF: names of up to eight bytes are in the record; the pool of names is those, then the string table."""
    kept = records[_primary(records["aux"])]
    short = np.zeros((len(kept), 9), np.uint8)  # one more than the name, so that every one ends in a NUL
    short[:, :8] = kept["short"]
    words = np.ascontiguousarray(kept["short"]).view(image.order + "u4").reshape(-1, 2)
    long_name = words[:, 1].astype(np.int64) + short.size
    name = np.where(words[:, 0] == 0, long_name, np.arange(len(kept), dtype=np.int64) * 9)
    bases = np.array([0, *(s.address for s in image.sections)], np.uint64)
    section = kept["section"].astype(np.int64)
    known = (section > 0) & (section < len(bases))
    value = kept["value"].astype(np.uint64) + bases[np.where(known, section, 0)]
    pool = memoryview(short.tobytes() + bytes(strings))
    return _symbols(table, value, name, kept["class"], kept["section"], pool)


def _primary(aux: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n,) which records are symbols, given each record's count of auxiliary records that follow it."""
    keep = np.ones(len(aux), bool)
    following = 0
    for i in np.flatnonzero(aux).tolist():
        if i >= following:
            following = i + 1 + int(aux[i])
            keep[i + 1 : following] = False
    return keep


def _symbols(
    table: SymbolTable,
    value: NDArray[Any],
    name: NDArray[Any],
    kind: NDArray[Any],
    section: NDArray[Any],
    strings: memoryview,
    size: NDArray[Any] | None = None,
) -> Symbols:
    return Symbols(
        table=table,
        value=value.astype(np.uint64),
        size=np.zeros(len(value), np.uint64) if size is None else size.astype(np.uint64),
        name=name.astype(np.int64),
        kind=kind.astype(np.uint8),
        section=section.astype(np.int32),
        strings=strings,
    )


def _go_name(name: str) -> str:
    """debug/macho's rule (golang.org/issue/33808): a name with a dot was Go's, before the linker put a "_" to it."""
    return name[1:] if name.startswith("_") and "." in name else name


def _whole(strings: bytes, name: bytes) -> Iterator[int]:
    """Offsets at which exactly `name` can be read, the tails of longer names included, as linkers share them."""
    at = strings.find(name + b"\0")
    while at >= 0:
        yield at
        at = strings.find(name + b"\0", at + 1)


def claims(source: Source, symbols: Symbols) -> Iterator[Claims]:
    """The records and the strings."""
    table = symbols.table
    ends = (
        table.offset + table.count * record_size(table, source.image.bits),
        table.strings_offset + table.strings_size,
    )
    ranges = list(zip((table.offset, table.strings_offset), ends, strict=True))
    yield Claims.of(NAME, Level.TABLE, ranges, structure=["symtab", "strtab"], kind=KIND, origin="symbols")


PARSER = Parser(NAME, decode, claims)
