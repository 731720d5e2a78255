"""pe: an executable built here, field by field, and every way to break it."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest

from goforensics.bytemap import ByteMap
from goforensics.containers.image import NO_RELOCATIONS
from goforensics.containers.pe import PeImage
from goforensics.errors import FormatError, GoForensicsError

HEADERS, RAW = 0x600, 0x200  # SizeOfHeaders, FileAlignment
MACHINES = {(64, "amd64"): 0x8664, (64, "arm64"): 0xAA64, (32, "386"): 0x14C, (32, "arm"): 0x1C4}
BASE = {64: 0x1_4000_0000, 32: 0x40_0000}
DATA, BSS, WRITE = 0x40000040, 0x80, 0x80000000
SECTIONS = (  # name, content, virtual size, characteristics
    (b".text", b"\xc3" * 100, 100, 0x60000020),
    (b".rdata", b"r" * 0x200, 0x200, DATA),
    (b".data", b"d" * 8, 0x3000, DATA | WRITE),
    (b"/4", b"ZLIB" + bytes(8) + b"z" * 20, 32, DATA),
    (b"/19", b"plain", 5, DATA),
    (b"/35", b"not ZLIB", 8, DATA),
    (b".idata", b"", 0x100, DATA),
    (b".bss", b"", 0x1000, BSS | WRITE),
    (b".symtab", b"", 0, DATA),
)
STRINGS = b".zdebug_abbrev\0.debug_gdb_line\0.zdebug_line\0main.main\0"
SYMBOLS = struct.pack("<8sIhHBB", b"short", 1, 1, 0, 2, 0) + struct.pack("<IIIhHBB", 0, 48, 2, 1, 0, 2, 0)


def imports(rva: int) -> bytes:
    """An import directory of two DLLs at `rva`."""
    names = (b"KERNEL32.dll\0", b"ws2_32.dll\0")
    at, records = rva + 60, b""
    for name in names:
        records += struct.pack("<5I", 0, 0, 0, at, 0)
        at += len(name)
    return records + bytes(20) + b"".join(names)


def symbols() -> bytes:
    return SYMBOLS + struct.pack("<I", 4 + len(STRINGS)) + STRINGS


def build(bits: int = 64, goarch: str = "amd64", characteristics: int = 0x22, dynamic_base: int = 0x40) -> bytes:
    """A PE file with every kind of section that Go's linker writes."""
    table, bodies, at, rva, where = b"", b"", HEADERS, 0x1000, {}
    for name, content, size, flags in SECTIONS:
        body = {b".idata": imports(rva), b".symtab": symbols()}.get(name, content)
        padded = body + bytes(-len(body) % RAW)
        where[name] = (at, rva)
        table += struct.pack(
            "<8sIIIIIIHHI", name, size or len(body), rva, len(padded), at if body else 0, 0, 0, 0, 0, flags
        )
        bodies += padded
        at, rva = at + len(padded), rva + 0x4000
    layout = "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII" if bits == 64 else "<HBBIIIIIIIIIHHHHHHIIIIHHIIIIII"
    base = (BASE[bits],) if bits == 64 else (0, BASE[bits])
    optional = struct.pack(
        layout, 0x20B if bits == 64 else 0x10B, 3, 0, 100, 0, 0, 0x1010, 0x1000, *base, 0x1000, RAW,
        6, 1, 1, 0, 6, 1, 0, rva, HEADERS, 0, 3, dynamic_base, 0, 0, 0, 0, 0, 16,
    )  # fmt: skip
    directories = [(0, 0)] * 16
    directories[1] = (where[b".idata"][1], 60)
    directories[5] = (0x5000, 12)
    optional += b"".join(struct.pack("<II", *pair) for pair in directories)
    coff = struct.pack(
        "<HHIIIHH", MACHINES[bits, goarch], len(SECTIONS), 0, where[b".symtab"][0], 2, len(optional), characteristics
    )
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 128) + b"stub".ljust(64, b"\0") + b"PE\0\0" + coff + optional
    return (head + table).ljust(HEADERS, b"\0") + bodies


def image(data: bytes) -> PeImage:
    return PeImage(memoryview(data))


def everything(data: bytes) -> PeImage:
    """The image, after everything was asked of it."""
    found = image(data)
    for question in (found.symbol_table, found.dynamic, found.relocations):
        try:
            question()
        except FormatError:
            continue
    mapped = ByteMap.build(len(data), found.claims())
    assert sum(row.bytes for row in mapped.group(["structure"])) == len(data)
    parts = [(s.offset, s.file_size, s.address) for s in found.sections]
    parts += [(s.offset, s.file_size, s.address) for s in found.segments]
    assert all(offset + size <= len(data) for offset, size, _ in parts if size)
    assert all(0 <= address < 1 << 64 for _, _, address in parts)
    return found


@pytest.mark.parametrize(("bits", "goarch"), MACHINES)
def test_headers(bits: int, goarch: str) -> None:
    found = everything(build(bits, goarch))
    assert (found.format, found.goos, found.goarch, found.bits, found.order) == ("pe", "windows", goarch, bits, "<")
    assert (found.purpose, found.position_independent) == ("executable", True)
    assert found.entry == BASE[bits] + 0x1010
    assert found.problems == []


def test_purpose() -> None:
    assert image(build(characteristics=0x2022)).purpose == "library"
    assert not image(build(characteristics=0x23)).position_independent
    assert not image(build(dynamic_base=0)).position_independent


def test_sections() -> None:
    found = image(build())
    rows = [(s.name, s.role, s.writable, s.compression) for s in found.sections]
    assert rows == [
        (".text", "code", False, None),
        (".rdata", "data", False, None),
        (".data", "data", True, None),
        (".zdebug_abbrev", "debug", False, "zdebug"),
        (".debug_gdb_line", "debug", False, None),
        (".zdebug_line", "debug", False, None),
        (".idata", "metadata", False, None),
        (".bss", "data", True, None),
        (".symtab", "symbols", False, None),
    ]
    text, data, bss = found.sections[0], found.sections[2], found.sections[7]
    assert (text.offset, text.file_size, text.address, text.memory_size) == (0x600, 0x200, BASE[64] + 0x1000, 100)
    assert (data.file_size, data.memory_size) == (0x200, 0x3000)
    assert (bss.file_size, bss.memory_size) == (0, 0x1000)
    assert [s.file_size for s in found.sections[3:6]] == [32, 5, 8]


def test_addresses() -> None:
    found = image(build())
    assert found.offset_of(BASE[64] + 0x1000) == 0x600
    assert found.address_of(0x600) == BASE[64] + 0x1000
    assert found.offset_of(BASE[64]) == 0
    assert found.offset_of(BASE[64] + 0x1000 + 100) is None
    assert [s.name for s in found.segments[:2]] == ["headers", ".text"]
    assert [s.writable for s in found.segments[:4]] == [False, False, False, True]


def test_symbols_and_imports() -> None:
    data = build()
    found = image(data)
    table = found.symbol_table()
    assert table is not None
    assert (table.record, table.count) == ("coff", 2)
    assert data[table.offset : table.offset + 5] == b"short"
    assert data[table.strings_offset + 48 :].startswith(b"main.main\0")
    assert table.strings_size == 4 + len(STRINGS)
    assert found.dynamic().needed == ("KERNEL32.dll", "ws2_32.dll")
    assert found.relocations() is NO_RELOCATIONS


def test_claims() -> None:
    data = build()
    mapped = ByteMap.build(len(data), image(data).claims())
    assert mapped.disputes == ()
    assert [mapped.owner(at)["structure"] for at in (0, 128, 0x188, HEADERS - 1)] == [
        "DOS header and stub", "PE header", "section headers", "padding",
    ]  # fmt: skip
    assert mapped.owner(0x600 + 100)["kind"] == "padding"
    assert mapped.owner(0x600 + 99)["kind"] == ""


def test_what_lies_outside_of_sections() -> None:
    data = bytearray(build())
    struct.pack_into("<II", data, 128 + 12, len(data), 2)  # PointerToSymbolTable, NumberOfSymbols
    struct.pack_into("<II", data, 128 + 24 + 112 + 4 * 8, len(data) + len(symbols()), 16)
    mapped = ByteMap.build(len(data) + len(symbols()) + 16, image(bytes(data) + symbols() + b"c" * 16).claims())
    owners = [mapped.owner(at)["structure"] for at in (len(data), len(data) + 36, mapped.size - 1)]
    assert owners == ["symtab", "strtab", "certificates"]


def test_symbols_past_the_end() -> None:
    data = bytearray(build())
    struct.pack_into("<I", data, 128 + 16, 1 << 31)
    with pytest.raises(FormatError):
        image(bytes(data)).symbol_table()


def test_a_section_past_the_end() -> None:
    data = build()
    found = everything(data[:0x700])
    assert found.sections[0].file_size == 0x100
    assert {p.structure for p in found.problems} >= {".text", ".rdata"}


def test_image_base_at_the_end_of_memory() -> None:
    data = bytearray(build())
    struct.pack_into("<Q", data, 128 + 24 + 24, (1 << 64) - 16)
    everything(bytes(data))


def test_prefixes() -> None:
    data = build()
    for end in range(len(data)):
        tolerated(data[:end])


def damaged(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Copies of `data` with a few bytes of the headers or anywhere changed."""
    chance = random.Random(seed)
    for _ in range(count):
        out = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            out[chance.randrange(len(out) if chance.random() < 0.2 else 0x400)] = chance.choice(
                (0, 255, chance.randrange(256))
            )
        yield bytes(out)


def tolerated(data: bytes) -> None:
    line = ""
    try:
        everything(data)
    except GoForensicsError as error:
        line = str(error)
    assert "\n" not in line


@pytest.mark.parametrize("bits", [64, 32])
def test_flips(bits: int) -> None:
    for data in damaged(build(bits, {64: "amd64", 32: "386"}[bits]), bits, 2000):
        tolerated(data)
