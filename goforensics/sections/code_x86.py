"""References to data in x86 code: four bytes that hold an address, or on amd64 the distance to one.

An instruction cannot be told from its middle, so every byte is taken for what would have to come before such four
bytes: a ModRM byte with an opcode that can have a memory operand, or an opcode with an immediate.

Source of truth: Intel's Software Developer's Manual, volume 2, chapter 2 and appendix A; for the forms that Go emits
cmd/internal/obj/x86/asm6.go, cmd/link/internal/amd64/asm.go and x86/asm.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Code = NDArray[np.uint8]
Offsets = NDArray[np.int64]
Found = tuple[Offsets, Offsets]  # (r,) offset of the four bytes, (r,) address referred to

NO_OPERAND = 255  # in place of an immediate's size: no instruction with a memory operand


def _table(rows: Mapping[int, Iterable[int]]) -> NDArray[np.uint8]:
    """(2048,) by opcode * 8 + ModRM.reg: the immediate's size, from {size: opcodes}."""
    sizes = np.full((256, 8), NO_OPERAND, np.uint8)
    for size, opcodes in rows.items():
        sizes[list(opcodes)] = size
    return sizes.reshape(-1)


def _one_byte() -> NDArray[np.uint8]:
    """Opcodes without an escape that can have a memory operand; some only with some values of ModRM.reg."""
    arithmetic = [op for op in range(0x40) if op & 7 < 4]
    others = [0x63, *range(0x84, 0x8C), 0x8D, *range(0xD0, 0xD4), *range(0xD8, 0xE0), 0xF6, 0xF7, 0xFE, 0xFF]
    rows = {0: arithmetic + others, 1: [0x6B, 0x80, 0x83, 0xC0, 0xC1, 0xC6], 4: [0x69, 0x81, 0xC7]}
    sizes = _table(rows).reshape(256, 8)
    sizes[[0xF6, 0xF7], :2] = [[1], [4]]  # TEST has an immediate, NOT to IDIV have none
    sizes[[0xC6, 0xC7], 1:] = NO_OPERAND
    sizes[0xFE, 2:] = NO_OPERAND
    sizes[0xFF, [3, 5, 7]] = NO_OPERAND
    return sizes.reshape(-1)


def _two_byte() -> NDArray[np.uint8]:
    """Opcodes after 0F, and of the first VEX and EVEX map."""
    system = [0x00, 0x01, 0x02, 0x03, 0x0D, *range(0x10, 0x19), 0xAE]
    vector = [*range(0x28, 0x30), *range(0x50, 0x70), *range(0x74, 0x77), *range(0x78, 0x80), *range(0xD0, 0xFF)]
    general = [*range(0x40, 0x50), *range(0x90, 0xA0), 0xA3, 0xA5, 0xAB, 0xAD, *range(0xAF, 0xBA), *range(0xBB, 0xC2)]
    immediate = [*range(0x70, 0x74), 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC6]
    sizes = _table({0: [*system, *vector, *general, 0xC3], 1: immediate})
    sizes[0xC7 * 8 + 1] = 0  # CMPXCHG16B; others would hide a MOV of C7 behind a byte of 0F
    return sizes


ONE_BYTE, TWO_BYTE = _one_byte(), _two_byte()
# Which table a map has: 1 is 0F, 2 is 0F38 (no immediates), 3 is 0F3A (one byte each).
BY_MAP = np.stack([ONE_BYTE, TWO_BYTE, np.zeros(2048, np.uint8), np.ones(2048, np.uint8)])


def amd64(code: Code, address: int, hull: tuple[int, int]) -> Found:
    """Operands relative to the next instruction: ModRM with mod 0 and rm 5.

    `code` (n,) bytes at `address`; `hull` (low, high) encloses all targets.
    """
    at = _relative(code, address, hull)
    size = _immediate(code, at, vector=True)
    keep = size != NO_OPERAND
    at, size = at[keep], size[keep]
    keep = ~_inside_another(at, size + 6)  # ModRM, displacement, immediate, the other's opcode
    at, size = at[keep] + 1, size[keep]
    return at, _unaligned(code)[at] + (at + 4 + size + address)


def _relative(code: Code, address: int, hull: tuple[int, int]) -> Offsets:
    """Offsets of bytes that can be the ModRM of a reference into the hull, whatever immediate follows."""
    at = np.flatnonzero((code[: max(0, len(code) - 4)] & 0xC7) == 5)
    near = _unaligned(code)[at + 1] + (at + 5 + address)
    return at[(near >= hull[0] - 4) & (near < hull[1])]


def _inside_another(at: Offsets, size: Offsets) -> NDArray[np.bool_]:
    """Whether the one before, unless that is itself inside another, takes `size` (n,) bytes and so covers this one."""
    close = np.zeros(len(at), bool)
    close[1:] = np.diff(at) < size[:-1]
    inside = close.copy()
    inside[1:] &= ~close[:-1]
    return inside


def _unaligned(code: Code, dtype: str = "<i4") -> NDArray[np.signedinteger]:
    """(n - 3,) the four bytes at each offset, without a copy."""
    return np.ndarray((max(0, len(code) - 3),), dtype, np.ascontiguousarray(code), strides=(1,))


def _before(code: Code, at: Offsets, distance: int) -> Code:
    """The byte `distance` before each of `at`; 0 before the beginning."""
    return np.where(at >= distance, code[np.maximum(at - distance, 0)], 0)


def _immediate(code: Code, at: Offsets, vector: bool) -> Offsets:
    """(n,) bytes of immediate in the instructions whose ModRM bytes are `at`; NO_OPERAND where none can be."""
    opcode = _before(code, at, 1).astype(np.int64)
    entry = opcode * 8 + (code[at] >> 3 & 7)
    second = _before(code, at, 2)
    size = BY_MAP[_map(code, at, second), entry]
    plain = ONE_BYTE[entry]
    if vector:
        coded = _vector_map(code, at, second)
        size = np.where(coded > 0, BY_MAP[coded, entry], size)
    # A 0F in front may be the end of the instruction before: 0F 8B is a jump, 8B alone a load.
    size = np.where(size == NO_OPERAND, plain, size)
    return _halved(code, at, second, size).astype(np.int64)


def _map(code: Code, at: Offsets, second: Code) -> Offsets:
    """(n,) the opcode map by escape bytes: 0 for none."""
    third = _before(code, at, 3) == 0x0F
    long = np.where(second == 0x38, 2, np.where(second == 0x3A, 3, 0))
    return np.where(second == 0x0F, 1, np.where(third, long, 0))


def _vector_map(code: Code, at: Offsets, second: Code) -> Offsets:
    """(n,) the opcode map by VEX or EVEX prefix: 0 for none."""
    third, fourth, fifth = (_before(code, at, n) for n in (3, 4, 5))
    vex3 = (fourth == 0xC4) & _is_map(third & 0x1F)
    evex = (fifth == 0x62) & _is_map(fourth & 7) & (third & 4 != 0)
    number = np.where(evex, fourth & 7, np.where(vex3, third & 0x1F, third == 0xC5))
    return number.astype(np.int64)


def _is_map(number: NDArray[np.integer]) -> NDArray[np.bool_]:
    return (number >= 1) & (number <= 3)


def _halved(code: Code, at: Offsets, second: Code, size: Code) -> Code:
    """Immediates of four bytes are two with the prefix 66, unless REX.W is there."""
    rex = (second & 0xF8) == 0x40
    short = (second == 0x66) | (rex & (_before(code, at, 3) == 0x66))
    return np.where((size == 4) & short, 2, size).astype(np.uint8)


# Opcodes followed by an address at once: A0-A3 MOV of EAX, 68 PUSH, B8+r MOV of an immediate.
BARE = np.zeros(256, bool)
BARE[[*range(0xA0, 0xA4), 0x68, *range(0xB8, 0xC0)]] = True


def i386(code: Code, address: int, hull: tuple[int, int]) -> Found:
    """Absolute addresses as displacements or immediates.  Arguments as for `amd64`; `address` plays no part.

    Go adds no base register to an address and compares or adds none as an immediate, so what looks like that is
    chance: of 88 000 places in a large executable 2 600 did.
    """
    at = _addresses(code, hull)
    at = at[_is_bare(code, at) | _is_displacement(code, at) | _is_immediate(code, at)]
    at = at[~_inside_another(at, np.full(len(at), 4))]
    return at, _unaligned(code, "<u4")[at].astype(np.int64)


def _addresses(code: Code, hull: tuple[int, int]) -> Offsets:
    """Offsets, increasing, of all four bytes that hold an address in the hull."""
    low, high = max(0, hull[0]), min(1 << 32, hull[1])
    hit = np.zeros(len(code), bool)
    for phase in range(min(4, len(code))):
        words = np.frombuffer(code[phase : phase + (len(code) - phase) // 4 * 4], "<u4")
        hit[phase::4][: len(words)] = (words >= low) & (words < high)
    return np.flatnonzero(hit)


def _is_bare(code: Code, at: Offsets) -> NDArray[np.bool_]:
    """Whether the four bytes follow such an opcode, and not the SIB byte of an operand on the stack."""
    found: NDArray[np.bool_] = BARE[_before(code, at, 1)] & (_before(code, at, 2) != 0x24)
    return found


def _is_displacement(code: Code, at: Offsets) -> NDArray[np.bool_]:
    """Whether the four bytes follow a ModRM byte, or ModRM and SIB, that ask for an address without a base."""
    last, modrm = _before(code, at, 1), _before(code, at, 2)
    plain = (last & 0xC7) == 5
    indexed = ((modrm & 0xC7) == 4) & (last & 7 == 5)
    found: NDArray[np.bool_] = (plain & _has_operand(code, at - 1)) | (indexed & _has_operand(code, at - 2))
    return found


def _has_operand(code: Code, at: Offsets) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = _immediate(code, np.maximum(at, 0), vector=False) != NO_OPERAND
    return found


def _is_immediate(code: Code, at: Offsets) -> NDArray[np.bool_]:
    """Whether the four bytes are what a MOV to memory stores: after C7, ModRM, SIB and displacement."""
    found = np.zeros(len(at), bool)
    for distance in (1, 2, 3, 5, 6):
        stores = _before(code, at, distance + 1) == 0xC7
        found |= stores & (_addressing(code, np.maximum(at - distance, 0)) == distance)
    return found


def _addressing(code: Code, at: Offsets) -> Offsets:
    """(n,) bytes of ModRM, SIB and displacement, if `at` are ModRM bytes with reg 0; else 0."""
    mod, rm = code[at] >> 6, code[at] & 7
    base = code[np.minimum(at + 1, len(code) - 1)] & 7
    sib = (rm == 4) & (mod != 3)
    wide = (mod == 2) | ((mod == 0) & ((rm == 5) | (sib & (base == 5))))
    length = 1 + sib.astype(np.int64) + np.where(wide, 4, mod == 1)
    return np.where(code[at] & 0x38, 0, length)
