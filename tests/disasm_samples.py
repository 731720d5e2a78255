"""Which builds and functions the tests of disassembly look at."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from pathlib import Path

import builds
import numpy as np

import goforensics
from goforensics.analysis import disasm
from goforensics.binary import Binary
from goforensics.report_disasm import Disassembly
from goforensics.sections import functions

SAMPLE = 200  # functions of each build
RELEASES = ("1.22", "1.25", "1.26", "1.27")
NEWEST = "1.27"
ARCHES = (
    "amd64",
    "386",
    "arm64",
    "arm",
    "riscv64",
    "ppc64",
    "ppc64le",
    "s390x",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
)


@functools.cache
def build(goarch: str, go: str = "1.26", program: str = "hello") -> Path:
    return builds.executable(builds.Build(program, go, goarch=goarch))


@functools.cache
def stripped(goarch: str, go: str = "1.26", program: str = "hello") -> Binary:
    return goforensics.open(builds.executable(builds.Build(program, go, goarch=goarch, flags=(builds.STRIP,))))


def sample(binary: Binary, count: int = SAMPLE) -> list[int]:
    """Functions with code, chosen by chance but always the same."""
    placed = binary.read(functions.PARSER)
    known = np.flatnonzero((placed.offset >= 0) & (placed.code > 1)).tolist()
    return random.Random(7).sample(known, min(count, len(known)))


def documents(binary: Binary) -> Iterator[Disassembly]:
    """Of every function in the sample; by address, for names need not be unique."""
    placed = binary.read(functions.PARSER)
    for index in sample(binary):
        yield disasm.document(binary, f"{int(placed.address[index]):#x}")
