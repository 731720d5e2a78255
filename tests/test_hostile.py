"""Broken and unreadable files: an error of our own or a report, soon, and never a traceback."""

from __future__ import annotations

import os
import time
from pathlib import Path

import builds
import mutants
import pytest

from goforensics import api
from goforensics.containers import source
from goforensics.errors import GoForensicsError, ReadError

LIMIT = 10.0  # seconds for one file
PATIENCE = 2.0  # seconds for a file that must be refused at once
BROKEN = (builds.Build("hello", "1.27"), builds.Build("cgo", "1.22", cgo=True))
BEGINNINGS = (b"\0", b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe\0\0\0\1", b"#!/bin/sh\n")


def refused(path: Path) -> str:
    """The one line that an unreadable file is refused with, which must come at once."""
    begun = time.perf_counter()
    with pytest.raises(GoForensicsError) as caught:
        api.inspect(path)
    assert time.perf_counter() - begun < PATIENCE
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.builds
@pytest.mark.parametrize("build", BROKEN, ids=builds.Build.label)
def test_mutants(build: builds.Build, tmp_path: Path) -> None:
    path, wrong, kinds = tmp_path / "mutant", [], set()
    for number, (kind, data) in enumerate(mutants.mutants(builds.executable(build).read_bytes())):
        path.write_bytes(data)
        begun = time.perf_counter()
        try:
            document = api.inspect(path)
            if sum(row.bytes for row in document.sizes.rows) != len(data):
                wrong.append(f"{number} {kind}: the sizes do not sum")
        except GoForensicsError as error:
            if "\n" in str(error):
                wrong.append(f"{number} {kind}: more than one line")
        except Exception as error:
            wrong.append(f"{number} {kind}: {type(error).__name__}: {error}")
        if (seconds := time.perf_counter() - begun) > LIMIT:
            wrong.append(f"{number} {kind}: {seconds:.1f} s")
        kinds.add(kind)
    assert wrong == []
    assert len(kinds) > 25


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert "empty" in refused(tmp_path / "empty")


@pytest.mark.parametrize("data", BEGINNINGS)
def test_beginnings(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(data)
    refused(tmp_path / "short")


def test_missing_file(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "missing")


def test_name_with_nul() -> None:
    refused(Path("a\0b"))


def test_directory(tmp_path: Path) -> None:
    assert "directory" in refused(tmp_path)


def test_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "FIFO" in refused(tmp_path / "fifo")


def test_device() -> None:
    assert "device" in refused(Path("/dev/zero"))


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode decides for everyone but root, for whom the system's refusal is played."""
    path = tmp_path / "secret"
    path.write_bytes(b"\x7fELF")
    path.chmod(0)
    if os.geteuid() == 0:

        def denied(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", denied)
    assert "Permission denied" in refused(path)


def _grown(monkeypatch: pytest.MonkeyPatch, by: int) -> None:
    """From now on the file system says that a file is `by` bytes longer than what can then be read of it."""
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[6] += by
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", fstat)


def test_shrinking_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x7fELF" + bytes(100))
    _grown(monkeypatch, by=4096)
    assert source.read_file(path).changed


@pytest.mark.builds
@pytest.mark.parametrize("kept", [1.0, 0.5, 0.001])
def test_shrinking_executable(kept: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = builds.executable(builds.Build("hello", "1.27")).read_bytes()
    path, size = tmp_path / "hello", int(len(data) * kept)
    path.write_bytes(data[:size])
    _grown(monkeypatch, by=len(data) - size + 1)
    try:
        document = api.inspect(path)
    except ReadError:
        raise  # it can be read, only less than was promised
    except GoForensicsError:
        return
    assert any(row.structure == "file" and "changed" in row.reason for row in document.unread)
    assert sum(row.bytes for row in document.sizes.rows) == size
