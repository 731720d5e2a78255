"""buildid: Go's and GNU's IDs, on built bytes and broken bytes."""

from __future__ import annotations

import struct
import subprocess
from typing import Literal

import builds
import numpy as np
import pytest
import toolchains
from fakes import FakeImage, FakeSource, section, segment

import goforensics.binary
from goforensics.errors import FormatError
from goforensics.sections import buildid

Order = Literal["<", ">"]
ID = "abc/def/ghi/jklm"
GNU = bytes(range(20))


def note(owner: bytes, kind: int, desc: bytes, order: Order = "<") -> bytes:
    return struct.pack(order + "III", len(owner), len(desc), kind) + owner + desc + bytes(-len(desc) % 4)


def elf(order: Order = "<", *, headers: bool = True, go: str = ID) -> FakeImage:
    first, second = note(b"Go\0\0", 4, go.encode(), order), note(b"GNU\0", 3, GNU, order)
    sections = (
        section(buildid.GO_NOTE, 32, len(first), 0x1000),
        section(buildid.GNU_NOTE, 32 + len(first), len(second), 0x1100),
    )
    return FakeImage(bytes(32) + first + second, sections=sections if headers else (), order=order)


def read(image: FakeImage) -> buildid.BuildId:
    return buildid.decode(FakeSource(image))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("headers", [True, False])
def test_notes_by_section_and_by_looks(order: Order, headers: bool) -> None:
    image = elf(order, headers=headers)
    found = read(image)
    assert found.go is not None
    assert found.gnu is not None
    assert (found.go.id, found.gnu.id) == (ID, GNU.hex())
    assert bytes(image.data[found.go.offset : found.go.offset + found.go.size]) == ID.encode()
    assert (found.go.start, found.go.end, found.gnu.end) == (32, found.gnu.start, len(image.data))


@pytest.mark.parametrize("format_", ["pe", "macho", "elf"])
def test_the_prefix_of_the_text(format_: Literal["pe", "macho", "elf"]) -> None:
    data = bytes(64) + buildid.PREFIX + ID.encode() + buildid.END + bytes(64)
    image = FakeImage(data, format=format_, segments=[segment(32, len(data) - 32, 0x1000, executable=True)])
    found = read(image).go
    assert found is not None
    assert (found.id, found.start, found.end) == (ID, 64, len(data) - 64)
    assert found.structure == "go:buildid"


def test_a_quoted_id_is_unquoted() -> None:
    data = buildid.PREFIX + rb"a\"b\\" + buildid.END
    found = read(FakeImage(data, format="pe", segments=[segment(0, len(data), 0x1000, executable=True)])).go
    assert found is not None
    assert found.id == 'a"b\\'


def test_neither_is_absent() -> None:
    with pytest.raises(FormatError) as caught:
        read(FakeImage(bytes(100)))
    assert caught.value.absent


def test_a_broken_note_leaves_the_other() -> None:
    image = elf()
    raw = bytearray(image.data)
    raw[32 + 8] = 9
    found = read(FakeImage(bytes(raw), sections=image.sections))
    assert found.go is None
    assert found.gnu is not None
    assert len(found.problems) == 1


def test_an_embedded_file_has_notes_too() -> None:
    """A file with section headers and no note of its own (-buildid=) may hold another executable."""
    image = elf(headers=False)
    with pytest.raises(FormatError):
        read(FakeImage(bytes(image.data), sections=[section(".rodata", 0, len(image.data), 0x1000)]))


@pytest.mark.parametrize("headers", [True, False])
def test_no_broken_byte_escapes_as_anything_else(headers: bool) -> None:
    rng = np.random.default_rng(4)
    image = elf(headers=headers)
    good = np.frombuffer(image.data, np.uint8)
    for round_ in range(2000):
        bad = good.copy()
        bad[rng.integers(len(bad), size=rng.integers(1, 5))] = rng.integers(256)
        cut = bad[: round_ % len(bad)] if round_ % 2 else bad
        try:
            found = read(FakeImage(cut.tobytes(), sections=image.sections))
        except FormatError:
            continue
        assert all(s is None or 0 <= s.start < s.end <= len(cut) for s in (found.go, found.gnu))


def test_claims_each_note() -> None:
    source = FakeSource(elf())
    (claims,) = buildid.claims(source, source.read(buildid.PARSER))
    assert claims.starts.tolist() == [32, 64]
    assert claims.ends.tolist() == [64, 100]


@pytest.mark.builds
@pytest.mark.parametrize("build", builds.ci_slice(), ids=builds.Build.label)
def test_agrees_with_go_tool_buildid(build: builds.Build) -> None:
    path = builds.executable(build)
    go = str(builds.go_command(toolchains.NEWEST))
    command, env = [go, "tool", "buildid", str(path)], toolchains.go_env(toolchains.NEWEST)
    want = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()
    found = goforensics.binary.open(path).read(buildid.PARSER)
    assert found.go is not None
    assert found.go.id == want
    assert path.read_bytes()[found.go.offset : found.go.offset + found.go.size] == want.encode()
