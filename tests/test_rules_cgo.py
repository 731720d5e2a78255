"""Rules on linking: what they say of a target is what happens when the program is run in a root of that kind."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import roots
import specimens
import specimens_cgo as made
from builds import Build, executable
from rulecheck import drafts, shown, verdict
from specimens import Program

from goforensics import binary
from goforensics.analysis import linking, mapping
from goforensics.containers.elf import ElfImage
from goforensics.policy import Policy
from goforensics.rules import cgo_floor, cgo_libraries, cgo_resolver, cgo_static_nss, cgo_target

RELEASES = ("1.21", "1.27")
MUSL_C = made.program(made.C, cgo=True, env=made.MUSL)
PROGRAMS: dict[str, Program] = {
    "plain": made.PLAIN,
    "pie": made.PIE,
    "c": made.WITH_C,
    "c pie": made.program(made.C, "-buildmode=pie", cgo=True),
    "c static": made.C_STATIC,
    "static pie": made.STATIC_PIE,
    "names": made.NAMES_C,
    "names without c": made.program(made.NAMES),
    "names static": made.NAMES_STATIC,
    "zlib": next(each for each in made.SPECIMENS if each.rule == "cgo/libraries").bad,
    "odd loader": next(each for each in made.SPECIMENS if each.rule == "cgo/loader").bad,
    "musl": MUSL_C,
    "musl names": made.program(made.NAMES, cgo=True, env=made.MUSL),
    "musl static": made.program(made.NAMES, made.STATIC, cgo=True, env=made.MUSL),
}
ROOTS = {"scratch": roots.scratch, "glibc": roots.glibc, "musl": roots.musl}


def build(program: Program, go: str) -> Path:
    """The program, if what it takes is here."""
    compiler = dict(program.env).get("CC", "gcc")
    if program.cgo and not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    return specimens.build(program, go)


def on(*targets: str) -> Policy:
    return Policy(targets=targets)


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_verdict_is_what_running_it_gives(name: str, root: str, go: str, tmp_path: Path) -> None:
    path, place = build(PROGRAMS[name], go), ROOTS[root](tmp_path / "root")
    target = {"scratch": "scratch", "glibc": roots.release(), "musl": "alpine"}[root]
    assert roots.starts(path, place) == (verdict(cgo_target.RULE, path, on(target)) == "passed")


@pytest.mark.builds
def test_roots_differ(tmp_path: Path) -> None:
    ran = {
        (name, root): roots.starts(build(PROGRAMS[name], "1.27"), make(tmp_path / f"{name}-{root}"))
        for name in ("plain", "pie", "c", "musl")
        for root, make in ROOTS.items()
    }
    assert {key for key, did in ran.items() if did} == {
        *(("plain", root) for root in ROOTS),
        ("pie", "glibc"),
        ("c", "glibc"),
        ("musl", "musl"),
    }


def elf_hash(name: bytes) -> int:
    """The System V gABI's, by which the loader looks a version up."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    return value


def asking_for(path: Path, version: bytes, directory: Path) -> Path:
    """A copy whose newest version of glibc's symbols is another one of the same length."""
    image = binary.open(path).image
    newest = linking.read(image).asks("GLIBC")[0][1]
    data, old = bytearray(image.data), newest.version.encode()
    table = next(s for s in image.sections if s.name == ".gnu.version_r")
    at = data.index(struct.pack("<I", elf_hash(old)), table.offset, table.offset + table.file_size)
    data[at : at + 4] = struct.pack("<I", elf_hash(version))
    data[newest.offset : newest.offset + len(old)] = version
    copy = directory / "copy"
    copy.write_bytes(data)
    return copy


@pytest.mark.builds
def test_a_version_that_is_too_new_is_refused_by_the_loader(tmp_path: Path) -> None:
    path = build(made.WITH_C, "1.27")
    newer = asking_for(path, b"GLIBC_2.99", tmp_path)
    for each, starts in ((path, True), (newer, False)):
        found = drafts(cgo_target.RULE, each, on(roots.release()))
        assert roots.starts(each, roots.glibc(tmp_path / f"root{starts}")) is starts
        assert [draft.title for draft in found if "needs glibc 2.99" not in draft.title] == []
        assert bool(found) is not starts


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_the_floor_is_readelf_s(go: str) -> None:
    """A14: the versions and the symbols that ask for them, not that cgo was on."""
    path = build(made.NAMES_C, go)
    told = subprocess.run(["readelf", "-VW", str(path)], capture_output=True, text=True, check=True).stdout
    versions = {tuple(map(int, m.split("."))) for m in re.findall(r"Name: GLIBC_([\d.]+)", told)}
    image = binary.open(path).image
    read = linking.read(image)
    assert {numbers for numbers, _ in read.asks("GLIBC")} == versions
    floor = ".".join(map(str, max(versions)))
    assert drafts(cgo_floor.RULE, path)[0].title == f"needs glibc {floor} or newer"
    symbols = subprocess.run(["readelf", "--dyn-syms", "-W", str(path)], capture_output=True, text=True, check=True)
    pairs = set(re.findall(r"UND (\S+?)@(\S+) \(\d+\)", symbols.stdout))
    assert {(i.name, i.version) for i in read.imports if i.version} == pairs
    assert f"GLIBC_{floor}".encode() in shown(cgo_floor.RULE, path)
    users = {name for name, version in pairs if version == f"GLIBC_{floor}"}
    assert {raw.decode() for raw in shown(cgo_floor.RULE, path)} & users


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_that_cgo_was_on_is_no_proof(go: str) -> None:
    """A14: CGO_ENABLED=1 of a program without C leaves a static binary."""
    path = build(made.program(made.PURE, cgo=True), go)
    assert dict(mapping.owners(binary.open(path)).build.settings)["CGO_ENABLED"] == "1"
    assert verdict(cgo_floor.RULE, path) == verdict(cgo_target.RULE, path, on("scratch")) == "passed"


@pytest.mark.builds
def test_places_hold_what_they_say() -> None:
    image = binary.open(build(made.NAMES_C, "1.27")).image
    assert isinstance(image, ElfImage)
    for each in image.imports():
        assert bytes(image.data[each.offset :][: len(each.name)]).decode() == each.name
    for text, at in image.dynamic_texts("DT_NEEDED"):
        assert bytes(image.data[at:][: len(text) + 1]) == text.encode() + b"\0"
    assert tuple(text for text, _ in image.dynamic_texts("DT_NEEDED")) == image.dynamic().needed


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.13", "1.18", "1.27"])
@pytest.mark.parametrize("flags", [(), ("-trimpath", "-ldflags=-s -w"), ("-buildmode=pie",)])
def test_who_brings_c_in(flags: tuple[str, ...], go: str) -> None:
    opened = binary.open(executable(Build("cgo", go, flags=flags, cgo=True)))
    found = linking.cgo_packages(opened, mapping.owners(opened).packages)
    assert set(found) - {"runtime/cgo"} == {"main", "net"}
    for name, (function, at) in found.items():
        assert function.startswith(f"{name}._")
        assert bytes(opened.image.data[at:][: len(function)]).decode() == function
    pure = binary.open(executable(Build("hello", go, flags=flags)))
    assert linking.cgo_packages(pure, mapping.owners(pure).packages) == {}


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_what_to_do_about_it(go: str) -> None:
    fixes = {
        name: drafts(cgo_target.RULE, build(PROGRAMS[name], go), on("scratch"))[0].fix for name in ("c", "names", "pie")
    }
    assert fixes["c"].startswith("main needs C: link statically")
    assert fixes["names"].startswith("build with CGO_ENABLED=0")
    assert fixes["pie"].startswith("build without -buildmode=pie")


@pytest.mark.builds
def test_each_target_has_its_own_findings() -> None:
    path = build(made.NAMES_C, "1.27")
    titles = [draft.title for draft in drafts(cgo_target.RULE, path, on("scratch", "alpine", "rhel:7", "glibc:9.0"))]
    assert [title.partition(":")[0] for title in titles] == ["scratch", "alpine", "rhel"]


@pytest.mark.builds
def test_without_targets_and_on_other_systems() -> None:
    path = build(made.WITH_C, "1.27")
    assert verdict(cgo_target.RULE, path) == "not-applicable"
    assert verdict(cgo_floor.RULE, path, on("scratch")) == "not-applicable"
    for goos in ("windows", "darwin"):
        other = executable(Build("hello", "1.27", goos=goos))
        assert verdict(cgo_target.RULE, other, on("scratch")) == "not-applicable"
        assert verdict(cgo_libraries.RULE, other) == "passed"


@pytest.mark.builds
@pytest.mark.parametrize(("have", "said"), [("/usr/lib/lib", "passed"), ("/opt/homebrew/", "found")])
def test_macos_libraries(have: str, said: str, tmp_path: Path) -> None:
    data = executable(Build("hello", "1.27", goos="darwin", goarch="arm64")).read_bytes()
    assert data.count(b"/usr/lib/libSystem.B.dylib") >= 1
    changed = data.replace(b"/usr/lib/libSystem.B.dylib", f"{have}libSystem.B.dylib".encode()[:26].ljust(26, b"\0"))
    (tmp_path / "copy").write_bytes(changed)
    assert verdict(cgo_libraries.RULE, tmp_path / "copy") == said


@pytest.mark.builds
def test_windows_libraries(tmp_path: Path) -> None:
    data = executable(Build("hello", "1.27", goos="windows")).read_bytes()
    assert b"kernel32.dll\0" in data
    (tmp_path / "copy").write_bytes(data.replace(b"kernel32.dll\0", b"kernel33.dll\0"))
    assert shown(cgo_libraries.RULE, tmp_path / "copy") == [b"kernel33.dll"]


@pytest.mark.builds
@pytest.mark.parametrize("name", ["c static", "musl static", "names without c"])
def test_static_binaries_that_load_nothing(name: str) -> None:
    assert verdict(cgo_static_nss.RULE, build(PROGRAMS[name], "1.27")) == "passed"


@pytest.mark.builds
def test_a_dynamic_one_is_not_asked() -> None:
    assert verdict(cgo_static_nss.RULE, build(made.NAMES_C, "1.27")) == "not-applicable"
    assert verdict(cgo_resolver.RULE, build(made.PLAIN, "1.27")) == "not-applicable"


def test_versions_that_can_be_compared() -> None:
    assert linking.numbered("GLIBC_2.34") == ("GLIBC", (2, 34))
    assert linking.numbered("GLIBC_2.2.5") == ("GLIBC", (2, 2, 5))
    assert linking.numbered("GLIBC_ABI_DT_RELR") == ("GLIBC", (2, 36))
    assert linking.numbered("GLIBC_PRIVATE") is None
    assert linking.gcc_of(("GLIBCXX", (3, 4, 30))) == (12,)
    assert linking.gcc_of(("GLIBCXX", (3, 4, 99))) > (15,)
    assert linking.gcc_of(("GCC", (7, 0, 0))) == (7, 0, 0)


@pytest.mark.parametrize(
    ("interpreter", "arch", "libc", "there"),
    [
        ("/lib64/ld-linux-x86-64.so.2", "amd64", "glibc", True),
        ("/lib64/ld-linux-x86-64.so.2", "arm64", "glibc", False),
        ("/lib/ld-linux-aarch64.so.1", "arm64", "glibc", True),
        ("/lib64/ld-linux-x86-64.so.2", "amd64", "musl", False),
        ("/lib64/ld-linux-x86-64.so.2", "amd64", "none", False),
        ("/lib/ld-musl-x86_64.so.1", "amd64", "musl", True),
        ("/opt/ld-musl-x86_64.so.1", "amd64", "musl", False),
        ("/nix/store/abc/lib/ld-linux-x86-64.so.2", "amd64", "glibc", False),
    ],
)
def test_loaders(interpreter: str, arch: str, libc: str, there: bool) -> None:
    assert linking.loader_is_there(interpreter, arch, libc) is there
