"""What `compare` says can be done with a build, against what the tools do with it."""

from __future__ import annotations

from pathlib import Path

import debuggers
import pytest
from builds import Build, executable

import goforensics
from goforensics.analysis.ladder import ladder

pytestmark = pytest.mark.builds

FLAGS = {
    "default": (),
    "-s": ("-ldflags=-s",),
    "-w": ("-ldflags=-w",),
    "-s -w": ("-ldflags=-s -w",),
    "-s -w=0": ("-ldflags=-s -w=0",),
    "-trimpath": ("-trimpath",),
}
BUILDS = [(go, flags) for go in ("1.22", "1.27") for flags in FLAGS]


@pytest.fixture(scope="module", params=BUILDS, ids=[f"{go} {flags}" for go, flags in BUILDS])
def build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    go, flags = request.param
    return executable(Build("prof", go, flags=FLAGS[flags])), go, tmp_path_factory.mktemp("tools")


@pytest.mark.parametrize("tool", debuggers.TOOLS)
def test_the_tools_do_what_the_ladder_says(build: tuple[Path, str, Path], tool: str) -> None:
    said = {rung.tool: rung for rung in ladder(goforensics.open(build[0]))}
    assert said[tool].works == debuggers.TOOLS[tool](*build), said[tool].reason


def test_every_rung_is_measured() -> None:
    rungs = ladder(goforensics.open(executable(Build("prof", "1.27"))))
    assert [rung.tool for rung in rungs] == list(debuggers.TOOLS)


@pytest.mark.parametrize("go", ["1.22", "1.27"])
def test_a_position_independent_build_has_its_function_table_under_a_name_that_tools_know(
    go: str, tmp_path: Path
) -> None:
    path = executable(Build("prof", go, flags=("-buildmode=pie", "-ldflags=-s -w")))
    said = {rung.tool: rung.works for rung in ladder(goforensics.open(path))}
    for tool in ("go tool addr2line", "pprof -top", "panic traces file:line", "go version -m"):
        assert said[tool] == debuggers.TOOLS[tool](path, go, tmp_path) == "yes", tool


@pytest.mark.parametrize("flags", [(), ("-ldflags=-s -w",)])
@pytest.mark.parametrize("target", [("windows", "amd64"), ("darwin", "arm64"), ("darwin", "amd64")])
def test_the_toolchain_reads_other_containers_as_the_ladder_says(
    target: tuple[str, str], flags: tuple[str, ...], tmp_path: Path
) -> None:
    path = executable(Build("prof", "1.27", *target, flags=flags))
    said = {rung.tool: rung.works for rung in ladder(goforensics.open(path))}
    for tool in ("go tool nm", "go tool objdump", "go tool addr2line", "go version -m"):
        assert said[tool] == debuggers.TOOLS[tool](path, "1.27", tmp_path), tool
