"""Methods that the linker kept for reflection: the cause of many a program that grew without a reason in sight.

A method that nothing calls is left out, and its type's descriptor then has no code for it, unless some function that
is reached looks methods up by a name that the compiler does not know: from then on, all exported methods of all
types stay.  Source of truth: Go's cmd/link/internal/ld/deadcode.go (reflectSeen, markMethod), src/internal/abi/type.go
(Method).
"""

from __future__ import annotations

import msgspec
import numpy as np

from goforensics.binary import Binary
from goforensics.sections import types
from goforensics.sections.types import Types

INTERFACE = 20  # abi.Interface, whose methods are what it asks for
RECORD = 16  # bytes of a Method: offsets of name, type and two entry points
GONE = (0, 0xFFFFFFFF)  # instead of an entry point
SELDOM = 20  # one in so many
EXPORTED = 1  # in the first byte of a name


class Methods(msgspec.Struct, frozen=True):
    """Exported methods in the descriptors of types, and the types that have some."""

    kept: int  # methods with code
    left_out: int
    whole: int  # types all of whose methods were kept
    partial: int  # types that have lost some: it was decided method by method

    @property
    def for_reflection(self) -> bool:
        """Types keep all or nothing.  Partial ones, whose methods are called although no interface ever holds them,
        are then 1 to 2 in 100; where methods are kept as they are needed, 30 and more.
        """
        return self.whole > 0 and SELDOM * self.partial <= self.whole + self.partial


def methods(binary: Binary) -> Methods | None:
    """Count them; None where the descriptors cannot be read."""
    found = binary.maybe(types.PARSER)
    if found is None or "type/methods" not in found.parts:
        return None
    return _count(found)


def _count(found: Types) -> Methods:
    memory = found.memory
    owner, start, end = found.parts["type/methods"]
    number = types.index(found.address, owner)
    concrete = (number >= 0) & (found.kind[np.maximum(number, 0)] != INTERFACE)
    count = ((end[concrete] - start[concrete]) // np.uint64(RECORD)).astype(np.int64)
    kind = np.repeat(np.arange(len(count)), count)
    first = np.repeat(np.cumsum(count) - count, count)
    record = np.repeat(start[concrete], count) + ((np.arange(len(kind)) - first) * RECORD).astype(np.uint64)
    name = memory.uint(record, 4) + np.uint64(memory.start)
    exported = memory.uint(name, 1) & np.uint64(EXPORTED) > 0
    gone = np.isin(memory.uint(record + np.uint64(12), 4), GONE)
    kept = np.bincount(kind[exported & ~gone], minlength=len(count))
    lost = np.bincount(kind[exported & gone], minlength=len(count))
    whole, partial = (kept > 0) & (lost == 0), (kept > 0) & (lost > 0)
    return Methods(int(kept.sum()), int(lost.sum()), int(whole.sum()), int(partial.sum()))
