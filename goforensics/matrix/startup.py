"""How long each build takes from its start to its exit: rounds in which every row runs once, in changing order.

A machine's speed drifts; what two programs did within one round is compared, and the median of that tells them apart
where the medians of their times alone would not.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from goforensics.matrix.processes import Processes
from goforensics.report_matrix import Startup

RUNS_ALIKE = {("linux", "amd64"): {"386"}, ("windows", "amd64"): {"386"}, ("darwin", "arm64"): {"amd64"}}


class Rounds(msgspec.Struct, frozen=True):
    """How programs are run."""

    runs: int
    timeout: float  # seconds
    arguments: tuple[str, ...]
    cwd: Path


class _Series(msgspec.Struct):
    """One program's times, by round."""

    seconds: dict[int, float] = {}
    exit_code: int | None = None
    reason: str = ""


def cannot_run(settings: Mapping[str, str]) -> str:
    """Why an executable for this target does not run here; empty if it may. `settings` are those of `go env`."""
    host = settings.get("GOHOSTOS", ""), settings.get("GOHOSTARCH", "")
    target = settings.get("GOOS", ""), settings.get("GOARCH", "")
    if target == host or (target[0] == host[0] and target[1] in RUNS_ALIKE.get(host, ())):
        return ""
    return f"a program for {'/'.join(target)} does not run on {'/'.join(host)}"


def measure(
    programs: Mapping[str, Path],
    default: str,
    rounds: Rounds,
    processes: Processes,
    tell: Callable[[int], None] = lambda done: None,
) -> dict[str, Startup]:
    """Run every program in every round, after one run each that does not count; by name, what came of it.

    A program that does not exit in time, or cannot be started, is not run again.
    """
    series = {name: _Series() for name in programs}
    names = list(programs)
    for turn in range(-1, rounds.runs):
        shift = turn % len(names) if names else 0
        for name in (*names[shift:], *names[:shift]):
            if not series[name].reason:
                _once(series[name], turn, programs[name], rounds, processes)
        tell(turn + 1)
    base = series[default].seconds if default in series else {}
    return {name: _startup(one, base if name != default else {}) for name, one in series.items()}


def _once(series: _Series, turn: int, program: Path, rounds: Rounds, processes: Processes) -> None:
    line = [str(program), *rounds.arguments]
    try:
        done = processes.run(line, rounds.cwd, os.environ, timeout=rounds.timeout, quiet=True)
    except OSError as error:
        series.reason = f"could not be started: {error.strerror}"
        return
    series.exit_code = done.code
    if done.timed_out:
        series.reason = f"did not exit within {rounds.timeout:g} s"
    elif turn >= 0:
        series.seconds[turn] = done.seconds


def _startup(series: _Series, base: Mapping[int, float]) -> Startup:
    times = list(series.seconds.values())
    if series.reason or not times:
        return Startup(len(times), exit_code=series.exit_code, reason=series.reason or "not run")
    pairs = [seconds - base[turn] for turn, seconds in series.seconds.items() if turn in base]
    return Startup(
        runs=len(times),
        median=statistics.median(times),
        spread=_spread(times),
        difference=statistics.median(pairs) if pairs else None,
        difference_spread=_spread(pairs) if pairs else None,
        exit_code=series.exit_code,
    )


def _spread(values: Sequence[float]) -> float:
    """Interquartile range: half of the values lie within it."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low
