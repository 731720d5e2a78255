"""Paths of the build machine in string data: -X, embedded files, constants.

A program has paths of its own (/etc/ssl/certs), so that a path in a string counts only if it is below a directory that
the file shows to be of the build machine, or below the home directory of somebody with a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from goforensics.analysis.paths import PLACEHOLDER
from goforensics.clues.places import where
from goforensics.clues.strings import texts
from goforensics.patterns import spans
from goforensics.report import PathKind
from goforensics.rules.protocol import Hit
from goforensics.rules.subject import Subject
from goforensics.sections import pclntab

HOME = rb"/home/|/Users/|[A-Za-z]:[\\/]Users[\\/]"
Span = tuple[int, int]
# The second is a name in a path, the rest may be anything that a path is written with.
NAMED = re.compile(rb"(?:[A-Za-z]:)?[/\\](?:home|Users)[/\\]([A-Za-z0-9][A-Za-z0-9._-]{0,31})[/\\]+[^/\\]")
# Accounts of systems and of documentation: nobody's home.
NOBODY = frozenset(
    b"user username users you your yourname your_name your-name yourusername me my myuser name foo bar baz example "
    b"somebody someone nobody test tester testuser linuxbrew shared public default administrator app vscode node git "
    b"ubuntu ec2-user debian centos core vagrant jovyan nonroot gopher xxx user1 user2".split()
)
PATH = re.compile(rb"[^\x00-\x20\x7f\"'`,;<>|()\[\]{}*?\xff]+")
BEFORE = re.compile(rb"[0-9A-Za-z_./\\~$%}*-]$")  # what stands before a path that is only the rest of another one
LONGEST = 4096  # PATH_MAX
LEAST_PARTS = 2  # /src is a directory of many machines
ROOTS: frozenset[PathKind] = frozenset(
    ("home", "module-cache", "gopath", "ci", "bazel", "nix", "temporary", "main-module")
)


def in_strings(subject: Subject, prefixes: Iterable[tuple[str, PathKind]], known: Iterable[Span]) -> Iterator[Hit]:
    """Each path in loaded data below one of `prefixes` or a home directory, `known` offsets left out, by offset.

    Raises TooManyError if there are more than can be looked at.
    """
    roots = {prefix.encode("utf-8", "surrogateescape") for prefix, kind in prefixes if kind in ROOTS}
    roots = {root for root in roots if len(re.findall(rb"[/\\]+[^/\\]+", root)) >= LEAST_PARTS}
    patterns = [re.escape(root) for root in sorted(roots, key=len, reverse=True)] + [HOME]
    data, done = subject.image.data, 0
    for low, high in _free(subject, known):
        for offset, size in spans(data[low:high], patterns):
            at = low + offset
            path = _path(subject, at, bytes(data[at : at + size]) in roots) if at >= done else None
            if path is not None and not PLACEHOLDER.match(path):
                done = at + len(path.encode("utf-8", "surrogateescape"))
                yield Hit(path, where(subject, at), at, done - at)


def _free(subject: Subject, known: Iterable[Span]) -> Iterator[Span]:
    """Offsets of loaded data less the `known` ones, and less the tables whose paths are read by themselves."""
    table, info = subject.binary.maybe(pclntab.PARSER), subject.info
    taken = [*known]
    taken += [(table.offset, table.offset + len(table.data))] if table else []
    taken += [(info.offset, info.offset + info.size)] if info else []
    taken = _merged(taken)
    data = _merged((s.offset, s.offset + s.file_size) for s in subject.image.sections if s.role == "data")
    size, number = len(subject.image.data), 0
    for start, stop in data:
        at, end = start, min(stop, size)
        while number < len(taken) and taken[number][1] <= at:
            number += 1
        while number < len(taken) and taken[number][0] < end:
            low, high = taken[number]
            if low > at:
                yield at, low
            at = max(at, high)
            if high > end:
                break  # it reaches into what follows
            number += 1
        if at < end:
            yield at, end


def _merged(pieces: Iterable[Span]) -> list[Span]:
    """The same bytes in order, none twice."""
    out: list[Span] = []
    for low, high in sorted(pieces):
        if out and low <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], high)
        elif low < high:
            out.append((low, high))
    return out


def _path(subject: Subject, at: int, root: bool) -> str | None:
    """The path that begins there, as far as its string goes; None if it is only the rest of another one."""
    bound = texts(subject).bound(at, 1)
    before = bytes(subject.image.data[max(bound.start, at - 8) : at])
    found = PATH.match(bytes(subject.image.data[at : min(bound.end, at + LONGEST)]))
    if found is None or BEFORE.search(before):
        return None
    raw = found[0].rstrip(b".:\\")
    if not root and not somebody(raw):
        return None
    return raw.decode("utf-8", "surrogateescape")


def somebody(path: bytes) -> bool:
    """Whether it is below the home directory of an account that is nobody's in particular."""
    found = NAMED.match(path)
    return found is not None and found[1].lower() not in NOBODY
