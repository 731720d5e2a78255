"""What Go's own packages and tools read in an executable, through the program in tests/oracle.

Nothing of this project's is used to get an answer, or agreement would prove nothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import toolchains

SOURCE = Path(__file__).resolve().parent.parent / "tests" / "oracle"

# entry, end, name, file, line at entry
Function = tuple[int, int, str, str, int]
# name, address, size, type as the format has it
Symbol = tuple[str, int, int, str]
# address, size, type letter, name; the address is None for an undefined symbol
NmLine = tuple[int | None, int, str, str]

# An undefined symbol has blanks for its address, and C compilers emit symbols without a name.
_NM_LINE = re.compile(r" *([0-9a-f]+)? +(-?\d+) (.) (.*)", re.DOTALL)


class OracleError(RuntimeError):
    """What the oracle said of a file that it could not read."""


def _output(command: list[str], env: dict[str, str] | None = None) -> str:
    """Decode so that no byte is lost: names in a damaged file are not all UTF-8."""
    result = subprocess.run(command, env=env, cwd=SOURCE, capture_output=True, check=False)
    if result.returncode:
        raise OracleError(result.stderr.decode("utf-8", "replace").strip())
    return result.stdout.decode("utf-8", "surrogateescape")


@functools.cache
def oracle_binary() -> Path:
    """Return the compiled oracle: by the newest release, because that one reads all older layouts."""
    sources = b"".join((SOURCE / name).read_bytes() for name in ("go.mod", "main.go"))
    newest = toolchains.PINNED[toolchains.NEWEST]
    final = toolchains.cache_root() / "oracle" / f"go{newest}-{hashlib.sha256(sources).hexdigest()[:12]}" / "oracle"
    if not final.is_file():
        with toolchains.staging(final.parent) as work:
            go = str(toolchains.goroot(toolchains.NEWEST) / "bin" / "go")
            output = str(work / final.name)
            _output([go, "build", "-buildvcs=false", "-o", output, "."], toolchains.go_env(toolchains.NEWEST))
    return final


def _lines(text: str) -> Iterator[list[str]]:
    """Split at newlines alone: a name may hold any other separator that str.splitlines knows."""
    return (line.split("\t") for line in text.split("\n") if line)


def functions(path: Path, text: int | None = None, pclntab: tuple[int, int] | None = None) -> list[Function]:
    """Read the function table; `pclntab` is the offset and size in the file, where no section or symbol tells."""
    command = [str(oracle_binary()), "funcs", str(path.absolute())]
    command += [] if text is None else ["-text", hex(text)]
    command += [] if pclntab is None else ["-pclntab", f"{pclntab[0]}:{pclntab[1]}"]
    return [(int(entry), int(end), name, file, int(line)) for entry, end, name, file, line in _lines(_output(command))]


def buildinfo(path: Path) -> dict[str, Any]:
    """Read the build information as debug/buildinfo's structure has it."""
    command = [str(oracle_binary()), "buildinfo", str(path.absolute())]
    info: dict[str, Any] = json.loads(_output(command))
    return info


def symbols(path: Path) -> list[Symbol]:
    """Read the format's own symbol table; only ELF knows sizes."""
    command = [str(oracle_binary()), "symbols", str(path.absolute())]
    return [(name, int(addr), int(size), kind) for name, addr, size, kind in _lines(_output(command))]


def _nm_line(line: str) -> NmLine:
    match = _NM_LINE.fullmatch(line)
    if match is None:
        raise OracleError(f"not a line of nm: {line!r}")
    address, size, kind, name = match.groups()
    return (int(address, 16) if address else None, int(size), kind, name)


def nm(path: Path, minor: str = toolchains.NEWEST) -> list[NmLine]:
    """Read the symbols as that release's `go tool nm` lists them; it fails where there are none."""
    go = str(toolchains.goroot(minor) / "bin" / "go")
    command = [go, "tool", "nm", "-size", "-sort", "none", str(path.absolute())]
    try:
        text = _output(command, toolchains.go_env(minor))
    except OracleError as error:
        if "no symbol" in str(error):
            return []
        raise
    return [_nm_line(line) for line in text.split("\n") if line]
