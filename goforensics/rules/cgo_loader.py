"""cgo/loader: a dynamic linker in a place where only the machine that built it has one."""

from __future__ import annotations

from goforensics.analysis import linking
from goforensics.clues import requirements
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """One draft for a PT_INTERP that no distribution has; a file without one asks for no loader."""
    told = requirements.linux(subject)
    arch, loader = subject.image.goarch, told.interpreter
    if loader is None or any(linking.loader_is_there(loader[0], arch, libc) for libc in ("glibc", "musl")):
        return []
    title = f"asks for the loader {loader[0]}, which no distribution has there"
    return [Draft(title, [requirements.text_hit(loader, "interpreter")], "loader")]


RULE = Rule(
    id="cgo/loader",
    title="Asks for a loader of one machine",
    severity="medium",
    why="The kernel starts a dynamically linked binary through the loader that it names.  One in /nix/store, in a "
    "home directory or in a toolchain's folder is there on one machine only, and its path tells about that machine.",
    fix="build with CGO_ENABLED=0, link statically, or set the loader: -extldflags=-Wl,--dynamic-linker=…",
    limits="Knows the loaders of glibc and musl for the architectures that Go has.",
    check=check,
)
