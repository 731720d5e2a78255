"""Times `goforensics inspect`, and other commands that have a limit, against other tools on the same files.

Runs are paired, A B A B, so that a busy machine slows both alike; the figure to trust is the median of the ratios.
Peak memory is the child's, from wait4; the kernel counts what the child shared with this script before its exec, so
figures under some 20 MiB say nothing.  Exit code 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import builds
import corpus
import toolchains

# What a command may take at most, as a multiple of `objdump -d` on the same file.
LIMITS = {
    "inspect": {"tsgo": 0.35, "app": 0.35, "esbuild": 0.5},
    "inspect --by module": {"app": 0.4},
    "pcdata": {"tsgo": 0.6},
}
# What one may take by the clock at most, seconds; {} is the file, which comes last elsewhere.
SECONDS = {"disasm {} fmt.Fprintf": {"tsgo": 0.5}}
HEADROOM = 150 << 20  # bytes of memory above the file's size, of inspect; other documents may be larger than the file
MEBIBYTE = 1 << 20
OURS = (sys.executable, "-m", "goforensics")
OTHERS: dict[str, tuple[str, ...]] = {
    "go tool nm -size": ("go", "tool", "nm", "-size", "{}"),
    "objdump -d": ("objdump", "-d", "{}"),
    "gsa": ("gsa", "-f", "json", "{}"),
    "GoReSym": ("GoReSym", "{}"),
    "goresym": ("goresym", "{}"),
    "bloaty": ("bloaty", "-d", "symbols", "{}"),
    "redress": ("redress", "info", "{}"),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one command."""

    seconds: float
    peak: int  # bytes
    ok: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A command (`ours`) against a tool (`theirs`) on one file, in pairs."""

    command: str
    file: str
    size: int
    tool: str
    ours: Sequence[Run]
    theirs: Sequence[Run]

    @property
    def ratios(self) -> list[float]:
        """Our time over the other's, pair by pair."""
        return [a.seconds / b.seconds for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def peak(self) -> int:
        """The most memory that any run of ours took, bytes."""
        return max(run.peak for run in self.ours)


def measure(command: Sequence[str]) -> Run:
    """Run a command to its end, its output thrown away."""
    begun = time.perf_counter()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it once more
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, usage.ru_maxrss * unit, child.returncode == 0)


def _environment() -> dict[str, str]:
    """The caller's, with this checkout ahead of an installed goforensics, and compiled once, as an installed one is."""
    root = str(Path(__file__).resolve().parent.parent)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        "PYTHONPYCACHEPREFIX": str(toolchains.cache_root() / "pycache"),
    }


def compare(command: str, path: Path, tool: str, runs: int) -> Comparison:
    """Pairs of runs after one of each that warms the caches."""
    words = command.split() if "{}" in command else [*command.split(), "{}"]
    ours = [*OURS, *(word.replace("{}", str(path)) for word in words), "--format", "json"]
    theirs = [part.replace("{}", str(path)) for part in OTHERS[tool]]
    measure(ours)
    measure(theirs)
    pairs = [(measure(ours), measure(theirs)) for _ in range(runs)]
    return Comparison(command, path.name, path.stat().st_size, tool, [a for a, _ in pairs], [b for _, b in pairs])


def default_files() -> Iterator[Path]:
    """tsgo, esbuild and app, those of them that can be had."""
    # The list has several esbuilds, the newest first.
    for wanted in LIMITS["inspect"]:
        entry = next((one for one in corpus.entries() if Path(one.path).name == wanted), None)
        if entry and (path := corpus.fetch(entry)):
            yield path
        elif entry:
            print(f"left out {entry.name}: {corpus.REASONS.get(entry, 'not to be had')}", file=sys.stderr)
    try:
        yield builds.executable(builds.Build("app", "1.26"))
    except (builds.BuildError, toolchains.ToolchainError) as error:
        print(f"left out app: {error}", file=sys.stderr)


def limit(command: str, name: str) -> float | None:
    """The limit for a file of this name: "app", "app.exe" and "tsgo" are known."""
    return LIMITS.get(command, {}).get(Path(name).stem)


def most_seconds(command: str, name: str) -> float | None:
    """The same by the clock."""
    return SECONDS.get(command, {}).get(Path(name).stem)


def cases(files: Sequence[Path], tools: Sequence[str]) -> list[tuple[str, Path, str]]:
    """What to measure: plain inspect against every tool, other commands where there is a limit to keep."""
    plain = [("inspect", path, tool) for path in files for tool in tools]
    others = [command for command in (*LIMITS, *SECONDS) if command != "inspect"]
    limited = [
        (command, path, "objdump -d")
        for command in others
        for path in files
        if (limit(command, path.name) or most_seconds(command, path.name)) is not None
    ]
    return plain + (limited if "objdump -d" in tools else [])


def missed(result: Comparison) -> list[str]:
    """Which limits the comparison breaks, and by how much."""
    told = []
    most = limit(result.command, result.file)
    ratio = statistics.median(result.ratios)
    if result.tool == "objdump -d" and most is not None and ratio > most:
        told.append(f"{result.command} {result.file}: {ratio:.2f} x objdump -d, the limit is {most} x")
    seconds, longest = statistics.median(run.seconds for run in result.ours), most_seconds(result.command, result.file)
    if longest is not None and seconds > longest:
        told.append(f"{result.command} {result.file}: {seconds:.2f} s, the limit is {longest} s")
    allowed = _allowed(result)
    if allowed is not None and result.peak > allowed:
        peak, most_peak = (f"{size / MEBIBYTE:.0f} MiB" for size in (result.peak, allowed))
        told.append(f"{result.command} {result.file}: {peak}, the limit is {most_peak}")
    if not all(run.ok for run in result.ours):
        told.append(f"{result.file}: {result.command} did not exit with 0")
    return told


def _allowed(result: Comparison) -> int | None:
    return result.size + HEADROOM if result.command.startswith("inspect") else None


TEXT = (0, 1, 3)  # columns that are no numbers
HEADER = ("command", "file", "MB", "against", "our s", "its s", "ratio", "spread", "limit", "MiB", "limit", "its MiB")


def row(result: Comparison) -> tuple[str, ...]:
    """A line of the table; a tool that failed gives times all the same, with a mark."""
    most = limit(result.command, result.file) if result.tool == "objdump -d" else None
    longest, allowed = most_seconds(result.command, result.file), _allowed(result)
    failed = "" if all(run.ok for run in result.theirs) else " (fails)"
    return (
        result.command,
        result.file,
        f"{result.size / 1e6:.1f}",
        result.tool + failed,
        f"{statistics.median(run.seconds for run in result.ours):.2f}",
        f"{statistics.median(run.seconds for run in result.theirs):.2f}",
        f"{statistics.median(result.ratios):.2f}",
        f"{min(result.ratios):.2f}-{max(result.ratios):.2f}",
        f"{most}" if most is not None else "" if longest is None else f"{longest} s",
        f"{result.peak / MEBIBYTE:.0f}",
        f"{allowed / MEBIBYTE:.0f}" if allowed is not None else "",
        f"{max(run.peak for run in result.theirs) / MEBIBYTE:.0f}",
    )


def table(rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """Rows under HEADER, in columns for the terminal or as Markdown."""
    if markdown:
        rule = ["---" if i in TEXT else "---:" for i in range(len(HEADER))]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADER, rule, *rows))
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    return "\n".join(_line(cells, widths) for cells in (HEADER, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    sides = ("<" if i in TEXT else ">" for i in range(len(cells)))
    return "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(cells, sides, widths, strict=True)).rstrip()


def main(arguments: list[str]) -> int:
    """Measure, print, compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="default: tsgo, esbuild and app")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (default: 5)")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(arguments)
    tools = [tool for tool, command in OTHERS.items() if shutil.which(command[0])]
    files = options.files or list(default_files())
    results = []
    asked = cases(files, tools)
    for number, (command, path, tool) in enumerate(asked, 1):
        print(f"[{number}/{len(asked)}] {command} {path.name} against {tool}", file=sys.stderr, flush=True)
        results.append(compare(command, path, tool, max(1, options.runs)))
    print(table([row(result) for result in results], options.markdown))
    broken = list(dict.fromkeys(line for result in results for line in missed(result)))
    print("\n".join(["", *broken]) if broken else "\nall limits kept" if results else "nothing to measure")
    return int(bool(broken) or not results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
