"""dwarf: units and line programs' files of real executables, as Go's debug/dwarf reads them."""

from __future__ import annotations

import functools
import json
import subprocess
import zlib
from pathlib import Path
from typing import Any

import builds
import pytest
import toolchains

import goforensics.binary
from goforensics.sections import dwarf, dwarf_lines

ORACLE = Path(__file__).parent / "oracle_dwarf"


@functools.cache
def oracle_dwarf() -> Path:
    """Return Go's own reader, compiled."""
    final = toolchains.cache_root() / "oracle_dwarf" / f"{zlib.crc32((ORACLE / 'main.go').read_bytes()):08x}" / "oracle"
    if not final.is_file():
        with toolchains.staging(final.parent) as work:
            go = str(toolchains.goroot(toolchains.NEWEST) / "bin" / "go")
            command = [go, "build", "-buildvcs=false", "-o", str(work / final.name), "."]
            subprocess.run(command, env=toolchains.go_env(toolchains.NEWEST), cwd=ORACLE, check=True)
    return final


def go_reads(path: Path) -> list[dict[str, Any]]:
    """Return what debug/dwarf says of every compile unit; nothing of a file without DWARF."""
    result = subprocess.run([str(oracle_dwarf()), str(path)], capture_output=True, check=False)
    return [json.loads(line) for line in result.stdout.split(b"\n") if line]


@pytest.mark.builds
@pytest.mark.parametrize("build", builds.ci_slice(), ids=builds.Build.label)
def test_agrees_with_debug_dwarf(build: builds.Build) -> None:
    path = builds.executable(build)
    want, binary = go_reads(path), goforensics.binary.open(path)
    found = binary.maybe(dwarf.PARSER)
    if found is None:
        assert not want
        return
    assert not found.problems
    ours = [
        (
            u.language or 0,
            u.producer or "",
            u.name or "",
            u.comp_dir or "",
            -1 if u.stmt_list is None else u.stmt_list,
            u.low_pc or 0,
        )
        for u in found.units
    ]
    keys = ("Language", "Producer", "Name", "CompDir", "StmtList", "LowPC")
    assert ours == [tuple(unit[key] for key in keys) for unit in want]
    strings = [dwarf.section_bytes(binary.image, found, f".debug_{name}") for name in ("line", "line_str", "str")]
    problems: list[str] = []
    files: dict[int, list[str]] = {}
    for name in dwarf_lines.file_names(dwarf_lines.LineStrings(*strings), found.units, binary.image.order, problems):
        if name.kind == "file":
            files.setdefault(name.unit, []).append(name.path)
    assert not problems
    assert files == {unit: want[unit]["Files"] for unit in files}
    assert len(files) == len({unit["StmtList"] for unit in want if unit["Files"]})
