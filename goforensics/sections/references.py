"""references: every place in code and data that points at something in the image.

Code is read without a disassembler (`code_references`).  Of the data, the words are known that are pointers: those
that the loader relocates, and those that the linker names to the garbage collector; nothing else is taken for one.
Source of truth: Go's src/runtime/symtab.go (moduledata.gcdata), cmd/link/internal/ld/data.go (GCProg).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image, Problem, Words
from goforensics.errors import FormatError
from goforensics.sections import code_references, gcprogram, moduledata
from goforensics.sections.moduledata import ModuleData
from goforensics.sections.protocol import Parser, Source
from goforensics.sets import distinct

STRUCTURE = "references"


class References(msgspec.Struct, frozen=True, eq=False, dict=True):
    """Addresses that refer, and what they refer to."""

    pc: Words  # (c,) increasing, inside of instructions
    code_target: Words  # (c,)
    slot: Words  # (d,) increasing: words of data that hold a pointer
    slot_target: Words  # (d,)

    @cached_property
    def targets(self) -> Words:
        """Everything that is referred to, increasing."""
        return distinct(np.r_[self.code_target, self.slot_target])


def decode(source: Source) -> References:
    """Find them.  FormatError if there is no moduledata, which says where code and data are."""
    image, module = source.image, source.read(moduledata.PARSER)
    code = _code(image, module)
    slot, target = _slots(image, module)
    return References(code.pc, code.target, slot, target)


def data_ranges(image: Image, module: ModuleData) -> list[tuple[int, int]]:
    """The memory (start, end) of everything loaded but Go's code."""
    low, high = module.text, module.etext
    parts = []
    for s in image.segments:
        start, end = s.address, s.address + max(s.memory_size, s.file_size)
        parts += [(start, min(end, low)), (max(start, high), end)]
    return sorted((start, end) for start, end in parts if start < end)


def _code(image: Image, module: ModuleData) -> code_references.CodeReferences:
    offset = image.offset_of(module.text)
    text = memoryview(b"")
    if offset is not None:
        text = image.data[offset : offset + module.etext - module.text]
    return code_references.scan(image.goarch, image.order, text, module.text, data_ranges(image, module))


def _slots(image: Image, module: ModuleData) -> tuple[Words, Words]:
    """The words of data that are pointers, and what they hold."""
    found = [image.fixed_words(0, (1 << 64) - 1)]
    try:
        found.append(_data_pointers(image, module))
    except FormatError as error:
        image.problems.append(Problem(error.structure, error.offset, error.reason))
    slot, first = np.unique(np.concatenate([at for at, _ in found]), return_index=True)
    target = np.concatenate([value for _, value in found])[first]
    known = inside(target, data_ranges(image, module))
    return slot[known], target[known]


def inside(addresses: Words, ranges: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """(n,) whether each address is in one of the ranges."""
    found = np.zeros(len(addresses), bool)
    for start, end in ranges:
        found |= (addresses >= start) & (addresses < end)
    return found


def _data_pointers(image: Image, module: ModuleData) -> tuple[Words, Words]:
    """(address, value) of the pointers in [data, edata), as the program for the garbage collector tells."""
    bounds = module.range("data", "edata")
    at = image.offset_of(module.fields.get("gcdata", 0))
    if bounds is None or at is None or bounds[0] == bounds[1]:
        return np.empty(0, np.uint64), np.empty(0, np.uint64)
    pointer = image.pointer_size
    count = (bounds[1] - bounds[0]) // pointer
    held = image.words(bounds[0], count, "data")
    bits, _ = gcprogram.run(image.data[at:], count)
    number = np.flatnonzero(bits).astype(np.uint64)
    return number * np.uint64(pointer) + np.uint64(bounds[0]), held[number.astype(np.int64)]


PARSER = Parser("references", decode)
