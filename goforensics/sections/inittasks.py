"""inittasks: what each package runs before main.

Source of truth: Go's src/runtime/proc.go (initTask, doInit); the writers are cmd/compile/internal/pkginit/init.go and,
since 1.21, cmd/link/internal/ld/inittask.go, which leaves a list of them in moduledata.
"""

from __future__ import annotations

import msgspec
import numpy as np

from goforensics.containers.image import Image, Words
from goforensics.errors import FormatError
from goforensics.sections import functions, moduledata, references
from goforensics.sections.moduledata import ModuleData
from goforensics.sections.protocol import Parser, Source
from goforensics.sections.region import Region, region

STRUCTURE = "inittasks"
MOST = 1 << 16  # functions or dependencies of a package


class InitTasks(msgspec.Struct, frozen=True, eq=False):
    """Every task by address (i,)."""

    start: Words  # (i,)
    end: Words  # (i,)
    function: Words  # (i,) entry of the first function that it runs; 0 for none


def decode(source: Source) -> InitTasks:
    """Those that moduledata lists or, up to 1.20, those that look like it and what they depend on."""
    image, module = source.image, source.read(moduledata.PARSER)
    bounds = module.range("noptrdata", "enoptrdata")
    if bounds is None:
        raise FormatError("moduledata names no data", structure=STRUCTURE, absent=True)
    memory = region(image, *bounds, STRUCTURE)
    if module.fields.get("inittasks.len"):
        return _listed(image, module, memory)
    return _linked(memory, source.read(references.PARSER).targets, source.read(functions.PARSER).address)


def _listed(image: Image, module: ModuleData, memory: Region) -> InitTasks:
    """Since 1.21: the state and the number of functions, 32 bits each, then the functions."""
    start = np.sort(image.words(module.fields["inittasks"], module.fields["inittasks.len"], STRUCTURE))
    start = start[memory.holds(start, 8 + memory.pointer)]
    count = np.minimum(memory.uint(start + np.uint64(4), 4), np.uint64(MOST))
    end = (start + np.uint64(8) + count * np.uint64(memory.pointer)).astype(np.uint64)
    return InitTasks(start, end, memory.word(start + np.uint64(8)))


def _linked(memory: Region, targets: Words, entries: Words) -> InitTasks:
    """Up to 1.20: the state, how many dependencies and functions, then pointers to them."""
    known = set(entries.tolist())
    found: dict[int, tuple[int, int]] = {}
    todo = targets[memory.holds(targets, 3 * memory.pointer)].tolist()
    while todo:
        at = todo.pop()
        if at in found:
            continue
        state, depends, runs = memory.word(np.array([at + i * memory.pointer for i in range(3)], np.uint64)).tolist()
        count = depends + runs
        if state or not 0 < count < MOST or count * memory.pointer > len(memory.raw):
            continue
        first = at + 3 * memory.pointer
        words = memory.word(np.arange(count, dtype=np.uint64) * np.uint64(memory.pointer) + np.uint64(first)).tolist()
        if known.issuperset(words[depends:]) and all(memory.start <= word < memory.end for word in words[:depends]):
            found[at] = first + count * memory.pointer, words[depends] if runs else 0
            todo += words[:depends]
    start = sorted(found)
    end, function = ([found[at][i] for at in start] for i in (0, 1))
    return InitTasks(np.array(start, np.uint64), np.array(end, np.uint64), np.array(function, np.uint64))


PARSER = Parser(STRUCTURE, decode)
