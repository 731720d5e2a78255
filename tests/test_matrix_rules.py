"""The parts of `matrix` alone: flag sets, what is copied, what is run."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from goforensics.errors import UsageError
from goforensics.matrix import copying, flagsets, gocommand, startup
from goforensics.matrix.copying import NoCopyError, copy
from goforensics.matrix.flagsets import TABLE_OF_SETS, parse, read
from goforensics.matrix.gocommand import Go, Package
from goforensics.matrix.processes import Done, Processes, StoppedError


def test_the_usual_table() -> None:
    names = [one.name for one in TABLE_OF_SETS]
    assert names[:5] == ["default", "-s", "-w", "-s -w", "-s -w=0"]
    assert len(set(names)) == len(names)
    assert [one.name for one in TABLE_OF_SETS if one.plain] == ["default"]
    changing = {"-buildmode=pie", "-gcflags=all=-l", "CGO_ENABLED=0", "CGO_ENABLED=1", "-tags=netgo,osusergo"}
    assert {one.name for one in TABLE_OF_SETS if not one.trims_only} == changing


@pytest.mark.parametrize(
    ("table", "arguments"),
    [
        ({"ldflags": "-s -w"}, ["-ldflags=-s -w"]),
        ({"flags": ["-ldflags=-s -w", "-trimpath"]}, ["-trimpath", "-ldflags=-s -w"]),
        ({"ldflags": ["-s", "-X main.v=a b"]}, ['-ldflags=-s "-X main.v=a b"']),
        ({"flags": ["-ldflags=-X 'main.v=a b'"]}, ["-ldflags=-X 'main.v=a b'"]),
        ({"flags": ["-gcflags=all=-l"]}, ["-gcflags=all=-l"]),
        ({"ldflags": ["-X main.v='a\" b"]}, None),
    ],
)
def test_arguments(table: dict[str, Any], arguments: list[str] | None) -> None:
    if arguments is None:
        with pytest.raises(UsageError, match="no way to write"):
            parse({"set": [table]}, "f")
    else:
        assert parse({"set": [table]}, "f")[0].arguments == arguments


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "one [[set]] per flag set is needed"),
        ("set = 3", "one [[set]] per flag set is needed"),
        ("[[sets]]\n", "no key 'sets'; did you mean 'set'?"),
        ('[[set]]\nldflag = "-s"', "no key 'ldflag'; did you mean 'ldflags'?"),
        ('[[set]]\nenviron = "-s"', "no key 'environ'; did you mean 'env'?"),
        ('[[set]]\nflags = "-s"', "flags must be a list of texts"),
        ('[[set]]\nflags = ["main.go"]', "'main.go' is no flag"),
        ('[[set]]\nflags = ["-"]', "'-' is no flag"),
        ('[[set]]\nflags = ["-ldflags", "-s -w"]', "'-s -w' is no flag"),
        ('[[set]]\nflags = ["-o=x"]', "the output's place is the matrix's own affair"),
        ('[[set]]\nflags = ["--C=/"]', "the directory is the matrix's own affair"),
        ('[[set]]\nflags = ["-ldflags=-s"]\nldflags = "-w"', "-ldflags is given twice"),
        ("[[set]]\nenv = 1", "env must be a table"),
        ("[[set]]\nenv = { CGO_ENABLED = 0 }", "must be a name and a text"),
        ('[[set]]\nenv = { "A=B" = "0" }', "must be a name and a text"),
        ("[[set]]\nname = 1", "name must be text"),
        ('[[set]]\nldflags = "-s"\n[[set]]\nldflags = "-s"', "two sets are called '-s'"),
        ('[[set]]\nname = "default"\nldflags = "-s"', "call the set otherwise"),
        ("[[set", "not TOML"),
        ("\udcff", "not TOML"),
        ("a = " + "[" * 100000, "not TOML"),
    ],
)
def test_a_file_that_makes_no_sense(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "flags.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as caught:
        read(file)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_default_build_comes_by_itself_or_where_it_is_wanted() -> None:
    file = {"set": [{"ldflags": "-s"}]}
    assert [one.name for one in flagsets.with_default(parse(file, "f"))] == ["default", "-s"]
    file = {"set": [{"ldflags": "-s"}, {"name": "as it comes"}]}
    assert [one.name for one in flagsets.with_default(parse(file, "f"))] == ["-s", "as it comes"]


@pytest.mark.parametrize(
    ("stderr", "line"),
    [
        (b"go: downloading a v1\n# a/b\n\n  ./x.go:1:2: undefined: y\nmore\n", "./x.go:1:2: undefined: y"),
        (b"# a/b\n", "# a/b"),
        (b"", "the go command failed with exit code 2 and said nothing"),
    ],
)
def test_the_first_line_with_something_to_say(stderr: bytes, line: str) -> None:
    assert gocommand.complaint(Done(2, b"", stderr, 0.0)) == line


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("", []),
        ("-buildvcs=false -mod=mod", []),
        ("-trimpath", ["-trimpath"]),
        ("'-ldflags=-s -w' --tags=x", ["-ldflags", "-tags"]),
        ("'-ldflags=-s", []),
    ],
)
def test_flags_of_goflags_that_rows_vary(flags: str, found: list[str]) -> None:
    assert gocommand.overlaps({"GOFLAGS": flags}) == found


# What is copied.  The go command made here answers from the files themselves.

EDIT = """#!{python}
import json, pathlib, sys
kind, _, _, file = sys.argv[1:]
print(pathlib.Path(file + ".json").read_text())
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    files = {
        "repo/.git/config": "",
        "repo/app/go.mod": "module app",
        "repo/app/cmd/main.go": "package main",
        "repo/app/.git": "gitdir: elsewhere",
        "repo/lib/lib.go": "package lib",
        "repo/lib/go.mod": "module lib",
        "elsewhere/abs.go": "package abs",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "repo/app/linked.txt").symlink_to(tmp_path / "elsewhere/abs.go")
    (tmp_path / "repo/app/dangling").symlink_to("nowhere")
    (tmp_path / "repo/app/go.mod.json").write_text(
        json.dumps(
            {
                "Replace": [
                    {"Old": {"Path": "lib"}, "New": {"Path": "../lib"}},
                    {"Old": {"Path": "abs"}, "New": {"Path": str(tmp_path / "elsewhere")}},
                    {"Old": {"Path": "fork"}, "New": {"Path": "example.com/fork", "Version": "v1.0.0"}},
                ]
            }
        )
    )
    (tmp_path / "repo/lib/go.mod.json").write_text("{}")
    script = tmp_path / "go"
    script.write_text(EDIT.format(python=sys.executable))
    script.chmod(0o755)
    return tmp_path


def _package(modules: Path, **settings: str) -> tuple[Go, Package]:
    directory = modules / "repo/app/cmd"
    known = {"GOMOD": str(modules / "repo/app/go.mod"), "GOWORK": "", **settings}
    return Go(str(modules / "go"), directory, Processes()), Package(".", "app/cmd", directory, known)


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_module_is_copied_with_what_it_names_beside_it(modules: Path) -> None:
    target = modules / "copy"
    found = copy(*_package(modules), target)
    assert found.directory == target / "app/cmd"
    assert found.env == {}
    assert found.shared == (str(modules / "elsewhere"),)
    assert _names(target) == {
        *("app/cmd/main.go", "app/go.mod", "app/go.mod.json", "app/linked.txt"),
        *("lib/lib.go", "lib/go.mod", "lib/go.mod.json"),
    }
    assert (target / "app/linked.txt").read_text() == "package abs"


def test_a_workspace_is_copied_with_its_modules(modules: Path) -> None:
    work = modules / "repo/go.work"
    work.write_text("go 1.27")
    work.with_name("go.work.json").write_text(json.dumps({"Use": [{"DiskPath": "./app"}, {"DiskPath": "./lib"}]}))
    target = modules / "copy"
    found = copy(*_package(modules, GOWORK=str(work)), target)
    assert found.env == {"GOWORK": str(target / "go.work")}
    assert {"go.work", "app/cmd/main.go", "lib/lib.go"} <= _names(target)


def test_what_cannot_be_copied(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, package = _package(modules)
    with pytest.raises(NoCopyError, match="in no module"):
        copy(go, Package(".", "x", package.directory, {}), modules / "a")
    with pytest.raises(NoCopyError, match="outside of the main module"):
        copy(go, Package("y", "y", modules / "elsewhere", package.settings), modules / "b")
    monkeypatch.setattr(copying, "MOST_FILES", 3)
    with pytest.raises(NoCopyError, match="more than 3 files"):
        copy(go, package, modules / "c")
    (modules / "repo/app/go.mod.json").write_text("[")
    with pytest.raises(NoCopyError, match="go mod edit"):
        copy(go, package, modules / "d")


# What is run.


def _script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_pairs_tell_a_slow_program_from_a_quick_one(tmp_path: Path) -> None:
    programs = {"default": _script(tmp_path / "a", "exit 0"), "slow": _script(tmp_path / "b", "sleep 0.1")}
    found = startup.measure(programs, "default", startup.Rounds(3, 30.0, (), tmp_path), Processes())
    slow, default = found["slow"], found["default"]
    assert slow.runs == default.runs == 3
    assert slow.difference is not None
    assert 0.05 < slow.difference < 10
    assert default.median is not None
    assert slow.median is not None
    assert slow.median > default.median


def test_what_cannot_be_started_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "a").chmod(0o755)
    found = startup.measure({"a": tmp_path / "a"}, "default", startup.Rounds(2, 5.0, (), tmp_path), Processes())
    assert found["a"].reason.startswith("could not be started: ")
    assert found["a"].runs == 0


def test_stopping_ends_a_program_and_all_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = _script(tmp_path / "a", f"(sleep 3; touch {mark}) & touch {tmp_path}/started; wait")
    processes = Processes()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            processes.run([str(program)], tmp_path, {"PATH": "/usr/bin:/bin"})
        except StoppedError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + 20
    while not (tmp_path / "started").exists() and time.monotonic() < end:
        time.sleep(0.02)
    processes.stop()
    thread.join(20)
    assert len(caught) == 1
    with pytest.raises(StoppedError):
        processes.run([str(program)], tmp_path, {})
    time.sleep(3.2)
    assert not mark.exists()
