"""Which files are meant: those named, and executables in directories that are named, known by their first bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from goforensics.containers.recognise import FAT, MACHO
from goforensics.errors import ReadError

BEGINNINGS = (b"\x7fELF", b"MZ", *MACHO, *FAT)
LONGEST = max(map(len, BEGINNINGS))


class Candidate(msgspec.Struct, frozen=True):
    """A file to be audited; one that was named must be a Go executable, one from a directory may be something else."""

    path: str
    named: bool


class Walked(msgspec.Struct):
    """What was found, and what was not looked at."""

    candidates: list[Candidate] = msgspec.field(default_factory=list)
    failed: list[tuple[str, Exception]] = msgspec.field(default_factory=list)
    passed_over: int = 0
    directories: int = 0


def walk(paths: Sequence[str]) -> Walked:
    """The files to audit, in the order named and by name within a directory; "-" is standard input.

    Links within a directory are passed over: what they lead to is found by its own name, or lies outside.
    """
    out = Walked()
    for path in paths:
        if path != "-" and Path(path).is_dir():
            out.directories += 1
            for name in _files(path, out):
                _consider(name, out)
        else:
            out.candidates.append(Candidate(path, named=True))
    return out


def _files(directory: str, out: Walked) -> Iterator[str]:
    """Every entry below a directory that is none itself."""
    waiting = [directory]
    while waiting:
        path = waiting.pop()
        if path != directory and not _is_directory(path):
            yield path
            continue
        try:
            names = sorted(os.listdir(path), reverse=True)  # noqa: PTH208 - a Path would lose a leading "./"
        except OSError as error:
            out.failed.append((path, ReadError(f"{path}: {error.strerror}")))
            continue
        waiting += [os.path.join(path, name) for name in names]  # noqa: PTH118


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _consider(path: str, out: Walked) -> None:
    """Take a file of a directory if it begins as an executable does.  A file that cannot be read might be one."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            out.passed_over += 1
            return
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
            begins = stream.read(LONGEST)
    except OSError as error:
        out.failed.append((path, ReadError(f"{path}: {error.strerror}")))
        return
    if begins.startswith(BEGINNINGS):
        out.candidates.append(Candidate(path, named=False))
    else:
        out.passed_over += 1
