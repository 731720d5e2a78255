"""Mach-O images: small files built here, thin and universal, and what damage to them may do."""

from __future__ import annotations

import random
import struct

import pytest

from goforensics.bytemap import ByteMap
from goforensics.containers.macho import fat_claims, macho_images
from goforensics.containers.macho_fixups import chained
from goforensics.errors import GoForensicsError

TEXT_AT, LINK_AT, BASE = 0x400, 0x600, 0x100000000


def build(order: str = "<", cpu: int = 0x01000007) -> bytes:
    """__TEXT with a __text, __LINKEDIT with one symbol; 64 bits."""
    text = struct.pack(order + "II16sQQQQiiII", 0x19, 152, b"__TEXT", BASE, 0x600, 0, 0x600, 5, 5, 1, 0)
    section = (b"__text", b"__TEXT", BASE + TEXT_AT, 0x100, TEXT_AT, 4, 0, 0, 0x80000400, 0, 0, 0)
    text += struct.pack(order + "16s16sQQ8I", *section)
    link = struct.pack(order + "II16sQQQQiiII", 0x19, 72, b"__LINKEDIT", BASE + 0x1000, 26, LINK_AT, 26, 1, 1, 0, 0)
    symtab = struct.pack(order + "6I", 2, 24, LINK_AT, 1, LINK_AT + 16, 10)
    commands = text + link + symtab
    head = struct.pack(order + "8I", 0xFEEDFACF, cpu, 3, 2, 3, len(commands), 0x200000, 0)
    body = (head + commands).ljust(TEXT_AT, b"\0") + b"\xc3" * 0x100
    symbol = struct.pack(order + "IBBHQ", 2, 0x0F, 1, 0, BASE + TEXT_AT)
    return body.ljust(LINK_AT, b"\0") + symbol + b" \0_main.x\0"


def fat(*images: bytes) -> bytes:
    """The images under a universal header, each at a multiple of 4096."""
    head, body, at = struct.pack(">II", 0xCAFEBABE, len(images)), b"", 4096
    for image in images:
        cpu = int.from_bytes(image[4:8], "little")
        head += struct.pack(">5I", cpu, 3, at + len(body), len(image), 12)
        body += image + bytes(-len(image) % 4096)
    return head.ljust(at, b"\0") + body


def test_reads_what_was_built() -> None:
    data = build()
    (image,) = macho_images(memoryview(data))
    assert (image.goos, image.goarch, image.bits, image.order) == ("darwin", "amd64", 64, "<")
    assert image.position_independent
    (text,) = image.sections
    assert (text.name, text.role, text.offset, text.file_size) == ("__TEXT,__text", "code", TEXT_AT, 0x100)
    assert image.offset_of(BASE + TEXT_AT + 1) == TEXT_AT + 1
    table = image.symbol_table()
    assert table is not None
    assert (table.record, table.count, table.strings_size) == ("nlist", 1, 10)
    assert not image.problems
    assert fat_claims(memoryview(data)) == []


def test_every_slice_of_a_universal_file() -> None:
    """A17 of the public reports."""
    data = fat(build(), build(cpu=0x0100000C))
    images = list(macho_images(memoryview(data)))
    assert [(image.goarch, image.base) for image in images] == [("amd64", 4096), ("arm64", 8192)]
    (header,) = fat_claims(memoryview(data))
    assert header.ends.tolist() == [48]


def test_a_broken_slice_does_not_hide_the_good_one() -> None:
    images = list(macho_images(memoryview(fat(bytes(len(build())), build(cpu=0x0100000C)))))
    assert [image.goarch for image in images] == ["arm64"]


def test_chained_fixups_give_targets() -> None:
    """Two words of DYLD_CHAINED_PTR_64_OFFSET, the second bound by name and so left out."""
    segment = struct.pack("<QQ", 0x123 | 2 << 51, 1 << 63)
    header = struct.pack("<7I", 0, 28, 0, 0, 0, 0, 0) + struct.pack("<II", 1, 8)
    starts = struct.pack("<IHHQIHH", 24, 0x1000, 6, 0, 0, 1, 0)
    data = segment + header + starts
    found = chained(memoryview(data), "<", (16, len(data) - 16), [(0, BASE, 16)])
    assert found.addresses.tolist() == [BASE]
    assert found.values.tolist() == [BASE + 0x123]


@pytest.mark.parametrize("good", [build(), build(">"), fat(build(), build(cpu=0x0100000C))])
def test_damage_is_an_error_or_images(good: bytes) -> None:
    rng = random.Random(1)
    copies = [good[:n] for n in range(0, len(good), 7)]
    for _ in range(600):
        bad = bytearray(good)
        start = rng.choice((0, 4096)) if len(good) > 8192 else 0
        for _ in range(rng.randint(1, 4)):
            bad[start + rng.randrange(0x200)] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
        copies.append(bytes(bad))
    for data in copies:
        try:
            for image in macho_images(memoryview(data)):
                ByteMap.build(len(image.data), image.claims())
                image.symbol_table()
                image.dynamic()
                image.relocations()
        except GoForensicsError:
            continue
