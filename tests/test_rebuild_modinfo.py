"""The module information after a rebuild: the lines cmd/go writes, in its order and with its quotes."""

from __future__ import annotations

import builds
import pytest
from builds import Build, executable

import goforensics
from goforensics.rebuild import modinfo
from goforensics.rebuild.changes import release_of
from goforensics.rebuild.contents import Declined
from goforensics.rebuild.flags import SAME, Flags
from goforensics.sections import buildinfo

HEAD = b"path\texample.com/m\nmod\texample.com/m\t(devel)\t\n"
PLAIN = (
    HEAD + b"build\t-buildmode=exe\nbuild\t-compiler=gc\nbuild\t-tags=a,b\nbuild\tCGO_ENABLED=1\nbuild\tCGO_CFLAGS=\n"
)
STRIP = Flags(("-s", "-w"))
TRIM = Flags(("-s",), trimpath=True)
RELEASE = (1, 27)


def test_nothing_asked_nothing_changed() -> None:
    assert modinfo.rebuilt(PLAIN, SAME, False, RELEASE) == PLAIN


def test_flags_follow_the_compiler_and_are_quoted_for_a_blank() -> None:
    after = modinfo.rebuilt(PLAIN, STRIP, False, RELEASE)
    assert after == PLAIN.replace(b"=gc\n", b'=gc\nbuild\t-ldflags="-s -w"\n')
    assert modinfo.rebuilt(PLAIN, Flags(("-s",)), False, RELEASE).count(b"build\t-ldflags=-s\n") == 1


def test_flags_are_added_to_those_recorded() -> None:
    have = PLAIN.replace(b"=gc\n", b'=gc\nbuild\t-ldflags="-X main.a=\\"b\\""\n')
    assert b'build\t-ldflags="-X main.a=\\"b\\" -s -w"\n' in modinfo.rebuilt(have, STRIP, False, RELEASE)


def test_trimpath_drops_what_may_hold_paths() -> None:
    have = PLAIN.replace(b"=gc\n", b"=gc\nbuild\t-ldflags=-w\nbuild\t-pgo=/home/a/default.pgo\n")
    after = modinfo.rebuilt(have, TRIM, True, RELEASE)
    assert b"-ldflags" not in after
    assert b"CGO_CFLAGS" not in after
    assert b"build\t-pgo=default.pgo\n" in after
    assert b"build\t-tags=a,b\nbuild\t-trimpath=true\nbuild\tCGO_ENABLED=1\n" in after
    assert modinfo.rebuilt(after, TRIM, True, RELEASE) == after


def test_go_1_18_does_not_record_trimpath_and_1_17_no_flag_at_all() -> None:
    assert b"-trimpath" not in modinfo.rebuilt(PLAIN, TRIM, True, (1, 18))
    assert modinfo.rebuilt(HEAD, TRIM, True, (1, 17)) == HEAD


def test_flags_that_cannot_be_read_are_declined() -> None:
    have = PLAIN.replace(b"=gc\n", b'=gc\nbuild\t-ldflags="-X\n')
    with pytest.raises(Declined, match="ldflags"):
        modinfo.rebuilt(have, STRIP, False, RELEASE)


def recorded(build: Build) -> bytes:
    binary = goforensics.open(executable(build))
    info = binary.read(buildinfo.PARSER)
    return bytes(binary.image.data[info.mod_offset : info.mod_offset + info.mod_size])


@pytest.mark.builds
@pytest.mark.parametrize("minor", ["1.16", "1.18", "1.20", "1.22", "1.27"])
@pytest.mark.parametrize("flags", [(), builds.ZOO_FLAGS], ids=["plain", "X"])
@pytest.mark.parametrize("trimpath", [False, True], ids=["", "trimpath"])
def test_what_a_rebuild_records(minor: str, flags: tuple[str, ...], trimpath: bool) -> None:
    told = " ".join(flag.removeprefix("-ldflags=") for flag in flags)
    rebuilt = Build("zoo", minor, flags=(*(("-trimpath",) * trimpath), f"-ldflags={told} -s -w".replace("= ", "=")))
    before = recorded(Build("zoo", minor, flags=flags))
    after = modinfo.rebuilt(before, Flags(("-s", "-w"), trimpath), trimpath, release_of(f"go{minor}"))
    assert after == recorded(rebuilt)
