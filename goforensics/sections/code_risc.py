"""References to data in code of machines whose instructions begin at even places and say what they are in fixed bits.

No such instruction holds a whole address, so the Go assembler emits two in a row: one that sets a register to within
a few KB of the address, and one that adds the rest, loads or stores with that register as its base.  That the second
names the register of the first is what makes a pair certain.  s390x and Power10 have room for it in one instruction,
arm loads the address from a literal behind the function.

Source of truth: Go's cmd/internal/obj/*/asm*.go (what is emitted) and cmd/link/internal/*/asm.go (archreloc).
Each function takes `words` (or `halves`), (n,), and the address of the first, and gives the (r,) increasing indices of
the (first) instructions and the (r,) addresses referred to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
Halves = NDArray[np.uint16]
Integers = NDArray[np.int64]
Found = tuple[Integers, Integers]


def _sign(value: Integers, bits: int) -> Integers:
    """The low `bits` of `value` as a signed number."""
    top = 1 << (bits - 1)
    return ((value & (2 * top - 1)) ^ top) - top


def _pairs(words: Words, mask: int, value: int) -> tuple[Integers, Integers, Integers]:
    """(r,) indices of the words w with w & mask == value, those words, and the ones behind them."""
    at = np.flatnonzero((words[:-1] & np.uint32(mask)) == value)
    return at, words[at].astype(np.int64), words[at + 1].astype(np.int64)


def arm64(words: Words, address: int) -> Found:
    """ADRP, then ADD of an immediate or a load or store with an unsigned offset."""
    at, first, second = _pairs(words, 0x9F000000, 0x90000000)
    keep = (first & 31) == (second >> 5 & 31)
    keep &= _is_arm64_add(second) | ((second & 0x3B000000) == 0x39000000)
    at, first, second = at[keep], first[keep], second[keep]
    pages = _sign((first >> 5 & 0x7FFFF) << 2 | first >> 29 & 3, 21)
    return at, ((at * 4 + address) >> 12) + pages << 12 | (second >> 10 & 0xFFF) << _arm64_scale(second)


def _is_arm64_add(word: Integers) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (word & 0xFFC00000) == 0x91000000
    return same


def _arm64_scale(word: Integers) -> Integers:
    """(n,) log2 of the unit of the offset: 0 for ADD, else the size of what is loaded or stored."""
    quad = (word & 0x04800000) == 0x04800000  # V and the high bit of opc: 16 bytes
    return np.where(_is_arm64_add(word), 0, np.where(quad, 4, word >> 30))


def arm(words: Words, address: int) -> Found:
    """LDR from a literal that holds the address, or its distance if ADD with PC comes next (position-independent)."""
    at = np.flatnonzero((words[:-1] & 0x0F7F0000) == 0x051F0000)
    first, second = words[at].astype(np.int64), words[at + 1].astype(np.int64)
    away = np.where(first & 0x00800000, first & 0xFFF, -(first & 0xFFF))
    literal = at + 2 + (away >> 2)  # PC reads as two instructions on
    keep = (away & 3 == 0) & (literal >= 0) & (literal < len(words))
    at, first, second, literal = at[keep], first[keep], second[keep], literal[keep]
    register = first >> 12 & 15
    relative = second == (0xE08F0000 | register << 12 | register)
    return at, words[literal].astype(np.int64) + np.where(relative, at * 4 + (address + 12), 0)


def riscv64(halves: Halves, address: int) -> Found:
    """AUIPC, then ADDI, a load or a store, also of floating-point registers."""
    at = np.flatnonzero((halves[:-3] & 0x7F) == 0x17)
    first, second = (halves[at + n] | halves[at + n + 1].astype(np.int64) << 16 for n in (0, 2))
    opcode = second & 0x7F
    store = (opcode & ~4) == 0x23  # STORE, STORE-FP
    keep = store | ((opcode & ~4) == 0x03) | ((second & 0x707F) == 0x13)  # LOAD, LOAD-FP, ADDI
    keep &= (first >> 7 & 31) == (second >> 15 & 31)
    at, first, second, store = at[keep], first[keep], second[keep], store[keep]
    low = second >> 20
    low = np.where(store, low & ~31 | second >> 7 & 31, low)
    return at, at * 2 + address + _sign(first & 0xFFFFF000, 32) + _sign(low, 12)


def loong64(words: Words, address: int) -> Found:
    """PCALAU12I (up to 1.20 PCADDU12I), then ADDI, a load or a store."""
    at, first, second = _pairs(words, 0xF8000000, 0x18000000)  # PCADDI and PCADDU18I too, dropped next
    paged = first >> 25 == 0x0D
    keep = (paged | (first >> 25 == 0x0E)) & ((first & 31) == (second >> 5 & 31))
    keep &= (second >> 23 == 5) | ((second >> 26 >= 0x0A) & (second >> 26 <= 0x0B))
    at, first, second, paged = at[keep], first[keep], second[keep], paged[keep]
    pc = at * 4 + address
    high = _sign(first >> 5, 20) << 12
    return at, np.where(paged, pc & ~0xFFF, pc) + high + _sign(second >> 10, 12)


# Primary opcodes whose low 16 bits are an offset from a register.
MIPS_OFFSET = np.zeros(64, bool)
MIPS_OFFSET[[9, 25, *range(26, 28), *range(32, 47), 48, 49, *range(52, 58), *range(60, 64)]] = True
PPC_OFFSET = np.zeros(64, bool)
PPC_OFFSET[[14, *range(32, 56), 57, 58, 61, 62]] = True


def mips(words: Words, address: int) -> Found:
    """LUI, then ADDIU, DADDIU, a load or a store; on mips64 a DADDU of R28, which is 0, comes between."""
    del address  # addresses are absolute
    at, first, second = _pairs(words, 0xFFE00000, 0x3C000000)
    register = first >> 16 & 31
    between = second == (register << 21 | 28 << 16 | register << 11 | 0x2D)
    second = np.where(between, words[np.minimum(at + 2, len(words) - 1)], second)
    keep = MIPS_OFFSET[second >> 26] & (register == second >> 21 & 31)
    at, first, second = at[keep], first[keep], second[keep]
    return at, _sign(first << 16, 32) + _sign(second, 16)


def ppc64(words: Words, address: int) -> Found:
    """ADDIS of 0 or, position-independent, of the TOC pointer R2; then ADDI, a load or a store.

    With GOPPC64=power10 one prefixed instruction that counts from itself does the same.
    """
    at, target = _ppc64_pairs(words, address)
    prefixed, relative = _ppc64_prefixed(words, address)
    both = np.concatenate([at, prefixed])
    order = np.argsort(both, kind="stable")
    return both[order], np.concatenate([target, relative])[order]


def _ppc64_pairs(words: Words, address: int) -> Found:
    at, first, second = _pairs(words, 0xFC1D0000, 0x3C000000)
    keep = PPC_OFFSET[second >> 26] & ((first >> 21 & 31) == (second >> 16 & 31))
    at, first, second = at[keep], first[keep], second[keep]
    opcode = second >> 26
    spare = np.where(opcode < 56, 0, np.where((opcode == 61) & (second & 3 == 1), 15, 3))  # low bits tell DS, DQ forms
    base = np.where(first >> 16 & 31, _ppc64_toc(words, address), 0)
    return at, base + _sign(first << 16, 32) + _sign(second & ~spare, 16)


def _ppc64_toc(words: Words, address: int) -> int:
    """What functions set R2 to, counted from their entry in R12: ADDIS and ADDI; 0 if none does."""
    at, first, second = _pairs(words, 0xFFFF0000, 0x3C4C0000)
    keep = second >> 16 == 0x3842
    at, first, second = at[keep], first[keep], second[keep]
    values, counts = np.unique(at * 4 + address + _sign(first << 16, 32) + _sign(second, 16), return_counts=True)
    return int(values[counts.argmax()]) if len(values) else 0


def _ppc64_prefixed(words: Words, address: int) -> Found:
    at, first, second = _pairs(words, 0xFDFC0000, 0x04100000)  # 8LS or MLS form, R set
    keep = (second >> 16 & 31) == 0
    at, first, second = at[keep], first[keep], second[keep]
    return at, at * 4 + address + _sign((first & 0x3FFFF) << 16 | second & 0xFFFF, 34)


# Second opcode digits: LARL; loads and stores; compares.
S390X_RELATIVE = np.zeros(1 << 12, bool)
S390X_RELATIVE[[0xC00, 0xC42, *range(0xC44, 0xC49), *range(0xC4B, 0xC50), *range(0xC64, 0xC69)]] = True
S390X_RELATIVE[[0xC6A, *range(0xC6C, 0xC70)]] = True


def s390x(halves: Halves, address: int) -> Found:
    """LARL, LGRL, STGRL and their kin, which count half-words from themselves.

    For an odd address the next instruction adds 1 to this even one; Go aligns no symbol to less than 2.
    """
    at = np.flatnonzero(S390X_RELATIVE[halves[:-2] >> 8 << 4 | halves[:-2] & 15])
    at = at[~_s390x_inside(halves, at)]
    away = halves[at + 1].astype(np.int64) << 16 | halves[at + 2]
    return at, at * 2 + address + _sign(away, 32) * 2


def _s390x_inside(halves: Halves, at: Integers) -> NDArray[np.bool_]:
    """Whether these are the second half-word of an instruction E3 or EB: R12 as the base and a displacement.

    What looks like E3 or EB may be the end of an instruction C0 or C4 in turn.
    """
    opcode = halves[np.maximum(at - 1, 0)] >> 8
    long = (at >= 1) & ((opcode == 0xE3) | (opcode == 0xEB))
    tail = (at >= 3) & (halves[np.maximum(at - 3, 0)] >> 12 == 0xC)
    inside: NDArray[np.bool_] = long & ~tail
    return inside
