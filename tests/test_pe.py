"""PE images: a small file built here, and what damage to it may do."""

from __future__ import annotations

import random
import struct

import pytest

from goforensics.bytemap import ByteMap
from goforensics.containers.pe import PeImage
from goforensics.errors import GoForensicsError

TEXT, LONG = b"\xc3" * 0x180, b"ZLIB" + struct.pack(">Q", 3) + b"abc"
SYMBOL = b"main.x\0\0" + struct.pack("<IHHBB", 0x10, 1, 0, 2, 0)


def build(bits: int = 64) -> bytes:
    """Headers, .text, a debug section with a long name, a symbol and the string table."""
    optional = 240 if bits == 64 else 224
    name = b".zdebug_info\0"
    symbols = 0x200 + 0x200 + 0x200
    head = bytearray(b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0")
    machine, magic = (0x8664, 0x20B) if bits == 64 else (0x14C, 0x10B)
    head += struct.pack("<HHIIIHH", machine, 2, 0, symbols, 1, optional, 0x22)
    opt = bytearray(optional)
    struct.pack_into("<HBBIIII", opt, 0, magic, 3, 0, 0x200, 0x200, 0, 0x1000)
    if bits == 64:
        struct.pack_into("<IQII", opt, 20, 0x1000, 0x400000, 0x1000, 0x200)
    else:
        struct.pack_into("<IIIII", opt, 20, 0x1000, 0x2000, 0x400000, 0x1000, 0x200)
    struct.pack_into("<II", opt, 56, 0x4000, 0x200)
    struct.pack_into("<I", opt, optional - 132, 16)
    head += opt
    head += struct.pack("<8sIIIIIIHHI", b".text", len(TEXT), 0x1000, 0x200, 0x200, 0, 0, 0, 0, 0x60000020)
    head += struct.pack("<8sIIIIIIHHI", b"/4", len(LONG), 0x2000, 0x200, 0x400, 0, 0, 0, 0, 0x42000040)
    body = TEXT.ljust(0x200, b"\0") + LONG.ljust(0x200, b"\0") + SYMBOL
    return bytes(head).ljust(0x200, b"\0") + body + struct.pack("<I", 4 + len(name)) + name


@pytest.mark.parametrize(("bits", "goarch"), [(64, "amd64"), (32, "386")])
def test_reads_what_was_built(bits: int, goarch: str) -> None:
    data = build(bits)
    image = PeImage(memoryview(data))
    assert (image.goos, image.goarch, image.bits, image.purpose) == ("windows", goarch, bits, "executable")
    text, debug = image.sections
    assert (text.name, text.role, text.address, text.memory_size) == (".text", "code", 0x401000, len(TEXT))
    assert (debug.name, debug.role, debug.compression, debug.file_size) == (
        ".zdebug_info",
        "debug",
        "zdebug",
        len(LONG),
    )
    assert image.offset_of(0x401010) == 0x210
    assert image.offset_of(0x401000 + len(TEXT)) is None
    table = image.symbol_table()
    assert table is not None
    assert (table.record, table.offset, table.count, table.strings_offset) == ("coff", 0x600, 1, 0x600 + 18)
    assert image.entry == 0x401000
    assert not image.problems
    names = {row.path[0] for row in ByteMap.build(len(data), image.claims()).group(("structure",))}
    assert {"DOS header and stub", "PE header", "section headers", "padding"} <= names


def test_damage_is_an_error_or_an_image() -> None:
    good, rng = build(), random.Random(1)
    copies = [good[:n] for n in range(0, len(good), 3)]
    for _ in range(1000):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            bad[rng.randrange(0x200)] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
        copies.append(bytes(bad))
    for data in copies:
        try:
            image = PeImage(memoryview(data))
            ByteMap.build(len(data), image.claims())
            image.symbol_table()
            image.dynamic()
        except GoForensicsError:
            continue
        assert all(s.offset + s.file_size <= len(data) for s in image.sections if s.file_size)
