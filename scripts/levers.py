"""Builds programs with what `goforensics.analysis.levers` speaks of, and prints what came of each estimate.

    levers.py                  the rebuilds that the tests make
    levers.py --slice full     those that the estimates were fitted to: hello, http, app on 1.22, 1.25, 1.26, 1.27
    levers.py --slice other    programs and releases that they were not fitted to

Exit code 1 if a change lies outside of its bound, or something is still there that was certain to go.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import builds  # noqa: E402 - the package is in reach only from here

import goforensics.binary  # noqa: E402
from goforensics.analysis.levers import Lever, levers  # noqa: E402
from goforensics.binary import Binary  # noqa: E402
from goforensics.sections import pclntab  # noqa: E402

RELEASES = ("1.22", "1.25", "1.26", "1.27")


@dataclass(frozen=True)
class Tried:
    """One lever, the table before, and the real change."""

    label: str
    size: int  # bytes of the pclntab before
    lever: Lever
    change: int
    left: tuple[Lever, ...]  # that the rebuilt binary offers for the same flags

    @property
    def error(self) -> int:
        """Bytes by which the estimate is too great."""
        return self.lever.pclntab_bytes - self.change

    @property
    def held(self) -> bool:
        """An exact lever has nothing left to give; the change lies within the bound of another."""
        return not self.left if self.lever.exact else abs(self.error) <= self.lever.bound


def tried(build: builds.Build) -> Iterator[Tried]:
    """Pull every lever of a program."""
    before = _binary(build)
    size = len(before.read(pclntab.PARSER).data)
    for lever in levers(before):
        after = _binary(dataclasses.replace(build, flags=(*build.flags, *lever.flags)))
        left = tuple(other for other in levers(after) if other.flags == lever.flags and other.exact)
        label = f"{build.program} {build.go} {build.goos}/{build.goarch}"
        yield Tried(label, size, lever, len(after.read(pclntab.PARSER).data) - size, left)


def _binary(build: builds.Build) -> Binary:
    return goforensics.binary.open(builds.executable(build))


def _build(program: str, go: str, goarch: str = "amd64", goos: str = "linux", cgo: bool = False) -> builds.Build:
    return builds.Build(program, go, goos, goarch, (builds.STRIP,), cgo)


def quick() -> list[builds.Build]:
    """Small programs, every layout and machine."""
    return [*(_build("hello", go) for go in RELEASES), _build("hello", "1.27", "arm64"), _build("http", "1.27")]


def full() -> list[builds.Build]:
    """What the estimates were fitted to."""
    pairs = [(program, go) for program in ("hello", "http", "app") for go in RELEASES]
    return [*(_build(*pair) for pair in pairs), *(_build("hello", go, "arm64") for go in ("1.22", "1.27"))]


def other() -> list[builds.Build]:
    """What they were not fitted to."""
    small = [_build("hello", go) for go in ("1.20", "1.21", "1.23", "1.24")]
    arm64 = [_build("hello", "1.25", "arm64"), _build("http", "1.26", "arm64"), _build("app", "1.27", "arm64")]
    systems = [_build("hello", "1.27", "amd64", "windows"), _build("hello", "1.22", "arm64", "darwin")]
    return [*small, *arm64, *systems, *(_build("zoo", go) for go in ("1.24", "1.27")), _build("cgo", "1.27", cgo=True)]


SLICES = {"quick": quick, "full": full, "other": other}


def show(every: Iterable[Tried]) -> int:
    """A line each as it comes; 1 if one does not hold."""
    missed = 0
    print(f"{'program':24}  {'pclntab':>9}  {'lever':28}  {'said':>10}  {'bound':>7}  {'came':>10}  {'error':>8}")
    for one in every:
        lever, share = one.lever, 100 * one.error / one.size
        words = f"{lever.pclntab_bytes:>+10,}  {'exact' if lever.exact else f'{lever.bound:,}':>7}  {one.change:>+10,}"
        error = f"{'':>16}" if lever.exact else f"{one.error:>+8,}  {share:>+6.2f}"
        note = "" if one.held else "  MISSED"
        print(f"{one.label:24}  {one.size:>9,}  {lever.name:28}  {words}  {error}{note}", flush=True)
        missed += not one.held
    return int(missed > 0)


def main(arguments: Iterable[str]) -> int:
    """Build and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slice", choices=SLICES, default="quick")
    options = parser.parse_args(list(arguments))
    return show(one for build in SLICES[options.slice]() for one in tried(build))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
