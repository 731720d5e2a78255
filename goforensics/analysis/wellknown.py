"""Variables that only other packages' code refers to, or whose every word is pointed at: known by what they hold.

Who refers to a variable says nothing of these.  A program has each of them at most once.
"""

from __future__ import annotations

import numpy as np

from goforensics.containers.image import Image, Words

# runtime.staticuint64s holds 0, 1, 2, … (src/runtime/iface.go): small numbers in interfaces point at its words.
NUMBERS = 256
# internal/godebugs.All names every setting of GODEBUG (src/internal/godebugs/table.go); no other table has both.
SETTINGS = (b"tarinsecurepath", b"http2client")

# go:fipsinfo: this, a sum, its own address and the bounds of four ranges (cmd/link/internal/ld/fips140.go).
FIPS_MAGIC, FIPS_SUM, FIPS_POINTERS = b"\xff Go fipsinfo \xff\0", 32, 9


def fips_info(image: Image, start: int, end: int) -> tuple[int, int] | None:
    """(address, bytes) of go:fipsinfo if it lies in the memory [start, end)."""
    offset = image.offset_of(start)
    at = bytes(image.data[offset : offset + end - start]).find(FIPS_MAGIC) if offset is not None else -1
    return (start + at, len(FIPS_MAGIC) + FIPS_SUM + FIPS_POINTERS * image.pointer_size) if at >= 0 else None


def small_numbers(image: Image, start: int, end: int) -> int | None:
    """The address of runtime.staticuint64s if it lies in the memory [start, end)."""
    offset = image.offset_of(start)
    if offset is None:
        return None
    pattern = np.arange(NUMBERS).astype(f"{image.order}u8").tobytes()
    at = bytes(image.data[offset : offset + end - start]).find(pattern)
    return start + at if at >= 0 else None


def settings(image: Image, strings: tuple[int, int]) -> Words:
    """The addresses of the names that only internal/godebugs.All has together; `strings` is the area of all strings."""
    low = image.offset_of(strings[0])
    text = bytes(image.data[low : low + strings[1] - strings[0]]) if low is not None else b""
    found = [text.find(name) for name in SETTINGS]
    return np.array([strings[0] + at for at in found if min(found) >= 0], np.uint64)
