"""Public reports about who owns what, as tests; the tag in each docstring names the report."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import builds
import checks
import pytest
import toolchains
from builds import Build, executable

import goforensics
from goforensics.analysis.packages import package_of

pytestmark = pytest.mark.builds

EMBEDDING = """package main

import (
	"embed"
	"fmt"
)

//go:embed all:data
var files embed.FS

func main() {
	entries, _ := files.ReadDir("data")
	fmt.Println(len(entries))
}
"""


def test_a7_embedded_files_have_an_owner(tmp_path: Path) -> None:
    """A7: a file that is embedded lies verbatim and once in the data, and belongs to the package that embeds it."""
    content = random.Random(7).randbytes(300_000)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "blob").write_bytes(content)
    (tmp_path / "data" / ".env").write_text("TOKEN=not-a-real-token\n")
    (tmp_path / "main.go").write_text(EMBEDDING)
    (tmp_path / "go.mod").write_text("module example.com/embedding\n\ngo 1.21\n")
    go = toolchains.goroot("1.26") / "bin" / "go"
    env = toolchains.go_env("1.26") | {"CGO_ENABLED": "0"}
    command = [str(go), "build", "-buildvcs=false", builds.STRIP, "-o", "app", "."]
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    binary = goforensics.open(tmp_path / "app")
    data, found = bytes(binary.file.data), goforensics.bytemap_of(binary)
    assert data.count(content) == 1
    start = data.index(content)
    owners = {(found.owner(at)["package"], found.owner(at)["kind"]) for at in range(start, start + len(content), 997)}
    assert owners == {("main", "string")}
    assert found.owner(data.index(b"TOKEN=not-a-real-token"))["package"] == "main"


def test_a9_packages_of_the_main_module_are_its_own() -> None:
    """A9: what lies below the main module's path is no dependency."""
    found = goforensics.bytemap_of(goforensics.open(executable(Build("app", "1.27"))))
    rows = [row for row in found.group(("module", "package")) if row.path[1].startswith("example.com/app/")]
    assert {row.path[1] for row in rows} == {"example.com/app/internal/store"}
    assert {row.path[0] for row in rows} == {"example.com/app"}
    assert {row.origin for row in rows} <= {"main", "symbols", "debug"}


def test_a10_a_small_package_is_small() -> None:
    """A10: sync/atomic has the code that nm counts, and never a third of the file."""
    path = executable(Build("hello", "1.27"))
    found = goforensics.bytemap_of(goforensics.open(path))
    code = sum(row.bytes for row in found.group(("package", "kind")) if row.path == ("sync/atomic", "code"))
    text = {name: (address, size) for address, size, name in checks._nm_rows(path, "1.27")}
    etext = text["runtime.etext"][0]
    mine = [size for name, (at, size) in text.items() if package_of(name) == "sync/atomic" and 0 < at < etext]
    assert code == sum(mine) > 0
    whole = sum(row.bytes for row in found.group(("package",), apportioned=True) if row.path == ("sync/atomic",))
    assert whole < found.size / 100
