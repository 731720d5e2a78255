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
    target = Path(os.path.realpath(path))
    for name in inputs:
        if name != "-" and _same(Path(name), target):
            raise UsageError(f"{path} is one of the input files; choose another name for the output")
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8") as stream:
            yield stream
        return
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            written = stream.tell() > 0
        if written:
            Path(temporary).chmod(_mode(target))
            Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


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
