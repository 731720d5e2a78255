"""Targets: names that mean something, and figures that this system bears out."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
import roots

from goforensics.analysis import targets
from goforensics.errors import UsageError


@pytest.mark.parametrize("name", [*targets.GLIBC, *targets.CODENAMES, *targets.KNOWN])
def test_every_name_that_is_listed_can_be_parsed(name: str) -> None:
    assert targets.parse(name).name == name


@pytest.mark.parametrize("family", sorted({name.partition(":")[0] for name in targets.GLIBC}))
def test_figures_grow_with_the_release(family: str) -> None:
    names = [name for name in targets.GLIBC if name.startswith(f"{family}:")]
    order = sorted(names, key=lambda name: targets.version(name.partition(":")[2]))
    figures = [targets.GLIBC[name] for name in order]
    assert figures == sorted(figures)
    assert all(a[1] <= b[1] for a, b in pairwise(figures))


def test_this_system_is_as_the_table_says() -> None:
    if roots.release() not in targets.GLIBC:
        pytest.skip(f"{roots.release()} is not in the table")
    kind, _, have = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    assert kind == "glibc"
    assert targets.parse(roots.release()).glibc == targets.version(have)


@pytest.mark.parametrize(
    ("name", "libc", "same"),
    [
        ("scratch", "none", None),
        ("distroless-static", "none", None),
        ("distroless-static-debian12", "none", None),
        ("distroless-base", "glibc", "debian:12"),
        ("distroless-base-debian13", "glibc", "debian:13"),
        ("alpine", "musl", None),
        ("alpine:3.20", "musl", None),
        ("musl", "musl", None),
        ("musl:1.2.5", "musl", None),
        ("rocky:9", "glibc", "rhel:9"),
        ("almalinux:9.4", "glibc", "rhel:9"),
        ("debian:bookworm-slim", "glibc", "debian:12"),
        ("DEBIAN:12", "glibc", "debian:12"),
        ("ubuntu:jammy", "glibc", "ubuntu:22.04"),
    ],
)
def test_other_names(name: str, libc: str, same: str | None) -> None:
    found = targets.parse(name)
    assert (found.name, found.libc) == (name, libc)
    assert found.glibc == (targets.GLIBC[same][0] if same else None)


def test_a_library_alone() -> None:
    found = targets.parse("glibc:2.31/arm64")
    assert (found.glibc, found.gcc, found.bare, found.arch) == ((2, 31), None, True, "arm64")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("debain:12", "did you mean debian:12?"),
        ("scratchy", "did you mean scratch?"),
        ("glibc", "unknown target"),
        ("glibc:2", "unknown target"),
        ("debian:99", "did you mean"),
        ("scratch:1", "unknown target"),
        ("debian:12/x86_64", "amd64"),
        ("", "unknown target"),
        ("\x1b[31m", "unknown target"),
    ],
)
def test_names_that_mean_nothing(name: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        targets.parse(name)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()
