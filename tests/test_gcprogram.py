"""GC programs: what the writer of cmd/internal/gcprog emits reads back; anything else costs little and is an error."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from goforensics.errors import FormatError
from goforensics.sections import gcprogram


def varint(value: int) -> bytes:
    """As gcprog.Writer.varint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def literal(bits: str) -> bytes:
    """An operation that gives up to 127 bits as they are."""
    raw = np.packbits(np.array([bit == "1" for bit in bits]), bitorder="little").tobytes()
    return bytes([len(bits)]) + raw


def repeat(count: int, times: int) -> bytes:
    """An operation that says the last `count` bits again, `times` times."""
    return (bytes([0x80 | count]) if count < 0x80 else b"\x80" + varint(count)) + varint(times)


def run(program: bytes, words: int) -> tuple[str, int]:
    bits, length = gcprogram.run(memoryview(program), words)
    assert bits.dtype == bool
    assert len(bits) == words
    return "".join("01"[bit] for bit in bits.tolist()), length


@pytest.mark.parametrize(
    ("program", "bits"),
    [
        (b"", ""),
        (literal("1"), "1"),
        (literal("10110011"), "10110011"),
        (literal("101100111"), "101100111"),
        (literal("01" * 63 + "1"), "01" * 63 + "1"),
        (literal("10") + repeat(2, 3), "10" * 4),
        (literal("110") + repeat(1, 5), "110" + "00000"),
        (literal("110") + repeat(2, 2) + literal("1"), "110" + "1010" + "1"),
        (literal("1" + "0" * 99) + repeat(100, 2) + repeat(300, 300), ("1" + "0" * 99) * 903),
        (literal("1") + repeat(1, 127) + repeat(128, 1), "1" * 256),
    ],
)
def test_operations(program: bytes, bits: str) -> None:
    tail = b"\xff\x81\x01"  # what follows in the file is no business of the program
    assert run(program + b"\0" + tail, len(bits)) == (bits, len(program) + 1)


@pytest.mark.parametrize("seed", range(50))
def test_random_programs(seed: int) -> None:
    rng = random.Random(seed)
    program, bits = b"", ""
    for _ in range(rng.randint(1, 30)):
        if bits and rng.random() < 0.4:
            count, times = rng.randint(1, len(bits)), rng.randint(1, 4)
            program, bits = program + repeat(count, times), bits + bits[-count:] * times
        else:
            more = "".join(rng.choice("01") for _ in range(rng.randint(1, 127)))
            program, bits = program + literal(more), bits + more
        if len(bits) > 1 << 16:
            break
    assert run(program + b"\0", len(bits)) == (bits, len(program) + 1)
    with pytest.raises(FormatError):
        run(program + b"\0", len(bits) - 1)
    with pytest.raises(FormatError):
        run(program, len(bits))


def test_words_that_it_says_nothing_of_are_no_pointers() -> None:
    assert run(literal("11") + b"\0", 5) == ("11000", 3)


def test_every_prefix_is_cut_off() -> None:
    program = literal("1" * 100) + repeat(100, 1 << 20) + literal("01") + b"\0"
    words = 100 * ((1 << 20) + 1) + 2
    assert gcprogram.run(memoryview(program), words)[1] == len(program)
    for length in range(len(program)):
        with pytest.raises(FormatError):
            gcprogram.run(memoryview(program[:length]), 1000)


@pytest.mark.parametrize(
    "program",
    [
        repeat(1, 1),  # nothing is there to repeat
        literal("1") + repeat(2, 1),
        literal("1") + b"\x80\0\1",  # the last none
        literal("1") + repeat(1, (1 << 35) - 1),  # more than there is
        literal("1") + repeat(1, 0),  # nothing, and the writer never says so
        literal("1") + b"\x81" + b"\x80" * 9 + b"\1",  # a number without an end
        literal("1" * 127) * 3,
    ],
)
def test_nonsense_is_an_error(program: bytes) -> None:
    with pytest.raises(FormatError) as error:
        gcprogram.run(memoryview(program + b"\0"), 256)
    assert error.value.structure == gcprogram.STRUCTURE


def test_a_long_program_that_says_nothing_is_soon_over() -> None:
    program = literal("1") + repeat(1, 0) * 3_000_000 + b"\0"
    begun = time.monotonic()
    with pytest.raises(FormatError):
        gcprogram.run(memoryview(program), 1 << 20)
    assert time.monotonic() - begun < 1


def test_random_bytes_are_bits_or_an_error() -> None:
    rng = np.random.default_rng(3)
    for _ in range(500):
        raw = rng.integers(256, size=rng.integers(0, 60), dtype=np.uint8).tobytes()
        try:
            bits, length = gcprogram.run(memoryview(raw), 300)
        except FormatError:
            continue
        assert len(bits) == 300
        assert raw[length - 1] == 0
