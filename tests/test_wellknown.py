"""Variables that are known by what they hold: found where they are whole and in the memory asked about."""

from __future__ import annotations

import struct
from typing import Literal

import pytest
from fakes import FakeImage, segment

from goforensics.analysis.wellknown import FIPS_MAGIC, NUMBERS, SETTINGS, fips_info, settings, small_numbers

BASE = 0x40_0000
Order = Literal["<", ">"]


def _image(data: bytes, order: Order = "<") -> FakeImage:
    return FakeImage(data, segments=(segment(0, len(data), BASE),), order=order)


@pytest.mark.parametrize("order", ["<", ">"])
def test_small_numbers(order: Order) -> None:
    numbers = struct.pack(f"{order}{NUMBERS}Q", *range(NUMBERS))
    image = _image(b"\7" * 24 + numbers + b"\7" * 8, order)
    end = BASE + 24 + len(numbers)
    assert small_numbers(image, BASE, end) == BASE + 24
    assert small_numbers(image, BASE, end - 1) is None  # not all of it lies there
    assert small_numbers(image, BASE + 2 * len(image.data), end) is None  # memory that the file does not hold


def test_fips_info() -> None:
    image = _image(b"\0" * 16 + FIPS_MAGIC + b"\0" * 200)
    found = fips_info(image, BASE, BASE + 100)
    assert found is not None
    assert found == (BASE + 16, len(FIPS_MAGIC) + 32 + 9 * image.pointer_size)
    assert fips_info(image, BASE + 17, BASE + 100) is None


def test_settings_are_both_there_or_neither() -> None:
    first, second = SETTINGS
    image = _image(b"xx" + second + b"yy" + first)
    area = (BASE, BASE + len(image.data))
    assert settings(image, area).tolist() == [BASE + 4 + len(second), BASE + 2]
    assert settings(_image(b"xx" + second + b"y" * 40), area).tolist() == []
