"""Sorted arrays as sets: NumPy's own unique and isin hash or sort anew each time, which is several times slower."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.integer)


def distinct(values: NDArray[T]) -> NDArray[T]:
    """(m,) the different values of an array, increasing."""
    found = np.sort(values)
    if len(found) < 2:
        return found
    keep = np.empty(len(found), bool)
    keep[0] = True
    np.not_equal(found[1:], found[:-1], out=keep[1:])
    return found[keep]


def without(values: NDArray[T], increasing: NDArray[T]) -> NDArray[T]:
    """Those of `values` that are not one of `increasing` (m,)."""
    return values[~among(values, increasing)]


def among(values: NDArray[np.integer], increasing: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(n,) whether each value is one of `increasing` (m,)."""
    if not len(increasing):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(increasing, values), len(increasing) - 1)
    found: NDArray[np.bool_] = increasing[at] == values
    return found
