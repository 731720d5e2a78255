"""Builds for tests: race detector, sanitizers, coverage."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded
from goforensics.policy import Policy
from goforensics.report_audit import Severity
from goforensics.rules.protocol import Draft, Rule, UnknownError
from goforensics.rules.subject import Subject

WHAT: dict[recorded.Instrument, tuple[str, Severity]] = {
    "-race": ("the race detector (-race)", "high"),
    "-msan": ("the memory sanitizer (-msan)", "high"),
    "-asan": ("the address sanitizer (-asan)", "high"),
    "-cover": ("coverage counters (-cover)", "medium"),
}


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """By the settings or, where they are not recorded, by what only such a build links in."""
    unknown = {}
    for flag, (what, severity) in WHAT.items():
        try:
            hit = recorded.instrument(subject, flag)
        except UnknownError as error:
            unknown[flag] = str(error)
            continue
        if hit is not None:
            fix = f"go build without {flag}"
            yield Draft(f"built with {what}", [hit], flag, severity=severity, fix=fix, mends=(f"{flag}=false",))
    if unknown:
        raise UnknownError(f"{', '.join(unknown)}: {next(iter(unknown.values()))}")


RULE = Rule(
    id="build/instrumented",
    title="An instrumented build",
    severity="high",
    why="The race detector and the sanitizers take several times the memory and time, and stop the program at what "
    "they find; coverage counters write files where GOCOVERDIR says.",
    fix="go build without -race, -msan, -asan and -cover",
    limits="Go 1.20 and 1.21 do not record -cover: then code of runtime/coverage in the file stands for it.",
    check=check,
    profiles=("release", "container"),  # such builds are for debugging
)
