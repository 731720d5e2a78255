"""Paths of the build machine with their places, for the rules that each report one kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec

from goforensics.analysis import leakplaces
from goforensics.analysis.leaks import SCRIPTS, roots_of
from goforensics.analysis.paths import Roots, classify
from goforensics.clues.paths_in_strings import in_strings
from goforensics.patterns import TooManyError
from goforensics.report import PathKind
from goforensics.report_audit import Severity
from goforensics.rules.protocol import Draft, Hit, UnknownError
from goforensics.rules.subject import Subject

EACH = 3  # places of one sort that come first
SOURCES = (".go", ".c", ".h", ".s", ".S", ".cc", ".cpp")
DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
TRIMPATH = "go build -trimpath"
RECORDED = "go build -trimpath, which keeps the flags out of the build information, or no path in the flag"
LINE = (
    "a //line directive, or a generator that writes one, gives this path, which -trimpath leaves alone: generate it "
    "with a relative path, or build with -gcflags=PACKAGE=-trimpath=DIR"
)
REPLACE = (
    "name a relative directory in the replace directive, or use a workspace (go.work); -trimpath keeps the directory"
)
RUN_PATH = "drop -rpath from -extldflags, or start it with $ORIGIN; -trimpath does not touch it"
C_OBJECTS = (
    "build C code with CGO_CFLAGS=-ffile-prefix-map=DIR=. (libraries that were built elsewhere too), or drop its debug "
    "data with -ldflags=-s"
)
MENDS = {TRIMPATH: ("-trimpath",), RECORDED: ("-trimpath",), C_OBJECTS: ("-ldflags=-s",)}  # flags of go build
FIX = "go build -trimpath; for what survives it, see the finding"
STRINGS = "a constant, -X or //go:embed holds this path: take it out of the source, -trimpath does not touch it"


class Leak(msgspec.Struct, frozen=True):
    """One path at one place."""

    path: str
    kind: PathKind
    prefix: str
    hit: Hit
    copy_of: str = ""  # as leakplaces.Place


class Leaks(msgspec.Struct, frozen=True):
    """What was found, and why something may be missing."""

    leaks: list[Leak]
    cut: str  # "" if everything was looked at


def found(subject: Subject) -> Leaks:
    """Every path of the build machine, what can be read in the file as it is first."""
    return subject.once(_found)


def _found(subject: Subject) -> Leaks:
    known, cut = roots(subject), ""
    places = list(leakplaces.places(subject.binary, known))
    out = [_leak(place.path, known, _hit(place), place.copy_of) for place in places]
    spans = [(place.offset, place.offset + place.length) for place in places if place.offset is not None]
    try:
        for hit in in_strings(subject, {(each.prefix, each.kind) for each in out}, spans):
            out.append(_leak(hit.text, known, hit))
    except TooManyError as error:
        cut = str(error)
    return Leaks(sorted(out, key=lambda leak: leak.hit.where.startswith("dwarf")), cut)


def roots(subject: Subject) -> Roots:
    """GOROOT and the main module's directory, as the file table has them."""
    found = subject.owners.packages
    return roots_of(found.directory if found else {})


def _leak(path: str, known: Roots, hit: Hit, copy_of: str = "") -> Leak:
    prefix, kind = classify(path, known)
    return Leak(path, kind, prefix, hit, copy_of)


def _hit(place: leakplaces.Place) -> Hit:
    text = f"{place.path} ({place.note})" if place.note else place.path
    return Hit(text, place.where, place.offset, place.length)


def windows(path: str) -> bool:
    """It begins with a drive or a share."""
    return DRIVE.match(path) is not None


def drafts(
    subject: Subject,
    wanted: Callable[[Leak], str],
    title: Callable[[str, int], str],
    severity: Callable[[Leak], Severity | None] = lambda leak: None,
) -> Iterator[Draft]:
    """One finding for all paths of which `wanted` says the same, which is "" for those that are not.

    `title` makes its line from that and the number of places.  Raises UnknownError after them if the search for paths
    had to stop early.
    """
    groups: dict[str, list[Leak]] = {}
    for leak in found(subject).leaks:
        groups.setdefault(wanted(leak), []).append(leak)
    for name, mine in groups.items():
        if name:
            hits = _mixed(list(dict.fromkeys(leak.hit for leak in mine)))
            answers = _answers(subject, mine)
            flags = tuple(dict.fromkeys(flag for answer in answers for flag in MENDS.get(answer, ())))
            fix = "; ".join(answers)
            yield Draft(title(name, len(hits)), hits, name, severity=severity(mine[0]), fix=fix, mends=flags)
    if found(subject).cut:
        raise UnknownError(found(subject).cut)


def _mixed(hits: list[Hit]) -> list[Hit]:
    """The first few of every sort of place, then the others: a report shows only the first twenty."""
    seen: Counter[str] = Counter()
    early: list[Hit] = []
    late: list[Hit] = []
    for hit in hits:
        seen[hit.where] += 1
        (early if seen[hit.where] <= EACH else late).append(hit)
    return early + late


def places(count: int) -> str:
    """1 place, 2 places."""
    return f"{count:,} {'place' if count == 1 else 'places'}"


def _answers(subject: Subject, leaks: Iterable[Leak]) -> list[str]:
    """What helps against paths at these places; each answer once."""
    trimmed = subject.settings.get("-trimpath") == "true"
    return list(dict.fromkeys(_remedy(leak, trimmed) for leak in leaks))


def _remedy(leak: Leak, trimmed: bool) -> str:
    where = leak.hit.where
    recorded = leak.copy_of or where
    if recorded == "buildinfo:replace":
        return REPLACE
    if recorded.startswith("buildinfo:"):
        return RECORDED
    if where in ("rpath", "runpath"):
        return RUN_PATH
    if where == "dwarf (C)":
        return C_OBJECTS
    if where in ("filetab", "dwarf"):
        return LINE if trimmed else TRIMPATH
    if where == SCRIPTS or leak.kind == "goroot" or (leak.path.endswith(SOURCES) and not trimmed):
        return TRIMPATH
    return STRINGS
