"""`goforensics matrix` with real go commands: the figures are Go's own, the predictions come true."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import builds
import oracle
import pytest
import toolchains

from goforensics.matrix.builder import Options, matrix
from goforensics.matrix.flagsets import TABLE_OF_SETS, FlagSet
from goforensics.report_matrix import BuildMatrix, Measured

pytestmark = pytest.mark.builds

EXACT = ("-s", "-w", "-s -w", "-trimpath -s -w", "-trimpath -s -w -buildid=")
BOUNDED = ("-s -w=0", "-trimpath")
DEFAULT = FlagSet("default")
TRIMMED = FlagSet("trimmed", ("-trimpath",), ("-s", "-w"))


def use(minor: str, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Make a pinned release the go command on PATH, in the environment of the tests' own builds."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GO", "CGO"))}
    for name in os.environ.keys() - env.keys():
        monkeypatch.delenv(name)
    for name, value in {**toolchains.go_env(minor), **settings}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    return Path(shutil.copytree(builds.SOURCES / "hello", tmp_path / "hello"))


def build(package: Path, *sets: FlagSet, **options: object) -> dict[str, tuple[Measured, BuildMatrix]]:
    found = matrix(str(package), sets, Options(jobs=2, **options), lambda step, done, total: None)  # type: ignore[arg-type]
    assert [row.error for row in found.rows] == [None] * len(sets)
    return {row.name: (row.measured, found) for row in found.rows if row.measured}


@pytest.mark.parametrize("minor", ["1.22", "1.27"])
def test_hello(minor: str, hello: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a row says, against the go command's own tools and the files themselves."""
    use(minor, monkeypatch, CGO_ENABLED="0")
    before = {path: path.read_bytes() for path in hello.rglob("*") if path.is_file()}
    options = Options(jobs=2, runs=2, out=tmp_path / "kept")
    found = matrix(str(hello), TABLE_OF_SETS, options, lambda step, done, total: None)
    rows = {row.name: row for row in found.rows}
    without_c = [name for name, row in rows.items() if row.error is None]
    assert [name for name in rows if name not in without_c] in ([], ["CGO_ENABLED=1"])  # it needs a C compiler
    for name in without_c:
        measured = rows[name].measured
        assert measured is not None
        file = Path(measured.file or "")
        assert measured.size == file.stat().st_size
        assert measured.symbols == len(oracle.nm(file, minor)), name
        assert (measured.dwarf_bytes == 0) == (name in {"-s", "-w", "-s -w", *EXACT}), name
        assert (measured.linking == "dynamic") == (name == "-buildmode=pie"), name
        assert (measured.leaked_paths == 0) == ("-trimpath" in name), name
        assert rows[name].reproducible.answer is ("-trimpath" in name), name
        time = rows[name].startup
        assert time is not None
        assert (time.runs, time.exit_code, time.reason) == (2, 0, "")
    foretold = {name: rows[name].prediction for name in (*EXACT, *BOUNDED)}
    assert {(p.exact, p.difference) for name, p in foretold.items() if name in EXACT} == {(True, 0)}
    assert all(p.held for p in foretold.values())
    assert found.recommended is not None
    assert found.recommended.row == "-trimpath -s -w"
    assert found.go_version == f"go{toolchains.PINNED[minor]}"
    assert {path: path.read_bytes() for path in hello.rglob("*") if path.is_file()} == before


def test_rows_flags_win_over_goflags(hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use("1.27", monkeypatch, GOFLAGS="-buildvcs=false -ldflags=-s")
    found = build(hello, DEFAULT, FlagSet("-w", ldflags=("-w",)), reproducible=False)
    assert found["default"][0].symbols == 0
    assert (found["-w"][0].symbols or 0) > 1000
    assert found["-w"][1].environment["GOFLAGS"] == "-buildvcs=false -ldflags=-s"


def test_a_replaced_module_beside_it(hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_greeting(hello)
    with (hello / "go.mod").open("a") as file:
        file.write("require example.com/greeting v0.0.0\nreplace example.com/greeting => ../greeting\n")
    use("1.27", monkeypatch)
    _reproducible_when_trimmed(hello)


def test_a_workspace(hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_greeting(hello)
    work = hello.parent / "go.work"
    work.write_text("go 1.20\nuse ./hello\nuse ./greeting\n")
    use("1.27", monkeypatch, GOWORK=str(work))
    _reproducible_when_trimmed(hello)
    monkeypatch.delenv("GOWORK")
    _reproducible_when_trimmed(hello)


def test_a_repository(hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build is stamped, the copy has no repository: both are built again without a stamp."""
    use("1.27", monkeypatch)
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "hello")):
        subprocess.run(["git", *words], cwd=hello, check=True)
    found = build(hello, DEFAULT, TRIMMED)
    assert "vcs.revision" in found["trimmed"][0].settings
    reproducible = {row.name: row.reproducible for row in found["trimmed"][1].rows}
    assert {name: said.answer for name, said in reproducible.items()} == {"default": False, "trimmed": True}
    assert "-buildvcs=false" in reproducible["trimmed"].reason


def _with_greeting(hello: Path) -> None:
    """Let hello use a module in the folder beside it."""
    greeting = hello.parent / "greeting"
    greeting.mkdir()
    (greeting / "go.mod").write_text("module example.com/greeting\n\ngo 1.20\n")
    (greeting / "greeting.go").write_text('package greeting\n\nfunc Text() string { return "hello" }\n')
    (hello / "main.go").write_text(
        'package main\n\nimport "example.com/greeting"\n\nfunc main() { println(greeting.Text()) }\n'
    )


def _reproducible_when_trimmed(package: Path) -> None:
    found = build(package, DEFAULT, TRIMMED)["default"][1]
    assert [(row.reproducible.answer, row.reproducible.reason) for row in found.rows] == [(False, ""), (True, "")]
