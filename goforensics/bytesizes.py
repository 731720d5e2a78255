"""Sizes in bytes as people write them: 5242880, 5MiB, 1.5 GB."""

from __future__ import annotations

import re
from decimal import Decimal

from goforensics.errors import UsageError

UNITS = {"": 1, "B": 1}
UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)}
UNITS |= {f"{letter}IB": 1 << (10 * power) for power, letter in enumerate("KMGT", 1)}
SIZE = re.compile(r"(?P<number>\d{1,19}(?:\.\d{1,9})?)\s*(?P<unit>[A-Za-z]*)", re.ASCII)
MOST = 1 << 63  # no file is larger


def parse(text: str) -> int:
    """Bytes: a plain number, or one with KiB, MiB, GiB, TiB (1024) or KB, MB, GB, TB (1000), in any case.

    Raises UsageError for anything else, for a fraction of a byte and for more than a file can have.
    """
    found = SIZE.fullmatch(text.strip())
    factor = UNITS.get(found["unit"].upper()) if found else None
    if found is None or factor is None:
        raise UsageError(f"{text!r} is no size; write a number of bytes, or one with a unit: 5242880, 5MiB, 5MB")
    size = Decimal(found["number"]) * factor
    if size != int(size):
        raise UsageError(f"{text!r} is no whole number of bytes")
    if size > MOST:
        raise UsageError(f"{text!r} is more than any file has")
    return int(size)
