"""Which function is meant: by name, by the end of a name, or by an address."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from goforensics.errors import UsageError
from goforensics.sections import functions, pclntab
from goforensics.sections.functions import Functions
from goforensics.sections.protocol import Source

MOST = 10  # candidates that are named
ADDRESS = re.compile(r"0[xX][0-9a-fA-F]+")


def find(source: Source, wanted: str) -> int:
    """The index in the pclntab of the function that is called `wanted`, or whose code holds that address (0x…).

    Without one of exactly that name, the one whose name ends in "." or "/" and `wanted`.  UsageError, with up to MOST
    candidates, if there is none or more than one; FormatError if the file has no table of functions.
    """
    if ADDRESS.fullmatch(wanted):
        return _at(source.read(functions.PARSER), int(wanted, 16))
    names = source.read(pclntab.PARSER).names
    found = [i for i, name in enumerate(names) if name == wanted]
    if not found:
        ends = (f".{wanted}", f"/{wanted}")
        found = [i for i, name in enumerate(names) if name.endswith(ends)] if wanted else []
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{wanted!r} is the name of {_listed(source, names, found)}; give more of it, or an address")
    within = [i for i, name in enumerate(names) if wanted.lower() in name.lower()] if wanted else []
    others = f"; {_listed(source, names, within)} have it in their name" if within else ""
    raise UsageError(f"no function is called {wanted!r}{others}")


def _at(placed: Functions, address: int) -> int:
    """The function whose bytes hold an address, the shortest if several do."""
    if address < 1 << 64:
        away = np.uint64(address) - placed.address
        held = np.flatnonzero((np.uint64(address) >= placed.address) & (away < placed.size.astype(np.uint64)))
        if len(held):
            return int(held[np.argmin(placed.size[held])])
    low, high = placed.text
    raise UsageError(f"no function is at {address:#x}; Go's code is at {low:#x} to {high:#x}")


def _listed(source: Source, names: Sequence[str], found: Sequence[int]) -> str:
    """`12 functions: a, b, …`, with addresses where names alone do not tell them apart."""
    address = source.read(functions.PARSER).address
    shown = [names[i] for i in found[:MOST]]
    if len(set(shown)) < len(shown):
        shown = [f"{names[i]} at {int(address[i]):#x}" for i in found[:MOST]]
    more = f" and {len(found) - MOST:,} more" if len(found) > MOST else ""
    return f"{len(found):,} function{'s' if len(found) > 1 else ''}: {', '.join(shown)}{more}"
