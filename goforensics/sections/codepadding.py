"""Where a function's code ends and the linker's filling before the next function begins.

The table of functions only knows where the next one begins; what fills the gap shows in its content.  On arm64, s390x
and mips the assembler fills a function up itself, and its symbol includes that.  Source of truth: Go's
cmd/link/internal/ld/data.go (CodeblkPad), cmd/link/internal/*/obj.go (CodePad), cmd/internal/obj/*/asm*.go.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image
from goforensics.sections.arrays import Offsets

BREAKPOINT, WORD = b"\xcc", bytes(4)
FILLINGS = {  # by architecture: the unit that is repeated
    "amd64": BREAKPOINT,
    "386": BREAKPOINT,
    "arm": WORD,
    "mips": WORD,
    "mipsle": WORD,
    "mips64": WORD,
    "mips64le": WORD,
    "ppc64": WORD,
    "ppc64le": WORD,
    "riscv64": WORD,  # half of it where instructions are compressed
    "loong64": b"\0\0\x2a\0",
}
SHORTEST = 16  # bytes: no function is shorter (abi.MINFUNC), and on some machines only shorter ones are filled up
MOST = 4096  # units of filling behind a function; more is none
ONLY_SHORT = {"arm", "mips", "mipsle", "mips64", "mips64le"}
SHORT_JUMP, BACK = 0xEB, 52  # a jump by 0xCC, 52 bytes back
RETURN = 0x8067  # the low half of riscv64's, whose high half is zero


def code_sizes(image: Image, offset: Offsets, size: Offsets) -> Offsets:
    """(n,) bytes of code of the functions at `offset` (n,), -1 for none, which have `size` bytes with their filling."""
    unit = FILLINGS.get(image.goarch)
    if unit is None:
        return size
    raw, code = np.frombuffer(image.data, np.uint8), size.copy()
    if image.goarch == "riscv64" and (raw[offset[offset >= 0]] & 3 != 3).any():
        unit = unit[:2]
    rows = np.flatnonzero((offset >= 0) & (size > len(unit)) & ((size <= SHORTEST) | (image.goarch not in ONLY_SHORT)))
    trimmed, pattern = rows, np.frombuffer(unit, np.uint8)
    for _ in range(MOST):
        end = offset[rows] + code[rows]
        rows = rows[(raw[end[:, None] - len(unit) + np.arange(len(unit))] == pattern).all(axis=1)]
        code[rows] -= len(unit)
        rows = rows[code[rows] > len(unit)]
        if not len(rows):
            break
    trimmed = trimmed[code[trimmed] < size[trimmed]]
    code[trimmed] += _missing(image.goarch, raw, offset[trimmed] + code[trimmed], code[trimmed])
    return np.minimum(code, size)


def _missing(goarch: str, raw: NDArray[np.uint8], end: Offsets, code: Offsets) -> Offsets:
    """(m,) bytes of what was taken for filling that end the instruction cut at `end`."""
    if goarch in ("amd64", "386"):
        jump: Offsets = ((raw[end - 1] == SHORT_JUMP) & (code + 1 >= BACK)).astype(np.int64)
        return jump
    if goarch == "riscv64":
        low = raw[end - 2].astype(np.int64) | raw[end - 1].astype(np.int64) << 8
        half: Offsets = 2 * (low == RETURN).astype(np.int64)
        return half
    if goarch.startswith("mips"):  # what is done while the last instruction jumps: nothing, which is a zero
        align = 8 if "64" in goarch else 4
        return -(-(code + 4) // align) * align - code
    return np.zeros(len(end), np.int64)
