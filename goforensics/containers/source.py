"""Bytes of a file, read once into memory.

A mapping would be smaller, but a file that shrinks while it is mapped kills the process (SIGBUS); a plain read
only comes back short.
"""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import msgspec

from goforensics.errors import ReadError

STREAM_LIMIT = 4 << 30  # bytes taken from standard input before it is called endless
CHUNK = 1 << 20


class SourceFile(msgspec.Struct, frozen=True, dict=True):
    """A whole file: `path` as the user gave it, and its bytes."""

    path: str
    data: memoryview
    expected: int  # bytes the file system said it had when it was opened

    @cached_property
    def _digest(self) -> Future[str]:
        """Computed in another thread, which hashlib lets run."""
        pool = ThreadPoolExecutor(1)
        digest = pool.submit(lambda: hashlib.sha256(self.data).hexdigest())
        pool.shutdown(wait=False)
        return digest

    def hash_ahead(self) -> None:
        """Begin to compute `sha256`."""
        _ = self._digest

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of the whole file."""
        return self._digest.result()

    @property
    def changed(self) -> bool:
        """The file grew or shrank while it was read."""
        return len(self.data) != self.expected


def read_file(path: Path) -> SourceFile:
    """Read a regular file.  Raises ReadError, and never waits on a FIFO or a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ReadError(f"{path}: {_kind(status.st_mode)}, not a regular file; pipe its bytes to -")
    with os.fdopen(descriptor, "rb") as stream:
        try:
            data = stream.read(status.st_size + 1)
        except OSError as error:
            raise ReadError(f"{path}: {error.strerror}") from None
    return SourceFile(str(path), memoryview(data), status.st_size)


def read_stream(stream: BinaryIO) -> SourceFile:
    """Read a pipe to its end.  Raises ReadError past STREAM_LIMIT."""
    chunks, size = [], 0
    while chunk := stream.read(CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > STREAM_LIMIT:
            raise ReadError(f"standard input: more than {STREAM_LIMIT >> 30} GiB")
    return SourceFile("-", memoryview(b"".join(chunks)), size)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in kinds if test(mode)), "a device")
