"""Compressed sections: what is inflated, and what a lying header may cost."""

from __future__ import annotations

import struct
import sys
import tracemalloc
import zlib
from typing import Literal

import numpy as np
import pytest
from fakes import FakeImage, section

from goforensics.errors import FormatError
from goforensics.sections import compression

Order = Literal["<", ">"]
Bits = Literal[32, 64]
TEXT = b"DW_TAG_compile_unit " * 1000


def chdr(declared: int, order: str = "<", bits: int = 64, kind: int = 1) -> bytes:
    if bits == 64:
        return struct.pack(order + "IIQQ", kind, 0, declared, 1)
    return struct.pack(order + "III", kind, declared, 1)


def inflate(blob: bytes, kind: Literal["zlib", "zstd", "zdebug"] | None, order: Order = "<", bits: Bits = 64) -> bytes:
    """The content of a section that is `blob`, which lies 8 bytes into the image."""
    part = section(".debug_info", 8, len(blob), compression=kind)
    return bytes(compression.content(FakeImage(bytes(8) + blob, order=order, bits=bits), part))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("text", [b"", b"x", TEXT, bytes(compression.STEP), bytes(3 * compression.STEP + 1)])
def test_inflates_what_was_deflated(order: Order, bits: Bits, text: bytes) -> None:
    blob = chdr(len(text), order, bits) + zlib.compress(text)
    assert inflate(blob, "zlib", order, bits) == text
    part = section(".debug_info", 0, len(blob), compression="zlib")
    assert compression.uncompressed_size(FakeImage(blob, order=order, bits=bits), part) == len(text)


def test_zdebug_is_big_endian_whatever_the_image_is() -> None:
    assert inflate(b"ZLIB" + len(TEXT).to_bytes(8, "big") + zlib.compress(TEXT), "zdebug") == TEXT


def test_a_plain_section_is_itself() -> None:
    assert inflate(TEXT, None) == TEXT


def test_noise_that_does_not_compress_comes_back() -> None:
    noise = np.random.default_rng(1).bytes(300_000)
    assert inflate(chdr(len(noise)) + zlib.compress(noise, 0), "zlib") == noise


@pytest.mark.parametrize("declared", [0, 1, len(TEXT) - 1, len(TEXT) + 1, 1 << 30, 1 << 62, (1 << 64) - 1])
def test_a_size_that_is_not_the_declared_one_is_an_error(declared: int) -> None:
    with pytest.raises(FormatError) as caught:
        inflate(chdr(declared) + zlib.compress(TEXT), "zlib")
    assert (caught.value.structure, caught.value.offset) == (".debug_info", 8)


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A gibibyte of zeros, deflated."""
    machine = zlib.compressobj(9)
    return b"".join(machine.compress(bytes(1 << 20)) for _ in range(1024)) + machine.flush()


@pytest.mark.parametrize("declared", [0, 1 << 20, compression.FLOOR, 1 << 30])
def test_a_bomb_costs_no_more_than_its_limit(declared: int, bomb: bytes) -> None:
    """A18: a gibibyte of zeros out of a megabyte."""
    tracemalloc.start()
    with pytest.raises(FormatError):
        inflate(chdr(declared) + bomb, "zlib")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < compression.FLOOR + 4 * len(bomb) + 4 * compression.STEP


@pytest.mark.parametrize("kind", ["zlib", "zdebug"])
def test_any_prefix_is_an_error(kind: Literal["zlib", "zdebug"]) -> None:
    head = chdr(len(TEXT)) if kind == "zlib" else b"ZLIB" + len(TEXT).to_bytes(8, "big")
    blob = head + zlib.compress(TEXT)
    for length in range(len(blob) - 4):  # the last four bytes are a checksum
        with pytest.raises(FormatError):
            inflate(blob[:length], kind)


def test_no_broken_byte_escapes_as_anything_else() -> None:
    rng = np.random.default_rng(2)
    good = np.frombuffer(chdr(len(TEXT)) + zlib.compress(TEXT), np.uint8)
    for _ in range(2000):
        bad = good.copy()
        bad[rng.integers(len(bad), size=rng.integers(1, 4))] = rng.integers(256)
        try:
            assert len(inflate(bad.tobytes(), "zlib")) == len(TEXT)
        except FormatError:
            continue


def test_a_section_past_the_end_is_an_error() -> None:
    with pytest.raises(FormatError):
        compression.content(FakeImage(bytes(10)), section(".debug_info", 4, 20))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python reads zstd")
def test_zstd_says_what_it_needs() -> None:
    with pytest.raises(FormatError, match=r"zstd needs Python 3\.14"):
        inflate(chdr(4, kind=2) + b"\x28\xb5\x2f\xfd", "zstd")
