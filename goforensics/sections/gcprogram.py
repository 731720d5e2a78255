"""GC programs: which words of a data segment are pointers, as the linker tells the garbage collector.

Source of truth: Go's src/runtime/mbitmap.go (runGCProg), cmd/internal/gcprog/gcprog.go (the writer).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goforensics.errors import FormatError, require

STRUCTURE = "GC program"


def run(program: memoryview, words: int) -> tuple[NDArray[np.bool_], int]:
    """(words,) whether each is a pointer, and the program's own length in bytes.

    FormatError if the program is cut off or says more than a bit per word; words it says nothing of hold no pointers.
    """
    bits = np.zeros(words, bool)
    filled, at = 0, 0
    while True:
        require(at < len(program), "it is cut off", STRUCTURE, at)
        operation, at = program[at], at + 1
        if operation == 0:
            return bits, at
        count, repeated = operation & 0x7F, 1
        if operation < 0x80:
            at += _literal(program, at, bits, filled, count)
        else:
            if count == 0:
                count, at = _varint(program, at)
            repeated, at = _varint(program, at)
            require(repeated and 0 < count <= filled, "it repeats what is not there", STRUCTURE, at)
            require(filled + count * repeated <= words, "it says too much", STRUCTURE, at)
            bits[filled : filled + count * repeated] = np.tile(bits[filled - count : filled], repeated)
        filled += count * repeated


def _literal(program: memoryview, at: int, bits: NDArray[np.bool_], filled: int, count: int) -> int:
    """Copy `count` bits from the program; the bytes they take."""
    size = -(-count // 8)
    require(at + size <= len(program) and filled + count <= len(bits), "it says too much", STRUCTURE, at)
    raw = np.frombuffer(program[at : at + size], np.uint8)
    bits[filled : filled + count] = np.unpackbits(raw, bitorder="little")[:count]
    return size


def _varint(program: memoryview, at: int) -> tuple[int, int]:
    """An unsigned varint of at most five bytes, and the offset past it."""
    value = 0
    for i in range(5):
        if at + i >= len(program):
            break
        value |= (program[at + i] & 0x7F) << (7 * i)
        if program[at + i] < 0x80:
            return value, at + i + 1
    raise FormatError("a number is cut off", structure=STRUCTURE, offset=at)
