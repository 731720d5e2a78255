"""Loaded data as claims: what no other structure holds, cut into objects, each with its owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from goforensics.analysis.data import DataOwners
from goforensics.analysis.evidence import READ_ONLY, VARIABLE
from goforensics.analysis.gaps import gaps
from goforensics.analysis.objects import Flags, Objects
from goforensics.analysis.vocabulary import Vocabulary
from goforensics.bytemap import Claims, Labels, Level
from goforensics.containers.image import Image
from goforensics.sections.arrays import Offsets
from goforensics.sections.moduledata import ModuleData

KINDS = {VARIABLE: "data", READ_ONLY: "rodata", "string": "string", "itab": "itab", "inittask": "data"}
STRING_SHOWN = 60  # bytes of a string in the column "symbol"


def free_memory(image: Image, module: ModuleData, known: Sequence[Claims]) -> list[tuple[int, int, bool]]:
    """Memory (start, end, whether it holds variables) that is loaded from the file and claimed by nothing `known`."""
    free = gaps(len(image.data), known, "structure")
    variables = [r for r in (module.range("noptrdata", "enoptrdata"), module.range("data", "edata")) if r]
    out: list[tuple[int, int, bool]] = []
    for offset, size, address in _places(image):
        for start, end in _within(free, offset, offset + size):
            low, high = start - offset + address, end - offset + address
            for first, last in ((low, min(high, module.text)), (max(low, module.etext), high)):
                out += _by_variables(first, last, variables)
    return out


def _places(image: Image) -> Iterator[tuple[int, int, int]]:
    """(offset, bytes, address) of loaded data: of its sections or, where they are lost, of segments."""
    for s in image.sections:
        if s.file_size and s.address and s.role == "data":
            yield s.offset, min(s.file_size, s.memory_size or s.file_size), s.address
    if not any(s.file_size for s in image.sections):
        for part in image.segments:
            if part.file_size:
                yield part.offset, part.file_size, part.address


def _within(free: Sequence[tuple[int, int]], low: int, high: int) -> Iterator[tuple[int, int]]:
    for start, end in free:
        if start < high and end > low:
            yield max(start, low), min(end, high)


def _by_variables(low: int, high: int, variables: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, bool]]:
    """The range cut where variables begin and end."""
    if low >= high:
        return
    edges = sorted({low, high, *(edge for pair in variables for edge in pair if low < edge < high)})
    for start, end in pairwise(edges):
        yield start, end, any(a <= start < b for a, b in variables)


@dataclass(frozen=True, eq=False)
class ObjectNames(Sequence[str]):
    """What objects are called, as far as they say it themselves; text is made when a listing shows it."""

    image: Image
    owners: DataOwners

    def __len__(self) -> int:
        return len(self.owners.objects.start)

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        found = self.owners.objects
        if found.structures[found.structure[i]] != "string":
            return self.owners.symbols.get(int(found.start[i]), "")
        offset = self.image.offset_of(int(found.start[i])) or 0
        size = int(found.end[i] - found.start[i])
        shown = bytes(self.image.data[offset : offset + min(size, STRING_SHOWN)]).decode("utf-8", "backslashreplace")
        return f'"{shown}"' + ("…" if size > STRING_SHOWN else "")


def claims(image: Image, owners: DataOwners, words: Vocabulary) -> list[Claims]:
    """Each object to its owners; zeros that nobody points at are padding; of the rest only the structure is known."""
    found, pairs = owners.objects, owners.pairs
    count = len(found.start)
    start = image.offsets_of(found.start)
    end = start + (found.end - found.start).astype(np.int64)
    held = (start >= 0) & (end <= len(image.data))  # segments may lie over one another in a broken file
    owned = (np.bincount(pairs.item, minlength=count) > 0) & held
    labels = words.shared(count, pairs.item, pairs.package + words.count, pairs.weight)
    labels["symbol"] = Labels(np.arange(count, dtype=np.int32), ObjectNames(image, owners))
    labels["basis"] = Labels(owners.named.astype(np.int32), ("referenced by", "structure"))
    labels |= _sorts(found)
    zero = ~owned & ~found.pointed & held
    zero[zero] = _zero(image, start[zero], end[zero])
    padding: dict[str, Labels | str] = dict.fromkeys(("structure", "kind", "origin"), "padding")
    nameless = ~owned & ~zero & ~found.plain & held
    return [
        Claims("data", Level.ITEM, start, end, labels).only(owned),
        Claims("data.ownerless", Level.ITEM, start, end, _sorts(found) | {"origin": "metadata"}).only(nameless),
        Claims("data.padding", Level.ITEM, start[zero], end[zero], padding),
    ]


def _sorts(found: Objects) -> dict[str, Labels | str]:
    """What objects are, whoever owns them."""
    kinds = [KINDS.get(name, "type" if name.startswith("type") else "metadata") for name in found.structures]
    return {"structure": Labels(found.structure, found.structures), "kind": Labels(found.structure, kinds)}


def _zero(image: Image, start: Offsets, end: Offsets) -> Flags:
    """(n,) whether a range holds nothing but zeros."""
    if not len(start):
        return np.zeros(0, bool)
    raw = np.frombuffer(image.data, np.uint8)
    order = np.argsort(start)
    edges = np.stack([start[order], end[order]], axis=1).ravel()
    largest = np.maximum.reduceat(raw[: edges[-1]], edges[:-1])[::2]
    zero = np.empty(len(start), bool)
    zero[order] = largest == 0
    return zero
