"""What a section parser is: a name, how to decode, what it claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

import msgspec

from goforensics.bytemap import Claims
from goforensics.containers.image import Image

T = TypeVar("T")


class Source(Protocol):
    """What a parser may ask: the image, and what other parsers made of it."""

    @property
    def image(self) -> Image:
        """The image to decode."""

    def read(self, parser: Parser[T]) -> T:
        """Another structure, decoded once; FormatError, the same one each time, if it is absent or broken."""


def no_claims(source: Source, value: object) -> Iterable[Claims]:
    """For structures that own no byte of their own."""
    return ()


class Parser(msgspec.Struct, Generic[T], frozen=True):
    """One of Go's structures.  `Binary.read(PARSER)` gives a T.

    `decode` raises FormatError, with `absent=True` where the structure is simply not there.
    `claims` gives ranges as offsets in the image; the caller moves them to where the image lies in the file.
    """

    name: str
    decode: Callable[[Source], T]
    claims: Callable[[Source, T], Iterable[Claims]] = no_claims
