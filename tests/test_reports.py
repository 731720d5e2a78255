"""Public reports of what such tools get wrong, as tests; the tag in each docstring names the report."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import builds
import oracle
import pytest
import toolchains
from builds import Build, executable

import goforensics
from goforensics.errors import GoForensicsError
from goforensics.sections import functions, pclntab

pytestmark = pytest.mark.builds

STRIPPED = ("-ldflags=-s -w",)


@pytest.mark.parametrize("minor", ["1.25", "1.26"])
def test_a1_addresses_of_a_stripped_file(minor: str) -> None:
    """A1: the header's textStart is the text's base in 1.25 and 0 in 1.26; addresses equal nm's on the twin."""
    binary = goforensics.open(executable(Build("hello", minor, flags=STRIPPED)))
    found = set(zip(binary.read(pclntab.PARSER).names, binary.read(functions.PARSER).address.tolist(), strict=True))
    names = {name for name, _ in found}
    symbols = oracle.nm(executable(Build("hello", minor)), minor)
    # The -ldflags line that a build records moves data, never the functions.  A name may stand for a wrapper too.
    twin = {(name, address) for address, _, kind, name in symbols if kind in "Tt" and name in names}
    assert len(twin) > 1000
    assert twin <= found


@pytest.mark.parametrize(("minor", "section"), [("1.22", ".data.rel.ro.gopclntab"), ("1.26", ".gopclntab")])
def test_a2_where_a_pie_keeps_its_table(minor: str, section: str) -> None:
    """A2: the section's name changed; a table of no functions is never a result."""
    report = goforensics.inspect(executable(Build("hello", minor, flags=("-buildmode=pie",))))
    assert report.pclntab is not None
    assert report.pclntab.section == section
    assert report.pclntab.functions > 1000


def test_a3_experiments_are_split_off_the_version() -> None:
    """A3: "go1.26.6-X:nogreenteagc" is go1.26.6 with one experiment."""
    build = goforensics.inspect(executable(Build("hello", "1.26", env=(("GOEXPERIMENT", "nogreenteagc"),)))).build
    assert build.go_version == f"go{toolchains.PINNED['1.26']}"
    assert build.experiments == ["nogreenteagc"]


def test_a4_a_build_of_one_file_has_no_main_module(tmp_path: Path) -> None:
    """A4: `go build main.go` records a path and nothing else; null says so."""
    source = builds.SOURCES / "hello" / "main.go"
    (tmp_path / "main.go").write_bytes(source.read_bytes())
    go = toolchains.goroot("1.26") / "bin" / "go"
    env = toolchains.go_env("1.26") | {"CGO_ENABLED": "0"}
    subprocess.run([str(go), "build", "-o", "one", "main.go"], cwd=tmp_path, env=env, check=True, capture_output=True)
    build = goforensics.inspect(tmp_path / "one").build
    assert build.path == "command-line-arguments"
    assert build.main is None
    assert not [key for key in build.settings if key.startswith("vcs")]


def test_a16_no_section_headers() -> None:
    """A16: a file without section headers says as much of its build, and every function is there."""
    whole = executable(Build("hello", "1.26", flags=STRIPPED))
    bare = goforensics.inspect(builds.stripped_headers(whole))
    full = goforensics.inspect(whole)
    assert bare.build == full.build
    assert not bare.sections
    assert bare.pclntab is not None
    assert full.pclntab is not None
    assert (bare.pclntab.functions, bare.pclntab.parts) == (full.pclntab.functions, full.pclntab.parts)


def test_a16_an_empty_build_id() -> None:
    """A16: -buildid= leaves none, which is no error."""
    report = goforensics.inspect(executable(Build("hello", "1.26", flags=("-ldflags=-buildid=",))))
    assert not report.build.go_build_id
    assert not report.unread


def test_a17_every_slice_of_a_universal_file(tmp_path: Path) -> None:
    """A17: both slices are told of, and the sizes are those of the whole file."""
    parts = [executable(Build("hello", "1.26", goos="darwin", goarch=arch)).read_bytes() for arch in ("amd64", "arm64")]
    at, rows, body = 1 << 14, b"", b""
    for cpu, part in zip((0x01000007, 0x0100000C), parts, strict=True):
        rows += struct.pack(">5I", cpu, 0, at + len(body), len(part), 14)
        body += part + bytes(-len(part) % (1 << 14))
    path = tmp_path / "universal"
    path.write_bytes((struct.pack(">II", 0xCAFEBABE, 2) + rows).ljust(at, b"\0") + body)
    report = goforensics.inspect(path)
    assert report.file.format == "macho-fat"
    assert [each.file.goarch for each in report.slices] == ["amd64", "arm64"]
    assert {each.build.go_version for each in report.slices} == {f"go{toolchains.PINNED['1.26']}"}
    assert sum(row.bytes for row in report.sizes.rows) == path.stat().st_size
    assert not report.unread


def test_a18_a_count_that_no_file_could_hold(tmp_path: Path) -> None:
    """A18: nfunc of 2^40 in a real file is a clean error or a partial report."""
    data = bytearray(executable(Build("hello", "1.26", flags=STRIPPED)).read_bytes())
    at = data.index(struct.pack("<IBBBB", 0xFFFFFFF1, 0, 0, 1, 8))
    data[at + 8 : at + 16] = (1 << 40).to_bytes(8, "little")
    path = tmp_path / "huge"
    path.write_bytes(data)
    try:
        report = goforensics.inspect(path)
    except GoForensicsError:
        return
    assert report.pclntab is None
    assert report.unread
