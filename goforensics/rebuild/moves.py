"""Where a rebuild loads what the file in hand loads: the linker lays sections one behind another, each aligned.

Source of truth: cmd/link/internal/ld/data.go (address, dodata) and ld.go (addstrdata).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image, Section, Words
from goforensics.errors import FormatError
from goforensics.rebuild.contents import Contents, Declined, Part

GOROOT = "runtime.defaultGOROOT"  # the variable; the symbol of its string has ".str" behind its name
VARIABLE_SHRINK = (16, 0, 32)  # bytes that .data may lose with the variable, likeliest first: 32-aligned ones follow it

Debug = Mapping[str, tuple[int, int]]  # line_tables: bytes in the new file and their doubt, by a debug section's name


AnImage = TypeVar("AnImage", bound=Image)
T = TypeVar("T")
P = ParamSpec("P")


def per_image(decode: Callable[Concatenate[AnImage, P], T]) -> Callable[Concatenate[AnImage, P], T]:
    """Remember what `decode` made of an image while that is in use: a file is laid out once per set of flags."""
    kept: WeakKeyDictionary[Image, dict[object, T]] = WeakKeyDictionary()

    @wraps(decode)
    def once(image: AnImage, *args: P.args, **kwargs: P.kwargs) -> T:
        found, key = kept.setdefault(image, {}), (args, *kwargs.items())
        if key not in found:
            found[key] = decode(image, *args, **kwargs)
        return found[key]

    return cast(Callable[Concatenate[AnImage, P], T], once)


class Removed(msgspec.Struct, frozen=True):
    """What leaves .data with GOROOT's string: the variable's bytes, and the address of its pointer."""

    parts: tuple[Part, ...] = ()
    pointer: int | None = None


class Moves:
    """By how much each loaded byte moves, as steps in address order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._shifts: list[int] = []
        self.parts: list[Part] = []

    def add(self, section: Section, new: int, parts: Iterable[Part]) -> int:
        """Lay `section` out at the address `new`, the parts that lie in it with their new lengths; its new end."""
        shift = new - section.address
        self._step(section.address, shift)
        for part in sorted(parts, key=lambda p: p.address):
            shift += part.new_size - part.size
            self._step(part.address + part.size, shift)
            self.parts.append(part)
        return section.address + section.memory_size + shift

    def _step(self, start: int, shift: int) -> None:
        self._starts.append(start)
        self._shifts.append(shift)

    def moved(self, addresses: Words) -> NDArray[np.int64]:
        """(n,) bytes by which what is at `addresses` moves; 0 before the first section."""
        starts, shifts = np.array(self._starts, np.uint64), np.array([0, *self._shifts], np.int64)
        order = np.argsort(starts, kind="stable")
        return shifts[np.r_[0, order + 1]][np.searchsorted(starts[order], addresses, "right")]


def rounded(size: int, to: int) -> int:
    """`size` rounded up to a multiple of `to`, as cmd/link's Rnd does."""
    return size + -size % to


def inside(part: Part, section: Section) -> bool:
    """The part lies in the section."""
    return section.address <= part.address and part.address + part.size <= section.address + section.memory_size


def changed(contents: Contents) -> tuple[Part, ...]:
    """The parts that get another length; Declined if one is no range."""
    parts = (contents.strings, contents.buildinfo, contents.pclntab, contents.root_string)
    found = tuple(p for p in parts if p is not None)
    if any(p.size < 0 or p.new_size < 0 for p in found):
        raise Declined("a part of the contents is no range")
    return found


def removed(image: Image, contents: Contents) -> list[Removed]:
    """What leaves .data with runtime.GOROOT's string, likeliest first; the one answer "nothing" where that stays.

    The variable has no value any more and moves to .bss.  How much shorter .data gets depends on the alignment of
    what follows there, of which a file says nothing.
    """
    if not contents.goroot or contents.root_string is None:
        return [Removed()]
    width = 2 * image.pointer_size
    pointer = _pointer(image, contents.root_string.address, contents.root_string.size)
    return [Removed((Part(pointer, width, width - lost),), pointer) for lost in VARIABLE_SHRINK]


@per_image
def _pointer(image: Image, string: int, size: int) -> int:
    """The address of the variable: a pointer to the string, and a length for which its `size` bytes have room."""
    fits = string >> image.bits == 0
    for address in image.pointers_to(string) if fits else ():
        try:
            length = int(image.words(address, 2, GOROOT)[1])
        except FormatError:
            continue
        if 0 < length <= size:
            return address
    raise Declined("no variable points at the default of runtime.GOROOT")


def resized(debug: Debug | None, sign: int) -> dict[str, int]:
    """Sizes of debug sections by name: as estimated (0), or at the least (-1) or most (1) that they may be."""
    return {name: max(size + sign * doubt, 0) for name, (size, doubt) in (debug or {}).items()}


def signs(debug: Debug | None) -> tuple[int, ...]:
    """What `resized` need be asked for to know the least and the most."""
    return (-1, 1) if any(doubt for _, doubt in (debug or {}).values()) else (0,)
