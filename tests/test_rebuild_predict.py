"""Predictions against rebuilds: what is called exact is, bounds hold, and what cannot be known is declined."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import builds
import predict as table_script
import pytest
from builds import STRIP, Build, executable
from predict import BUILD_ID, KEEP_DWARF, ROWS, cells

import goforensics
from goforensics.rebuild import predict
from goforensics.rebuild.changes import drops
from goforensics.rebuild.flags import Flags
from goforensics.sections import buildinfo, pclntab, symtab

LIMIT = 0.25  # seconds for every row of a large program: some 20 ms, and room for a busy machine


@pytest.mark.parametrize(
    ("flags", "release", "container", "expected"),
    [
        ((), (1, 27), "elf", (False, False)),
        (("-s",), (1, 22), "elf", (True, True)),
        (("-s", "-w=0"), (1, 22), "elf", (True, False)),
        (("-s", "-w=0"), (1, 21), "elf", (True, True)),
        (("-s",), (1, 21), "pe", (True, True)),
        (("-w",), (1, 21), "elf", (False, True)),
        (("-s", "-w"), (1, 21), "macho", (False, True)),
        (("-s",), (1, 22), "macho", (True, True)),
        (("-w", "--w=false"), (1, 27), "elf", (False, False)),
    ],
)
def test_what_the_linker_drops(
    flags: tuple[str, ...], release: tuple[int, int], container: str, expected: tuple[bool, bool]
) -> None:
    assert drops(flags, release, container) == expected


CASES = [
    *(Build("hello", minor) for minor in ("1.16", "1.18", "1.20", "1.21", "1.22", "1.24", "1.26", "1.27")),
    *(Build("hello", "1.27", goarch=arch) for arch in ("arm64", "386", "arm", "mips", "s390x")),
    *(Build("hello", minor, flags=("-buildmode=pie",)) for minor in ("1.18", "1.27")),
    *(Build("hello", "1.27", goos, "arm64") for goos in ("darwin", "windows")),
    Build("hello", "1.21", "darwin", "arm64"),
    Build("zoo", "1.22", flags=builds.ZOO_FLAGS),
    Build("app", "1.26"),
    Build("hello", "1.27", flags=("-trimpath",)),
    Build("hello", "1.27", flags=(STRIP,)),
    Build("cgo", "1.27", cgo=True),
]


@pytest.mark.builds
@pytest.mark.parametrize("build", CASES, ids=Build.label)
def test_rebuilds(build: Build) -> None:
    found = list(cells([build], (*ROWS, BUILD_ID, KEEP_DWARF)))
    assert [cell.line() for cell in found if cell.wrong] == []
    assert any(cell.prediction.exact for cell in found)
    unsure = [c for c in found if c.prediction.declined and not {"-buildid=", "-w=0"} & set(c.prediction.flags.ldflags)]
    assert [cell.line() for cell in unsure] == []


@pytest.mark.builds
def test_two_figures() -> None:
    """Trimming frees 12 KB of hello, and segments of 64 KiB hide it where debug data goes as well."""
    binary = goforensics.open(executable(Build("hello", "1.25", goarch="arm64")))
    plain, trimmed = (predict.predict(binary, Flags(("-s", "-w"), trims)) for trims in (False, True))
    assert plain.exact
    assert trimmed.exact
    assert plain.size_after == trimmed.size_after
    assert trimmed.freed > plain.freed + 5000


@pytest.mark.builds
def test_what_cannot_change_says_so() -> None:
    path = executable(Build("hello", "1.27", flags=("-trimpath", STRIP)))
    size = path.stat().st_size
    rows = {row.flags.label: row for row in predict.table(goforensics.open(path))}
    for label in ("-s", "-w", "-s -w", "-trimpath", "-trimpath -s -w"):
        row = rows[label]
        assert (row.freed, row.size_after, row.exact, row.loses) == (0, size, True, ())
        assert row.note
    assert rows["-buildid="].freed > 0


@pytest.mark.builds
def test_what_is_lost_and_kept() -> None:
    rows = {row.flags.label: row for row in predict.table(goforensics.open(executable(Build("hello", "1.27"))))}
    assert rows["-w"].loses == predict.DWARF
    assert set(predict.SYMBOLS) <= set(rows["-w"].keeps)
    assert set(rows["-s -w"].loses) == {*predict.DWARF, *predict.SYMBOLS}
    assert set(rows["-trimpath -s -w"].loses) == {*predict.DWARF, *predict.SYMBOLS, *predict.PATHS}
    assert set(predict.ALWAYS) <= set(rows["-trimpath -s -w"].keeps)


@pytest.mark.builds
@pytest.mark.parametrize("option", ["--strip-all", "--strip-debug"])
def test_a_file_that_was_stripped_later_is_declined(option: str, tmp_path: Path) -> None:
    path = tmp_path / "hello"
    subprocess.run(["strip", option, "-o", path, executable(Build("hello", "1.27"))], check=True)
    row = predict.predict(goforensics.open(path), Flags((), trimpath=True))
    assert row.declined
    assert not row.exact
    assert row.freed == 0


@pytest.mark.builds
def test_a_file_with_more_behind_it_is_declined(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(executable(Build("hello", "1.27")).read_bytes() + b"appended")
    assert all(row.declined for row in predict.table(goforensics.open(path)))


@pytest.mark.builds
def test_a_table_takes_little() -> None:
    binary = goforensics.open(executable(Build("app", "1.26")))
    binary.read(symtab.PARSER)
    binary.read(buildinfo.PARSER)
    binary.read(pclntab.PARSER).entry_file.sum()
    begun = time.perf_counter()
    assert len(predict.table(binary)) == len(predict.ROWS)
    assert time.perf_counter() - begun < LIMIT


def test_the_script_counts_what_is_wrong() -> None:
    said = predict.Prediction(Flags(("-s",)), 10, 990, True, 0, None, None, (), ())
    right, wrong = (table_script.Cell(Build("hello", "1.27"), said, actual) for actual in (990, 991))
    assert not right.wrong
    assert wrong.wrong
    assert wrong.line().endswith("WRONG")
    assert list(table_script.summary([right, wrong]))[-1] == "1 wrong"
