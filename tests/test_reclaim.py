"""What `inspect` and `reclaim` say of rebuilds: every exact figure is that of a real rebuild, every bound holds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import builds
import pytest
from builds import Build, executable

import goforensics
from goforensics import binary
from goforensics.rebuild.savings import document
from goforensics.report import Reclaimable

pytestmark = pytest.mark.builds

FLAGS: dict[str, tuple[str, ...]] = {
    "-s": ("-ldflags=-s",),
    "-w": ("-ldflags=-w",),
    "-s -w": ("-ldflags=-s -w",),
    "-trimpath": ("-trimpath",),
    "-trimpath -s -w": ("-trimpath", "-ldflags=-s -w"),
    "-buildid=": ("-ldflags=-buildid=",),
}
EXACT = {"-s", "-w", "-s -w", "-trimpath -s -w"}
CASES = [
    *[Build("hello", minor) for minor in ("1.18", "1.22", "1.26", "1.27")],
    *[Build("hello", "1.27", goos=goos, goarch="arm64") for goos in ("darwin", "windows")],
    *[Build("hello", "1.27", goarch=arch) for arch in ("arm64", "386", "s390x")],
    Build("app", "1.26"),
    *[Build("cgo", minor, cgo=True) for minor in ("1.22", "1.27")],
]


def check(row: Reclaimable, build: Build) -> None:
    before = executable(build).stat().st_size
    flags = FLAGS[row.action]
    freed = (
        before - executable(Build(build.program, build.go, build.goos, build.goarch, flags, build.cgo)).stat().st_size
    )
    assert row.size_after == before - row.bytes
    assert abs(freed - row.bytes) <= row.bound, f"{row.action}: freed {freed}, said {row.bytes} ± {row.bound}"
    assert not row.exact or freed == row.bytes


@pytest.mark.parametrize("build", CASES, ids=builds.Build.label)
def test_every_figure_is_that_of_a_rebuild(build: Build) -> None:
    path = executable(build)
    rows = {row.action: row for row in goforensics.inspect(path).reclaimable}
    assert rows.keys() >= FLAGS.keys() - {"-buildid="}
    for row in [*rows.values(), *document(binary.open(path)).rebuilds]:
        if row.declined is None:
            check(row, build)
    assert all(rows[action].declined is None for action in EXACT)


@pytest.mark.parametrize("minor", ["1.13", "1.15"])
def test_what_the_oldest_layout_declines(minor: str) -> None:
    """Its names have no table of their own: what would rename files is declined, and everything else stands."""
    build = Build("cgo", minor, cgo=True)
    rows = document(binary.open(executable(build))).rebuilds
    declined = {row.action for row in rows if row.declined is not None}
    assert {row.action for row in rows if "-trimpath" in row.action} <= declined
    for row in rows:
        if row.action not in declined:
            check(row, build)


def test_hello_is_exact() -> None:
    rows = {row.action: row for row in goforensics.inspect(executable(Build("hello", "1.27"))).reclaimable}
    assert {action for action, row in rows.items() if row.exact} == EXACT


def test_nothing_is_left_to_free_in_a_stripped_trimmed_file() -> None:
    path = executable(Build("hello", "1.27", flags=FLAGS["-trimpath -s -w"]))
    assert [row.action for row in goforensics.inspect(path).reclaimable] == ["-buildid="]
    notes = {row.action: row.note for row in document(binary.open(path)).rebuilds}
    assert all(note for action, note in notes.items() if action != "-buildid=")


def test_what_strip_leaves(tmp_path: Path) -> None:
    if not shutil.which("strip"):
        pytest.skip("strip is missing")
    path = executable(Build("hello", "1.27"))
    tools = {row.action: row for row in document(binary.open(path)).tools}
    for mode in ("-s", "-g"):
        stripped = tmp_path / mode
        subprocess.run(["strip", mode, "-o", stripped, path], check=True)
        assert tools[f"strip {mode}"].exact
        assert tools[f"strip {mode}"].size_after == stripped.stat().st_size


def test_nothing_is_predicted_from_a_file_that_strip_has_changed(tmp_path: Path) -> None:
    if not shutil.which("strip"):
        pytest.skip("strip is missing")
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-g", "-o", stripped, executable(Build("hello", "1.27"))], check=True)
    rows = goforensics.inspect(stripped).reclaimable
    assert rows
    assert all(row.declined and not row.exact and row.bytes == 0 for row in rows)
