"""`goforensics matrix` with a go command made here: what it is asked, what it may fail at, and what is left behind."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

import goforensics
from goforensics import cli
from goforensics.matrix import builder, measure
from goforensics.report_matrix import BuildMatrix, json_schema

ROOT = Path(goforensics.__file__).parent.parent
GREETER = ROOT / "testdata" / "greeter"
FAKE = """#!{python}
import json, os, pathlib, shutil, sys, time
a, here = sys.argv[1:], pathlib.Path({folder!r})
with open(here / "log", "a") as log:
    log.write(json.dumps([a, os.getcwd(), os.environ.get("CGO_ENABLED"), os.environ.get("GOTMPDIR")]) + "\\n")
settings = json.loads((here / "settings").read_text())
if a[:2] == ["env", "-json"]:
    print(json.dumps(settings))
elif a[0] == "list":
    print((here / "list").read_text().format(here=os.getcwd()), end="")
elif a[:2] == ["mod", "edit"]:
    print(json.dumps({{"Replace": None}}))
elif a[:2] == ["tool", "nm"]:
    print("401000 T main.main\\n401020 T main.init")
elif a[0] == "build":
    if (here / "slow").exists():
        (here / "started").touch()
        time.sleep(60)
    if "-tags=broken" in a or (here / "broken").exists():
        sys.exit("go: downloading example.com/x v1.0.0\\n# example.com/made\\n./main.go:3:1: \\x1b[31mbad\\nmore")
    out = a[a.index("-o") + 1]
    shutil.copy(here / "program", out)
    if "-tags=here" in a:
        with open(out, "ab") as file:
            file.write(os.getcwd().encode())
else:
    sys.exit("asked for " + a[0])
"""
SETS = """
[[set]]
flags = ["-trimpath"]
ldflags = "-s -w"
[[set]]
flags = ["-tags=here"]
env = { CGO_ENABLED = "0" }
"""


class FakeGo:
    """A go command whose builds are copies of one program, and a module for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fake"
        self.module = folder / "module"
        self.temporary = folder / "tmp"
        for place in (self.folder, self.module, self.temporary):
            place.mkdir()
        (self.module / "go.mod").write_text("module example.com/made\n")
        (self.module / "main.go").write_text("package main\n")
        self.settings(GOMOD=str(self.module / "go.mod"))
        (self.folder / "list").write_text("example.com/made\nmain\n{here}\n")
        (self.folder / "program").write_bytes(GREETER.read_bytes())
        (self.folder / "program").chmod(0o755)
        script = self.folder / "go"
        script.write_text(FAKE.format(python=sys.executable, folder=str(self.folder)))
        script.chmod(0o755)
        self.table = folder / "flags.toml"
        self.table.write_text(SETS)

    def settings(self, **more: str) -> None:
        known = {"GOVERSION": "go1.26.6", "GOOS": "linux", "GOARCH": "amd64", "GOHOSTOS": "linux"}
        (self.folder / "settings").write_text(json.dumps({**known, "GOHOSTARCH": "amd64", "GOFLAGS": "", **more}))

    def asked(self, what: str) -> list[tuple[list[str], str, str | None, str | None]]:
        lines = (self.folder / "log").read_text().splitlines()
        return [tuple(call) for call in map(json.loads, lines) if call[0][0] == what]


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    fake = FakeGo(tmp_path)
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(tempfile, "tempdir", str(fake.temporary))
    monkeypatch.delenv("CGO_ENABLED", raising=False)
    return fake


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(go: FakeGo, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["matrix", str(go.module), *arguments])
        return code, *capsys.readouterr()

    return command


def document(run: Run, go: FakeGo, *arguments: str, code: int = 0) -> BuildMatrix:
    found, out, err = run("--flags", str(go.table), "--format", "json", *arguments)
    assert (found, err) == (code, "")
    return msgspec.json.decode(out, type=BuildMatrix)


def test_rows_come_in_the_tables_order_and_the_default_first(run: Run, go: FakeGo) -> None:
    found = document(run, go)
    assert [row.name for row in found.rows] == ["default", "-trimpath -s -w", "CGO_ENABLED=0 -tags=here"]
    assert found.default == "default"
    assert (found.package, found.go_version, found.directory) == ("example.com/made", "go1.26.6", str(go.module))
    size = GREETER.stat().st_size
    assert [row.measured.size - size for row in found.rows if row.measured] == [0, 0, len(str(go.module))]


def test_rows_flags_come_after_everything_and_their_settings_hold(run: Run, go: FakeGo) -> None:
    document(run, go)
    calls = [(arguments, cgo) for arguments, _, cgo, _ in go.asked("build")]
    assert all(arguments[-1] == "." for arguments, _ in calls)
    assert ["-trimpath", "-ldflags=-s -w"] in [arguments[1:3] for arguments, _ in calls]
    assert {cgo for arguments, cgo in calls if "-tags=here" in arguments} == {"0"}
    assert {cgo for arguments, cgo in calls if "-tags=here" not in arguments} == {None}


def test_what_the_tools_say_is_in_the_row(run: Run, go: FakeGo) -> None:
    row = document(run, go).rows[0]
    assert row.measured is not None
    assert row.measured.symbols == 2  # the lines of nm
    assert row.measured.linking == "static"
    assert row.measured.panic_traces
    assert row.measured.leaked_paths == goforensics.inspect(GREETER).leaks.paths
    assert row.measured.gzip_size < row.measured.size


def test_builds_in_two_directories_are_compared(run: Run, go: FakeGo) -> None:
    found = document(run, go)
    assert [row.reproducible.answer for row in found.rows] == [True, True, False]
    last = found.rows[2].reproducible
    assert last.first_difference is not None
    assert last.first_difference > GREETER.stat().st_size  # the paths that follow begin alike
    places = {cwd for arguments, cwd, _, _ in go.asked("build")}
    assert str(go.module) in places
    assert len(places) == 2
    assert not any(Path(place).is_relative_to(ROOT) for place in places)


def test_they_are_not_if_nobody_wants_that(run: Run, go: FakeGo) -> None:
    found = document(run, go, "--no-reproducible")
    assert {row.reproducible.answer for row in found.rows} == {None}
    assert len(go.asked("build")) == 3


def test_a_package_outside_of_any_module_is_built_once(run: Run, go: FakeGo) -> None:
    go.settings(GOMOD="")
    found = document(run, go)
    assert {row.reproducible.reason for row in found.rows} == {
        "the sources were not copied: the package is in no module"
    }


def test_one_failing_row_costs_itself(run: Run, go: FakeGo) -> None:
    go.table.write_text('[[set]]\nflags = ["-tags=broken"]\n' + SETS)
    found = document(run, go, code=3)
    assert [row.error for row in found.rows] == [None, "./main.go:3:1: \x1b[31mbad", None, None]
    assert found.rows[1].measured is None
    code, shown, _ = run("--flags", str(go.table))
    assert code == 3
    assert r"✗ Failed    -tags=broken: ./main.go:3:1: \x1b[31mbad" in shown


def test_if_everything_fails_that_is_one_line(run: Run, go: FakeGo) -> None:
    (go.folder / "broken").touch()
    assert run("--flags", str(go.table)) == (
        2,
        "",
        "goforensics: go build: ./main.go:3:1: \\x1b[31mbad\n",
    )


def test_no_go_command(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, err = run()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "there is no go command on PATH" in err


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("example.com/made/lib\nlib\n/x\n", "is package lib, which gives no executable"),
        ("a\nmain\n/a\nb\nmain\n/b\n", "names 2 packages"),
    ],
)
def test_only_one_command_can_be_built(run: Run, go: FakeGo, listed: str, said: str) -> None:
    (go.folder / "list").write_text(listed)
    code, out, err = run()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert list(go.temporary.iterdir()) == []


def test_a_program_that_is_no_go_executable_is_told_of(run: Run, go: FakeGo) -> None:
    (go.folder / "program").write_text("#!/bin/sh\nexit 0\n")
    found = document(run, go, code=3)
    assert found.rows[0].measured is not None
    assert found.rows[0].measured.size == 17
    assert found.rows[0].measured.linking is None
    assert found.rows[0].notes[0].startswith("not read: ")
    assert "there is no default build" in found.rows[1].prediction.declined


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_nothing_is_left_and_the_module_is_not_touched(run: Run, go: FakeGo) -> None:
    before = _files(go.module)
    document(run, go)
    assert _files(go.module) == before
    assert list(go.temporary.iterdir()) == []
    assert all(place and Path(place).is_relative_to(go.temporary) for *_, place in go.asked("build"))


def test_executables_are_kept_where_wanted(run: Run, go: FakeGo, tmp_path: Path) -> None:
    found = document(run, go, "--out", str(tmp_path / "kept"))
    kept = [row.measured.file for row in found.rows if row.measured]
    assert kept == [
        str(tmp_path / "kept" / folder / "made")
        for folder in ("01-default", "02-trimpath-s-w", "03-CGO-ENABLED=0-tags=here")
    ]
    assert Path(kept[0] or "").read_bytes() == GREETER.read_bytes()


def _marking(go: FakeGo, then: str) -> Path:
    mark = go.folder / "ran"
    (go.folder / "program").write_text(f'#!/bin/sh\necho "$@" >> {mark}\n{then}\n')
    return mark


def test_nothing_that_was_built_runs_unasked(run: Run, go: FakeGo) -> None:
    mark = _marking(go, "exit 0")
    found = document(run, go, code=3)
    assert not mark.exists()
    assert {row.startup for row in found.rows} == {None}
    assert any("nothing was run" in note for note in found.notes)


def test_programs_run_in_turn_with_their_arguments(run: Run, go: FakeGo) -> None:
    mark = _marking(go, "exit 3")
    found = document(run, go, "--runs", "2", "--", "--version", code=3)
    assert mark.read_text() == "--version\n" * 9  # three programs: a run to warm up, then two rounds
    times = [row.startup for row in found.rows]
    assert [(time.runs, time.exit_code) for time in times if time] == [(2, 3)] * 3
    assert times[0] is not None
    assert times[0].difference is None
    assert times[1] is not None
    assert times[1].difference is not None


def test_a_program_that_does_not_exit_is_ended(run: Run, go: FakeGo) -> None:
    mark = _marking(go, "sleep 60")
    begun = time.monotonic()
    found = document(run, go, "--runs", "5", "--timeout", "0.2", code=3)
    assert time.monotonic() - begun < 30
    assert {row.startup.reason for row in found.rows if row.startup} == {"did not exit within 0.2 s"}
    assert len(mark.read_text().splitlines()) == 3  # none is run again


def test_a_program_for_another_machine_is_not_run(run: Run, go: FakeGo) -> None:
    mark = _marking(go, "exit 0")
    go.settings(GOMOD=str(go.module / "go.mod"), GOARCH="arm64")
    found = document(run, go, "--runs", "1", code=3)
    assert not mark.exists()
    assert found.rows[0].startup is not None
    assert found.rows[0].startup.reason == "a program for linux/arm64 does not run on linux/amd64"


def test_settings_that_shape_a_build_are_told(run: Run, go: FakeGo) -> None:
    go.settings(
        GOMOD=str(go.module / "go.mod"), GOFLAGS="-buildvcs=false '-ldflags=-X a.b=c'", GOAMD64="v3", GOBIN="/x"
    )
    found = document(run, go)
    assert found.environment == {"GOFLAGS": "-buildvcs=false '-ldflags=-X a.b=c'", "GOAMD64": "v3"}
    assert any(note.startswith("GOFLAGS sets -ldflags: ") for note in found.notes)
    assert found.rows[1].prediction.declined == "GOFLAGS sets -ldflags, which this row replaces"


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"GOFLAGS": "-mod=mod"}, True),
        ({"GOVERSION": "go1.15.15"}, True),
        ({"GOVERSION": "go1.16"}, False),
        ({"GOFLAGS": "-mod=vendor"}, False),
    ],
)
def test_go_mod_is_never_written(run: Run, go: FakeGo, settings: dict[str, str], given: bool) -> None:
    go.settings(**{"GOMOD": str(go.module / "go.mod"), **settings})
    document(run, go)
    assert {"-mod=readonly" in arguments for arguments, *_ in go.asked("build")} == {given}


def test_what_the_repository_says_is_left_out_of_the_comparison(
    run: Run, go: FakeGo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stamped build is built twice without, for the copy has no repository."""

    def stamped(path: Path, command: Any) -> Any:
        measured, *rest = measure.measure(path, command)
        return msgspec.structs.replace(measured, settings={"vcs.revision": "1f"}), *rest

    monkeypatch.setattr(builder, "measure", stamped)
    found = document(run, go, "-j", "1")
    assert [row.reproducible.answer for row in found.rows] == [True, True, False]
    assert "-buildvcs=false" in found.rows[0].reproducible.reason
    flags = [arguments[1] for arguments, cwd, _, _ in go.asked("build")]
    assert flags.count("-buildvcs=false") == 6


def test_an_interrupt_leaves_nothing(go: FakeGo) -> None:
    (go.folder / "slow").touch()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(go.temporary)}
    line = [sys.executable, "-m", "goforensics", "matrix", str(go.module)]
    process = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while not (go.folder / "started").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert list(go.temporary.iterdir())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "goforensics: interrupted\n")
    assert list(go.temporary.iterdir()) == []


def test_the_shipped_schema_is_fresh_and_documents_keep_to_it(run: Run, go: FakeGo) -> None:
    text = resources.files("goforensics").joinpath("schemas/matrix-1.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    assert {name: value for name, value in schema.items() if name != "$schema"} == json_schema()
    go.table.write_text('[[set]]\nflags = ["-tags=broken"]\n' + SETS)
    _, out, _ = run("--flags", str(go.table), "--format", "json", "--runs", "1")
    Draft202012Validator(schema).validate(json.loads(out))


def test_csv_has_a_line_per_row(run: Run, go: FakeGo) -> None:
    code, out, _ = run("--flags", str(go.table), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row["name"] for row in rows] == ["default", "'-trimpath -s -w", "CGO_ENABLED=0 -tags=here"]
    assert [int(row["size"]) - GREETER.stat().st_size for row in rows] == [0, 0, len(str(go.module))]
    assert [row["reproducible"] for row in rows] == ["true", "true", "false"]


def test_markdown_has_a_table(run: Run, go: FakeGo) -> None:
    _, out, _ = run("--flags", str(go.table), "--format", "markdown")
    table = [line for line in out.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| `default`",
        "| `-trimpath -s -w`",
        "| `CGO_ENABLED=0 -tags=here`",
    ]
    assert len({line.count(" | ") for line in table}) == 1
