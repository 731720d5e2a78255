"""Targets: where a Linux binary must run, as the C library that a distribution's base image has.

A target is named as its image is: scratch, alpine:3.20, debian:12, ubuntu:22.04, rhel:9, distroless-base, or by the
library alone: glibc:2.31, musl.  "/arm64" behind it asks for an architecture.
"""

from __future__ import annotations

import difflib
import re
from typing import Literal

import msgspec

from goforensics.errors import UsageError

Libc = Literal["glibc", "musl", "none"]
Version = tuple[int, ...]

# Image -> (glibc, GCC of its libgcc_s and libstdc++).  Figures are those of the packages glibc/libc6 and
# libstdc++6/libstdc++ of each release: packages.debian.org and packages.ubuntu.com (libc6, libstdc++6),
# access.redhat.com (glibc, libstdc++ of RHEL; Rocky, Alma, Oracle and CentOS Stream rebuild them),
# docs.aws.amazon.com (Amazon Linux), packages.fedoraproject.org.  Ubuntu takes libstdc++6 of a newer GCC than its
# compiler.  pypa/auditwheel's manylinux policies give the same glibc for the releases that it names.
GLIBC: dict[str, tuple[Version, Version]] = {
    "debian:8": ((2, 19), (4, 9)),
    "debian:9": ((2, 24), (6,)),
    "debian:10": ((2, 28), (8,)),
    "debian:11": ((2, 31), (10,)),
    "debian:12": ((2, 36), (12,)),
    "debian:13": ((2, 41), (14,)),
    "ubuntu:14.04": ((2, 19), (4, 8)),
    "ubuntu:16.04": ((2, 23), (5,)),
    "ubuntu:18.04": ((2, 27), (8,)),
    "ubuntu:20.04": ((2, 31), (10,)),
    "ubuntu:22.04": ((2, 35), (12,)),
    "ubuntu:24.04": ((2, 39), (14,)),
    "rhel:6": ((2, 12), (4, 4)),
    "rhel:7": ((2, 17), (4, 8)),
    "rhel:8": ((2, 28), (8,)),
    "rhel:9": ((2, 34), (11,)),
    "rhel:10": ((2, 39), (14,)),
    "amazonlinux:2": ((2, 26), (7,)),
    "amazonlinux:2023": ((2, 34), (11,)),
    "fedora:40": ((2, 39), (14,)),
    "fedora:41": ((2, 40), (14,)),
    "fedora:42": ((2, 41), (15,)),
}
# What is built from the same packages, under other names.
FAMILIES = {
    "centos": "rhel",
    "rocky": "rhel",
    "rockylinux": "rhel",
    "alma": "rhel",
    "almalinux": "rhel",
    "oraclelinux": "rhel",
    "ubi": "rhel",
    "amazon": "amazonlinux",
}
CODENAMES = {
    "debian:buster": "debian:10",
    "debian:bullseye": "debian:11",
    "debian:bookworm": "debian:12",
    "debian:trixie": "debian:13",
    "ubuntu:bionic": "ubuntu:18.04",
    "ubuntu:focal": "ubuntu:20.04",
    "ubuntu:jammy": "ubuntu:22.04",
    "ubuntu:noble": "ubuntu:24.04",
}
# GoogleContainerTools/distroless: static has no C library, base has Debian's libc6, cc libgcc_s and libstdc++, too.
DISTROLESS = {"": "debian:12", "debian11": "debian:11", "debian12": "debian:12", "debian13": "debian:13"}
EMPTY = ("scratch", "distroless-static")
KNOWN = ("scratch", "alpine", "musl", "glibc:2.31", "distroless-static", "distroless-base", "distroless-cc", *GLIBC)
ARCHITECTURES = ("amd64", "386", "arm64", "arm", "ppc64le", "riscv64", "s390x", "loong64", "mips64le")
NAME = re.compile(r"([a-z][a-z0-9-]*?)(?::([a-z0-9.-]+))?(?:/([a-z0-9_]+))?")


class Target(msgspec.Struct, frozen=True):
    """A place to run."""

    name: str  # as it was asked for
    libc: Libc
    glibc: Version | None = None  # of its C library; None for musl, whose symbols have no versions
    gcc: Version | None = None  # of libgcc_s.so.1 and libstdc++.so.6; None: it has neither, or that is not known
    bare: bool = False  # nothing is said about what else is there: glibc:2.31, musl
    arch: str | None = None  # Go's GOARCH


def parse(text: str) -> Target:
    """A target by its name.  UsageError, with the nearest that there is, for a name that means nothing here."""
    match = NAME.fullmatch(text.strip().lower())
    if match is None:
        raise _unknown(text)
    image, tag, arch = match[1], match[2] or "", match[3]
    if arch is not None and arch not in ARCHITECTURES:
        raise UsageError(f"target {text!r}: architectures are called as Go does: {', '.join(ARCHITECTURES)}")
    found = _empty(image, tag) or _musl(image, tag) or _glibc(image, tag) or _distroless(image, tag)
    if found is None:
        raise _unknown(text)
    return msgspec.structs.replace(found, name=text.strip(), arch=arch)


def version(text: str) -> Version:
    """ "2.34" as numbers that can be compared."""
    return tuple(int(part) for part in text.split("."))


def dotted(numbers: Version) -> str:
    """(2, 34) as "2.34"."""
    return ".".join(map(str, numbers))


def _empty(image: str, tag: str) -> Target | None:
    base = re.sub(r"-debian\d+$", "", image)
    return Target(image, "none") if base in EMPTY and (base != "scratch" or not tag) else None


def _musl(image: str, tag: str) -> Target | None:
    if image not in ("alpine", "musl") or not re.fullmatch(r"|latest|edge|\d+(\.\d+)*", tag):
        return None
    return Target(image, "musl", bare=image == "musl")


def _glibc(image: str, tag: str) -> Target | None:
    if image == "glibc":
        return Target(image, "glibc", version(tag), bare=True) if re.fullmatch(r"\d+\.\d+", tag) else None
    name = f"{FAMILIES.get(image, image)}:{re.sub('-slim$', '', tag)}"
    name = CODENAMES.get(name, name)
    if name not in GLIBC and name.startswith("rhel:"):
        name = name.partition(".")[0]  # rocky:9.4 has the packages of 9
    return Target(name, "glibc", *GLIBC[name]) if name in GLIBC else None


def _distroless(image: str, tag: str) -> Target | None:
    match = re.fullmatch(r"distroless-(base|cc)(?:-(debian\d+))?", image)
    release = DISTROLESS.get((match[2] or tag.replace("latest", "")) if match else "-")
    if match is None or release is None:
        return None
    glibc, gcc = GLIBC[release]
    return Target(image, "glibc", glibc, gcc if match[1] == "cc" else None)


def _unknown(text: str) -> UsageError:
    near = difflib.get_close_matches(text, KNOWN, 1, 0.5)
    advice = f"did you mean {near[0]}?" if near else "name an image as debian:12, or a C library as glibc:2.31 or musl"
    return UsageError(f"unknown target {text!r}; {advice}")
