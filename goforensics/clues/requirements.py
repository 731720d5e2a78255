"""What a Linux binary asks of the system, as evidence; which packages bring that in, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from goforensics.analysis import linking
from goforensics.analysis.linking import Linking
from goforensics.containers.elf_dynamic import VersionNeed
from goforensics.errors import FormatError
from goforensics.rules.protocol import Hit, NotApplicableError, UnknownError
from goforensics.rules.subject import Subject

SYMBOLS = 8  # that are named for one version


def linux(subject: Subject) -> Linking:
    """What a Linux binary asks for.  NotApplicableError for another system's, UnknownError where it cannot be read."""
    image, goos = subject.image, subject.file.goos
    if image.format != "elf" or goos != "linux":
        raise NotApplicableError(f"the file is for {goos or image.format}, not for Linux")
    if not image.segments:
        raise UnknownError("no segment can be read, so it is not known what the file asks of the system")
    try:
        return linking.read(image)
    except FormatError as error:
        raise UnknownError(f"the dynamic tables cannot be read: {error}") from None


def brings_c(subject: Subject) -> dict[str, linking.Place]:
    """The packages that bring C in, each with a function that cgo made, and its place."""
    return linking.cgo_packages(subject.binary, subject.owners.packages)


def package_hits(packages: dict[str, linking.Place]) -> list[Hit]:
    """The same as evidence."""
    return [
        Hit(f"{name} brings C in", "funcnametab", at, len(function.encode()))
        for name, (function, at) in packages.items()
    ]


def symbol_hits(told: Linking, need: VersionNeed) -> list[Hit]:
    """Which symbols ask for a version; the version itself where they cannot be read."""
    users, library = told.users(need), need.library
    hits = [
        Hit(f"{i.name}@{need.version} of {library}", "dynamic:symbols", i.offset, len(i.name.encode()))
        for i in users[:SYMBOLS]
    ]
    return [Hit(f"{need.version} of {library}", "dynamic:VERNEED", need.offset, len(need.version.encode())), *hits]


def text_hit(place: linking.Place, where: str) -> Hit:
    """A string of the dynamic tables."""
    return Hit(place[0], where, place[1], len(place[0].encode()))


def loader_hits(told: Linking) -> list[Hit]:
    """The loader and the libraries that the file names."""
    loader = [text_hit(told.interpreter, "interpreter")] if told.interpreter else []
    return loader + [text_hit(place, "dynamic:NEEDED") for place in told.needed]


class Mend(NamedTuple):
    """What to do, and the flags of go build that do it."""

    fix: str
    flags: tuple[str, ...] = ()


def mend(told: Linking, packages: Collection[str]) -> Mend:
    """How to build it so that it asks for nothing."""
    if told.interpreter is None:
        return Mend("a library takes its loader's C library: build it on the oldest system that it must be loaded on")
    if not told.needed and not packages:
        static = "-ldflags='-linkmode=external -extldflags=-static-pie'"
        return Mend(f"build without -buildmode=pie, or as a static one: {static}", ("-buildmode=exe",))
    if linking.only_std(packages):
        says = "build with CGO_ENABLED=0: net and os/user have pure Go versions (or -tags netgo,osusergo)"
        return Mend(says, ("CGO_ENABLED=0",))
    names = shown(packages)
    return Mend(
        f"{', '.join(names)} {'needs' if len(names) == 1 else 'need'} C: link statically (-tags netgo,osusergo "
        "-ldflags='-linkmode=external -extldflags=-static'), or build on the oldest system that it must run on"
    )


def shown(packages: Iterable[str]) -> list[str]:
    """Packages that cannot do without C, by name; the first few of many."""
    names = [name for name in packages if name not in linking.STD_CGO]
    return [*names[:3], *([f"{len(names) - 3} more"] if len(names) > 3 else [])]
