"""symtab: the three record formats, on built bytes, broken bytes and real files."""

from __future__ import annotations

import struct
from typing import Literal

import builds
import numpy as np
import oracle
import pytest
from fakes import FakeImage, FakeSource, section

import goforensics.binary
from goforensics.containers.image import SymbolTable
from goforensics.errors import FormatError
from goforensics.sections import symtab

Order = Literal["<", ">"]
Bits = Literal[32, 64]
HEAD = 16  # bytes before the table, so that offset 0 is never right by accident
NAMES = ["main.main", "main.(*T).Méthode", "runtime.buildVersion", "x"]


def pool(names: list[str], first: bytes = b"\0") -> tuple[bytes, list[int]]:
    """A string table and where each name is in it."""
    strings, at = first, []
    for name in names:
        at.append(len(strings))
        strings += name.encode() + b"\0"
    return strings, at


def elf(names: list[str], order: Order = "<", bits: Bits = 64) -> FakeImage:
    """Symbol i of the names has value 0x1000 * i, size i, section i; a null symbol comes first."""
    strings, at = pool(names)
    records = bytes(24 if bits == 64 else 16)
    for i, name in enumerate(at):
        if bits == 64:
            records += struct.pack(order + "IBBHQQ", name, 0x12, 0, i, 0x1000 * i, i)
        else:
            records += struct.pack(order + "IIIBBH", name, 0x1000 * i, i, 0x12, 0, i)
    table = SymbolTable("elf", HEAD, len(names) + 1, HEAD + len(records), len(strings))
    return FakeImage(bytes(HEAD) + records + strings, symbols=table, bits=bits, order=order)


def nlist(names: list[str], order: Order = "<", bits: Bits = 64) -> FakeImage:
    """Names with the underscore that Mach-O linkers put to them."""
    strings, at = pool([f"_{name}" for name in names], b" \0")
    word = "Q" if bits == 64 else "I"
    records = b"".join(struct.pack(f"{order}IBBH{word}", n, 0x0E, i, 0, 0x1000 * i) for i, n in enumerate(at))
    table = SymbolTable("nlist", HEAD, len(names), HEAD + len(records), len(strings))
    return FakeImage(bytes(HEAD) + records + strings, symbols=table, bits=bits, order=order, format="macho")


def coff(names: list[str], aux: int = 0) -> FakeImage:
    """Symbols of the second section, each followed by `aux` records of 0xff."""
    strings, at = pool(names, bytes(4))
    records = b""
    for i, (name, offset) in enumerate(zip(names, at, strict=True)):
        raw = name.encode()
        short = raw.ljust(8, b"\0") if len(raw) <= 8 else struct.pack("<II", 0, offset)
        records += short + struct.pack("<IhHBB", 0x10 * i, 2, 0, 2, aux) + b"\xff" * 18 * aux
    table = SymbolTable("coff", HEAD, len(names) * (1 + aux), HEAD + len(records), len(strings))
    sections = (section(".text", 0, 8, 0x1000), section(".data", 8, 8, 0x2000))
    return FakeImage(bytes(HEAD) + records + strings, symbols=table, sections=sections, format="pe")


def decode(image: FakeImage) -> symtab.Symbols:
    return symtab.decode(FakeSource(image))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("names", [[], ["a"], NAMES])
def test_elf_without_its_null_symbol(order: Order, bits: Bits, names: list[str]) -> None:
    symbols = decode(elf(names, order, bits))
    assert symbols.count == len(names)
    assert symbols.names() == names
    assert symbols.value.tolist() == [0x1000 * i for i in range(len(names))]
    assert symbols.size.tolist() == symbols.section.tolist() == list(range(len(names)))
    assert set(symbols.kind.tolist()) <= {0x12}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
def test_nlist_without_the_underscore_of_go_names(order: Order, bits: Bits) -> None:
    symbols = decode(nlist(NAMES, order, bits))
    assert symbols.names() == [*NAMES[:3], "_x"]  # as debug/macho: a name without a dot keeps it
    assert symbols.value.tolist() == [0, 0x1000, 0x2000, 0x3000]
    assert symbols.find("main.main") == [0]


@pytest.mark.parametrize("aux", [0, 1, 3])
def test_coff_without_auxiliary_records(aux: int) -> None:
    names = ["short", "eight888", "more than eight", "main.main"]
    symbols = decode(coff(names, aux))
    assert symbols.names() == names
    assert symbols.value.tolist() == [0x2000, 0x2010, 0x2020, 0x2030]


def test_coff_auxiliary_counts_past_the_end_hide_nothing_before() -> None:
    assert symtab._primary(np.array([0, 2, 9, 9, 200], np.uint8)).tolist() == [True, True, False, False, True]


def test_names_of_some_and_names_that_are_none() -> None:
    image = elf(NAMES)
    raw = bytearray(image.data)
    struct.pack_into("<I", raw, HEAD + 24, 1 << 31)
    raw[raw.index(b"\xc3")] = 0xFF
    symbols = decode(FakeImage(bytes(raw), symbols=image.symbol_table()))
    assert symbols.names(np.array([2, 0])) == ["runtime.buildVersion", ""]
    assert symbols.names(np.array([1])) == ["main.(*T).M\\xff\\xa9thode"]


def test_find_takes_whole_names_and_shared_tails() -> None:
    symbols = decode(elf(["xmain.main", "main.mainx", "main.main"]))
    assert symbols.find("main.main") == [2]
    assert symbols.find("nothing") == []


def test_names_that_lie_over_one_another_are_an_error() -> None:
    strings = b"\0" + b"a" * 100_000
    records = bytes(24) + struct.pack("<IBBHQQ", 1, 0, 0, 0, 0, 0) * 1000
    image = FakeImage(records + strings, symbols=SymbolTable("elf", 0, 1001, len(records), len(strings)))
    with pytest.raises(FormatError, match="overlap"):
        decode(image).names()


def test_no_table_is_absent() -> None:
    with pytest.raises(FormatError) as caught:
        decode(FakeImage(b""))
    assert caught.value.absent


@pytest.mark.parametrize("image", [elf(NAMES), nlist(NAMES), coff(NAMES, 1)], ids=["elf", "nlist", "coff"])
def test_any_prefix_is_an_error(image: FakeImage) -> None:
    for length in range(len(image.data)):
        short = FakeImage(bytes(image.data[:length]), symbols=image.symbol_table())
        with pytest.raises(FormatError):
            decode(short)


@pytest.mark.parametrize("image", [elf(NAMES), nlist(NAMES), coff(NAMES, 1)], ids=["elf", "nlist", "coff"])
def test_no_broken_byte_escapes_as_anything_else(image: FakeImage) -> None:
    rng = np.random.default_rng(3)
    good = np.frombuffer(image.data, np.uint8)
    for _ in range(1000):
        bad = good.copy()
        bad[rng.integers(len(bad), size=rng.integers(1, 5))] = rng.integers(256)
        symbols = decode(FakeImage(bad.tobytes(), symbols=image.symbol_table(), sections=image.sections))
        try:
            assert len(symbols.names()) == symbols.count
        except FormatError:
            continue


def test_claims_the_records_and_the_strings() -> None:
    image = elf(NAMES)
    source = FakeSource(image)
    (claims,) = symtab.claims(source, source.read(symtab.PARSER))
    table = image.symbol_table()
    assert table is not None
    assert claims.starts.tolist() == [HEAD, table.strings_offset]
    assert claims.ends.tolist() == [table.strings_offset, len(image.data)]


@pytest.mark.builds
@pytest.mark.parametrize("build", builds.ci_slice(), ids=builds.Build.label)
def test_agrees_with_go(build: builds.Build) -> None:
    path = builds.executable(build)
    want, binary = oracle.symbols(path), goforensics.binary.open(path)
    symbols = binary.maybe(symtab.PARSER)
    if symbols is None:
        assert not want
        return
    bare = "_" if binary.image.format == "macho" else ""  # the oracle takes one more underscore off
    ours = zip((n.lstrip(bare) for n in symbols.names()), symbols.value.tolist(), symbols.size.tolist(), strict=True)
    assert list(ours) == [(name.lstrip(bare), value, size) for name, value, size, _ in want]
