"""Builds for the debugger."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded
from goforensics.clues.flags import OFF
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """By -gcflags, which are recorded under -trimpath too, else by what the compiler says in the debug data."""
    told = recorded.setting(subject, "-gcflags")
    if told is not None:
        hits = [told] if OFF & set(told.text.replace("=", " ").split()) else []
    else:
        hits = _by_debug_data(subject)
    if hits:
        yield Draft("built without optimizations or inlining (-N, -l)", hits, "unoptimized")


def _by_debug_data(subject: Subject) -> list[Hit]:
    try:
        recorded.complete(subject)
    except UnknownError:
        producer = recorded.unoptimized(subject)
        return [Hit(producer, "dwarf")] if producer else []
    return []


RULE = Rule(
    id="build/unoptimized",
    title="A build for the debugger",
    severity="medium",
    why="-gcflags='-N -l' is for stepping through code: the program is larger and several times slower.",
    fix="go build without -gcflags=-N, -l",
    mends=("-gcflags=",),
    limits="Flags that a go:debug directive or a wrapper of the compiler adds are in the debug data only, which is "
    "looked at where no settings are recorded.",
    check=check,
    profiles=("release", "container"),
)
