"""Rules on hardening: what the headers say is what readelf reads, and each flag of each container is looked at."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import specimens
import specimens_hardening as made
from builds import Build, executable
from rulecheck import drafts, shown, verdict

from goforensics import binary
from goforensics.analysis import hardening
from goforensics.containers.pe import PeImage
from goforensics.policy import BuildRules, Policy
from goforensics.rules import (
    hardening_canary,
    hardening_pie,
    hardening_relro,
    hardening_runpath,
    hardening_signature,
    hardening_stack,
    hardening_textrel,
    hardening_wx,
)
from goforensics.rules.protocol import Rule

PIE = "-buildmode=pie"
ELF = [
    *(Build("hello", go, flags=flags) for go in ("1.13", "1.20", "1.27") for flags in ((), (PIE,))),
    *(Build("cgo", go, flags=flags, cgo=True) for go in ("1.13", "1.27") for flags in ((), (PIE,))),
    *(Build("hello", "1.27", goarch=arch) for arch in ("386", "arm64", "mips", "s390x")),
]
RULES = {
    rule.RULE.id: rule.RULE
    for rule in (
        hardening_canary, hardening_pie, hardening_relro, hardening_runpath, hardening_stack, hardening_textrel,
        hardening_wx,
    )
}  # fmt: skip
WINDOWS, MACOS = Build("hello", "1.27", goos="windows"), Build("hello", "1.27", goos="darwin", goarch="arm64")


def readelf(path: Path) -> str:
    """Headers, program headers, dynamic tags and symbols."""
    if not shutil.which("readelf"):
        pytest.skip("no readelf")
    return subprocess.run(
        ["readelf", "-hldW", "--dyn-syms", str(path)], capture_output=True, text=True, check=True
    ).stdout


def copy(build: Build, directory: Path, at: int, new: bytes) -> Path:
    """A copy with some bytes changed."""
    data = bytearray(executable(build).read_bytes())
    data[at : at + len(new)] = new
    (directory / "copy").write_bytes(data)
    return directory / "copy"


@pytest.mark.builds
@pytest.mark.parametrize("build", ELF, ids=Build.label)
def test_headers_are_as_readelf_reads_them(build: Build) -> None:
    path = executable(build)
    told, image = readelf(path), binary.open(path).image
    stack = re.search(r"GNU_STACK.* (R?W?E?) +0x", told)
    assert hardening.stack_not_executable(image).holds == (None if stack is None else "E" not in stack[1])
    assert hardening.position_independent(image).holds == ("Type:                              DYN" in told)
    assert hardening.relro(image).holds == ("GNU_RELRO" in told)
    assert hardening.bind_now(image).holds == bool(re.search(r"BIND_NOW|Flags:.*NOW", told))
    assert hardening.text_relocations(image).holds == ("TEXTREL" in told)


@pytest.mark.builds
@pytest.mark.parametrize("build", ELF, ids=Build.label)
def test_what_go_builds_is_judged_fairly(build: Build) -> None:
    """A15: no canary and no RELRO are asked of pure Go; a position-independent one is partial, and that is low."""
    path = executable(build)
    said = {name: verdict(rule, path) for name, rule in RULES.items()}
    pie = PIE in build.flags
    mips = build.goarch == "mips"
    told = readelf(path)  # Go 1.13 left a position-independent one to gcc, and runtime/cgo's C code starts threads
    has_c, checked = "pthread_create" in told, "__stack_chk_fail" in told
    assert has_c or not build.cgo
    assert said == {
        "hardening/canary": ("passed" if checked else "found") if has_c else "not-applicable",
        "hardening/pie": "passed" if pie else "not-applicable" if mips else "found",
        "hardening/relro": "found" if pie or has_c else "not-applicable",
        "hardening/runpath": "passed",
        "hardening/stack": "passed",
        "hardening/textrel": "passed",
        "hardening/wx": "passed",
    }
    assert {RULES[name].severity for name, state in said.items() if state == "found"} <= {"low"}


@pytest.mark.builds
def test_a_lazy_table_is_told_from_none() -> None:
    texts = {}
    for build in (Build("hello", "1.27", flags=(PIE,)), Build("cgo", "1.27", flags=(PIE,), cgo=True)):
        texts[build.cgo] = drafts(hardening_relro.RULE, executable(build))[0].hits[1].text
        assert texts[build.cgo].startswith("no BIND_NOW")
        assert ("when first made" in texts[build.cgo]) == ("JMPREL" in readelf(executable(build)))
    assert texts[False] != texts[True]


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.25", "1.27"])
def test_the_fix_for_relro_works(go: str) -> None:
    path = specimens.build(made.pure(PIE, "-ldflags=-bindnow"), go)
    assert verdict(hardening_relro.RULE, path) == "passed"
    assert "NOW" in readelf(path)


@pytest.mark.builds
def test_the_policy_can_ask_for_a_pie() -> None:
    path = executable(Build("hello", "1.27"))
    for wanted in (PIE, "buildmode=pie"):
        found = drafts(hardening_pie.RULE, path, Policy(build=BuildRules(require=(wanted,))))
        assert [draft.severity for draft in found] == ["medium"]
    assert drafts(hardening_pie.RULE, path)[0].severity is None


@pytest.mark.builds
def test_without_a_stack_header(tmp_path: Path) -> None:
    build = Build("hello", "1.27")
    at = hardening.stack_not_executable(binary.open(executable(build)).image).offset
    assert at is not None
    path = copy(build, tmp_path, at - 4, struct.pack("<I", 0x6FFFFFFF))  # p_type is the word before the flags
    assert [draft.severity for draft in drafts(hardening_stack.RULE, path)] == ["medium"]


@pytest.mark.builds
@pytest.mark.parametrize(
    ("flag", "rule"),
    [
        (hardening.DYNAMIC_BASE, hardening_pie.RULE),
        (hardening.HIGH_ENTROPY_VA, hardening_pie.RULE),
        (hardening.NX_COMPAT, hardening_stack.RULE),
    ],
)
def test_flags_of_pe_files(flag: int, rule: Rule, tmp_path: Path) -> None:
    image = binary.open(executable(WINDOWS)).image
    assert isinstance(image, PeImage)
    at = image.optional_header + hardening.PE_FLAGS
    (flags,) = struct.unpack_from("<H", image.data, at)
    assert flags & flag
    assert verdict(rule, executable(WINDOWS)) == "passed"
    path = copy(WINDOWS, tmp_path, at, struct.pack("<H", flags & ~flag))
    assert shown(rule, path) == [struct.pack("<H", flags & ~flag)]


@pytest.mark.builds
def test_flags_of_macho_files(tmp_path: Path) -> None:
    path = executable(MACOS)
    (flags,) = struct.unpack_from("<I", path.read_bytes(), hardening.MACHO_FLAGS)
    assert verdict(hardening_pie.RULE, path) == verdict(hardening_stack.RULE, path) == "passed"
    bare = copy(MACOS, tmp_path, hardening.MACHO_FLAGS, struct.pack("<I", flags & ~0x200000))
    assert verdict(hardening_pie.RULE, bare) == "found"
    loose = copy(MACOS, tmp_path, hardening.MACHO_FLAGS, struct.pack("<I", flags | 0x20000))
    assert verdict(hardening_stack.RULE, loose) == "found"


@pytest.mark.builds
@pytest.mark.parametrize("build", [WINDOWS, MACOS], ids=Build.label)
def test_a_segment_that_may_be_written_and_run(build: Build, tmp_path: Path) -> None:
    data = bytearray(executable(build).read_bytes())
    if build is WINDOWS:
        at = data.index(b".text\0\0\0") + 36  # Characteristics
        changed = struct.unpack_from("<I", data, at)[0] | 0x80000000
    else:
        at = data.index(b"__TEXT\0") + 16 + 4 * 8 + 4  # initprot
        changed = struct.unpack_from("<I", data, at)[0] | 2
    assert verdict(hardening_wx.RULE, executable(build)) == "passed"
    path = copy(build, tmp_path, at, struct.pack("<I", changed))
    assert verdict(hardening_wx.RULE, path) == "found"


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.16", "1.21", "1.27"])
@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_signatures_of_macho_files(arch: str, go: str, tmp_path: Path) -> None:
    """Go's linker signs for arm64 alone: nobody's signature, but one."""
    build = Build("hello", go, goos="darwin", goarch=arch)
    image = binary.open(executable(build)).image
    kind, fact = hardening.signature(image)
    assert kind == {"amd64": "none", "arm64": "ad hoc"}[arch]
    if fact.offset is not None:
        broken = copy(build, tmp_path, fact.offset, b"\0\0\0\0")
        assert [draft.severity for draft in drafts(hardening_signature.RULE, broken)] == ["high"]


def blobs(*parts: tuple[int, bytes]) -> bytes:
    """A SuperBlob: (slot, offset) of each part, and the parts."""
    at, index, body = 12 + 8 * len(parts), b"", b""
    for slot, raw in parts:
        index += struct.pack(">II", slot, at + len(body))
        body += raw
    return struct.pack(">III", 0xFADE0CC0, at + len(body), len(parts)) + index + body


def directory(flags: int) -> bytes:
    return struct.pack(">IIII", 0xFADE0C02, 16, 0x20400, flags)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (blobs((0, directory(2))), "ad hoc"),
        (blobs((0, directory(0)), (0x10000, struct.pack(">II8x", 0xFADE0B01, 8))), "ad hoc"),
        (blobs((0, directory(0)), (0x10000, struct.pack(">II", 0xFADE0B01, 100) + bytes(92))), "signed"),
        (blobs(), "broken"),
        (blobs((0, directory(2)))[:-1], "broken"),
        (b"", "broken"),
        (struct.pack(">III", 0xFADE0CC0, 12, 1 << 30), "broken"),
    ],
)
def test_code_signatures(raw: bytes, kind: str) -> None:
    assert hardening._macho_signature(raw) == kind


@pytest.mark.builds
def test_canaries_of_stripped_and_static_programs() -> None:
    strong = made.linked(cflags=made.STRONG)
    static = made.linked(external="-static", cflags=made.STRONG)
    assert verdict(hardening_canary.RULE, specimens.build(strong, "1.27")) == "passed"
    assert verdict(hardening_canary.RULE, specimens.build(static, "1.27")) == "unknown"
    stripped = specimens.Program(strong.files, ("-ldflags=-s -linkmode=external",), cgo=True, env=strong.env)
    assert verdict(hardening_canary.RULE, specimens.build(stripped, "1.27")) == "passed"


@pytest.mark.parametrize(
    ("path", "severity"),
    [
        ("", "high"),
        (".", "high"),
        ("lib", "high"),
        ("../lib", "high"),
        ("/tmp/x", "high"),
        ("/tmp", "high"),
        ("/var/tmp/x", "high"),
        ("/dev/shm", "high"),
        ("/tmpfs/x", "low"),
        ("/home/alice/lib", "medium"),
        ("/root/lib", "medium"),
        ("/builds/x", "medium"),
        ("/opt/x/lib", "low"),
        ("/nix/store/x/lib", "low"),
        ("/usr/lib/x86_64-linux-gnu", None),
        ("/usr/local/lib", None),
        ("/lib64", None),
        ("/library", "low"),
        ("$ORIGIN", None),
        ("${ORIGIN}/../lib", None),
        ("@executable_path/../Frameworks", None),
    ],
)
def test_run_paths(path: str, severity: str | None) -> None:
    assert hardening_runpath.verdict(path)[1] == severity


@pytest.mark.builds
def test_entries_of_a_run_path_have_their_own_places() -> None:
    program = made.linked(external="-Wl,-rpath,/usr/lib::/tmp/a:rel:/opt/b")
    path = specimens.build(program, "1.27")
    found = drafts(hardening_runpath.RULE, path)
    assert [draft.severity for draft in found] == ["high", "high", "high", "low"]
    assert shown(hardening_runpath.RULE, path) == [b"", b"/tmp/a", b"rel", b"/opt/b"]
