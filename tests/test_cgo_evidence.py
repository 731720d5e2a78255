"""Is there C code?  By what Go's cgo leaves, or by runtime/cgo's own messages where no Go function of it is left."""

from __future__ import annotations

import shutil
from pathlib import Path

import corpus
import pytest
from builds import Build, executable

from goforensics import binary
from goforensics.analysis import identity
from goforensics.rules.subject import Subject

EXTERNAL = "-ldflags=-linkmode=external"


def links(path: Path) -> tuple[bool, list[str]]:
    """Whether there is C, and what shows it."""
    told = Subject(binary.open(path)).links
    return told.cgo, told.cgo_evidence


@pytest.mark.builds
@pytest.mark.parametrize("name", ["age", "docker-proxy"])
def test_c_code_without_a_go_function_of_it(name: str) -> None:
    """Debian's: runtime/cgo is linked in, and whoever called it through Go is not."""
    entry = next(entry for entry in corpus.entries() if entry.path.endswith(f"/{name}"))
    try:
        path = corpus.obtain(entry)
    except corpus.CorpusError as error:
        pytest.skip(str(error))
    assert links(path) == (True, ["messages of runtime/cgo's C code"])


@pytest.mark.builds
@pytest.mark.parametrize(
    "build",
    [
        Build("hello", "1.27"),
        Build("hello", "1.27", flags=("-buildmode=pie",)),
        Build("http", "1.27"),
        Build("hello", "1.27", goos="darwin", goarch="arm64"),  # imports pthread_create from libSystem
        Build("hello", "1.27", goos="windows"),
        Build("hello", "1.21", flags=(EXTERNAL,)),  # the C library's start-up code alone; later releases refuse
    ],
    ids=Build.label,
)
def test_no_c(build: Build) -> None:
    if EXTERNAL in build.flags and not shutil.which("gcc"):
        pytest.skip("no C compiler")
    assert links(executable(build)) == (False, [])


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.13", "1.18", "1.21", "1.25", "1.27"])
@pytest.mark.parametrize("flags", [(), ("-ldflags=-s -w",), ("-buildmode=pie",)], ids=["plain", "stripped", "pie"])
def test_both_kinds_of_evidence_agree(go: str, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("gcc"):
        pytest.skip("no C compiler")
    path = executable(Build("cgo", go, flags=flags, cgo=True))
    told, shown = links(path)
    assert told
    assert "_cgo_gotypes.go in the file table" in shown
    monkeypatch.setattr(identity, "_cgo_in_table", lambda *_: [])
    assert links(path) == (True, ["messages of runtime/cgo's C code"])
