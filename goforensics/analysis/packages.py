"""Which package each function belongs to, by its name and, for assembly without one, by its file.

A symbol's name is its package's path, with dots of the last element escaped, a dot, and the rest: see Go's
cmd/internal/objabi/path.go (PathToPrefix).  Names are cut as arrays, for a program has tens of thousands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import dirname

import numpy as np
from numpy.typing import NDArray

from goforensics.sections.arrays import Offsets, string_ends, strings
from goforensics.sections.pclntab import Pclntab

GENERATED = ("type:.", "type..", "go:", "go.(")  # symbols that the compiler or the linker makes up
EQUALITY = re.compile(r"type[:.]\.(?:eq|hash)\.(.*)", re.DOTALL)
ESCAPE = re.compile("%([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Packages:
    """The package of every function: `names[codes[i]]`, "" where it has none."""

    codes: NDArray[np.int32]  # (n,)
    names: list[str]
    directory: dict[str, str]  # package -> directory of its files, as far as the file table tells


def packages(table: Pclntab) -> Packages:
    """The package of each function in the table."""
    name, end = table.funcs.name, string_ends(table.data, table.funcs.name)
    base = int(name.min(initial=len(table.data)))
    data = bytes(table.data[base : int(end.max(initial=base))])
    low, high = _spans(np.frombuffer(data, np.uint8), name - base, end - base)
    index: dict[bytes, int] = {b"": 0}
    codes = np.array(
        [index.setdefault(data[a:b], len(index)) for a, b in zip(low.tolist(), high.tolist(), strict=True)], np.int32
    )
    names = [path_of(raw.decode("utf-8", "backslashreplace")) for raw in index]
    found = Packages(codes, names, {})
    return _by_file(table, _generated(table, found))


def package_of(symbol: str) -> str:
    """The package that a symbol's name begins with; "" if it has none."""
    made = EQUALITY.match(symbol)
    if made:
        return package_of(made[1].lstrip("*[]0123456789"))
    if symbol.startswith(GENERATED):
        return ""
    head = re.split(r"[\[({ ]", symbol, maxsplit=1)[0]
    dot = head.find(".", head.rfind("/") + 1)
    return path_of(head[:dot]) if dot > 0 else ""


def path_of(prefix: str) -> str:
    """An import path from a symbol's prefix: %2e is a dot."""
    return ESCAPE.sub(lambda m: chr(int(m[1], 16)), prefix)


def _spans(data: NDArray[np.uint8], start: Offsets, end: Offsets) -> tuple[Offsets, Offsets]:
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


def _generated(table: Pclntab, found: Packages) -> Packages:
    """Equality and hash functions go to the package of their type; other made-up symbols to none."""
    suspects = [i for i, name in enumerate(found.names) if name.startswith(("type:", "type.", "go:")) or name == "go"]
    rows = np.flatnonzero(np.isin(found.codes, suspects))
    codes, names = found.codes.copy(), list(found.names)
    index = {name: i for i, name in enumerate(names)}
    for row, symbol in zip(rows.tolist(), strings(table.data, table.funcs.name[rows]), strict=True):
        package = package_of(symbol)
        if package not in index:
            index[package] = len(names)
            names.append(package)
        codes[row] = index[package]
    return Packages(codes, names, {})


def _by_file(table: Pclntab, found: Packages) -> Packages:
    """Assembly names such as memeqbody have no package: take the one whose files share the directory."""
    files, file = np.unique(table.entry_file, return_inverse=True)
    directories = [dirname(name) for name in strings(table.data, files)]
    owner = _owners(found, file, directories)
    codes = found.codes.copy()
    for row in np.flatnonzero(codes == 0).tolist():
        codes[row] = owner.get(directories[file[row]], 0)
    by_package = {found.names[code]: directory for directory, code in owner.items()}
    return Packages(codes, found.names, by_package)


def _owners(found: Packages, file: NDArray[np.int64], directories: Sequence[str]) -> dict[str, int]:
    """For each directory the package with the most functions that begin in one of its files."""
    pairs, counts = np.unique(file * len(found.names) + found.codes, return_counts=True)
    votes: dict[str, dict[int, int]] = {}
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        where, code = divmod(pair, len(found.names))
        if code and directories[where]:
            tally = votes.setdefault(directories[where], {})
            tally[code] = tally.get(code, 0) + count
    return {directory: max(sorted(tally), key=tally.__getitem__) for directory, tally in votes.items()}
