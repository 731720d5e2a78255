"""Variables in the order in which the linker loaded their packages: what code elsewhere uses, among its package's own.

A section's variables are sorted by size, and those of one size by symbol number, which the loader gives package by
package: main first, then what main imports by import path, then what these import.  So each package's variables of
one size lie side by side, and main's before all others.
Source of truth: Go's cmd/link/internal/ld/data.go (dodataSect), cmd/link/internal/loader/loader.go (Preload).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Between = Callable[[int, int], int]  # (package before, package behind or -1) -> whose a variable between them is


def settled(section: Numbers, size: Numbers, owner: Numbers, main: int, between: Between) -> Numbers:
    """(v,) owners that agree with the order, of variables by address, whose `owner` is as references have it.

    What is laid to `main` behind another package's variables of that section and size is a package's that main
    imports.  One variable before it shows nothing: that may be a smaller one with the padding behind it.
    """
    order = np.lexsort([np.arange(len(size)), size, section])
    begins = _begins(section[order], size[order])
    first = _begins(section[order], size[order], owner[order])
    place = np.arange(len(order)) - np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    group, run = owner[order][first], np.cumsum(begins)[first]
    for at in np.flatnonzero((group == main) & (place[first] > 1)).tolist():
        following = at + 1 < len(group) and run[at + 1] == run[at]
        group[at] = between(int(group[at - 1]), int(group[at + 1]) if following else -1)
    result = np.empty_like(owner)
    result[order] = np.repeat(group, np.diff(np.r_[np.flatnonzero(first), len(owner)]))
    return result


def _begins(*columns: Numbers) -> Flags:
    """(v,) true where any of the columns changes."""
    changes = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    begins: Flags = np.r_[True, changes][: len(columns[0])]
    return begins
