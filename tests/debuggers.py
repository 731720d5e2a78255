"""What the tools really do with an executable of testdata/src/prof: the oracle for what `compare` says of it.

Each function tries one tool and says "yes", "limited" or "no", from what the tool printed and nothing else.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import toolchains
from builds import source_directory

import goforensics
from goforensics.sections import functions as placed
from goforensics.sections import pclntab

DELVE = "v1.27.2"
SOURCE = re.compile(r"sum\*6364136223846793005")
SECONDS = 120
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def run(command: list[str], go: str, directory: Path, told: bytes = b"") -> str:
    """What a command that reads `told` prints on both outputs, without colours; how it ends does not matter."""
    env = toolchains.go_env(go) | {"PPROF_TMPDIR": str(directory), "HOME": str(directory)}
    result = subprocess.run(
        command,
        env=env,
        cwd=directory,
        input=told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    return ANSI.sub("", result.stdout.decode(errors="replace"))


def needed(tool: str) -> str:
    """The path of a tool; the test is skipped without, which fails the session where everything must run."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed")
    return path


@functools.cache
def delve() -> str:
    """Delve, built once into the cache."""
    final = toolchains.cache_root() / "delve" / DELVE
    if not final.is_dir():
        with toolchains.staging(final) as work:
            env = toolchains.go_env(toolchains.NEWEST) | {"CGO_ENABLED": "0", "GOBIN": str(work)}
            go = str(toolchains.goroot(toolchains.NEWEST) / "bin" / "go")
            command = [go, "install", f"github.com/go-delve/delve/cmd/dlv@{DELVE}"]
            result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            if result.returncode:
                pytest.skip(f"delve cannot be built: {result.stderr[-300:]}")
    return str(final / "dlv")


def _tool(go: str, *arguments: str) -> list[str]:
    return [str(toolchains.goroot(go) / "bin" / "go"), "tool", *arguments]


def _yes(found: object) -> str:
    return "yes" if found else "no"


def nm(path: Path, go: str, work: Path) -> str:
    """It lists main.burn."""
    return _yes(re.search(r" T _?main\.burn$", run(_tool(go, "nm", str(path)), go, work), re.MULTILINE))


def objdump(path: Path, go: str, work: Path) -> str:
    """It disassembles main.burn."""
    return _yes("TEXT main.burn(SB)" in run(_tool(go, "objdump", "-s", "^main.burn$", str(path)), go, work))


def addr2line(path: Path, go: str, work: Path) -> str:
    """It names the function and the line of the address that main.burn begins at."""
    told = f"{_address(path):#x}\n".encode()
    return _yes(re.search(r"main\.burn\n.*main\.go:\d+", run(_tool(go, "addr2line", str(path)), go, work, told)))


def _address(path: Path) -> int:
    """Where main.burn begins, as goforensics reads it: the tools do not say for every build."""
    binary = goforensics.open(path)
    names = binary.read(pclntab.PARSER).names
    return int(binary.read(placed.PARSER).address[names.index("main.burn")])


def _profile(path: Path, go: str, work: Path) -> str:
    profile = work / "cpu.prof"
    if not profile.is_file():
        run([str(path), str(profile)], go, work)
    return str(profile)


def _pprof(path: Path, go: str, work: Path, *arguments: str) -> str:
    return run(_tool(go, "pprof", *arguments, str(path), _profile(path, go, work)), go, work)


def pprof_top(path: Path, go: str, work: Path) -> str:
    """main.burn is by far the first."""
    return _yes(re.search(r"%\s+main\.burn$", _pprof(path, go, work, "-top"), re.MULTILINE))


def pprof_list(path: Path, go: str, work: Path) -> str:
    """It shows the source as it is, or only once it is told where the source lies."""
    if SOURCE.search(_pprof(path, go, work, "-list", "^main.burn$")):
        return "yes"
    told = ["-trim_path", "example.com/prof", "-source_path", str(source_directory("prof"))]
    return "limited" if SOURCE.search(_pprof(path, go, work, *told, "-list", "^main.burn$")) else "no"


def pprof_disasm(path: Path, go: str, work: Path) -> str:
    """It shows main.burn's instructions."""
    return _yes(
        re.search(r"^ .*: \w+ .*;.*main\.go:\d+$", _pprof(path, go, work, "-disasm", "main.burn"), re.MULTILINE)
    )


def gdb_lines(path: Path, go: str, work: Path) -> str:
    """It knows the line that main.burn begins in."""
    shown = run([needed("gdb"), "-nx", "-batch", "-ex", "info line main.burn", str(path)], go, work)
    return _yes(re.search(r"Line \d+ of .*main\.go", shown))


def gdb_names(path: Path, go: str, work: Path) -> str:
    """It knows what function an address is in."""
    shown = run([needed("gdb"), "-nx", "-batch", "-ex", f"info symbol {_address(path):#x}", str(path)], go, work)
    backtrace = run([needed("gdb"), "-nx", "-batch", "-ex", "info functions main.burn", str(path)], go, work)
    return _yes(re.search(r"main[.\[]burn", shown) or re.search(r"main[.\[]burn.*[;\]]", backtrace))


def _delve(path: Path, go: str, work: Path) -> str:
    script = work / "commands"
    script.write_text("break main.fail\ncontinue\nstack\nargs\nexit\n")
    options = ["--check-go-version=false", "--allow-non-terminal-interactive=true", "--init", str(script)]
    return run([delve(), "exec", *options, str(path)], go, work)


def delve_lines(path: Path, go: str, work: Path) -> str:
    """It stops at main.fail and names the line: with the arguments it knows, or with the line only."""
    shown = _delve(path, go, work)
    if not re.search(r"> \[Breakpoint 1\] main\.fail\(.*main\.go:\d+", shown):
        return "no"
    return "yes" if 'reason = "on demand"' in shown else "limited"


def delve_stacks(path: Path, go: str, work: Path) -> str:
    """The stack has main.main above main.fail, and the argument its value."""
    shown = _delve(path, go, work)
    return _yes(re.search(r"1 .* in main\.main\n", shown) and 'reason = "on demand"' in shown)


def perf(path: Path, go: str, work: Path) -> str:
    """Its report calls the hottest function by name."""
    tool, data = needed("perf"), str(work / "perf.data")
    recorded = run([tool, "record", "-e", "cpu-clock", "-o", data, str(path), str(work / "other.prof")], go, work)
    if not (work / "perf.data").is_file():
        pytest.xfail(f"the kernel lets perf record nothing here: {recorded[-200:]}")
    return _yes("main.burn" in run([tool, "report", "-i", data, "--stdio"], go, work))


def panic(path: Path, go: str, work: Path) -> str:
    """The trace names file and line: with the whole path, or shortened."""
    shown = run([str(path)], go, work)
    found = re.search(r"main\.fail\(.*\n\t(.*main\.go):\d+", shown)
    return "no" if found is None else "yes" if found[1].startswith("/") else "limited"


def version(path: Path, go: str, work: Path) -> str:
    """It lists the module and the settings."""
    shown = run([str(toolchains.goroot(go) / "bin" / "go"), "version", "-m", str(path)], go, work)
    return _yes("\tmod\texample.com/prof" in shown and "\tbuild\t" in shown)


TOOLS: dict[str, Callable[[Path, str, Path], str]] = {
    "go tool nm": nm,
    "go tool objdump": objdump,
    "go tool addr2line": addr2line,
    "pprof -top": pprof_top,
    "pprof -list": pprof_list,
    "pprof -disasm": pprof_disasm,
    "gdb source lines": gdb_lines,
    "gdb function names": gdb_names,
    "delve breakpoints and lines": delve_lines,
    "delve stack traces and variables": delve_stacks,
    "perf names": perf,
    "panic traces file:line": panic,
    "go version -m": version,
}
