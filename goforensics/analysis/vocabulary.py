"""The names of owners: functions and packages, what each is called in every column, and who shares what.

An owner is a number: function i of the pclntab is owner i, package k is owner n + k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.analysis.modules import GENERATED, Modules
from goforensics.analysis.packages import Packages
from goforensics.bytemap import SHARED, Claims, Labels, Level, Shares
from goforensics.sections.pclntab import Pclntab

Numbers = NDArray[np.int64]
APART = ("debug", "symbols")  # origins of what can be stripped: a listing keeps it apart, whoever it is about


@dataclass(frozen=True, eq=False)
class FunctionNames(Sequence[str]):
    """Functions' names, then "" for an owner that is a package: turned into text only when a listing shows them."""

    table: Pclntab

    def __len__(self) -> int:
        return len(self.table.funcs.name) + 2

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        count = len(self.table.funcs.name)
        return self.table.names[i] if i < count else ("", SHARED)[i - count]


class Holdings(msgspec.Struct, frozen=True, eq=False):
    """Ranges of the image with the owners of each, before owners have names; a range without an owner has none."""

    source: str  # as in Claims
    kind: str  # of the byte map's kinds
    structure: str | Labels
    start: Numbers  # (m,) offsets in the image
    end: Numbers  # (m,)
    item: Numbers  # (u,) increasing: a range that the owner below uses
    owner: Numbers  # (u,) number of a function or, if `of_packages`, of a package
    weight: NDArray[np.float64] | None = None  # (u,) None: each use counts the same
    of_packages: bool = True
    basis: str = "structure"
    origin: str = "metadata"  # of ranges without an owner, and of all where what they are matters more than whose


class Vocabulary(msgspec.Struct, frozen=True, eq=False, dict=True):
    """What owners are called.  `packages` may go on beyond those of the functions."""

    table: Pclntab
    functions: Packages
    packages: list[str]
    modules: Modules

    @property
    def count(self) -> int:
        """Functions; the owners from here on are packages."""
        return len(self.functions.codes)

    @cached_property
    def package(self) -> NDArray[np.int32]:
        """By owner: index into `packages`."""
        packages: NDArray[np.int32] = np.r_[self.functions.codes, np.arange(len(self.packages), dtype=np.int32)]
        return packages

    @cached_property
    def instantiator(self) -> NDArray[np.int32]:
        """By owner: the package for which it was compiled, which is another's for instances of generic functions."""
        units: NDArray[np.int32] = np.r_[self.functions.unit, np.arange(len(self.packages), dtype=np.int32)]
        return units

    @cached_property
    def symbols(self) -> FunctionNames:
        """Texts of the column "symbol"."""
        return FunctionNames(self.table)

    @cached_property
    def _homes(self) -> tuple[list[str], NDArray[np.int32], list[str], NDArray[np.int32]]:
        """Modules and origins with, by package, an index into each.  The last two of each are for what is shared."""
        homes = [self.modules.home(name) for name in self.packages]
        modules = list(dict.fromkeys(home.module for home in homes))
        origins = list(dict.fromkeys(str(home.kind) for home in homes))
        module = np.array([modules.index(home.module) for home in homes], np.int32)
        origin = np.array([origins.index(home.kind) for home in homes], np.int32)
        return [*modules, SHARED], module, [*origins, "shared", "std"], origin

    @cached_property
    def _package_names(self) -> list[str]:
        return [*(name or GENERATED for name in self.packages), SHARED]

    def labels(self, owner: Numbers) -> dict[str, Labels | str]:
        """What each of these owners (m,) is called."""
        modules, module, origins, origin = self._homes
        package = self.package[owner]
        symbol = np.minimum(owner, self.count).astype(np.int32)
        return {
            "package": Labels(package, self._package_names),
            "instantiator": Labels(self.instantiator[owner], self._package_names),
            "module": Labels(module[package], modules),
            "origin": Labels(origin[package], origins),
            "symbol": Labels(symbol, self.symbols),
        }

    @cached_property
    def _everyone(self) -> dict[str, Labels]:
        every = self.labels(np.arange(self.count + len(self.packages)))
        return {name: label for name, label in every.items() if isinstance(label, Labels)}

    def claims(self, held: Holdings) -> list[Claims]:
        """The ranges with their owners' names; those without an owner as the structure that they are."""
        count = len(held.start)
        weight = np.ones(len(held.item)) if held.weight is None else held.weight
        owner = held.owner + self.count if held.of_packages else held.owner
        apart = held.origin in APART
        labels = self.shared(count, held.item, owner, weight, with_origin=not apart)
        labels |= {"structure": held.structure, "kind": held.kind, "basis": held.basis}
        labels |= {"origin": held.origin} if apart else {}
        owned = np.bincount(held.item, minlength=count) > 0
        rest: dict[str, Labels | str] = {"structure": held.structure, "kind": held.kind, "origin": held.origin}
        claims = Claims(held.source, Level.ITEM, held.start, held.end, labels)
        if owned.all():
            return [claims]
        return [claims.only(owned), Claims(f"{held.source}.rest", Level.ITEM, held.start, held.end, rest).only(~owned)]

    def shared(
        self, count: int, item: Numbers, owner: Numbers, weight: NDArray[np.float64], *, with_origin: bool = True
    ) -> dict[str, Labels | str]:
        """Labels of `count` items of which each of `item` (u,), increasing, has an `owner` with a `weight`.

        An item of one owner is its; of several, it is the package's or the module's that they have in common, and
        else shared.  One without owners gets owner `count`'s labels of no package.
        """
        length = np.bincount(item, minlength=count)
        first = np.cumsum(length) - length
        modules, module, origins, origin = self._homes
        package = self.package[owner]
        columns = {
            "package": (package, self._package_names, len(self.packages)),
            "instantiator": (self.instantiator[owner], self._package_names, len(self.packages)),
            "module": (module[package], modules, len(modules) - 1),
            "symbol": (np.minimum(owner, self.count), self.symbols, self.count + 1),
        }
        common = {name: (_common(code, first, length, other), names) for name, (code, names, other) in columns.items()}
        labels: dict[str, Labels | str] = {name: Labels(code, names) for name, (code, names) in common.items()}
        kind = _common(origin[package], first, length, len(origins) - 2)
        in_one = (kind == len(origins) - 2) & (common["module"][0] < len(modules) - 1)
        labels["origin"] = Labels(np.where(in_one, len(origins) - 1, kind).astype(np.int32), origins)
        labels["users"] = self._users(length, owner, weight, with_origin)
        return labels

    def _users(self, length: Numbers, owner: Numbers, weight: NDArray[np.float64], with_origin: bool) -> Labels:
        """Who uses each item, where several do; set 0 is empty."""
        several = length > 1
        code = np.where(several, np.cumsum(several), 0).astype(np.int32)
        kept = np.repeat(several, length)
        first = np.r_[0, 0, np.cumsum(length[several])]
        called = {name: label for name, label in self._everyone.items() if with_origin or name != "origin"}
        return Labels(code, Shares(first, owner[kept].astype(np.int32), weight[kept], called))


def _common(code: NDArray[np.integer], first: Numbers, length: Numbers, other: int) -> NDArray[np.int32]:
    """(items,) the code that all entries of an item have, `other` if they differ; items without entries get 0."""
    found = np.zeros(len(length), np.int32)
    found[length > 0] = code[first[length > 0]]
    several = np.flatnonzero(length > 1)
    if len(several):
        differs = code != np.repeat(found, length)
        found[several] = np.where(np.logical_or.reduceat(differs, first[several]), other, found[several])
    return found
