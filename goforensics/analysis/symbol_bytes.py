"""The symbol table, each record and each string to the package that the symbol's name names.

A name without a package is that of the function at its address (assembly), or of C.  What the compiler and the linker
make up for several packages belongs to none.  Source of truth: Go's cmd/link/internal/ld/symtab.go.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.analysis.code_bytes import c_ranges
from goforensics.analysis.modules import C
from goforensics.analysis.packages import PackageNames, Packages, package_of, path_of, spans
from goforensics.analysis.vocabulary import Holdings
from goforensics.containers.image import Image
from goforensics.errors import require
from goforensics.sections.arrays import Offsets, string_ends
from goforensics.sections.functions import Functions
from goforensics.sections.symtab import KIND, OVERLAP, Symbols, record_ranges

MADE = (b"type:", b"type.", b"go:", b"go.itab.", b"$")  # how names begin that are made up; "$f64.": constants
KEYWORDS = (b"type", b"go")  # no packages: "type..eq.", "go.string.*"
ITAB = ("go:itab.", "go.itab.")  # the concrete type, a comma and the interface follow
STT_FILE, GO_FILE = 4, b"go.go"  # a source that symbols are from; what cmd/link calls Go's
Flags = NDArray[np.bool_]


class _Text(msgspec.Struct, frozen=True, eq=False):
    """The symbols' names as parts of `raw`."""

    raw: bytes
    start: Offsets  # (n,)
    end: Offsets  # (n,) at the NUL

    def holds(self, characters: bytes) -> Flags:
        """(n,) which names have one of these characters."""
        raw = np.frombuffer(self.raw, np.uint8)
        places = np.flatnonzero(np.logical_or.reduce([raw == character for character in characters]))
        found: Flags = np.searchsorted(places, self.start) < np.searchsorted(places, self.end)
        return found

    def at(self, offset: Offsets) -> NDArray[np.uint8]:
        """(n,) bytes; 0 behind the end."""
        return np.frombuffer(self.raw + b"\0", np.uint8)[np.minimum(offset, len(self.raw))]

    def name(self, i: int) -> bytes:
        """One of them."""
        return self.raw[self.start[i] : self.end[i]]


def holdings(
    image: Image, symbols: Symbols, names: PackageNames, packages: Packages | None, placed: Functions | None
) -> list[Holdings]:
    """The records and the strings with their packages; `packages` and `placed` tell of names without one.

    FormatError if names lie over one another so much that no linker could have written them.
    """
    text = _text(symbols)
    start, end = spans(np.frombuffer(text.raw, np.uint8), text.start, text.end)
    c = _of_c(symbols, text, end) | _in_c(image, symbols, text, placed)
    package = _named(text, start, np.where(c, start, end), names)
    if packages is not None and placed is not None:
        package = np.where((package < 0) & ~c, _around(symbols, names, packages, placed), package)
    if c.any():
        package[c] = names[C]
    return [_records(image, symbols, package), _strings(symbols, text, package)]


def _text(symbols: Symbols) -> _Text:
    """The names, without Mach-O's leading underscore where debug/macho takes it off."""
    raw = bytes(symbols.strings)
    start = np.minimum(symbols.name, len(raw))
    text = _Text(raw, start, string_ends(raw, start))
    size = int((text.end - text.start).sum())
    require(size <= OVERLAP * len(raw), "names overlap", "strtab", symbols.table.strings_offset)
    if symbols.table.record != "nlist":
        return text
    mangled = (text.at(start) == ord("_")) & (text.holds(b".") | text.holds(b":"))
    return _Text(raw, start + mangled, text.end)


def _of_c(symbols: Symbols, text: _Text, dot: Offsets) -> Flags:
    """(n,) which names cannot be Go's: a library's version, a number behind the dot at `dot` (n,), a C source."""
    next_one = text.at(dot + 1)
    c: Flags = (text.at(dot) == ord(".")) & (next_one >= ord("0")) & (next_one <= ord("9"))
    c = (c & (text.at(text.start) != ord("$"))) | text.holds(b"@")
    if symbols.table.record == "elf":
        files = np.flatnonzero(symbols.kind & 15 == STT_FILE)
        c[files] = [text.name(i) not in (GO_FILE, b"") for i in files.tolist()]
    c[text.end <= text.start] = False
    return c


def _in_c(image: Image, symbols: Symbols, text: _Text, placed: Functions | None) -> Flags:
    """(n,) which symbols lie in C's code or, with a name of C's sort, outside of Go's: in a program that has C code."""
    plain: Flags = ~text.holds(b".:$") & (text.end > text.start)
    undefined: Flags = symbols.section == 0
    if placed is None:
        return plain & undefined
    code, _ = c_ranges(image, placed)
    offset = image.offsets_of(symbols.value) if code else np.zeros(symbols.count, np.int64)
    inside = np.zeros(symbols.count, bool)
    for low, high in code:
        inside |= (offset >= low) & (offset < high)
    if code:
        plain &= ~_in_text(symbols, placed)
    return (inside & ~undefined) | (plain & (undefined | bool(code)))


def _in_text(symbols: Symbols, placed: Functions) -> Flags:
    low, high = placed.text
    found: Flags = (symbols.section != 0) & (symbols.value >= low) & (symbols.value < high)
    return found


def _named(text: _Text, start: Offsets, end: Offsets, names: PackageNames) -> Offsets:
    """(n,) the package that each name begins with, which is at `[start, end)`; -1 for none."""
    prefixes = list(map(text.raw.__getitem__, map(slice, start.tolist(), end.tolist())))
    index = {prefix: i for i, prefix in enumerate(dict.fromkeys(prefixes))}
    codes = np.fromiter(map(index.__getitem__, prefixes), np.int64, len(prefixes))
    made = np.array([prefix.startswith(MADE) or prefix in KEYWORDS for prefix in index], bool)
    number = np.array([_number(path, names, made[i]) for i, path in enumerate(index)], np.int64)
    package = number[codes]
    for row in np.flatnonzero(made[codes]).tolist():
        path = _made_for(text.name(row).decode("utf-8", "backslashreplace"))
        package[row] = names[path] if path else -1
    return package


def _number(prefix: bytes, names: PackageNames, made: bool) -> int:
    return names[path_of(prefix.decode("utf-8", "backslashreplace"))] if prefix and not made else -1


def _made_for(symbol: str) -> str:
    """The package whose type something was made for; "" if there is no such."""
    for prefix in ITAB:
        if symbol.startswith(prefix):
            symbol = symbol.removeprefix(prefix).split(",")[0].lstrip("*")
    path = package_of(symbol)
    return "" if path.startswith("$") or path.encode() in KEYWORDS else path


def _around(symbols: Symbols, names: PackageNames, packages: Packages, placed: Functions) -> Offsets:
    """(n,) the package of the function that holds each symbol's address; -1 for none."""
    if not len(placed.address):
        return np.full(symbols.count, -1, np.int64)
    number = np.array([names[name] if name else -1 for name in packages.names], np.int64)
    function = np.searchsorted(placed.address, symbols.value, side="right") - 1
    inside = _in_text(symbols, placed) & (function >= 0)
    return np.where(inside, number[packages.codes[function]], -1)


def _records(image: Image, symbols: Symbols, package: Offsets) -> Holdings:
    """Each symbol's record; ELF's first is nobody's."""
    start, end = record_ranges(image, symbols)
    owned = np.flatnonzero(package >= 0)
    low = symbols.table.offset
    every, end, item = _partition(start, end, low, int(end[-1]) if len(end) else low)
    return Holdings("symtab", KIND, "symtab", every, end, item[owned], package[owned], origin="symbols")


def _strings(symbols: Symbols, text: _Text, package: Offsets) -> Holdings:
    """Each string to the packages of all symbols that it names, wholly or by its tail; COFF's short names are none."""
    table, size = symbols.table, len(text.raw)
    base = table.strings_offset + table.strings_size - size
    rows = np.flatnonzero((symbols.name + base >= table.strings_offset) & (text.end > symbols.name))
    order = rows[np.lexsort((symbols.name[rows], text.end[rows]))]
    end, first, string = np.unique(text.end[order], return_index=True, return_inverse=True)
    start = symbols.name[order][first]
    low, high, place = _partition(start, np.minimum(end + 1, size), table.strings_offset - base, size)
    owned = package[order] >= 0
    width = int(package.max(initial=0)) + 1
    pairs, uses = np.unique((place[string] * width + package[order])[owned], return_counts=True)
    owner, weight = pairs % width, uses.astype(np.float64)
    return Holdings("strtab", KIND, "strtab", low + base, high + base, pairs // width, owner, weight, origin="symbols")


def _partition(start: Offsets, end: Offsets, low: int, high: int) -> tuple[Offsets, Offsets, Offsets]:
    """(start, end) of ranges that fill `[low, high)`, and which of them each of the given (n,) is, which lie apart."""
    edges = np.sort(np.r_[low, start, end, high].astype(np.int64))
    edges = edges[np.r_[True, np.diff(edges) > 0]]
    return edges[:-1], edges[1:], np.searchsorted(edges, start)
