"""The rules on paths: on the zoo, where every leak is planted, and on what must not be taken for one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import specimens_paths
import toolchains
from builds import ZOO_CGO_FLAGS, Build, executable, zoo_builds
from specimens import RELEASES, Program, build

from goforensics.analysis.leakplaces import Place, places
from goforensics.analysis.leaks import leaks, roots_of
from goforensics.analysis.paths import is_leak
from goforensics.binary import open as open_binary
from goforensics.clues import paths
from goforensics.clues.paths_in_strings import somebody
from goforensics.policy import Policy
from goforensics.rules import paths_goroot, paths_home, paths_source_tree
from goforensics.rules.catalogue import rules
from goforensics.rules.protocol import Draft
from goforensics.rules.subject import Subject

PATHS = [rule for rule in rules() if rule.id.startswith("paths/")]
ALICE = "/home/alice"
COMPILERS = "gcc"


def found(path: Path) -> dict[str, list[Draft]]:
    """What each rule on paths says of a file."""
    subject = Subject(open_binary(path))
    return {rule.id: list(rule.check(subject, Policy())) for rule in PATHS}


def directories(subject: Subject) -> dict[str, str]:
    return subject.owners.packages.directory if subject.owners.packages else {}


def every_place(path: Path) -> Iterator[tuple[bytes, Place]]:
    """Each place with the bytes that are there."""
    subject = Subject(open_binary(path))
    for place in places(subject.binary, roots_of(directories(subject))):
        assert place.offset is not None, place
        yield bytes(subject.image.data[place.offset : place.offset + place.length]), place


def zoo(go: str) -> list[Build]:
    if not shutil.which(COMPILERS):
        pytest.skip("no C compiler")
    return zoo_builds(go)


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_everything_planted_in_the_zoo_is_found(go: str) -> None:
    """The //line directive, the embedded notes and the run path survive -trimpath; the rest does not."""
    for each in zoo(go):
        said = found(executable(each))
        home = {hit.where for draft in said["paths/home"] if draft.key == ALICE for hit in draft.hits}
        trimmed = "-trimpath" in each.flags
        expected = {"filetab", "rodata", "dwarf"} | ({"runpath"} if each.cgo else set())
        assert home == expected | ({"buildinfo:-ldflags"} if each.cgo and not trimmed else set()), each.label()
        assert bool(said["paths/goroot"]) is not trimmed
        assert all(not drafts for rule, drafts in said.items() if trimmed and rule != "paths/home"), each.label()
        assert trimmed is ([draft.key for draft in said["paths/home"]] == [ALICE])


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_every_place_holds_its_path(go: str) -> None:
    """Byte for byte; what is compressed has its section's place and says so."""
    for each in zoo(go):
        for raw, place in every_place(executable(each)):
            if place.note.startswith("inside"):
                assert place.where in ("dwarf", "dwarf (C)")
                assert len(raw) == place.length > len(place.path)
            else:
                assert raw == place.path.encode()


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.21", "1.27"])  # DWARF 4 and 5
def test_places_in_plain_debug_data(go: str) -> None:
    path = executable(Build("hello", go, flags=("-ldflags=-compressdwarf=false",)))
    debug = [(raw, place) for raw, place in every_place(path) if place.where == "dwarf"]
    assert len(debug) > 100
    assert all(raw == place.path.encode() and not place.note for raw, place in debug)


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_places_are_those_that_inspect_counts(go: str) -> None:
    """The same paths from the same search; runtime.modinfo repeats those of the build information."""
    for each in zoo(go):
        subject = Subject(open_binary(executable(each)))
        mine = [
            place for place in places(subject.binary, roots_of(directories(subject))) if "modinfo" not in place.note
        ]
        counted = leaks(subject.binary, directories(subject))
        assert len(mine) == counted.paths > 0
        assert sum(len(place.path.encode()) for place in mine) == counted.bytes


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_a5_the_directory_of_a_replaced_module_survives(go: str, tmp_path: Path) -> None:
    """A5: -trimpath -s leave it in two places, .go.buildinfo and .rodata; a relative directory tells nothing."""
    local = tmp_path / "local"
    files = {
        "app/main.go": 'package main\n\nimport "example.com/local"\n\nfunc main() { println(local.Name()) }\n',
        "app/go.mod": "module example.com/app\n\ngo 1.21\n\nrequire example.com/local v0.0.0\n\n"
        f"replace example.com/local => {local}\n",
        "local/local.go": 'package local\n\n//go:noinline\nfunc Name() string { return "local" }\n',
        "local/go.mod": "module example.com/local\n\ngo 1.21\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [
        str(toolchains.goroot(go) / "bin" / "go"),
        "build",
        "-trimpath",
        "-ldflags=-s",
        "-o",
        str(tmp_path / "app.out"),
    ]
    env = toolchains.go_env(go) | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    subprocess.run(command, cwd=tmp_path / "app", env=env, check=True, capture_output=True)
    drafts = [draft for drafts in found(tmp_path / "app.out").values() for draft in drafts]
    raw = (tmp_path / "app.out").read_bytes()
    (draft,) = drafts
    assert [hit.where for hit in draft.hits] == ["buildinfo:replace", "rodata"]
    assert all(raw[hit.offset : (hit.offset or 0) + hit.length] == str(local).encode() for hit in draft.hits)
    assert raw.count(str(local).encode()) == 2
    assert draft.fix == paths.REPLACE


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_a6_what_trimpath_leaves_of_c_sources_is_a_placeholder(go: str) -> None:
    """A6: DWARF of a trimmed build names /tmp/go-build, which is the same everywhere; with -s it names nothing."""
    if not shutil.which(COMPILERS):
        pytest.skip("no C compiler")
    plain = specimens_paths.with_c()
    subject = Subject(open_binary(build(plain, go)))
    units = {unit.comp_dir for unit in dwarf_units(subject) if unit.is_c}
    assert any(directory and directory.startswith("/tmp/go-build") for directory in units)
    assert all(not drafts for drafts in found(build(plain, go)).values())
    stripped = Build("zoo", go, flags=("-trimpath", ZOO_CGO_FLAGS[0], f"{ZOO_CGO_FLAGS[1]} -s"), cgo=True)
    assert not [place for _, place in every_place(executable(stripped)) if place.where.startswith("dwarf")]


def dwarf_units(subject: Subject):  # type: ignore[no-untyped-def]
    from goforensics.sections import dwarf

    return subject.binary.read(dwarf.PARSER).units


@pytest.mark.parametrize(
    "path",
    [
        "<autogenerated>",  # a wrapper that the compiler makes
        "_cgo_gotypes.go",  # what cmd/cgo writes, named without a directory
        "_testmain.go",  # and go test
        "/tmp/go-build/cgo-gcc-prolog",  # -trimpath names the work directory so, whatever it is called
        "/tmp/go-build",
        "/_/example.com/zoo/main.go",  # cmd/go's -ffile-prefix-map under -trimpath, since Go 1.19
        "$WORK/b001/_cgo_export.c",  # the same before
        "/proc/self/cwd/main.go",  # Bazel's, the same on every machine
        "example.com/zoo/main.go",  # what -trimpath leaves
        "cgo/main.go",
    ],
)
def test_placeholders_are_no_leak(path: str) -> None:
    assert not is_leak(path)


@pytest.mark.parametrize(
    "directory", ["/usr/local/go", "/usr/lib/go-1.19", "/usr/lib/go", "/usr/lib/golang", "C:/Program Files/Go"]
)
def test_where_go_is_by_default_tells_nothing(directory: str) -> None:
    assert paths_goroot.USUAL.fullmatch(directory)


@pytest.mark.parametrize("directory", ["/home/alice/sdk/go1.27.3", "/opt/go", "/project/go", "/usr/local/go/misc"])
def test_where_it_is_not_does(directory: str) -> None:
    assert not paths_goroot.USUAL.fullmatch(directory)


@pytest.mark.parametrize(
    "path",
    [
        "/usr/include/x86_64-linux-gnu/bits",
        "/usr/lib/gcc/x86_64-linux-gnu/12/include",
        "/build/glibc-2.36/csu",
        "/workdir/go/src",
    ],
)
def test_the_system_s_directories_tell_nothing(path: str) -> None:
    assert paths_source_tree.SYSTEM.match(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/home/alice/notes", True),
        (rb"C:\Users\alice\notes", True),
        (b"/Users/Alice.Smith/x", True),
        (b"/home/user/notes", False),  # a stand-in
        (b"/home/linuxbrew/.linuxbrew/bin", False),  # Homebrew's own
        (b"/Users/Shared/x", False),
        (b"/home/alice", False),  # a name alone may be anything: the /home/o of /home/o'brien
        (b"/home/%s/x", False),
        (b"/home//x", False),
    ],
)
def test_whose_home_in_a_string(path: bytes, expected: bool) -> None:
    assert somebody(path) is expected


@pytest.mark.parametrize(
    ("directory", "name"), [("/home/alice", "alice"), (r"C:\Users\bob", "bob"), ("/var/cache/_bazel_eve", "eve")]
)
def test_the_account_of_a_home(directory: str, name: str) -> None:
    assert paths_home.account(directory) == name


@pytest.mark.builds
def test_a_path_in_a_string_ends_where_the_string_ends() -> None:
    """Literals of one size lie end to end: what is found is the path and none of its neighbours' letters."""
    texts = [f"/home/alice/{letter * 20}" for letter in "abc"]
    listed = ", ".join(f'"{text}"' for text in texts)
    body = "func main() { println(all[len(os.Args)]) }"
    source = f'package main\n\nimport "os"\n\nvar all = []string{{{listed}}}\n\n{body}\n'
    (home,) = found(build(Program((("main.go", source),), ("-trimpath", "-ldflags=-s -w")), "1.27"))["paths/home"]
    assert sorted(hit.text for hit in home.hits) == texts


@pytest.mark.builds
def test_the_fix_says_what_helps() -> None:
    """-trimpath helps against the file table, and against nothing of what survives it."""
    plain, trimmed = executable(zoo_builds("1.27")[0]), executable(zoo_builds("1.27")[1])
    (goroot,) = found(plain)["paths/goroot"]
    assert goroot.fix == paths.TRIMPATH
    (home,) = found(trimmed)["paths/home"]
    assert home.fix == f"{paths.LINE}; {paths.STRINGS}"
