"""hardening/runpath: directories in which the loader looks for libraries before the system's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.errors import FormatError
from goforensics.policy import Policy
from goforensics.report_audit import Severity
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections.search import find_all

SYSTEM = re.compile(r"/(?:usr/(?:local/)?)?lib(?:32|64|exec)?(?:/|$)|/System/|/Library/")
SHARED = re.compile(r"/(?:private/)?(?:var/)?tmp(?:/|$)|/dev/shm(?:/|$)|/(?:var/)?run/user(?:/|$)")
RELATIVE = re.compile(r"\$(?:ORIGIN|\{ORIGIN\})|@(?:loader|executable)_path|\$(?:LIB|PLATFORM|\{LIB\}|\{PLATFORM\})")
HOME = re.compile(r"/(?:home|Users)/|/root(?:/|$)|/builds/|/github/|/__w/|/workspace/")


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """One draft for each directory that is not the system's, nor beside the binary."""
    try:
        return [draft for path, hit in _directories(subject) for draft in _judged(path, hit)]
    except FormatError as error:
        raise UnknownError(f"the dynamic tables cannot be read: {error}") from None


def _judged(path: str, hit: Hit) -> Iterator[Draft]:
    kind, severity = verdict(path)
    if severity is not None:
        yield Draft(f"libraries are looked for in {path or 'the working directory'}: {kind}", [hit], path, "", severity)


def verdict(path: str) -> tuple[str, Severity | None]:
    """What a directory is, and how bad that is; None for one that is fine."""
    if not path:
        return "an empty entry, wherever the program is started", "high"
    if RELATIVE.match(path):
        return "relative to the binary", None
    if not path.startswith("/"):
        return "relative to wherever the program is started", "high"
    if SHARED.match(path):
        return "anyone may write there", "high"
    if HOME.match(path):
        return "whoever owns that directory owns the program", "medium"
    return ("the system's", None) if SYSTEM.match(path) else ("a directory that other machines may not have", "low")


def _directories(subject: Subject) -> Iterator[tuple[str, Hit]]:
    image = subject.image
    if image.format == "elf":
        from goforensics.containers.elf import ElfImage

        assert isinstance(image, ElfImage)
        for tag in ("DT_RPATH", "DT_RUNPATH"):
            for text, at in image.dynamic_texts(tag):
                yield from _split(text, at, f"dynamic:{tag.removeprefix('DT_')}")
        return
    for path in image.dynamic().rpath:  # a PE file has none
        raw = path.encode("utf-8", "surrogateescape") + b"\0"
        found = next(find_all(image.data, raw), None)
        yield path, Hit(path, "load commands", found, len(raw) - 1 if found is not None else 0)


def _split(text: str, at: int, where: str) -> Iterator[tuple[str, Hit]]:
    """The loader passes over a path that is empty altogether, not over an empty entry of one."""
    for part in text.split(":") if text else ():
        size = len(part.encode("utf-8", "surrogateescape"))
        yield part, Hit(part or text, where, at, size)
        at += size + 1


RULE = Rule(
    id="hardening/runpath",
    title="Libraries are looked for in odd places",
    severity="medium",
    why="A run path goes before the system's directories: whoever can put a file there has it loaded into the program, "
    "with its rights.  -trimpath does not touch it.",
    fix="remove -Wl,-rpath from CGO_LDFLAGS or -extldflags, or make it relative to the binary: $ORIGIN",
    limits="Judges by name; who may write to a directory on the machine that runs the program, a file cannot tell.",
    check=check,
)
