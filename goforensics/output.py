"""Files written whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from goforensics.errors import UsageError


@contextmanager
def replacing(path: str, inputs: Sequence[str] = ()) -> Iterator[TextIO]:
    """A stream whose text becomes the file `path` when the block ends well; else the file stays as it was.

    So it does if the block wrote nothing.
    Raises UsageError if `path` is one of `inputs`, OSError if it cannot be written.  A device or a FIFO is written
    to directly: it must not be replaced by a file.
    """
    target = _target(path, inputs)
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8") as stream:
            yield stream
        return
    with (
        _replaced(target) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
    ):
        yield stream


@contextmanager
def replacing_file(path: str, inputs: Sequence[str] = ()) -> Iterator[Path]:
    """The same for what writes a file by itself: a path whose content becomes the file `path`.

    Raises UsageError for a device or a FIFO too: such formats cannot be written from front to end.
    """
    target = _target(path, inputs)
    if target.exists() and not target.is_file():
        raise UsageError(f"{path} is no ordinary file, which this format needs; choose another name for the output")
    with _replaced(target) as temporary:
        yield temporary


def _target(path: str, inputs: Sequence[str]) -> Path:
    target = Path(os.path.realpath(path))
    for name in inputs:
        if name != "-" and _same(Path(name), target):
            raise UsageError(f"{path} is one of the input files; choose another name for the output")
    return target


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """A temporary file beside `target` that takes its place if something was written to it."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    temporary = Path(name)
    try:
        os.close(descriptor)
        yield temporary
        if temporary.stat().st_size:
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            temporary.chmod(_mode(target))
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def _mode(target: Path) -> int:
    """What an ordinary `open` would give: the present file's mode, or a new file's under the umask."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
