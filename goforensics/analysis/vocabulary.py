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
from goforensics.bytemap import COLUMNS, SHARED, Claims, Labels, Level, Shares
from goforensics.sections.arrays import Indices
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
    item: Indices  # (u,) increasing: a range that the owner below uses
    owner: Indices  # (u,) number of a function or, if `of_packages`, of a package
    weight: NDArray[np.float64] | None = None  # (u,) None: each use counts the same
    of_packages: bool = True
    basis: str = "structure"
    origin: str = "metadata"  # of ranges without an owner, and of all where what they are matters more than whose


class Vocabulary(msgspec.Struct, frozen=True, eq=False, dict=True):
    """What owners are called, in those of the map's `columns` that are asked for.

    `packages` may go on beyond those of the functions.
    """

    table: Pclntab
    functions: Packages
    packages: list[str]
    modules: Modules
    columns: Sequence[str] = COLUMNS

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

    @cached_property
    def _by_owner(self) -> dict[str, tuple[NDArray[np.int32], Sequence[str], int]]:
        """By column: the code of each owner, the texts of the codes, and the code for what several owners share."""
        modules, module, _, _ = self._homes
        package, names = self.package, self._package_names
        symbol = np.minimum(np.arange(len(package), dtype=np.int32), self.count)
        every: dict[str, tuple[NDArray[np.int32], Sequence[str], int]] = {
            "package": (package, names, len(self.packages)),
            "instantiator": (self.instantiator, names, len(self.packages)),
            "module": (module[package], modules, len(modules) - 1),
            "symbol": (symbol, self.symbols, self.count + 1),
        }
        return {column: table for column, table in every.items() if column in self.columns}

    def labels(self, owner: Indices) -> dict[str, Labels | str]:
        """What each of these owners (m,) is called."""
        _, _, origins, origin = self._homes
        labels: dict[str, Labels | str] = {"origin": Labels(origin[self.package[owner]], origins)}
        return labels | {column: Labels(code[owner], texts) for column, (code, texts, _) in self._by_owner.items()}

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
        self, count: int, item: Indices, owner: Indices, weight: NDArray[np.float64], *, with_origin: bool = True
    ) -> dict[str, Labels | str]:
        """Labels of `count` items of which each of `item` (u,), increasing, has an `owner` with a `weight`.

        An item of one owner is its; of several, it is the package's or the module's that they have in common, and
        else shared.  One without owners gets owner `count`'s labels of no package.
        """
        length = np.bincount(item, minlength=count)
        first = np.cumsum(length) - length
        labels: dict[str, Labels | str] = {
            column: Labels(_common(code[owner], first, length, other), texts)
            for column, (code, texts, other) in self._by_owner.items()
        }
        labels["origin"] = self._common_origin(owner, first, length)
        if "users" in self.columns:
            labels["users"] = self._users(length, owner, weight, with_origin)
        return labels

    def _common_origin(self, owner: Indices, first: Numbers, length: Numbers) -> Labels:
        """What several origins share is "shared"; "std" if it is in one module all the same, for std has several."""
        modules, module, origins, origin = self._homes
        package = self.package[owner]
        kind = _common(origin[package], first, length, len(origins) - 2)
        home = _common(module[package], first, length, len(modules) - 1)
        in_one = (kind == len(origins) - 2) & (home < len(modules) - 1)
        return Labels(np.where(in_one, len(origins) - 1, kind).astype(np.int32), origins)

    def _users(self, length: Numbers, owner: Indices, weight: NDArray[np.float64], with_origin: bool) -> Labels:
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
