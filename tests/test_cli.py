"""The command line: exit codes, error lines, where output goes."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from samples import sample

import goforensics
from goforensics import bytemap, cli, question
from goforensics.errors import FormatError, NotGoError, ReadError
from goforensics.report import Inspection, Unread

ROOT = str(Path(goforensics.__file__).parent.parent)
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))}
Answers = dict[str, Inspection | BaseException]


class Fake:
    """Stands in for reading and analysing: what each path shall give."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.by: Sequence[str] = ()
        self.asked: dict[str, Any] = {}

    def open(self, path: str) -> str:
        return path

    def inspect(self, binary: str, by: Sequence[str] = (), progress: Any = None, **asked: Any) -> Inspection:
        self.by, self.asked = by, asked
        progress("sections", 1, 2)
        answer = self.answers.get(binary) or sample(binary)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    for name, function in (("analysis.inspect", "inspect"), ("binary", "open")):
        module: Any = types.ModuleType(f"goforensics.{name}")
        setattr(module, function, getattr(fake, function))
        monkeypatch.setitem(sys.modules, f"goforensics.{name}", module)
    monkeypatch.delenv("GOFORENSICS_DEBUG", raising=False)
    return fake


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "utf-8"}
    line = [sys.executable, "-m", "goforensics", *arguments]
    done = subprocess.run(line, input=stdin, capture_output=True, env=environment, timeout=60, check=False)
    return subprocess.CompletedProcess(line, done.returncode, done.stdout.decode(), done.stderr.decode())


def fails(result: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> None:
    assert result.returncode == code
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("goforensics: ")
    for word in words:
        assert word in result.stderr


# In a process of its own.


def test_version_imports_nothing_heavy() -> None:
    code = "import sys; from goforensics.cli import main; main(['--version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert version == f"goforensics {goforensics.__version__}"
    heavy = {"numpy", "rich", "msgspec", "elftools", "lief", "goforensics.commands.inspect"}
    assert not heavy & set(modules.split())


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from goforensics.cli import main; main(['inspect', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Examples:" in done.stdout
    assert not {"numpy", "rich", "msgspec"} & set(done.stdout.splitlines()[-1].split())


def test_help_lists_the_commands() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "inspect  Tell everything" in done.stdout
    assert "map      Write who owns every byte" in done.stdout


def test_a_bare_call_shows_help_and_is_wrong() -> None:
    done = run()
    assert done.returncode == 2
    assert "Usage: goforensics" in done.stdout


def test_wrong_usage() -> None:
    fails(run("--nonsense"), "--nonsense", "see goforensics --help")
    fails(run("inspct"), "inspct", "see goforensics --help")
    fails(run("inspect"), "FILE", "see goforensics inspect --help")
    fails(run("inspect", "--format", "yaml", "x"), "yaml")
    fails(run("inspect", "--top", "0", "x"), "--top")
    fails(run("inspect", "-", "-"), "standard input can be read only once")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, words in (
        (tmp_path / "missing", "No such file or directory; check the path"),
        (tmp_path, "a directory"),
        (fifo, "a FIFO"),
        (Path("/dev/zero"), "a device"),
    ):
        fails(run("inspect", str(path)), f"goforensics: {path}: ", words)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "secret"
    monkeypatch.setattr(os, "open", refuse)
    assert cli.main(["inspect", str(path)]) == 2
    assert capsys.readouterr().err == f"goforensics: {path}: Permission denied; check the path and its permissions\n"


def test_standard_input_that_is_no_executable() -> None:
    fails(run("inspect", "-", stdin=b"#!/bin/sh\n"), "goforensics: standard input: ")
    fails(run("inspect", "-"), "goforensics: standard input: ")


# In this process, with a made-up analysis.


def test_one_file_gives_a_document(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "a", "--format", "json", "--by", "module, package"]) == 0
    assert json.loads(capsys.readouterr().out)["file"]["path"] == "a"
    assert fake.by == ("module", "package")


def test_several_files_give_an_array(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answers["b"] = NotGoError("a shell script", "give the program that it starts")
    assert cli.main(["inspect", "a", "b", "c", "--format", "json"]) == 2
    shown = capsys.readouterr()
    assert [document["file"]["path"] for document in json.loads(shown.out)] == ["a", "c"]
    assert shown.err == "goforensics: b: a shell script: give the program that it starts\n"


@pytest.mark.parametrize("number", [1, 2])
def test_no_document_at_all(fake: Fake, capsys: pytest.CaptureFixture[str], number: int) -> None:
    names = ["a", "b"][:number]
    fake.answers = {name: ReadError(f"{name}: gone") for name in names}
    assert cli.main(["inspect", *names, "--format", "json"]) == 2
    assert capsys.readouterr().out == ("" if number == 1 else "[]\n")


def test_text_is_for_pipes_too(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "a", "b"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("a\n36,123,456 bytes")
    assert "\n\n\nb\n36,123,456 bytes" in shown.out
    assert "\x1b" not in shown.out
    assert shown.err == ""


def test_a_partial_result(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answers["a"] = msgspec.structs.replace(sample("a"), unread=[Unread("dwarf", 9, "cut short")])
    assert cli.main(["inspect", "a"]) == 3
    assert "cut short" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (FormatError("cut short", structure="ELF header"), 2, "ELF header at 0x0: cut short; the file is cut short or"),
        (MemoryError(), 3, "out of memory; "),
        (RecursionError(), 3, "its data is nested too deep"),
        (ValueError("odd"), 3, "internal error: ValueError: odd; please report it; GOFORENSICS_DEBUG=1 shows"),
        (OSError(errno.EIO, "Input/output error"), 2, "Input/output error; check"),
        (KeyError("\x1b[31m\n"), 3, "internal error: KeyError: '\\x1b[31m\\n'; please"),
    ],
)
def test_errors(fake: Fake, capsys: pytest.CaptureFixture[str], error: Exception, code: int, line: str) -> None:
    fake.answers["a"] = error
    assert cli.main(["inspect", "a", "b"]) == code
    shown = capsys.readouterr()
    assert shown.err.startswith(f"goforensics: a: {line}")
    assert shown.err.count("\n") == 1
    assert shown.out.startswith("b\n")


def test_the_traceback_on_request(
    fake: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFORENSICS_DEBUG", "1")
    fake.answers["a"] = ValueError("odd")
    assert cli.main(["inspect", "a"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_errors_while_rendering(
    fake: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Iterator[str]:
        raise AttributeError("odd")

    monkeypatch.setattr(cli, "render_all", broken)
    assert cli.main(["inspect", "a"]) == 3
    assert capsys.readouterr().err.startswith("goforensics: internal error: AttributeError: odd; ")


def test_names_in_error_lines_are_harmless(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    name = "\x1b[31m[red]\n\u202e\udcff名"
    fake.answers[name] = ReadError(f"{name}: gone")
    assert cli.main(["inspect", name]) == 2
    expected = "goforensics: \\x1b[31m[red]\\x0a\\u202e\\xff\\u540d: gone; check the path and its permissions\n"
    assert capsys.readouterr().err == expected


def test_a_name_outside_utf8_is_written_as_json(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "\udcff", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"]["path"] == "\\udcff"


def test_interruption(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answers["a"] = KeyboardInterrupt()
    assert cli.main(["inspect", "a", "b"]) == 130
    shown = capsys.readouterr()
    assert shown.err == "goforensics: interrupted\n"
    assert shown.out == ""


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nfrom goforensics import cli\nsys.exit(cli.main(sys.argv[1:]))\n")
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, str(script), "inspect", "--help"]
    with os.fdopen(write, "wb") as stdout:
        done = subprocess.run(line, stdout=stdout, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False)
    assert done.stderr == b""
    assert done.returncode == cli.PIPE_CLOSED


def test_closed_streams(fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answers["a"] = ReadError("a: gone")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        assert cli.main(["inspect", "a", "b", "--format", "json"]) == 2
    assert json.loads(capsys.readouterr().out)[0]["file"]["path"] == "b"
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert cli.main(["inspect", "b"]) == 2
    assert "standard output is closed" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_told_in_one_line() -> None:
    line = [sys.executable, "-m", "goforensics", "inspect", "--help"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"goforensics: No space left on device")
    assert done.stderr.count(b"\n") == 1


def test_an_unknown_column(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "a", "--by", "section,modul"]) == 2
    assert "there is no column 'modul'; did you mean 'module'?" in capsys.readouterr().err
    assert cli.main(["inspect", "a", "--by", "qqq"]) == 2
    assert "choose from section, structure" in capsys.readouterr().err
    assert cli.main(["inspect", "a", "--by", "kind,kind"]) == 2
    assert "named twice" in capsys.readouterr().err


def test_views_and_filters_are_handed_on(fake: Fake) -> None:
    assert (
        cli.main(["inspect", "a", "--view", "apportioned", "--filter", "kind = x", "--filter", "package=net/..."]) == 0
    )
    assert fake.asked == {"view": "apportioned", "filters": ("kind= x", "package=net/...")}


def test_a_filter_that_makes_no_sense(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "a", "--filter", "pakage=net"]) == 2
    assert "there is no column 'pakage'; did you mean 'package'?" in capsys.readouterr().err
    assert cli.main(["inspect", "a", "--filter", "package"]) == 2
    assert "a filter is COLUMN=VALUE" in capsys.readouterr().err


def test_the_columns_are_the_maps() -> None:
    assert question.COLUMNS == bytemap.COLUMNS


def test_sorting_by_name(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "a", "--sort", "name", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for sizes in (document["sizes"], document["modules"]):
        assert [row["path"] for row in sizes["rows"]] == sorted(row["path"] for row in sizes["rows"])


# Output to a file.


def test_output_is_written_whole(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "report.json"
    assert cli.main(["inspect", "a", "--format", "json", "-o", str(output)]) == 0
    assert json.loads(output.read_text())["file"]["path"] == "a"
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_output_keeps_to_the_umask(fake: Fake, tmp_path: Path) -> None:
    output = tmp_path / "report.txt"
    before = os.umask(0o027)
    try:
        assert cli.main(["inspect", "a", "-o", str(output)]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(output.stat().st_mode) == 0o640


def test_a_failure_leaves_the_old_output(fake: Fake, tmp_path: Path) -> None:
    output = tmp_path / "report.txt"
    output.write_text("old")
    fake.answers["a"] = ReadError("a: gone")
    assert cli.main(["inspect", "a", "-o", str(output)]) == 2
    fake.answers["a"] = KeyboardInterrupt()
    assert cli.main(["inspect", "b", "a", "-o", str(output)]) == 130
    assert output.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.txt"]


def test_an_input_is_never_overwritten(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, link = tmp_path / "app", tmp_path / "link"
    program.write_bytes(b"program")
    link.symlink_to(program)
    for name in (program, link):
        assert cli.main(["inspect", str(program), "-o", str(name)]) == 2
        assert "is one of the input files" in capsys.readouterr().err
    assert program.read_bytes() == b"program"


def test_output_that_cannot_be_written(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "a", "-o", str(tmp_path / "no" / "where")]) == 2
    assert "No such file or directory" in capsys.readouterr().err
    assert cli.main(["inspect", "a", "-o", str(tmp_path)]) == 2
    assert "Is a directory" in capsys.readouterr().err


def test_a_device_is_not_replaced(fake: Fake) -> None:
    assert cli.main(["inspect", "a", "-o", os.devnull]) == 0
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


# Terminals.


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("variable", ["", "NO_COLOR", "TERM"])
def test_colour_on_a_terminal_only(fake: Fake, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "70")
    if variable:
        monkeypatch.setenv(variable, "dumb")
    assert cli.main(["inspect", "a"]) == 0
    assert ("\x1b[" in terminal.getvalue()) == (not variable)


def test_an_output_without_block_characters(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert cli.main(["inspect", "名"]) == 0
    assert raw.getvalue().startswith(b"\\u540d\n36,123,456 bytes")
    assert b"####" in raw.getvalue()


def test_progress_shows_on_a_terminal_after_a_while(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from goforensics.renderers import progress

    assert cli.main(["inspect", "a"]) == 0
    assert capsys.readouterr().err == ""
    for patience, shown in ((60.0, False), (0.0, True)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(progress, "PATIENCE", patience)
        assert cli.main(["inspect", "[red]a\x1b"]) == 0
        assert ("[red]a\\x1b" in terminal.getvalue()) == shown
        assert bool(terminal.getvalue()) == shown
