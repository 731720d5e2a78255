"""How long the strings are that code refers to: the number that goes with an address, where they go together.

A string is two words, an address and a length.  Straight runs of code are followed, no further than to the next place
that a jump leads to: where an address and a number are stored in neighbouring words, or are in neighbouring registers
of arguments when something is called or returned, they are a string's.  For amd64, 386 and arm64.

Source of truth: Go's src/cmd/compile/abi-internal.md (registers of arguments).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from goforensics.analysis.instructions import Instruction

Value = tuple[Literal["address", "number"], int]
Place = tuple[str, int]  # a register and a distance from where it points

_AMD64 = ("rax", "rbx", "rcx", "rdi", "rsi", "r8", "r9", "r10", "r11")
_OTHERS = ("rdx", "rbp", "rsp", "r12", "r13", "r14", "r15")
_X86_NAMES = {name: name for name in (*_AMD64, *_OTHERS)}
_X86_NAMES |= {f"e{name[1:]}": name for name in _X86_NAMES if not name[1].isdigit()}
_X86_NAMES |= {f"{name}d": name for name in _X86_NAMES.values() if name[1].isdigit()}
_ARM64 = tuple(f"x{n}" for n in range(16))
_ARM64_NAMES = {f"{kind}{n}": f"x{n}" for n in range(31) for kind in "xw"} | {"sp": "sp"}


class _Machine(msgspec.Struct, frozen=True):
    """What has to be known of a machine's instructions; all others make everything unknown."""

    names: Mapping[str, str]  # of registers, to one name for all their widths
    arguments: tuple[str, ...]
    word: int  # bytes
    first: re.Pattern[str]  # mnemonics of what writes its first operand and nothing else
    none: re.Pattern[str]  # and of what writes no general register
    memory: re.Pattern[str]
    store: re.Pattern[str]


def _x86(word: int, arguments: tuple[str, ...]) -> _Machine:
    return _Machine(
        names=_X86_NAMES,
        arguments=arguments,
        word=word,
        first=re.compile(
            r"(?:mov(?:[sz]xd?|abs)?|lea|add|sub|and|or|xor|sh[lr]|sar|inc|dec|neg|not|cmov\w+|set\w+|imul)$"
        ),
        none=re.compile(r"(?:cmp|test|nop|bt|j\w+|v?mov[au]p[sd]|v?movdq\w+|v?pxor|v?xorp[sd])$"),
        memory=re.compile(r"[qd]word ptr \[(?P<base>\w+)(?: (?P<sign>[+-]) (?P<far>0x[0-9a-f]+|\d+))?\]$"),
        store=re.compile(r"mov$"),
    )


_MACHINES = {
    "amd64": _x86(8, _AMD64),
    "386": _x86(4, ()),
    "arm64": _Machine(
        names=_ARM64_NAMES,
        arguments=_ARM64,
        word=8,
        first=re.compile(
            r"(?:mov[nzk]?|adrp?|add|sub|and|orr|eor|ls[lr]|asr|ldu?r\w*|cs\w+|cset|mul|madd|neg|[su]bfiz)$"
        ),
        none=re.compile(r"(?:stu?r\w*|stp|cmp|cmn|tst|nop|cbn?z|tbn?z|b|b\.\w+|fmov|prfm)$"),
        memory=re.compile(r"\[(?P<base>\w+)(?:, (?P<sign>)#(?P<far>-?0x[0-9a-f]+|-?\d+))?\]$"),
        store=re.compile(r"(?:stu?r|stp)$"),
    ),
}


def lengths(goarch: str, instructions: Sequence[Instruction], target: Mapping[int, int]) -> dict[int, int]:
    """By address, bytes of the strings at the addresses that instructions (by index) refer to.

    An address that goes with two different numbers is left out.
    """
    machine = _MACHINES.get(goarch)
    if machine is None or not target:
        return {}
    run = _Run(machine)
    entered = {one.target for one in instructions if one.group == "jump"}
    for index, one in enumerate(instructions):
        if one.address in entered:
            run.forget()
        run.step(one, target.get(index), target.get(index - 1))
    return {at: sizes.pop() for at, sizes in run.found.items() if len(sizes) == 1}


class _Run:
    """What registers and memory hold in a straight run of code, as far as it says so itself."""

    def __init__(self, machine: _Machine) -> None:
        self.machine = machine
        self.registers: dict[str, Value] = {}
        self.memory: dict[Place, Value] = {}
        self.found: dict[int, set[int]] = {}

    def forget(self) -> None:
        """Code from elsewhere comes in here."""
        self.registers.clear()
        self.memory.clear()

    def step(self, one: Instruction, target: int | None, before: int | None) -> None:
        """One instruction; `target` is what it refers to, `before` what the one before does."""
        if one.group in ("call", "return") or (one.group == "jump" and not self.machine.none.match(one.mnemonic)):
            self._passed()
        if one.group == "return" or one.mnemonic in ("jmp", "b") or one.group in ("call", "trap", "data"):
            self.forget()
            return
        operands = _split(one.operands)
        if self.machine.store.match(one.mnemonic) and "[" in operands[-1 if one.mnemonic[:2] == "st" else 0]:
            self._store(operands if one.mnemonic[:2] == "st" else [*operands[1:], operands[0]])
        elif self.machine.first.match(one.mnemonic) and operands[0] in self.machine.names:
            self._write(self.machine.names[operands[0]], self._value(one.mnemonic, operands, target, before))
        elif not self.machine.none.match(one.mnemonic) and "[" not in operands[0]:
            self.forget()

    def _value(self, mnemonic: str, operands: list[str], target: int | None, before: int | None) -> Value | None:
        """What an instruction puts into its register; None if that is not known."""
        if mnemonic == "lea" and target is not None:
            return "address", target
        if mnemonic == "add" and before is not None and len(operands) == 3 and operands[0] == operands[1]:
            return "address", before  # the second half of an address
        if mnemonic != "mov" or len(operands) != 2:
            return None
        return ("address", target) if target is not None and "[" not in operands[1] else self._operand(operands[1])

    def _operand(self, text: str) -> Value | None:
        """A number, or what a register holds."""
        if text in self.machine.names:
            return self.registers.get(self.machine.names[text])
        number = text.removeprefix("#")
        return ("number", int(number, 0)) if NUMBER.fullmatch(number) else None

    def _write(self, register: str, value: Value | None) -> None:
        """A register has another value, and what it pointed at is elsewhere."""
        self.memory = {place: held for place, held in self.memory.items() if place[0] != register}
        if value is None:
            self.registers.pop(register, None)
        else:
            self.registers[register] = value

    def _store(self, operands: list[str]) -> None:
        """Values into neighbouring words of memory."""
        place = self.machine.memory.match(operands[-1])
        if place is None or place["base"] not in self.machine.names:
            self.memory.clear()
            return
        away = int(place["far"] or "0", 0) * (-1 if place["sign"] == "-" else 1)
        base, word = self.machine.names[place["base"]], self.machine.word
        for number, text in enumerate(operands[:-1]):
            at, value = away + number * word, self._operand(text)
            self.memory.pop((base, at), None)
            if value is not None:
                self.memory[base, at] = value
                self._pair(self.memory.get((base, at - word)), value)
                self._pair(value, self.memory.get((base, at + word)))

    def _passed(self) -> None:
        """Something is called, or returned to, with what is in the registers of arguments."""
        for one, other in pairwise(self.machine.arguments):
            self._pair(self.registers.get(one), self.registers.get(other))

    def _pair(self, one: Value | None, other: Value | None) -> None:
        if one is not None and other is not None and (one[0], other[0]) == ("address", "number"):
            self.found.setdefault(one[1], set()).add(other[1])


NUMBER = re.compile(r"0x[0-9a-f]+|\d+")


def _split(operands: str) -> list[str]:
    """Operands apart; a comma in brackets is none between them."""
    return [text.strip() for text in re.split(r",(?![^\[]*\])", operands)]
