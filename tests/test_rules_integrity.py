"""Rules on integrity: nothing is said of what Go builds, and every edit of the finished file is found."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zipfile
from itertools import pairwise
from pathlib import Path

import builds
import pytest
import toolchains
from builds import Build, executable
from fakes import FakeImage, section
from rulecheck import drafts, shown, verdict

from goforensics import binary
from goforensics.analysis import contentid, extent
from goforensics.containers.elf import ElfImage
from goforensics.containers.pe import CERTIFICATES, PeImage
from goforensics.rules import (
    integrity_buildinfo,
    integrity_changed,
    integrity_functions,
    integrity_headers,
    integrity_overlap,
    integrity_pclntab,
    integrity_trailing,
    integrity_truncated,
)
from goforensics.sections import buildid, buildinfo, pclntab

RULES = {
    rule.RULE.id: rule.RULE
    for rule in (
        integrity_buildinfo, integrity_changed, integrity_functions, integrity_headers, integrity_overlap,
        integrity_pclntab, integrity_trailing, integrity_truncated,
    )
}  # fmt: skip
STRIP = ("-ldflags=-s -w",)
HELLO, STRIPPED = Build("hello", "1.27"), Build("hello", "1.27", flags=STRIP)
WINDOWS = Build("hello", "1.27", goos="windows")
MACOS = tuple(Build("hello", "1.27", goos="darwin", goarch=arch) for arch in ("amd64", "arm64"))
CONTAINERS = (HELLO, WINDOWS, *MACOS)
UNTOUCHED = [
    *(Build("hello", go) for go in toolchains.minors()),
    *(Build("hello", go, flags=("-buildmode=pie", "-trimpath")) for go in ("1.16", "1.21", "1.27")),
    *(Build("cgo", go, cgo=True) for go in toolchains.minors()),
    *(Build("hello", go, goos="windows") for go in ("1.16", "1.23", "1.27")),
    *(
        Build("hello", go, goos="darwin", goarch=a)
        for go in ("1.16", "1.20", "1.24", "1.27")
        for a in ("amd64", "arm64")
    ),
    *(Build("hello", "1.27", goarch=arch) for arch in builds.ARCHES),
]


def saved(data: bytes, directory: Path) -> Path:
    (directory / "copy").write_bytes(data)
    return directory / "copy"


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.builds
@pytest.mark.parametrize("build", UNTOUCHED, ids=Build.label)
def test_nothing_is_said_of_what_go_builds(build: Build) -> None:
    path = executable(build)
    said = {name: verdict(rule, path) for name, rule in RULES.items()}
    none = "not-applicable" if build.goos != "linux" else "passed"
    assert said == dict.fromkeys(RULES, "passed") | {"integrity/headers": none}


def rewritten(path: Path, go: str, directory: Path) -> bytes:
    """The file after the go command's own tool has hashed it anew."""
    copy = saved(path.read_bytes(), directory)
    command = [str(builds.go_command(go)), "tool", "buildid", "-w", str(copy)]
    subprocess.run(command, env=toolchains.go_env(go), check=True, capture_output=True)
    return copy.read_bytes()


@pytest.mark.builds
@pytest.mark.parametrize("build", [*CONTAINERS, Build("cgo", "1.21", cgo=True)], ids=Build.label)
def test_the_hash_is_the_go_command_s(build: Build, tmp_path: Path) -> None:
    """`go tool buildid -w` leaves a file as it is that we call unchanged, and writes what we compute into another."""
    path = executable(build)
    data = path.read_bytes()
    assert rewritten(path, build.go, tmp_path) == data
    ids = binary.open(path).read(buildid.PARSER).go
    assert ids is not None
    edited = tmp_path / "edited"
    edited.write_bytes(patched(data, data.index(b"runtime.main"), b"runtime.mian"))
    computed = contentid.verify(binary.open(edited).image, ids.id)
    assert computed.state == "changed"
    anew = rewritten(edited, build.go, tmp_path)
    assert any(each.encode() in anew for each in computed.computed)
    assert verdict(integrity_changed.RULE, edited) == "found"
    assert shown(integrity_changed.RULE, edited) == [ids.id[-20:].encode()]


@pytest.mark.builds
@pytest.mark.parametrize("build", [HELLO, Build("cgo", "1.27", cgo=True)], ids=Build.label)
def test_strip_is_found(build: Build, tmp_path: Path) -> None:
    if not shutil.which("strip"):
        pytest.skip("no strip")
    copy = saved(executable(build).read_bytes(), tmp_path)
    subprocess.run(["strip", str(copy)], check=True)
    title = drafts(integrity_changed.RULE, copy)[0].title
    assert ("as strip and objcopy do" in title) == (build is HELLO)  # a system's linker writes them behind, too
    others = {name: verdict(rule, copy) for name, rule in RULES.items() if name != "integrity/changed"}
    assert set(others.values()) == {"passed"}


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.21", "1.27"])
def test_an_id_that_holds_no_hash(go: str, tmp_path: Path) -> None:
    """None at all, one that was set, one that the linker was given and nobody finished."""
    for flag in ("-ldflags=-buildid=", "-ldflags=-buildid=redacted"):
        assert verdict(integrity_changed.RULE, executable(Build("hello", go, flags=(flag,)))) == "unknown"
    path = executable(Build("hello", go))
    stamp = binary.open(path).read(buildid.PARSER).go
    assert stamp is not None
    unfinished = stamp.id[:-20] + stamp.id[:20]
    copy = saved(path.read_bytes().replace(stamp.id.encode(), unfinished.encode()), tmp_path)
    assert verdict(integrity_changed.RULE, copy) == "unknown"


def signed(path: Path) -> bytes:
    """As signtool leaves a PE file: certificates behind it, the directory that names them, a checksum."""
    image = binary.open(path).image
    assert isinstance(image, PeImage)
    data = path.read_bytes()
    assert len(data) % 8 == 0
    certificate = struct.pack("<IHH", 64, 0x0200, 2) + bytes(range(56))
    data = patched(data, image.directory_offset(CERTIFICATES), struct.pack("<II", len(data), len(certificate)))
    return patched(data, image.optional_header + contentid.CHECKSUM, b"\1\2\3\4") + certificate


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.16", "1.27"])
@pytest.mark.parametrize("arch", ["amd64", "386"])
def test_a_signed_pe_file_is_unchanged_below_its_signature(arch: str, go: str, tmp_path: Path) -> None:
    data = signed(executable(Build("hello", go, goos="windows", goarch=arch)))
    copy = saved(data, tmp_path)
    assert verdict(integrity_changed.RULE, copy) == "passed"
    assert verdict(integrity_trailing.RULE, copy) == "passed"
    assert verdict(integrity_changed.RULE, saved(patched(data, 4096, b"\xcc\xcc"), tmp_path)) == "found"


@pytest.mark.builds
@pytest.mark.parametrize("build", CONTAINERS, ids=Build.label)
def test_appended_data(build: Build, tmp_path: Path) -> None:
    path = executable(build)
    data, end = path.read_bytes(), path.stat().st_size
    archive = tmp_path / "payload.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("hidden.txt", "payload")
    for payload, what in (
        (archive.read_bytes(), "a ZIP archive"),
        (b"\x7fELF" + bytes(60), "an ELF file"),
        (b"x", "data"),
    ):
        copy = saved(data + payload, tmp_path)
        found = drafts(integrity_trailing.RULE, copy)
        assert [(hit.offset, hit.length) for draft in found for hit in draft.hits] == [(end, len(payload))]
        assert found[0].title.startswith(f"{what} is appended")
        assert verdict(integrity_changed.RULE, copy) == "found"
    assert verdict(integrity_trailing.RULE, saved(data + bytes(512), tmp_path)) == "passed"
    assert verdict(integrity_trailing.RULE, saved(data + bytes(extent.ROUNDING + 1), tmp_path)) == "found"


@pytest.mark.builds
@pytest.mark.parametrize("build", [*CONTAINERS, Build("cgo", "1.27", cgo=True)], ids=Build.label)
def test_a_file_that_is_cut_off(build: Build, tmp_path: Path) -> None:
    """A PE file's section may end in zeros that fill it up: those are in its header, too."""
    data = executable(build).read_bytes()
    for kept in (len(data) - 1, len(data) * 3 // 4):
        copy = saved(data[:kept], tmp_path)
        assert verdict(integrity_truncated.RULE, copy) == "found"
        assert verdict(integrity_changed.RULE, copy) in ("found", "unknown")  # the names of sections may be lost
        texts = [hit.text for draft in drafts(integrity_truncated.RULE, copy) for hit in draft.hits]
        most = max(int(text.split(": ")[1].split()[0]) for text in texts)
        assert most >= len(data) - kept or kept < len(data) - 1


@pytest.mark.builds
@pytest.mark.parametrize("goarch", ["amd64", "386", "s390x"])
def test_zeroed_section_headers(goarch: str, tmp_path: Path) -> None:
    """A16: the file still runs; what lies behind its segments cannot be told from what was appended."""
    path = executable(Build("hello", "1.27", flags=STRIP, goarch=goarch))
    image = binary.open(path).image
    at, size = integrity_headers.FIELDS[image.bits]
    shoff, width = at, image.pointer_size
    data = patched(path.read_bytes(), shoff, bytes(width))
    copy = saved(patched(data, at + size - 4, bytes(4)), tmp_path)  # e_shnum, e_shstrndx
    assert [draft.title for draft in drafts(integrity_headers.RULE, copy)] == ["has no section headers"]
    assert verdict(integrity_changed.RULE, copy) == "found"
    assert verdict(integrity_trailing.RULE, copy) == "unknown"
    assert verdict(integrity_functions.RULE, copy) == verdict(integrity_buildinfo.RULE, copy) == "passed"
    nameless = saved(patched(path.read_bytes(), at + size - 2, bytes(2)), tmp_path)
    assert [draft.title for draft in drafts(integrity_headers.RULE, nameless)] == ["its sections have no names"]


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.13", "1.16", "1.18", "1.20", "1.27"])
def test_an_overwritten_magic(go: str, tmp_path: Path) -> None:
    path = executable(Build("hello", go))
    table = binary.open(path).read(pclntab.PARSER)
    copy = saved(patched(path.read_bytes(), table.offset, b"\x12\x34\x56\x78"), tmp_path)
    assert shown(integrity_pclntab.RULE, copy) == [b"\x12\x34\x56\x78"]
    assert verdict(integrity_functions.RULE, copy) == "passed"


@pytest.mark.builds
@pytest.mark.parametrize(("go", "magic"), [("1.20", 0xFFFFFFFA), ("1.27", 0xFFFFFFFB), ("1.27", 0xFFFFFFFA)])
def test_the_magic_of_another_release(go: str, magic: int, tmp_path: Path) -> None:
    path = executable(Build("hello", go))
    table = binary.open(path).read(pclntab.PARSER)
    copy = saved(patched(path.read_bytes(), table.offset, struct.pack("<I", magic)), tmp_path)
    assert shown(integrity_pclntab.RULE, copy) == [struct.pack("<I", magic)]
    assert verdict(integrity_functions.RULE, copy) == "passed"


@pytest.mark.builds
@pytest.mark.parametrize("go", [go for go in toolchains.PINNED if go not in ("1.13", "1.15")])
@pytest.mark.parametrize("flags", [(), ("-ldflags=-s -w",)], ids=["plain", "stripped"])
def test_packed_tables_of_arm_are_as_they_should_be(go: str, flags: tuple[str, ...]) -> None:
    path = executable(Build("hello", go, goarch="arm", flags=flags))
    assert verdict(integrity_pclntab.RULE, path) == verdict(integrity_overlap.RULE, path) == "passed"


@pytest.mark.builds
@pytest.mark.parametrize("build", CONTAINERS, ids=Build.label)
def test_no_functions(build: Build, tmp_path: Path) -> None:
    """A2: a table that is gone, one of no functions, one that states more than it has: never clean."""
    path = executable(build)
    table = binary.open(path).read(pclntab.PARSER)
    gone = saved(patched(path.read_bytes(), table.offset, bytes(len(table.data))), tmp_path)
    assert verdict(integrity_functions.RULE, gone) == "found"
    assert verdict(integrity_pclntab.RULE, gone) == "unknown"
    count = table.offset + 8
    for number in (0, 1 << 40):
        copy = saved(patched(path.read_bytes(), count, struct.pack("<Q", number)), tmp_path)
        assert verdict(integrity_functions.RULE, copy) == "found"
    record = table.header.tables["functab"] + 4
    lost = saved(patched(path.read_bytes(), table.offset + record, b"\xff\xff\xff\x7f"), tmp_path)
    assert [draft.key for draft in drafts(integrity_functions.RULE, lost)] == ["functions"]


@pytest.mark.builds
@pytest.mark.parametrize("build", CONTAINERS, ids=Build.label)
def test_build_information(build: Build, tmp_path: Path) -> None:
    path = executable(build)
    data, info = path.read_bytes(), binary.open(path).read(buildinfo.PARSER)
    gone = saved(data.replace(b"\xff Go buildinf:", b"\xff No buildinf:"), tmp_path)
    assert [draft.key for draft in drafts(integrity_buildinfo.RULE, gone)] == ["absent"]
    broken = saved(patched(data, info.offset + 32, b"\xff" * 12), tmp_path)
    assert [draft.key for draft in drafts(integrity_buildinfo.RULE, broken)] == ["broken"]
    modules = saved(patched(data, info.mod_offset + info.mod_size - 1, b"x"), tmp_path)  # the end that cmd/go looks for
    assert [draft.key for draft in drafts(integrity_buildinfo.RULE, modules)] == ["modules"]


def moved(image: ElfImage, data: bytes) -> bytes:
    """.rodata's header says that it begins in .text."""
    text = next(s for s in image.sections if s.name == ".text")
    names = [s.name for s in image.sections]
    at = image.header["e_shoff"] + (1 + names.index(".rodata")) * image.header["e_shentsize"]
    return patched(data, at + 24, struct.pack("<Q", text.offset + text.file_size // 2))


@pytest.mark.builds
def test_sections_that_overlap(tmp_path: Path) -> None:
    path = executable(HELLO)
    image = binary.open(path).image
    assert isinstance(image, ElfImage)
    copy = saved(moved(image, path.read_bytes()), tmp_path)
    found = drafts(integrity_overlap.RULE, copy)
    assert found[0].key == "sections"
    assert ".text and .rodata" in [hit.text for hit in found[0].hits]


def test_overlaps_are_those_of_the_widest() -> None:
    parts = [section("a", 0, 100), section("b", 10, 10), section("c", 50, 10), section("d", 100, 5), section("e", 0, 0)]
    found = extent.overlaps(FakeImage(bytes(200), sections=parts))
    assert [(o.first, o.second, o.start, o.end) for o in found] == [("a", "b", 10, 20), ("a", "c", 50, 60)]


def test_content_id_reads_ranges_as_zeros() -> None:
    data = bytes(range(200)) * 3
    holes = [(5, 9), (150, 310), (200, 220), (590, 600)]
    zeroed = bytearray(data)
    for low, high in holes:
        zeroed[low:high] = bytes(high - low)
    whole = contentid.content_id([memoryview(bytes(zeroed))], [])
    for cuts in ([], [7], [100, 160, 300, 595]):
        edges = [0, *cuts, len(data)]
        parts = [memoryview(data)[a:b] for a, b in pairwise(edges)]
        assert contentid.content_id(parts, holes) == whole
    assert contentid.content_id([memoryview(data)], []) != whole
