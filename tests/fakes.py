"""An image over bytes that a test has built, and a source that reads it: parsers without a container."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar, cast

import numpy as np

from goforensics.bytemap import Claims
from goforensics.containers.image import Dynamic, Image, Relocations, Section, Segment, SymbolTable
from goforensics.sections.protocol import Parser

T = TypeVar("T")


def section(
    name: str,
    offset: int,
    size: int,
    address: int = 0,
    compression: Literal["zlib", "zstd", "zdebug"] | None = None,
) -> Section:
    """A data section; in memory if it has an address."""
    return Section(name, offset, size, address, size if address else 0, "data", False, compression)


def segment(offset: int, size: int, address: int, *, writable: bool = False, executable: bool = False) -> Segment:
    """A mapping of the same size in the file and in memory."""
    return Segment("LOAD", offset, size, address, size, writable, executable)


class FakeImage(Image):
    """An Image that is what its arguments say."""

    def __init__(
        self,
        data: bytes,
        *,
        sections: Sequence[Section] = (),
        segments: Sequence[Segment] = (),
        symbols: SymbolTable | None = None,
        bits: Literal[32, 64] = 64,
        order: Literal["<", ">"] = "<",
        format: Literal["elf", "pe", "macho"] = "elf",  # noqa: A002 - the attribute's name
        relocations: dict[int, int] | None = None,
    ) -> None:
        self.data = memoryview(data)
        self.base = 0
        self.format = format
        self.goos, self.goarch = "linux", "amd64"
        self.bits, self.order = bits, order
        self.purpose = "executable"
        self.position_independent = bool(relocations)
        self.entry = 0
        self.sections, self.segments = tuple(sections), tuple(segments)
        self.problems = []
        self._symbols = symbols
        self._words = sorted((relocations or {}).items())

    def claims(self) -> Iterator[Claims]:
        """A fake has no headers."""
        return iter(())

    def symbol_table(self) -> SymbolTable | None:
        """What the test gave."""
        return self._symbols

    def dynamic(self) -> Dynamic:
        """Nothing."""
        return Dynamic()

    def relocations(self) -> Relocations:
        """What the test gave, by address."""
        pairs = np.array(self._words, np.uint64).reshape(-1, 2)
        return Relocations(pairs[:, 0].copy(), pairs[:, 1].copy())


class FakeSource:
    """Reads parsers as Binary does, without remembering errors."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self._read: dict[str, object] = {}

    def read(self, parser: Parser[T]) -> T:
        """Decode once."""
        if parser.name not in self._read:
            self._read[parser.name] = parser.decode(self)
        return cast(T, self._read[parser.name])
