"""itabs: the pairs of interface and concrete type, each with the methods that make the one the other.

Source of truth: Go's src/internal/abi/iface.go (ITab), before 1.22 src/runtime/runtime2.go (itab); the writer is
cmd/compile/internal/reflectdata/reflect.go (writeITab).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Words
from goforensics.errors import FormatError
from goforensics.sections import moduledata, references, types
from goforensics.sections.protocol import Parser, Source
from goforensics.sections.types import Types
from goforensics.sections.typewalk import INTERFACE
from goforensics.sets import distinct

STRUCTURE = "itabs"
ROUNDS = 16  # of looking behind the itabs found


class Itabs(msgspec.Struct, frozen=True, eq=False):
    """Every itab by address (i,)."""

    start: Words  # (i,) increasing
    end: Words  # (i,)
    concrete: NDArray[np.int64]  # (i,) index of the concrete type among the types


def decode(source: Source) -> Itabs:
    """What the linker's list, code and data point at that looks like one.  FormatError if there are no types."""
    module, known = source.read(moduledata.PARSER), source.read(types.PARSER)
    candidates = [source.read(references.PARSER).targets]
    if module.fields.get("itablinks.len"):
        candidates.append(source.image.words(module.fields["itablinks"], module.fields["itablinks.len"], STRUCTURE))
    if module.fields.get("itabsize"):
        candidates.append(np.array([module.types + module.fields["itaboffset"]], np.uint64))
    fresh, found = distinct(np.concatenate(candidates)), []
    for _ in range(ROUNDS):
        itabs = _itabs(known, fresh)
        if not len(itabs.start):
            break
        found.append(itabs)
        fresh = np.setdiff1d(itabs.end, np.concatenate([f.start for f in found]))
    if not found:
        raise FormatError("nothing that code or data points at is one", structure=STRUCTURE, absent=True)
    order = np.argsort(np.concatenate([f.start for f in found]))
    start, end, concrete = (
        np.concatenate(c)[order] for c in zip(*((f.start, f.end, f.concrete) for f in found), strict=True)
    )
    end = np.minimum(end, np.r_[start[1:], np.uint64(known.memory.end)])  # of a type without the methods: shorter
    return Itabs(start, end, concrete)


def _itabs(known: Types, at: Words) -> Itabs:
    """Those of the addresses whose two words are an interface and another type, the hash the latter's."""
    memory, pointer = known.memory, known.memory.pointer
    at = at[(at % pointer == 0) & memory.holds(at, 3 * pointer + 8)]
    interface = types.index(known.address, memory.word(at))
    concrete = types.index(known.address, memory.word(at + np.uint64(pointer)))
    good = (interface >= 0) & (concrete >= 0) & (known.kind[interface] == INTERFACE)
    hashed = memory.uint(at + np.uint64(2 * pointer), 4)
    good &= hashed == memory.uint(known.address[concrete] + np.uint64(2 * pointer), 4)
    at, interface, concrete = at[good], interface[good], concrete[good]
    methods = memory.word(known.address[interface] + np.uint64(4 * pointer + 16 + 2 * pointer))
    count = np.clip(methods, np.uint64(1), np.uint64(1 << 16))
    end = at + np.uint64(2 * pointer + 8) + count * np.uint64(pointer)
    return Itabs(at, end, concrete)


PARSER = Parser("itabs", decode)
