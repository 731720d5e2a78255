"""Which package each function belongs to, by its name and, for assembly without one, by its file.

A symbol's name is its package's path, with dots of the last element escaped, a dot, and the rest: see Go's
cmd/internal/objabi/path.go (PathToPrefix).  Names are cut as arrays, for a program has tens of thousands.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from posixpath import dirname

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.sections.arrays import Offsets, string_ends, strings
from goforensics.sections.pclntab import Pclntab

Codes = NDArray[np.int32]
BEHIND = re.compile(r"[\[({ ]")  # what may follow a package and a name
GENERATED = ("type:.", "type..", "go:", "go.(")  # symbols that the compiler or the linker makes up
EQUALITY = re.compile(r"type[:.]\.(?:eq|hash)\.(.*)", re.DOTALL)
ELEMENT = re.compile(r"^(?:\*|\[[^\]]*\])+")  # of pointers and arrays; 1.18's pclntab writes [...] for a length
ESCAPE = re.compile("%([0-9a-f]{2})")


class Packages(msgspec.Struct, frozen=True):
    """The package of every function: `names[codes[i]]`, "" where it has none."""

    codes: NDArray[np.int32]  # (n,)
    names: list[str]
    directory: dict[str, str]  # package -> directory of its files, as far as the file table tells
    unit: NDArray[np.int32]  # (n,) the package in whose compilation the function was made: that of an instance's user


class PackageNames:
    """Packages as numbers, those of the functions first: types and symbols name packages that have no code."""

    def __init__(self, names: Sequence[str]) -> None:
        self.all = list(names)
        self._number = {name: i for i, name in enumerate(self.all)}

    def __getitem__(self, name: str) -> int:
        """The number of a package, which it gets when first asked for."""
        if name not in self._number:
            real = declaring(name, self._number)
            if real != name:
                return self._number[real]
            self._number[name] = len(self.all)
            self.all.append(name)
        return self._number[name]


def packages(table: Pclntab) -> Packages:
    """The package of each function in the table."""
    codes, names = _cut(table, table.funcs.name)
    number = {name: i for i, name in enumerate(names)}
    codes = np.array([number[declaring(name, number)] for name in names], np.int32)[codes]
    codes, names = _generated(table, codes, names)
    codes, directory = _by_file(table, codes, names)
    return Packages(codes, names, directory, _units(table, codes, len(names)))


def declaring(path: str, known: Container[str]) -> str:
    """The package of a method by the path that its name begins with, which may be two packages' with a type between.

    An unexported method that a type has from an embedded one of another package is called
    github.com/jmoiron/sqlx.Conn.database/sql.grabConn: `known` has the first of them.
    """
    if path.startswith((*GENERATED, "go.")):
        return path  # domains begin like that, and no package has the name "go"
    for dot in re.finditer(r"\.(?=[^/]*\.[^/]*/)", path):
        if path[: dot.start()] in known:
            return path[: dot.start()]
    return path


def packages_of_names(table: Pclntab, name: Offsets, names: PackageNames) -> NDArray[np.int64]:
    """(n,) the package that each function name at an offset of the table begins with."""
    distinct, place = np.unique(name, return_inverse=True)
    codes, cut = _cut(table, distinct)
    return np.array([names[path] for path in cut], np.int64)[codes][place]


def _cut(table: Pclntab, name: Offsets) -> tuple[NDArray[np.int32], list[str]]:
    """(n,) which of the distinct packages each of the names at these offsets begins with, "" the first of them."""
    end = string_ends(table.data, name)
    base = int(name.min(initial=len(table.data)))
    data = bytes(table.data[base : int(end.max(initial=base))])
    low, high = spans(np.frombuffer(data, np.uint8), name - base, end - base)
    index: dict[bytes, int] = {b"": 0}
    codes = np.array(
        [index.setdefault(data[a:b], len(index)) for a, b in zip(low.tolist(), high.tolist(), strict=True)], np.int32
    )
    return codes, [path_of(raw.decode("utf-8", "backslashreplace")) for raw in index]


def package_of(symbol: str) -> str:
    """The package that a symbol's name begins with; "" if it has none."""
    made = EQUALITY.match(symbol)
    if made:
        return package_of(ELEMENT.sub("", made[1]))
    if symbol.startswith(GENERATED):
        return ""
    head = BEHIND.split(symbol, maxsplit=1)[0]
    dot = head.find(".", head.rfind("/") + 1)
    return path_of(head[:dot]) if dot > 0 else ""


def path_of(prefix: str) -> str:
    """An import path from a symbol's prefix: %2e is a dot, and so is %252e, for some closures' names are escaped twice.

    No import path has a percent sign.
    """
    while "%" in prefix and (plain := ESCAPE.sub(lambda m: chr(int(m[1], 16)), prefix)) != prefix:
        prefix = plain
    return prefix


def spans(data: NDArray[np.uint8], start: Offsets, end: Offsets) -> tuple[Offsets, Offsets]:
    """(n,) start and end of the package's path within each name; equal where there is none."""

    def positions(characters: bytes) -> Offsets:
        wanted = np.zeros(256, bool)
        wanted[list(characters)] = True
        return np.flatnonzero(wanted[data])

    limit = _first(positions(b"[({ "), start, end)
    slashes = np.r_[-1, positions(b"/")]
    slash = slashes[np.searchsorted(slashes, limit) - 1]
    dot = _first(positions(b"."), np.maximum(slash + 1, start), limit)
    return start, np.where(dot < limit, dot, start)


def _first(positions: Offsets, start: Offsets, end: Offsets) -> Offsets:
    """(n,) the first of `positions` in [start, end), else end."""
    padded = np.r_[positions, np.iinfo(np.int64).max]
    found: Offsets = np.minimum(padded[np.searchsorted(padded, start)], end)
    return found


def _units(table: Pclntab, codes: Codes, count: int) -> Codes:
    """(n,) the package of most of the functions that were compiled together.

    Functions of one unit share their part of the cutab.  Names tell the package that a function is declared in, which
    is another's for instances of generic functions, and for what is linked under another name.
    """
    unit, number = np.unique(table.funcs.cu, return_inverse=True)
    if len(unit) < 2:
        return codes  # layout 1.2 has no cutab
    own = (codes > 0) & ~_instances(table)
    pairs, votes = np.unique((number * count + codes)[own], return_counts=True)
    order = np.lexsort([votes, pairs // count])
    package = np.zeros(len(unit), np.int32)
    package[pairs[order] // count] = pairs[order] % count  # the one with the most votes comes last
    found = np.where(table.funcs.cu >= 0, package[number], 0)
    return np.where(found > 0, found, codes).astype(np.int32)


def _instances(table: Pclntab) -> NDArray[np.bool_]:
    """(n,) which functions are instances of generic ones: they have type arguments in brackets."""
    start, end = table.funcs.name, string_ends(table.data, table.funcs.name)
    low = int(start.min(initial=0))
    brackets = np.flatnonzero(np.frombuffer(table.data[low : int(end.max(initial=low))], np.uint8) == ord("[")) + low
    found: NDArray[np.bool_] = np.searchsorted(brackets, start) < np.searchsorted(brackets, end)
    return found


def _generated(table: Pclntab, codes: Codes, names: list[str]) -> tuple[Codes, list[str]]:
    """Equality and hash functions go to the package of their type; other made-up symbols to none."""
    suspects = [
        i for i, name in enumerate(names) if name.startswith(("type:", "type.", "go:")) or name in ("go", "type")
    ]
    rows = np.flatnonzero(np.isin(codes, suspects))
    codes, found = codes.copy(), PackageNames(names)
    for row, symbol in zip(rows.tolist(), strings(table.data, table.funcs.name[rows]), strict=True):
        codes[row] = found[package_of(symbol)]
    return codes, found.all


def _by_file(table: Pclntab, codes: Codes, names: list[str]) -> tuple[Codes, dict[str, str]]:
    """Assembly names such as memeqbody have no package: take the one whose files share the directory."""
    files, file = np.unique(table.entry_file, return_inverse=True)
    directories = [dirname(name) for name in strings(table.data, files)]
    owner = _owners(codes, len(names), file, directories) | _named_so(directories, names)
    codes = codes.copy()
    for row in np.flatnonzero(codes == 0).tolist():
        codes[row] = owner.get(directories[file[row]], 0)
    return codes, {names[code]: directory for directory, code in owner.items()}


def _named_so(directories: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """For each directory that is called like a package, that one: runtime's assembly lies in internal/bytealg."""
    number = {name: code for code, name in enumerate(names) if name}
    inside = {directory: directory.rpartition("/src/")[2] for directory in directories}
    return {directory: number[path] for directory, path in inside.items() if path in number}


def _owners(codes: Codes, count: int, file: NDArray[np.int64], directories: Sequence[str]) -> dict[str, int]:
    """For each directory the package with the most functions that begin in one of its files."""
    pairs, counts = np.unique(file * count + codes, return_counts=True)
    votes: dict[str, dict[int, int]] = {}
    for pair, number in zip(pairs.tolist(), counts.tolist(), strict=True):
        where, code = divmod(pair, count)
        if code and directories[where]:
            tally = votes.setdefault(directories[where], {})
            tally[code] = tally.get(code, 0) + number
    return {directory: max(sorted(tally), key=tally.__getitem__) for directory, tally in votes.items()}
