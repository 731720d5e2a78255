"""Checks what the issues' "done when" points ask, on real files, and prints one table a point.

    verify.py                     every point, on the slice that CI has time for
    verify.py 3.2 --slice full    every release, program, set of flags, architecture and system
    verify.py 3.4 --mutator PATH  with somebody else's broken files: PATH is called as PATH IN OUT

Exit code 1 if a point is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import builds  # noqa: E402 - the tests' modules are in reach only from here
import checks  # noqa: E402
import corpus  # noqa: E402
import mutants  # noqa: E402
import toolchains  # noqa: E402
import verify_map  # noqa: E402
import verify_pcdata  # noqa: E402

JOBS = 2
STARTUP_LIMIT, STARTUP_RUNS = 150, 20  # milliseconds, runs
TIME_LIMIT, MEMORY_LIMIT = 10.0, 1 << 30  # seconds, bytes: of one broken file
KILLED_AFTER = 60.0  # seconds
CODES = {0, 1, 2, 3}
SHOWN = 40  # misses that are printed
SYMBOL_FLAGS = (builds.STRIP, "-ldflags=-s")
# What 3.3 expects of files that no Go toolchain's reader could read.
NOT_GO = {".wasm": "wasm", "gofmt-12": "gccgo"}

INSPECT = (sys.executable, "-m", "goforensics", "inspect", "--format", "json")


@dataclass
class Point:
    """What is printed of one point."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    misses: list[str]


@dataclass(frozen=True)
class Run:
    """One run of a command."""

    code: int
    seconds: float
    peak: int  # bytes
    out: str
    err: str


def measured(command: Sequence[str]) -> Run:
    """Run a command, its output kept in files, so that nothing waits for a full pipe."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        status, peak = _wait(child, begun + KILLED_AFTER)
        seconds = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it once more
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    return Run(child.returncode, seconds, peak, texts[0], texts[1])


def _wait(child: subprocess.Popen[bytes], deadline: float) -> tuple[int, int]:
    """(status, peak memory) of a child, which is killed at the deadline."""
    killed = False
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            return status, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        if not killed and time.perf_counter() > deadline:
            os.kill(child.pid, 9)
            killed = True
        time.sleep(0.005)


# 3.1 ------------------------------------------------------------------------------------------------------------------


def start_up(options: argparse.Namespace) -> Point:
    """How long `goforensics --version` takes."""
    command = (sys.executable, "-m", "goforensics", "--version")
    measured(command)
    runs = [measured(command) for _ in range(STARTUP_RUNS)]
    times = [1000 * run.seconds for run in runs]
    middle = statistics.median(times)
    misses = [f"median {middle:.0f} ms, the limit is {STARTUP_LIMIT} ms"] if middle >= STARTUP_LIMIT else []
    misses += [f"exit code {run.code}: {run.err[-200:]}" for run in runs if run.code]
    row = (str(len(runs)), f"{middle:.0f}", f"{max(times):.0f}", f"< {STARTUP_LIMIT}", runs[0].out.strip())
    return Point("3.1 goforensics --version", ("runs", "median ms", "worst ms", "limit", "output"), [row], misses)


# 3.2 ------------------------------------------------------------------------------------------------------------------


def subject_of(build: builds.Build) -> checks.Subject:
    """The executable with its unstripped twin, both built if need be."""
    flags = tuple(flag for flag in build.flags if flag not in SYMBOL_FLAGS)
    twin = None if flags == build.flags else builds.executable(dataclasses.replace(build, flags=flags))
    return checks.Subject(build.label(), builds.executable(build), twin=twin)


def without_headers(subject: checks.Subject) -> checks.Subject:
    """The copy that has lost its section headers; what Go reads, it reads in the original."""
    path = builds.stripped_headers(subject.path)
    return checks.Subject(f"{subject.label}, no section headers", path, subject.path, subject.twin)


def slice_builds(name: str) -> list[builds.Build]:
    """The builds to compare: those of the tests, or every one."""
    if name != "full":
        return checks.ci_builds()
    plain = [builds.Build("app", go) for go in toolchains.minors() if toolchains.at_least(go, builds.FLOOR["app"])]
    return list(dict.fromkeys([*builds.full_slice(), *plain]))


def _subjects_of(build: builds.Build) -> list[checks.Subject]:
    subject = subject_of(build)
    return [subject, without_headers(subject)] if checks.loses_headers(build) else [subject]


def _job_name(job: builds.Build | str) -> str:
    return f"go command of {job}" if isinstance(job, str) else job.label()


def _checked(build: builds.Build | str) -> list[tuple[str, dict[str, checks.Result]]]:
    """Every check of a build, or of the go command of a release."""
    try:
        if isinstance(build, str):
            subjects = [checks.Subject(_job_name(build), builds.go_command(build))]
        else:
            subjects = _subjects_of(build)
    except (builds.BuildError, toolchains.ToolchainError, ValueError) as error:
        return [(str(build), {"build": checks.Result(0, [str(error)[-300:]])})]
    return [(subject.label, checks.everything(subject)) for subject in subjects]


def compared(options: argparse.Namespace) -> Point:
    """What Go's own packages and tools read, against goforensics."""
    chosen = slice_builds(options.slice)
    commands = toolchains.minors() if options.slice == "full" else [toolchains.NEWEST]
    jobs: list[builds.Build | str] = [*chosen, *commands]
    if options.only:
        jobs = [job for job in jobs if options.only in _job_name(job)]
    found: list[tuple[str, dict[str, checks.Result]]] = []
    with ProcessPoolExecutor(JOBS) as pool:
        for number, results in enumerate(pool.map(_checked, jobs), 1):
            found += results
            progress(f"[{number}/{len(jobs)}] {results[-1][0]}")
    return _comparison("3.2 against debug/gosym, debug/buildinfo, debug/elf|pe|macho and go tool nm", found)


def _comparison(title: str, found: list[tuple[str, dict[str, checks.Result]]]) -> Point:
    """One row a check, with the notes on what the oracle had to be told."""
    names = dict.fromkeys(name for _, results in found for name in results)
    rows = []
    for name in names:
        results = {label: all_[name] for label, all_ in found if name in all_}
        wrong = {label: result for label, result in results.items() if result.differences}
        worst = max(wrong, key=lambda label: len(wrong[label].differences), default="")
        notes = Counter(result.note for result in results.values() if result.note)
        told = "; ".join(f"{count} x {note}" for note, count in notes.items())
        counts = (len(results), sum(result.count for result in results.values()), len(wrong))
        rows.append((name, *map(str, counts), worst, told))
    if not rows:
        return Point(title, ("check",), [], ["nothing was compared"])
    rows.sort(key=lambda row: int(row[3]))  # and the rarest misses first: one cause must not drown the others
    misses = [f"{label}: {line}" for name, *_ in rows for label, all_ in found for line in _differences(all_, name)]
    return Point(title, ("check", "files", "compared", "files that differ", "worst", "notes"), rows, misses)


def _differences(results: dict[str, checks.Result], name: str) -> list[str]:
    return results[name].differences if name in results else []


# 3.3 ------------------------------------------------------------------------------------------------------------------


def corpus_files(options: argparse.Namespace) -> Point:
    """Every file of the corpus has a report, or a line that says why not."""
    rows: list[tuple[str, ...]] = []
    misses: list[str] = []
    with ProcessPoolExecutor(JOBS) as pool:
        for entry, (row, missed) in zip(corpus.entries(), pool.map(_corpus_file, corpus.entries()), strict=True):
            rows.append(row)
            misses += [f"{entry.name}: {line}" for line in missed]
            progress(entry.name)
    header = ("file", "MB", "functions", "unread", "sums", "what it is good for; what the oracle was told")
    return Point("3.3 other people's executables", header, rows, misses)


def not_go(path: Path) -> str | None:
    """The word with which a file is to be refused; None for a Go executable."""
    return next((word for end, word in NOT_GO.items() if path.name.endswith(end)), None)


def _corpus_file(entry: corpus.Entry) -> tuple[tuple[str, ...], list[str]]:
    path = corpus.fetch(entry)
    if path is None:
        return (entry.name, "", "", "", "", entry.note), [f"not to be had: {corpus.REASONS.get(entry)}"]
    megabytes = f"{path.stat().st_size / 1e6:.1f}"
    if expected := not_go(path):
        run = measured([*INSPECT, str(path)])
        named = run.code == 2 and expected in run.err.lower() and len(run.err.strip().splitlines()) == 1
        missed = [] if named else [f"exit code {run.code}, not named as {expected}: {run.err[-200:]!r}"]
        return (entry.name, megabytes, "", "", "", run.err.strip()[:60]), missed
    try:
        results = checks.everything(checks.Subject(entry.name, path))
    except Exception as error:
        return (entry.name, megabytes, "", "", "", entry.note), [f"{type(error).__name__}: {error}"]
    missed = [line for result in results.values() for line in result.differences]
    told = f"; {results['functions'].note}" if results["functions"].note else ""
    wrong = (str(len(results[name].differences)) for name in ("unread", "sums"))
    return (entry.name, megabytes, str(results["functions"].count), *wrong, f"{entry.note}{told}"), missed


# 3.4 ------------------------------------------------------------------------------------------------------------------


def _mutated_inputs() -> list[Path]:
    wanted = (builds.Build("hello", "1.27"), builds.Build("hello", "1.22"), builds.Build("cgo", "1.27", cgo=True))
    return [builds.executable(build) for build in wanted]


def broken_files(options: argparse.Namespace) -> Point:
    """Broken files end with an exit code of the command's own, soon, and in little memory."""
    rows: list[tuple[str, ...]] = []
    misses: list[str] = []
    for path in options.inputs or _mutated_inputs():
        with tempfile.TemporaryDirectory(prefix="goforensics-") as work:
            files = _mutated(path, Path(work), options.mutator)
            with ThreadPoolExecutor(JOBS) as pool:
                runs = list(pool.map(lambda file: measured([*INSPECT, str(file)]), files))
            if not files:
                misses.append(f"{path}: the mutator made nothing")
        rows.append(_survival(path, files, runs))
        misses += [
            f"{path.parent.name}/{f.name}: {line}" for f, run in zip(files, runs, strict=True) for line in _harm(run)
        ]
        progress(str(path))
    header = ("input", "files", "exit codes", "tracebacks", "worst s", "of", "worst MiB", "of")
    return Point("3.4 broken files", header, rows, misses)


def _mutated(path: Path, work: Path, mutator: Path | None) -> list[Path]:
    program = mutator or Path(mutants.__file__)
    command = [sys.executable, str(program)] if program.suffix == ".py" else [str(program)]
    subprocess.run([*command, str(path), str(work)], check=True)
    return sorted(file for file in work.rglob("*") if file.is_file())


def _survival(path: Path, files: list[Path], runs: list[Run]) -> tuple[str, ...]:
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(Counter(run.code for run in runs).items()))
    named = list(zip(runs, files, strict=True))
    slow = max(named, key=lambda pair: pair[0].seconds)
    large = max(named, key=lambda pair: pair[0].peak)
    return (
        path.parent.name,
        str(len(files)),
        codes,
        str(sum("Traceback" in run.err for run in runs)),
        f"{slow[0].seconds:.1f}",
        slow[1].name,
        f"{large[0].peak / (1 << 20):.0f}",
        large[1].name,
    )


def _harm(run: Run) -> Iterator[str]:
    if run.code not in CODES:
        yield f"exit code {run.code}: {run.err.strip()[-500:]}"
    elif "Traceback" in run.err:
        yield f"a traceback: {run.err.strip()[-500:]}"
    elif run.code in (0, 3) and not _is_json(run.out):
        yield f"exit code {run.code} without a document"
    if run.seconds > TIME_LIMIT:
        yield f"{run.seconds:.1f} s"
    if run.peak > MEMORY_LIMIT:
        yield f"{run.peak / (1 << 20):.0f} MiB"


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


# 3.5 ------------------------------------------------------------------------------------------------------------------


def speed(options: argparse.Namespace) -> Point:
    """scripts/bench.py, which knows its limits."""
    result = subprocess.run([sys.executable, str(ROOT / "scripts" / "bench.py")], stdout=subprocess.PIPE, text=True)
    print(result.stdout)
    misses = [f"bench.py: exit code {result.returncode}"] if result.returncode else []
    return Point(
        "3.5 speed and memory", ("program", "exit code"), [("scripts/bench.py", str(result.returncode))], misses
    )


# ----------------------------------------------------------------------------------------------------------------------


def elsewhere(name: str, options: argparse.Namespace) -> Point:
    """A point of scripts/verify_map.py or scripts/verify_pcdata.py."""
    return Point(*ELSEWHERE[name](options.slice != "full", options.only, progress))


ELSEWHERE = {**verify_pcdata.POINTS, **verify_map.POINTS}


POINTS: dict[str, Callable[[argparse.Namespace], Point]] = {
    "3.1": start_up,
    "3.2": compared,
    "3.3": corpus_files,
    "3.4": broken_files,
    "3.5": speed,
    **{name: functools.partial(elsewhere, name) for name in ELSEWHERE},
}


def progress(text: str) -> None:
    """A line for whoever watches; the results are printed apart."""
    print(text, file=sys.stderr, flush=True)


def show(point: Point) -> None:
    """Print a point's table and what it missed."""
    widths = [max(map(len, column)) for column in zip(point.header, *point.rows, strict=True)]
    print(f"\n## {point.title}: {'MISSED' if point.misses else 'kept'}\n")
    for cells in (point.header, *point.rows):
        print("  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
    for line in point.misses[:SHOWN]:
        print(f"! {line}")
    if len(point.misses) > SHOWN:
        print(f"! and {len(point.misses) - SHOWN} more")
    sys.stdout.flush()


def main(arguments: Iterable[str]) -> int:
    """Run the points that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("points", nargs="*", metavar="POINT", help=f"any of {', '.join(POINTS)} (default: all)")
    parser.add_argument(
        "--slice",
        choices=("ci", "quick", "full"),
        default="ci",
        help="how much 3.2, 7.x and 12.x do (default: ci)",
    )
    parser.add_argument(
        "--only", metavar="TEXT", help="of the builds of 3.2, 7.x and 12.x, those with TEXT in their name"
    )
    parser.add_argument(
        "--mutator", type=Path, help="a program that 3.4 calls as PATH IN OUT (default: tests/mutants.py)"
    )
    parser.add_argument("--input", dest="inputs", type=Path, action="append", help="an ELF file for 3.4 to break")
    options = parser.parse_args(list(arguments))
    if unknown := [point for point in options.points if point not in POINTS]:
        parser.error(f"no such point: {', '.join(unknown)}; known: {', '.join(POINTS)}")
    points = []
    for name in options.points or POINTS:
        points.append(POINTS[name](options))
        show(points[-1])
    return int(any(point.misses for point in points))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
