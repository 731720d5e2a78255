"""Filling behind functions: per architecture what it is, what is no filling, and that a lot of it costs little."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest
from fakes import FakeImage

from goforensics.sections.codepadding import FILLINGS, SHORTEST, code_sizes

NOTHING = bytes(4)
RET = {"amd64": b"\xc3", "386": b"\xc3", "arm": b"\x04\xf0\x9d\xe4", "loong64": bytes.fromhex("2000004c")}
RET |= {"ppc64le": struct.pack("<I", 0x4E800020), "ppc64": struct.pack(">I", 0x4E800020)}
RET |= {"riscv64": struct.pack("<I", 0x8067), "arm64": struct.pack("<I", 0xD65F03C0), "s390x": b"\x07\xfe"}
JR = {name: struct.pack("<I" if name.endswith("le") else ">I", 0x03E00008) for name in FILLINGS if "mips" in name}
LOAD = struct.pack("<I", 0x00000503)  # riscv64: lb a0, 0(zero)


def sizes(goarch: str, *functions: bytes, at: int = 8) -> list[int]:
    """The bytes of code of functions that lie end to end."""
    image = FakeImage(b"\x90" * at + b"".join(functions))
    image.goarch = goarch
    size = np.array([len(f) for f in functions], np.int64)
    return [int(code) for code in code_sizes(image, np.cumsum(size) - size + at, size)]


@pytest.mark.parametrize("goarch", ["amd64", "386", "arm", "loong64", "ppc64", "ppc64le", "riscv64"])
def test_the_filling_is_told_from_code(goarch: str) -> None:
    ret, unit = RET[goarch], FILLINGS[goarch]
    full = ret * (SHORTEST // len(ret))
    for count in range(1, (SHORTEST - len(ret)) // len(unit) + 1):
        filled = ret + unit * count
        assert sizes(goarch, full, filled, full) == [len(full), len(ret), len(full)], count


@pytest.mark.parametrize("goarch", ["arm64", "s390x", "wasm", ""])
def test_other_machines_fill_nothing_up(goarch: str) -> None:
    for unit in (b"\xcc", NOTHING):
        function = RET.get(goarch, b"\xc3") + unit * 3
        assert sizes(goarch, function) == [len(function)]


@pytest.mark.parametrize("goarch", [*JR, "arm"])
def test_only_short_functions_are_filled_up(goarch: str) -> None:
    head = b"\x11" * 12
    ret = JR.get(goarch, RET["arm"])
    assert sizes(goarch, head + ret + NOTHING * 2) == [24]


@pytest.mark.parametrize("goarch", JR)
def test_mips_does_nothing_while_it_jumps(goarch: str) -> None:
    assert sizes(goarch, JR[goarch] + NOTHING * 3) == [8]
    two = b"\x11" * 4 + JR[goarch] + NOTHING * 2
    assert sizes(goarch, two) == [16 if "64" in goarch else 12]


@pytest.mark.parametrize("goarch", ["amd64", "386"])
def test_a_jump_back_may_end_as_the_filling_begins(goarch: str) -> None:
    long, short = b"\x90" * 60 + b"\xeb", b"\x90" * 20 + b"\xeb"
    assert sizes(goarch, long + b"\xcc" * 3) == [62]
    assert sizes(goarch, short + b"\xcc" * 3) == [21]  # it would leave the function


def test_riscv64_compressed_instructions() -> None:
    ret, short = RET["riscv64"], b"\x82\x80"  # c.jr ra
    assert sizes("riscv64", short + bytes(6), LOAD + ret + bytes(8)) == [2, 8]
    assert sizes("riscv64", LOAD + short + bytes(2)) == [8]  # all functions begin with a long one: whole words only
    assert sizes("riscv64", LOAD + ret, LOAD + ret + bytes(8)) == [8, 8]


def test_nothing_but_filling_keeps_one_unit() -> None:
    assert sizes("amd64", b"\xcc" * 32) == [1]
    assert sizes("ppc64", NOTHING * 8) == [4]


def test_code_that_the_file_does_not_hold() -> None:
    image = FakeImage(b"\xcc" * 16)
    size = np.array([16, 16, 0], np.int64)
    assert code_sizes(image, np.array([-1, -1, 4], np.int64), size).tolist() == [16, 16, 0]
    none = np.empty(0, np.int64)
    assert code_sizes(image, none, none).tolist() == []


@pytest.mark.parametrize("goarch", ["amd64", "ppc64", "riscv64"])
def test_much_filling_costs_little(goarch: str) -> None:
    begun = time.monotonic()
    (size,) = sizes(goarch, RET[goarch] + FILLINGS[goarch] * 2_000_000)
    assert time.monotonic() - begun < 1
    assert size > 0


@pytest.mark.parametrize("goarch", sorted({*FILLINGS, "arm64"}))
def test_random_code(goarch: str) -> None:
    rng = np.random.default_rng(4)
    unit = FILLINGS.get(goarch, NOTHING)
    for _ in range(60):
        functions = []
        for _ in range(rng.integers(1, 6)):
            code = rng.choice(np.frombuffer(b"\0\0\xcc\xeb\x67\x80\x2a", np.uint8), 4 * rng.integers(1, 5)).tobytes()
            functions.append(code + unit * int(rng.integers(0, 4)))
        found = sizes(goarch, *functions)
        for function, size in zip(functions, found, strict=True):
            assert 0 < size <= len(function)
            rest = function[size:]
            if not goarch.startswith("riscv"):
                assert not rest.strip(b"\xcc" if unit == b"\xcc" else b"\0\x2a")
