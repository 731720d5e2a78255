"""What other disassemblers say of a whole executable: by address, the mnemonic and the size of every instruction."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import toolchains

OBJDUMP, LLVM_OBJDUMP = shutil.which("objdump"), shutil.which("llvm-objdump")
UNKNOWN = "?"
# Go's own names for architectures whose instructions `go tool objdump -gnu` can name as the processor's maker does.
GNU = ("arm", "arm64", "ppc64", "ppc64le", "riscv64", "s390x")
_GO_LINE = re.compile(r"^\s+\S+:\d+\t+0x([0-9a-f]+)\t+([0-9a-f]+)\t+(.*?)\s*$", re.MULTILINE)
_GNU_LINE = re.compile(r"^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t(.*)$", re.MULTILINE)
_LLVM_LINE = re.compile(r"^\s*([0-9a-f]+): ((?:[0-9a-f]{2} )+)\s*(.*)$", re.MULTILINE)
_PREFIX = re.compile(r"((?:(?:lock|repn?[ez]?|xacquire|xrelease|bnd|notrack|data16|cs|ds) )*\S+)")
_POOL = re.compile(r"(-?0x[0-9a-f]+|-?\d+)\(R15\)")


@dataclass(frozen=True)
class Line:
    """One instruction; `mnemonic` is UNKNOWN where the tool did not know."""

    mnemonic: str
    size: int
    text: str


@functools.cache
def listing(path: Path, goarch: str) -> dict[int, Line]:
    """All code of an executable with a symbol table, by the tool that knows the architecture best.

    Neither of the first two has anything in common with Capstone; llvm-objdump shares an ancestor with it.
    """
    if goarch in ("amd64", "386"):
        return _binutils(path)
    return _go(path) if goarch in GNU else _llvm(path)


def _run(*command: str) -> str:
    env = toolchains.go_env(toolchains.NEWEST)
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def _binutils(path: Path) -> dict[int, Line]:
    assert OBJDUMP is not None
    text = _run(OBJDUMP, "-d", "-M", "intel", "--insn-width=15", str(path))
    rows = ((m[1], m[2].split(), _PREFIX.match(m[3].strip())) for m in _GNU_LINE.finditer(text))
    return {int(at, 16): Line(name[1] if name else UNKNOWN, len(raw), "") for at, raw, name in rows}


def _go(path: Path) -> dict[int, Line]:
    """The comment behind Go's own syntax is the other one."""
    go = str(toolchains.goroot(toolchains.NEWEST) / "bin" / "go")
    found = {}
    for at, raw, text in _GO_LINE.findall(_run(go, "tool", "objdump", "-gnu", str(path))):
        name = text.partition("// ")[2].split()
        found[int(at, 16)] = Line(name[0] if name else UNKNOWN, len(raw) // 2, text)
    return found


def _llvm(path: Path) -> dict[int, Line]:
    assert LLVM_OBJDUMP is not None
    text = _run(LLVM_OBJDUMP, "-d", "-z", "--no-leading-headers", str(path))
    rows = ((m[1], m[2].split(), m[3].split()) for m in _LLVM_LINE.finditer(text))
    return {int(at, 16): Line(name[0] if name else UNKNOWN, len(raw), "") for at, raw, name in rows}


def pools(found: dict[int, Line]) -> set[int]:
    """Addresses of the words that arm's code loads from beside it, as Go's disassembler reads the loads."""
    loads = ((at, number) for at, line in found.items() for number in _POOL.findall(line.text))
    words = {at + 8 + int(number, 0) for at, number in loads}
    doubles = {
        at + 8 + int(n, 0) + 4 for at, line in found.items() if "MOVD" in line.text for n in _POOL.findall(line.text)
    }
    return words | doubles
