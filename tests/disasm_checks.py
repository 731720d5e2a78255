"""Disassembly of real builds against other disassemblers, Go's runtime, its tools and the linker: what differs."""

from __future__ import annotations

import functools
import hashlib
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import builds
import numpy as np
import toolchains
from disasm_samples import documents, sample
from disassemblers import LLVM_OBJDUMP, OBJDUMP, UNKNOWN, listing, pools

import goforensics
from goforensics.analysis import causes
from goforensics.analysis.transitions import Stack, Transitions
from goforensics.binary import Binary
from goforensics.report_disasm import Disassembly
from goforensics.sections import functions, pclntab
from goforensics.sections.arrays import strings

SOURCE = Path(__file__).parent / "oracle_frames"
PREFIXES = (0xF0, 0xF2, 0xF3)  # LOCK, REPNE, REP: lines of their own in assembly, and no instructions
NO_NAME = (UNKNOWN, "<unknown>", "??")

# Two names of one instruction: ours, and the other tool's.
ALIASES: dict[str, dict[str, set[str]]] = {
    "amd64": {"nop": {"xchg"}},
    "arm64": {"mov": {"orr"}, "b.hs": {"b.cs"}, "b.lo": {"b.cc"}},
    "arm": {"str": {"push"}, "pop": {"ldr"}},
    "riscv64": {"addi": {"li"}, "addi16sp": {"addi"}, "addi4spn": {"addi"}, "andi": {"zext.b"}, "addiw": {"sext.w"}},
    "ppc64": {
        "mr": {"or"}, "sldi": {"rldicr"}, "clrldi": {"rldicl"}, "rotldi": {"rldicl"}, "srwi": {"rlwinm"},
        "slwi": {"rlwinm"}, "clrlwi": {"rlwinm"}, "sync": {"hwsync"}, "bdnzlrl": {"bclrl"}, "trap": {"tw"},
        "mffprd": {"mfvsrd"},
    },
    "s390x": {"bcr": {"nopr"}},
    "mips64": {"dsubu": {"dnegu"}},
}  # fmt: skip
MISSING = {"cpop"}  # instructions that Capstone does not know and that Go emits
SAME_ARCH = {"ppc64le": "ppc64", "mips64le": "mips64"}


def spelled(goarch: str, name: str) -> str:
    """A mnemonic as the other tools write it, where all that differs is a rule."""
    if goarch == "riscv64":
        return re.sub(r"^c\.(?:(f?[ls][wd])sp$)?", r"\1", name)  # compressed, from the stack
    if goarch == "arm":
        return re.sub(r"hs$", "cs", re.sub(r"lo$", "cc", name))  # the carry, as a condition
    if goarch in ("amd64", "386") and name.startswith("rep"):
        return re.sub(r"(movs|stos|cmps|scas|lods)[bwdq]$", r"\1", name)  # binutils tells by the operands
    if goarch == "s390x":
        return S390X.sub(lambda m: m[1] + {"lh": "ne", "he": "nl", "le": "nh"}[m[2]], name)
    return name


S390X = re.compile(r"(cl?g?i?r?j)(lh|he|le)$")  # compare and jump: not low or high is not equal
BRC = re.compile(r"jn?(?:he|le|lh|[hleo])$")  # jump on condition, which others write as a mask


def agrees(goarch: str, ours: str, theirs: str) -> bool:
    if goarch == "s390x" and theirs == "brc" and BRC.match(ours):
        return True
    mine = spelled(goarch, ours)
    return theirs in {mine, *ALIASES.get(SAME_ARCH.get(goarch, goarch), {}).get(mine, set())}


@dataclass
class Instructions:
    """A sample of functions as two tools decode it."""

    compared: int = 0  # instructions that both know
    unknown: int = 0  # that ours does not know
    places: list[str] = field(default_factory=list)  # addresses and sizes that differ
    names: Counter[tuple[str, str]] = field(default_factory=Counter)  # mnemonics that differ: ours and theirs


def other_tool(goarch: str) -> str | None:
    """The tool that an architecture is compared with; None where it is not there."""
    return OBJDUMP if goarch in ("amd64", "386") else LLVM_OBJDUMP


def instructions(path: Path, goarch: str) -> Instructions:
    """Addresses and sizes of all, mnemonics wherever both tools know the instruction."""
    theirs, found = listing(path, goarch), Instructions()
    literals = pools(theirs) if goarch == "arm" else set()
    binary = goforensics.open(path)
    for index in sample(binary):
        for one in causes.decoded(binary, Transitions(binary, index)):
            line = theirs.get(one.address)
            if line is None or line.size != one.size:
                found.places.append(f"{one.address:#x} {one.mnemonic}: {line}")
            elif one.group == "data":
                found.unknown += 1
                if one.address not in literals and line.mnemonic not in (*NO_NAME, ".long", *MISSING):
                    found.names[one.mnemonic, line.mnemonic] += 1
            elif line.mnemonic not in NO_NAME:
                found.compared += 1
                if not agrees(goarch, one.mnemonic, line.mnemonic):
                    found.names[one.mnemonic, line.mnemonic] += 1
    return found


@dataclass
class Boundaries:
    """Where a sample's transitions are."""

    functions: int = 0
    transitions: int = 0
    prefixes: list[str] = field(default_factory=list)  # behind a prefix in assembly, where the next line begins
    wrong: list[str] = field(default_factory=list)  # within any other instruction


def boundaries(binary: Binary) -> Boundaries:
    """All are to be on instructions, but for lines of assembly that are prefixes: LOCK and REP."""
    data, found = binary.image.data, Boundaries()
    for document in documents(binary):
        found.functions += 1
        found.transitions += sum(len(table.offsets) for table in document.tables)
        assert document.offset is not None
        for odd in document.misplaced:
            prefix = odd.table == "pcln" and data[document.offset + odd.offset - 1] in PREFIXES
            told = found.prefixes if prefix and assembly(document) else found.wrong
            told.append(f"{document.function}+{odd.offset:#x} {odd.table}")
    return found


def assembly(document: Disassembly) -> bool:
    """Every line of the function is one of an assembly file."""
    return all(one.file is None or one.file.endswith(".s") for one in document.instructions)


@dataclass
class Places:
    """Instructions with their source lines or inline stacks."""

    compared: int = 0
    nested: int = 0  # in what is inlined into what is inlined
    wrong: dict[str, tuple[object, object]] = field(default_factory=dict)  # by address: ours and theirs

    def compare(self, address: int, ours: object, theirs: object) -> None:
        """Note what differs."""
        self.compared += 1
        if ours != theirs:
            self.wrong[hex(address)] = ours, theirs


@functools.cache
def frames_program(go: str) -> Path:
    """The program that tells what the runtime says of its addresses, stripped."""
    flags = " -checklinkname=0" if toolchains.at_least(go, "1.23") else ""
    work = toolchains.cache_root() / "oracle_frames"
    content = (SOURCE / "main.go").read_bytes() + go.encode() + flags.encode()
    final = work / f"{go}-{hashlib.sha256(content).hexdigest()[:12]}" / "frames"
    if not final.is_file():
        with toolchains.staging(final.parent) as folder:
            command = [str(builds.go_command(go)), "build", "-buildvcs=false", f"{builds.STRIP}{flags}"]
            env = toolchains.go_env(go) | {"CGO_ENABLED": "0"}
            subprocess.run([*command, "-o", str(folder / "frames"), "."], cwd=SOURCE, env=env, check=True)
    return final


def told(stack: Stack) -> list[tuple[str, str, int]]:
    """The frames as runtime.CallersFrames gives them: without wrappers that called something, generics shortened."""
    kept = [f for f in stack.frames if not f.wrapper] if len(stack.frames) > 1 else list(stack.frames)
    return [(re.sub(r"\[.*\]", "[...]", f.function), f.file or "?", f.line) for f in kept]


def first_name(binary: Binary) -> str:
    """The name at offset 0 of the names, which the runtime takes for none (moduledata.funcName)."""
    table = binary.read(pclntab.PARSER)
    return strings(table.data, np.array([table.header.tables["funcnametab"]]))[0]


def runtime_stacks(go: str) -> Places:
    """Files, lines and inline stacks at every instruction of a sample, by the program itself."""
    path = frames_program(go)
    binary = goforensics.open(path)
    placed = binary.read(functions.PARSER)
    ours: dict[int, list[tuple[str, str, int]]] = {}
    entries = set(placed.address.tolist())
    for index in sample(binary):
        tables = Transitions(binary, index)
        code = causes.decoded(binary, tables)
        entry = int(placed.address[index])
        stacks = tables.stacks(np.array([one.address - entry for one in code]))
        # A last instruction of one byte cannot be asked for: its return address is the next function's.
        pairs = ((one.address, stack) for one, stack in zip(code, stacks, strict=True))
        ours |= {at: told(stack) for at, stack in pairs if at + 1 not in entries}
    asked = "".join(f"{address:#x}\n" for address in ours)
    answer = subprocess.run([str(path)], input=asked, capture_output=True, text=True, check=True).stdout
    theirs, nameless = {}, first_name(binary)
    for line in answer.splitlines():
        address, *rest = line.split("\t")
        theirs[int(address, 16)] = [
            (rest[i] or nameless, rest[i + 1] or "?", int(rest[i + 2])) for i in range(0, len(rest), 3)
        ]
    found = Places(nested=sum(len(stack) > 2 for stack in ours.values()))
    for at, stack in ours.items():
        found.compare(at, stack, theirs.get(at))
    return found


def tool_lines(path: Path, go: str) -> Places:
    """Files and lines at every instruction of a sample, by go tool addr2line."""
    ours = {
        row.address: f"{row.file or '?'}:{row.line or 0}"
        for document in documents(goforensics.open(path))
        for row in document.instructions
    }
    command = [str(builds.go_command(go)), "tool", "addr2line", str(path)]
    asked = "".join(f"{address:#x}\n" for address in ours)
    answer = subprocess.run(
        command, input=asked, capture_output=True, text=True, check=True, env=toolchains.go_env(go)
    ).stdout.splitlines()
    found = Places()
    for (at, mine), said in zip(ours.items(), answer[1::2], strict=True):
        found.compare(at, mine, said)
    return found
