"""Owners: which packages an object belongs to, from who refers to it.

A package owns what only its code, or objects that it owns, refer to.  What several refer to is shared, each one's
part counted in references.  Variables belong to one package only: the first in link order among those whose code,
inlined or not, refers to them; dependencies are linked before what imports them.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
ROUNDS = 64  # of following pointers from owned objects to others
MOST = 32  # packages of an object whose pointers hand them all on


class Pairs(msgspec.Struct, frozen=True):
    """Statements "object belongs to package", each with a weight: the number of references it rests on."""

    item: Numbers  # (u,)
    package: Numbers  # (u,)
    weight: NDArray[np.float64]  # (u,)

    @classmethod
    def of(cls, item: Numbers, package: Numbers) -> Pairs:
        """One reference each."""
        return cls(item.astype(np.int64), package.astype(np.int64), np.ones(len(item)))

    def merged(self) -> Pairs:
        """By object and package, each pair once, the weights added."""
        if not len(self.item):
            return self
        width = int(self.package.max()) + 1
        key = self.item * width + self.package
        order = np.argsort(key, kind="stable")  # what is merged is mostly in order, which this kind makes use of
        key = key[order]
        first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
        return Pairs(key[first] // width, key[first] % width, np.add.reduceat(self.weight[order], first))

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(np.r_[self.item, other.item], np.r_[self.package, other.package], np.r_[self.weight, other.weight])

    def only(self, keep: NDArray[np.bool_]) -> Pairs:
        """Those pairs of which `keep` (u,) is true."""
        return Pairs(self.item[keep], self.package[keep], self.weight[keep])


def spread_out(
    count: int, said: Pairs, fixed: Numbers, single: NDArray[np.bool_], edges: tuple[Numbers, Numbers], rank: Numbers
) -> Pairs:
    """Who owns each of `count` objects.

    `fixed` (count,) is the package that an object names itself, -1 for none: nothing else is said of it.  `said` is
    what code refers to.  Then owners follow `edges` (from, to) through the objects.  `single` (count,) marks objects
    that one package owns: the one of lowest `rank`.
    """
    named = np.flatnonzero(fixed >= 0)
    found = (Pairs.of(named, fixed[named]) + said.only(fixed[said.item] < 0)).merged()
    found = lowest(found, single, rank)
    origin, target = edges
    useful = (fixed[target] < 0) & (origin != target)
    origin, target = origin[useful], target[useful]
    for _ in range(ROUNDS):
        first, length = _rows(found, count)
        ready = length[origin] > 0
        if not ready.any():
            break
        more = _handed_on(found, first, length, origin[ready], target[ready])
        origin, target = origin[~ready], target[~ready]
        late = single[more.item] & (length[more.item] > 0)  # a variable that code refers to is that code's
        found = lowest((found + more.only(~late)).merged(), single, rank)
    return lowest((found + _by_parts(found, count, edges)).merged(), single, rank)


def _by_parts(found: Pairs, count: int, edges: tuple[Numbers, Numbers]) -> Pairs:
    """What nobody refers to is kept for reflection: it belongs to the owners of what it is made of."""
    first, length = _rows(found, count)
    whole, part = edges
    rows = (length[whole] == 0) & (length[part] > 0)
    return _handed_on(found, first, length, part[rows], whole[rows])


def _rows(pairs: Pairs, count: int) -> tuple[Numbers, Numbers]:
    """Of each object where its pairs begin, which are in order, and how many they are."""
    length = np.bincount(pairs.item, minlength=count)
    return np.cumsum(length) - length, length


def _handed_on(found: Pairs, first: Numbers, length: Numbers, origin: Numbers, target: Numbers) -> Pairs:
    """What the objects `origin` hand on to `target`: their packages, one reference together."""
    handed = np.minimum(length[origin], MOST)
    edge = np.repeat(np.arange(len(origin)), handed)
    place = np.arange(len(edge)) - np.repeat(np.cumsum(handed) - handed, handed) + first[origin[edge]]
    whole = np.bincount(edge, weights=found.weight[place], minlength=len(origin))
    return Pairs(target[edge], found.package[place], found.weight[place] / whole[edge]).merged()


def lowest(pairs: Pairs, single: NDArray[np.bool_], rank: Numbers) -> Pairs:
    """The pairs, by object, only the one of lowest rank left of every object that one package owns."""
    again = pairs.item[1:] == pairs.item[:-1]
    rows = np.flatnonzero(single[pairs.item] & (np.r_[again, False] | np.r_[False, again]))
    if not len(rows):
        return pairs
    order = rows[np.lexsort([rank[pairs.package[rows]], pairs.item[rows]])]
    item = pairs.item[order]
    keep = np.ones(len(pairs.item), bool)
    keep[order[1:]] = item[1:] != item[:-1]
    return pairs.only(keep)
