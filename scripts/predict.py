"""Predicts what rebuilds would be, rebuilds, and compares: one line per program, release, target and flags.

A prediction that is called exact must be, and a bound must hold: else the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import toolchains
from builds import FLOOR, OS_FLOOR, OS_TARGETS, ZOO_FLAGS, Build, executable, needing

import goforensics
from goforensics.rebuild.flags import Flags
from goforensics.rebuild.predict import Prediction, predictions

LDFLAGS = "-ldflags="
PIE = ("-buildmode=pie",)
ROWS = (
    Flags(("-s",)),
    Flags(("-w",)),
    Flags(("-s", "-w")),
    Flags((), trimpath=True),
    Flags(("-s", "-w"), trimpath=True),
)
BUILD_ID = Flags(("-buildid=",))
KEEP_DWARF = Flags(("-s", "-w=0"))
NEWER = tuple(minor for minor in toolchains.minors() if toolchains.at_least(minor, "1.21"))
OLDER = ("1.16", "1.18", "1.20")
MODERN = tuple(minor for minor in NEWER if toolchains.at_least(minor, "1.22"))
MAIN_ARCHES = ("amd64", "arm64", "386")
MORE_ARCHES = ("riscv64", "ppc64le", "s390x", "arm", "mips64le", "loong64")


@dataclass(frozen=True)
class Cell:
    """One rebuild: what was predicted of it and what it is."""

    build: Build
    prediction: Prediction
    actual: int  # bytes

    @property
    def difference(self) -> int:
        """Predicted less actual size, bytes."""
        return self.prediction.size_after - self.actual

    @property
    def wrong(self) -> bool:
        """It said more than was true."""
        return self.prediction.declined is None and abs(self.difference) > self.prediction.bound

    def line(self) -> str:
        """The cell as a line of the table."""
        said, build = self.prediction, self.build
        kind = "declined" if said.declined else "exact" if said.exact else f"±{said.bound}"
        difference = "" if said.declined else f"{self.difference:+d}"
        target = f"{build.goos}/{build.goarch}" + " pie" * (PIE[0] in build.flags) + " cgo" * build.cgo
        columns = (
            f"{build.program:9} {build.go:5} {target:16} {said.flags.label:16}",
            f"{said.size_after:>10} {self.actual:>10} {difference:>8} {kind:9}",
        )
        return " ".join((*columns, said.declined or said.note or "", "WRONG" * self.wrong)).rstrip()


def rebuild(build: Build, flags: Flags) -> Build:
    """The build with flags on top of its own."""
    kept = tuple(flag for flag in build.flags if not flag.startswith(LDFLAGS))
    told = [flag.removeprefix(LDFLAGS) for flag in build.flags if flag.startswith(LDFLAGS)]
    linker = " ".join((*told, *flags.ldflags))
    return replace(
        build, flags=(*kept, *(("-trimpath",) if flags.trimpath else ()), *((LDFLAGS + linker,) if linker else ()))
    )


def cells(builds: Iterable[Build], rows: tuple[Flags, ...] = ROWS) -> Iterator[Cell]:
    """Each build's rows; the rebuilds are made where the cache does not have them."""
    for build in builds:
        binary = goforensics.open(executable(build))
        for said in predictions(binary, rows, inflate=True):
            yield Cell(build, said, executable(rebuild(build, said.flags)).stat().st_size)


def linux(
    programs: Iterable[str], minors: Iterable[str], arches: Iterable[str], flags: tuple[str, ...] = ()
) -> list[Build]:
    """Builds for Linux, where a program builds with a release."""
    wanted = product(programs, minors, arches)
    return [Build(p, go, goarch=arch, flags=flags) for p, go, arch in wanted if toolchains.at_least(go, FLOOR[p])]


def others(programs: Iterable[str], minors: Iterable[str]) -> list[Build]:
    """Builds for the other systems."""
    wanted = product(programs, minors, OS_TARGETS)
    return [Build(p, go, *at) for p, go, at in wanted if toolchains.at_least(go, OS_FLOOR.get(at, "1.13"))]


def modules(minors: Iterable[str]) -> list[Build]:
    """Programs whose modules -trimpath names in ways of their own."""
    wanted = product(("vendored", "workspace"), minors)
    return [needing(Build(p, go)) for p, go in wanted if toolchains.at_least(go, FLOOR[p])]


def quick() -> list[Build]:
    """What shows most in least time."""
    newest = (toolchains.NEWEST,)
    return [
        *linux(("hello",), (*OLDER, *NEWER), ("amd64",)),
        *linux(("hello",), newest, (*MAIN_ARCHES[1:], *MORE_ARCHES)),
        *linux(("hello",), newest, MAIN_ARCHES[:2], PIE),
        *others(("hello",), newest),
        *(Build("cgo", go, cgo=True) for go in ("1.22", *newest)),
        *modules(newest),
        Build("zoo", toolchains.NEWEST, flags=ZOO_FLAGS),
    ]


def full() -> list[Build]:
    """Everything that is claimed."""
    every = [
        *quick(),
        *linux(("hello", "zoo", "http", "app"), NEWER, MAIN_ARCHES),
        *linux(("hello", "zoo"), OLDER, MAIN_ARCHES),
        *linux(("hello",), ("1.22", "1.25", "1.26", "1.27"), MORE_ARCHES),
        *linux(("hello", "http"), MODERN, MAIN_ARCHES[:2], PIE),
        *others(("hello", "http"), MODERN),
        *(Build("cgo", go, flags=flags, cgo=True) for go in MODERN for flags in ((), PIE)),
        *modules(("1.16", "1.18", "1.22", "1.25", "1.26")),
        *(Build("zoo", go, flags=ZOO_FLAGS) for go in (*OLDER, *NEWER)),
    ]
    return list(dict.fromkeys(every))


SLICES = {"quick": quick, "full": full}


def summary(found: list[Cell]) -> Iterator[str]:
    """What the table comes to: every bound's width and the largest error within it."""
    exact = [cell for cell in found if cell.prediction.exact]
    declined = [cell for cell in found if cell.prediction.declined]
    bounded = [cell for cell in found if cell not in exact and cell not in declined]
    zero = sum(cell.difference == 0 for cell in bounded)
    counts = f"{len(exact)} exact, {len(bounded)} bounded ({zero} of them 0 off), {len(declined)} declined"
    yield f"{len(found)} cells: {counts}"
    for label in dict.fromkeys(cell.prediction.flags.label for cell in bounded):
        row = [cell for cell in bounded if cell.prediction.flags.label == label]
        worst = max(row, key=lambda cell: abs(cell.difference))
        widest = max(cell.prediction.bound for cell in row)
        error = f"largest error {worst.difference:+d} of {worst.actual}"
        yield f"  {label}: {error}, widest bound ±{widest}, {len(row)} cells"
    yield f"{sum(cell.wrong for cell in found)} wrong"


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--slice", choices=SLICES, default="quick")
    options = parser.parse_args(arguments)
    found: list[Cell] = []
    print("program   go    target           flags             predicted     actual     diff said")
    for cell in cells(SLICES[options.slice](), (*ROWS, BUILD_ID)):
        found.append(cell)
        print(cell.line(), flush=True)
    print(*summary(found), sep="\n")
    return int(any(cell.wrong for cell in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
