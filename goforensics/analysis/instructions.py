"""Machine code as instructions: the one place that knows Capstone.

Capstone decodes; what calls, jumps and returns is taken from its groups where it has them and from the mnemonic where
it has none (ppc64, s390x, riscv64, mips).  Words of code that instructions load as constants are data, as Go's
assembler for arm lays them behind the function.  Source of truth: Go's cmd/internal/obj/*/asm*.go (what is emitted).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import capstone
import msgspec

Group = Literal["call", "jump", "return", "trap", "data", "other"]

DATA = ".byte"
BATCH = 1024  # instructions decoded together: Capstone takes some 2 KB for each
LONGEST = 16  # bytes of an instruction, at most


class Instruction(msgspec.Struct, frozen=True):
    """One instruction, or bytes that are none (`mnemonic` ".byte", `group` "data")."""

    address: int
    size: int  # bytes
    mnemonic: str
    operands: str  # as Capstone writes them: Intel's order on x86
    group: Group
    target: int | None = None  # where a call or a jump leads, if it says so itself


class _Machine(msgspec.Struct, frozen=True):
    """A machine as Capstone names it, and how mnemonics tell what its groups do not."""

    arch: str  # CS_ARCH_*
    mode: tuple[str, ...]  # CS_MODE_*
    unit: int  # bytes that are skipped where nothing can be decoded
    calls: frozenset[str] = frozenset()
    jumps: frozenset[str] = frozenset()
    returns: re.Pattern[str] = re.compile(r"(?!)")  # of "mnemonic operands"
    literal: re.Pattern[str] = re.compile(r"(?!)")  # of "mnemonic operands": where a constant is loaded from
    relative: bool = False  # targets are written as distances


_MIPS = {
    name: _Machine(
        "MIPS",
        (mode,),
        4,
        calls=frozenset({"jal", "jalr", "bal", "bgezal", "bltzal"}),
        jumps=frozenset({"j", "jr", "b"}),
        returns=re.compile(r"jr \$ra$"),
    )
    for name, mode in (("mips", "MIPS32"), ("mipsle", "MIPS32"), ("mips64", "MIPS64"), ("mips64le", "MIPS64"))
}
_PPC64 = _Machine(
    "PPC",
    ("64",),
    4,
    calls=frozenset({"bl", "bla", "bctrl", "blrl", "bcl"}),
    returns=re.compile(r"b\w*lr[+-]?(?: cr\d)?$"),
)
_RETURN = re.compile(r"(?:repz? )?retf?\b")
_MACHINES = {
    "386": _Machine("X86", ("32",), 1, returns=_RETURN),
    "amd64": _Machine("X86", ("64",), 1, returns=_RETURN),
    "arm": _Machine(
        "ARM",
        ("ARM",),
        4,
        returns=re.compile(r"(?:pop\w*|ldm\w*) .*pc\}|(?:ldr\w* pc, \[sp|mov\w* pc, lr$|bx\w* lr$|add\w* pc, lr)"),
        literal=re.compile(r"v?ldr\w*(?:\.\w+)? (?P<to>\w+), \[pc(?:, #(?P<at>-?\w+))?\]$"),
    ),
    "arm64": _Machine(
        "ARM64", ("ARM",), 4, returns=re.compile(r"ret\b"), literal=re.compile(r"ldr(?:sw)? (?P<to>\w+), #(?P<at>\w+)$")
    ),
    **_MIPS,
    "ppc64": _PPC64,
    "ppc64le": _PPC64,
    "riscv64": _Machine(
        "RISCV",
        ("RISCV64", "RISCVC"),
        2,
        calls=frozenset({"jal", "jalr", "c.jalr"}),
        jumps=frozenset({"j", "jr", "c.j", "c.jr", "c.beqz", "c.bnez"}),
        returns=re.compile(r"ret$|c\.jr ra$"),
        relative=True,
    ),
    "s390x": _Machine(
        "SYSZ",
        (),
        2,
        calls=frozenset({"brasl", "bras", "basr", "basl"}),
        returns=re.compile(r"br %r14$"),
        literal=re.compile(r"larl (?P<to>%r\d+), (?P<at>0x\w+)$"),
    ),
}
SUPPORTED = frozenset(_MACHINES)  # GOARCH
_NUMBER = re.compile(r"-?0x[0-9a-fA-F]+|-?\d+")
_TRAPS = frozenset({"ud2", "ud1", "int3", "hlt", "brk", "udf", "bkpt", "ebreak", "c.ebreak", "trap", "break"})


def decode(goarch: str, order: str, code: memoryview, address: int) -> list[Instruction]:
    """Every byte of `code`, loaded at `address`, in instructions one behind the other.

    `order` is "<" or ">".  What cannot be decoded is data, in units of the machine's shortest instruction, on s390x
    and riscv64 as long as its first bits say.  Raises KeyError for a GOARCH that is not in SUPPORTED.
    """
    machine = _MACHINES[goarch]
    engine = _engine(machine, order)
    literals: dict[int, int] = {}
    found: list[Instruction] = []
    at = 0
    while at < len(code):
        for one in _decoded(machine, engine, code[at:], address + at):
            size = min(literals.get(one.address, 0), address + len(code) - one.address)
            if not size:
                literals |= {place: n for place, n in _literals(machine, one) if place >= one.address + one.size}
                found.append(one)
                continue
            start = one.address - address
            found.append(_bytes(one.address, bytes(code[start : start + size])))
            if size != one.size:  # what comes next was decoded from the wrong place
                break
        at = found[-1].address + found[-1].size - address
    return found


def _engine(machine: _Machine, order: str) -> Any:
    """Capstone's decoder."""
    arch = getattr(capstone, f"CS_ARCH_{machine.arch}", None)
    if arch is None:  # Capstone 6 calls two machines by other names
        arch = getattr(capstone, {"ARM64": "CS_ARCH_AARCH64", "SYSZ": "CS_ARCH_SYSTEMZ"}[machine.arch])
    turned = order == ">" and machine.arch not in ("X86", "RISCV")  # whose code is never big-endian
    mode = capstone.CS_MODE_BIG_ENDIAN if turned else capstone.CS_MODE_LITTLE_ENDIAN
    for name in machine.mode:
        mode |= getattr(capstone, f"CS_MODE_{name}")
    engine = capstone.Cs(arch, mode)
    engine.detail = True
    engine.skipdata = True
    engine.skipdata_setup = (DATA, lambda code, size, at, _: min(_skip(machine, code, at), size - at), None)
    return engine


def _skip(machine: _Machine, code: Any, at: int) -> int:
    """Bytes of what stands at `at` and cannot be decoded."""
    if machine.arch == "SYSZ":
        return (2, 4, 4, 6)[code[at][0] >> 6]
    if machine.arch == "RISCV":
        return 4 if code[at][0] & 3 == 3 else 2
    return machine.unit


def _decoded(machine: _Machine, engine: Any, code: memoryview, address: int) -> Iterator[Instruction]:
    """What Capstone says, a batch at a time, so that it never holds more than a batch."""
    at = 0
    while at < len(code):
        window, begin = bytes(code[at : at + BATCH * LONGEST + LONGEST]), at
        for raw in engine.disasm(window, address + at, BATCH):
            yield _instruction(machine, raw)
            at += raw.size
        if at == begin:  # less than a unit is left
            yield _bytes(address + at, window)
            return


def _instruction(machine: _Machine, raw: Any) -> Instruction:
    """One of Capstone's as one of ours."""
    if not raw.id:
        return _bytes(raw.address, bytes(raw.bytes))
    mnemonic, operands = raw.mnemonic, raw.op_str
    group = _group(machine, mnemonic, operands, raw.groups)
    target = None
    if group in ("call", "jump"):
        target = _target(machine, raw.address, operands)
    return Instruction(raw.address, raw.size, mnemonic, operands, group, target)


def _group(machine: _Machine, mnemonic: str, operands: str, groups: Sequence[int]) -> Group:
    """What kind of instruction it is."""
    if machine.returns.match(f"{mnemonic} {operands}".rstrip()):
        return "return"
    if mnemonic in machine.calls:
        return "call"
    if mnemonic in _TRAPS:
        return "trap"
    if mnemonic in machine.jumps:
        return "jump"
    if mnemonic == "bcr" and operands.startswith("0,"):  # s390x: never jumps
        return "other"
    if capstone.CS_GRP_CALL in groups and machine.arch != "RISCV":  # which has jumps there
        return "call"
    if capstone.CS_GRP_JUMP in groups or capstone.CS_GRP_BRANCH_RELATIVE in groups:
        return "jump"
    return "other"


def _target(machine: _Machine, address: int, operands: str) -> int | None:
    """The last operand, if it is a number."""
    last = operands.rpartition(",")[2].strip().removeprefix("#")
    if not _NUMBER.fullmatch(last):
        return None
    value = int(last, 0)
    return (address + value if machine.relative else value) & 0xFFFFFFFFFFFFFFFF


def _literals(machine: _Machine, instruction: Instruction) -> Iterator[tuple[int, int]]:
    """(address, bytes) of the words that an instruction loads from the code around it."""
    found = machine.literal.match(f"{instruction.mnemonic} {instruction.operands}")
    if found is None:
        return
    number, register = int(found["at"] or "0", 0), found["to"]
    if machine.arch == "SYSZ":  # the address of eight bytes, which the next instruction loads
        yield number, 8
        return
    at = instruction.address + 8 + number if machine.arch == "ARM" else number
    yield at, machine.unit
    if register[0] in ("d" if machine.arch == "ARM" else "xd"):  # a register of eight bytes
        yield at + machine.unit, machine.unit


def _bytes(address: int, raw: bytes) -> Instruction:
    """Bytes that are no instruction."""
    return Instruction(address, len(raw), DATA, ", ".join(f"0x{byte:02x}" for byte in raw), "data")
