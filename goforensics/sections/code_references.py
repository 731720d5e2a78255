"""Where machine code refers to data, found in all of the text at once and without a disassembler.

The text is looked through for the few forms in which the Go assembler and linker put an address into code, and what
does not lead into data is dropped.  Measured against the relocations that Go's linker applies (cmd/link/internal/ld/
data.go, relocsym), this misses nearly nothing and invents nearly nothing; what is found is evidence, not proof.

Not seen: addresses that count from a register which the code has set up elsewhere, as position-independent code for
386 does, and what a C compiler emits and Go does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.sections import code_risc, code_x86

Units = NDArray[Any]  # of np.uint8, np.uint16 or np.uint32
Found = tuple[NDArray[np.int64], NDArray[np.int64]]  # (r,) index of the unit, (r,) address referred to

STEP = 1 << 21  # bytes looked at together: what comes of them stays in the processor's cache
MARGIN = 1 << 13  # bytes of context on both sides; arm reaches 4 KB for its literals, the others 12 bytes


class CodeReferences(msgspec.Struct, frozen=True):
    """References of code to data.

    On x86 `pc` is the address of the four bytes of the displacement or immediate, inside the instruction that refers;
    elsewhere it is the instruction's own address, the first one's if two or three make the address together.
    """

    pc: NDArray[np.uint64]  # (r,) increasing
    target: NDArray[np.uint64]  # (r,) address referred to


class _Machine(msgspec.Struct, frozen=True):
    """How to look through one machine's code."""

    unit: int  # bytes between places where an instruction may begin
    find: Callable[[Units, int, tuple[int, int]], Found]  # (units, address of the first, (low, high) of targets)
    bits: int = 64


def _machine(unit: int, find: Callable[[Units, int], Found], bits: int = 64) -> _Machine:
    """A machine whose instructions are evidence enough, wherever data lies."""
    return _Machine(unit, lambda units, address, _: find(units, address), bits)


_MACHINES = {
    "386": _Machine(1, code_x86.i386, 32),
    "amd64": _Machine(1, code_x86.amd64),
    "arm": _machine(4, code_risc.arm, 32),
    "arm64": _machine(4, code_risc.arm64),
    "loong64": _machine(4, code_risc.loong64),
    "mips": _machine(4, code_risc.mips, 32),
    "mipsle": _machine(4, code_risc.mips, 32),
    "mips64": _machine(4, code_risc.mips),
    "mips64le": _machine(4, code_risc.mips),
    "ppc64": _machine(4, code_risc.ppc64),
    "ppc64le": _machine(4, code_risc.ppc64),
    "riscv64": _machine(2, code_risc.riscv64),
    "s390x": _machine(2, code_risc.s390x),
}
SUPPORTED = frozenset(_MACHINES)  # GOARCH


def scan(goarch: str, order: str, text: memoryview, address: int, ranges: Sequence[tuple[int, int]]) -> CodeReferences:
    """Every reference from code to an address in `ranges`.

    `order` is "<" or ">", `text` all of Go's code, `address` where it is loaded, `ranges` the (start, end) addresses
    of data.  Nothing is found for a GOARCH that is not in SUPPORTED.
    """
    machine, bounds = _MACHINES.get(goarch), _merged(ranges)
    parts: list[Found] = []
    if machine is not None and bounds.size:
        parts = [_kept(found, bounds) for found in _chunks(machine, order, text, address, bounds)]
    empty = np.empty(0, np.int64)
    at = np.concatenate([empty, *(at for at, _ in parts)])
    target = np.concatenate([empty, *(target for _, target in parts)])
    return CodeReferences((at + _signed(address)).view(np.uint64), target.view(np.uint64))


def _merged(ranges: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """(k, 2) start and last address of the ranges, increasing and apart from one another."""
    merged: list[tuple[int, int]] = []
    for start, last in sorted((_signed(start), _signed(end - 1)) for start, end in ranges if start < end):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((start, last))
    return np.array(merged, np.int64).reshape(-1, 2)


def _signed(address: int) -> int:
    """The same 64 bits as NumPy's int64 holds them, whose sums wrap around as the machines' do."""
    return ((address + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def _chunks(
    machine: _Machine, order: str, text: memoryview, address: int, bounds: NDArray[np.int64]
) -> Iterator[Found]:
    """What each STEP of the text refers to: offsets in the text, and targets as wide as the machine's addresses."""
    hull = int(bounds[0, 0]), int(bounds[-1, 1]) + 1
    for start in range(0, len(text), STEP):
        before = max(0, start - MARGIN)
        units = _units(text[before : start + STEP + MARGIN], machine.unit, order)
        index, target = machine.find(units, _signed(address + before), hull)
        at = index * machine.unit + before
        mine = (at >= start) & (at < start + STEP)
        yield at[mine], target[mine] & 0xFFFFFFFF if machine.bits == 32 else target[mine]


def _units(window: memoryview, size: int, order: str) -> Units:
    """The window as numbers of `size` bytes in the processor's own order, without a last one that is cut."""
    whole = window[: len(window) // size * size]
    return np.frombuffer(whole, f"{order}u{size}").astype(f"=u{size}", copy=False)


def _kept(found: Found, bounds: NDArray[np.int64]) -> Found:
    """Only what leads into data."""
    at, target = found
    row = np.searchsorted(bounds[:, 0], target, "right") - 1
    inside = (row >= 0) & (target <= bounds[row, 1])
    return at[inside], target[inside]
