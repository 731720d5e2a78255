"""What one function's instructions refer to: addresses of data and code, and lengths of strings beside them.

Data references come from `sections.code_references`, which finds them without a disassembler; here each is put to the
instruction that it lies in, and on x86 dropped if that instruction says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from goforensics.analysis import stringlengths
from goforensics.analysis.instructions import Instruction
from goforensics.containers.image import Image
from goforensics.sections import code_references


class References(msgspec.Struct, frozen=True):
    """What a function refers to."""

    target: dict[int, int]  # by index of the instruction: the address
    length: dict[int, int]  # by address: bytes of the string there


def references(image: Image, code: memoryview, instructions: Sequence[Instruction]) -> References:
    """What the instructions of one function's `code` refer to, calls and jumps not included."""
    if not instructions:
        return References({}, {})
    ranges = [(s.address, s.address + max(s.memory_size, s.file_size)) for s in image.segments if s.address]
    found = code_references.scan(image.goarch or "", image.order, code, instructions[0].address, ranges)
    starts = np.array([i.address for i in instructions], np.uint64)
    row = np.searchsorted(starts, found.pc, "right") - 1
    target: dict[int, int] = {}
    for index, at in zip(row.tolist(), found.target.tolist(), strict=True):
        if _says(image.goarch or "", instructions[index], at):
            target[index] = at
    return References(target, stringlengths.lengths(image.goarch or "", instructions, target))


def _says(goarch: str, instruction: Instruction, target: int) -> bool:
    """Whether the instruction has such an operand."""
    if instruction.group == "data" or instruction.target is not None:
        return False
    if goarch == "amd64":
        return "[rip" in instruction.operands
    return f"{target:#x}" in instruction.operands if goarch == "386" else True
