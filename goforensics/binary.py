"""Binary: one executable, each of its structures decoded once, when first asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar, cast

from goforensics.containers.image import Image, Problem
from goforensics.containers.load import images
from goforensics.containers.source import SourceFile, read_file, read_stream
from goforensics.errors import FormatError
from goforensics.sections.protocol import Parser

T = TypeVar("T")


class Binary:
    """One executable image with its parsers' results: the facade that commands and the Python API share.

    A universal Mach-O file has a Binary per slice; `binary.slices` lists them, `binary.image` is the first's.
    """

    def __init__(self, file: SourceFile, image: Image, slices: tuple[Binary, ...] = ()) -> None:
        self.file = file
        self.image = image
        self.slices = slices
        self._read: dict[str, object] = {}

    def read(self, parser: Parser[T]) -> T:
        """Decode one structure.  Raises FormatError, the same one each time, if it is absent or broken."""
        if parser.name not in self._read:
            self._read[parser.name] = FormatError("needs itself to be read", structure=parser.name)
            try:
                self._read[parser.name] = parser.decode(self)
            except FormatError as error:
                self._read[parser.name] = error
        result = self._read[parser.name]
        if isinstance(result, FormatError):
            raise result
        return cast(T, result)

    def maybe(self, parser: Parser[T]) -> T | None:
        """Decode one structure; None if it is absent or broken (then `problems` has the reason)."""
        try:
            return self.read(parser)
        except FormatError:
            return None

    def problems(self) -> list[Problem]:
        """Everything so far that was there and could not be read, in file order."""
        errors = [e for e in self._read.values() if isinstance(e, FormatError) and not e.absent]
        found = {Problem(e.structure, e.offset, e.reason) for e in errors} | set(self.image.problems)
        return sorted(found, key=lambda p: (p.offset, p.structure, p.reason))


def open(path: str | Path) -> Binary:  # noqa: A001 - the API reads goforensics.open(path)
    """Read an executable; "-" reads standard input.

    Raises ReadError if the file cannot be read, NotGoError if it is no executable that Go's toolchain could have
    written, FormatError if its container's headers are beyond reading.
    """
    file = read_stream(sys.stdin.buffer) if str(path) == "-" else read_file(Path(path))
    found = tuple(Binary(file, image) for image in images(file.data))
    if len(found) == 1 and len(found[0].image.data) == len(file.data):
        return found[0]
    return Binary(file, found[0].image, found)
