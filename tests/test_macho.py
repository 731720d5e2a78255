"""macho: thin and universal files built here, chained fixups among them, and every way to break them."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest

from goforensics.bytemap import ByteMap
from goforensics.containers.image import NO_RELOCATIONS
from goforensics.containers.macho import MachoImage, fat_claims, macho_images
from goforensics.errors import FormatError, GoForensicsError

PAGE = 0x1000
TEXT = 0x1_0000_0000
CPUS = {"amd64": 0x01000007, "arm64": 0x0100000C, "386": 7, "arm": 12}
CODE, ZEROFILL, DEBUG = 0x80000400, 1, 0x02000000
NEW, OLD = 9, 2  # pointer formats: ARM64E_USERLAND, 64
Command = tuple[int, bytes]


class Writer:
    """Writes one image: segments of a page each, then __LINKEDIT with what is added to it."""

    def __init__(self, order: str = "<", bits: int = 64) -> None:
        self.order, self.bits = order, bits
        self.commands: list[bytes] = []
        self.body = bytearray(PAGE)
        self.base = TEXT if bits == 64 else 0x1000

    def pack(self, layout: str, *values: object) -> bytes:
        return struct.pack(self.order + layout, *values)

    def command(self, number: int, body: bytes) -> None:
        body += bytes(-(len(body) + 8) % (self.bits // 8))
        self.commands.append(self.pack("II", number, len(body) + 8) + body)

    def text(self, number: int, text: str, words: int = 0) -> None:
        head = 12 + 4 * words
        self.command(number, self.pack(f"I{words}I", head, *[0] * words) + text.encode() + b"\0")

    def segment(
        self, name: str, offset: int, size: int, access: int, sections: tuple[tuple[str, int, int, int], ...]
    ) -> None:
        """`sections` are (name, offset, size, flags); memory is laid out as the file is."""
        word, loaded = ("Q" if self.bits == 64 else "I"), name != "__DWARF"
        memory = (self.base + offset, max(size, PAGE)) if loaded else (0, 0)
        body = self.pack(f"16s4{word}4I", name.encode(), *memory, offset, size, 7, access, len(sections), 0)
        for section, at, length, flags in sections:
            where = self.base + (at or PAGE * 8)
            words = (at, 0, 0, 0, flags, 0, 0, *([0] if self.bits == 64 else []))
            names = (section.encode(), name.encode())
            body += self.pack(f"16s16s2{word}{len(words)}I", *names, where, length, *words)
        self.command(0x19 if self.bits == 64 else 0x1, body)

    def table(self, content: bytes) -> tuple[int, int]:
        """(offset, size) of something put into __LINKEDIT."""
        at = len(self.body)
        self.body += content + bytes(-len(content) % 8)
        return at, len(content)

    def done(self, goarch: str, kind: int = 2, flags: int = 0x200085) -> bytes:
        commands = b"".join(self.commands)
        magic = 0xFEEDFACF if self.bits == 64 else 0xFEEDFACE
        head = self.pack("7I", magic, CPUS[goarch], 3, kind, len(self.commands), len(commands), flags)
        head += bytes(4 if self.bits == 64 else 0) + commands
        assert len(head) <= 0xF00
        self.body[: len(head)] = head
        return bytes(self.body)


def build(
    goarch: str = "arm64", order: str = "<", platform: int = 1, kind: int = 2, fixups: int | None = None
) -> bytes:
    """An image with every kind of segment and table that Go's linker writes."""
    w = Writer(order, 64 if goarch.endswith("64") else 32)
    w.body += data_words(w, fixups) + b"ZLIB" + bytes(12) + b"plain".ljust(PAGE - 16, b"\0")
    w.body[0xF00:PAGE] = b"\xc3" * 0x100
    w.segment("__PAGEZERO", 0, 0, 0, ())
    w.segment("__TEXT", 0, PAGE, 5, (("__text", 0xF00, 0x80, CODE), ("__rodata", 0xF80, 0x80, 0)))
    w.segment("__DATA_CONST", PAGE, PAGE // 2, 1, (("__const", PAGE, 0x100, 0),))
    w.segment("__DATA", PAGE * 3 // 2, PAGE // 2, 3, (("__data", PAGE * 3 // 2, 16, 0), ("__bss", 0, 64, ZEROFILL)))
    w.segment(
        "__DWARF",
        2 * PAGE,
        21,
        0,
        (("__zdebug_line", 2 * PAGE, 16, DEBUG), ("__debug_gdb_scri", 2 * PAGE + 16, 5, DEBUG)),
    )
    linkedit(w, fixups)
    w.segment("__LINKEDIT", 3 * PAGE, len(w.body) - 3 * PAGE, 1, ())
    w.command(0x32, w.pack("4I", platform, 0x0C0000, 0x0C0000, 0))
    w.command(0x80000028, w.pack("QQ", 0xF10, 0))
    w.text(0xE, "/usr/lib/dyld")
    w.text(0xC, "/usr/lib/libSystem.B.dylib", 3)
    w.text(0x80000018, "@rpath/libweak.dylib", 3)
    w.text(0x8000001C, "/opt/lib")
    if kind == 6:
        w.text(0xD, "@rpath/libgo.dylib", 3)
    return w.done(goarch, kind)


def linkedit(w: Writer, fixups: int | None) -> None:
    """The tables behind the segments, each with its command."""
    if fixups is None:
        opcodes = [w.table(name) for name in (b"rebase", b"bind", b"", b"lazy", b"export")]
        w.command(0x80000022, w.pack("10I", *[word for place in opcodes for word in place]))
    else:
        w.command(0x80000034, w.pack("II", *w.table(chain_table(w, fixups))))
    w.command(0x26, w.pack("II", *w.table(b"starts")))
    w.command(0x1D, w.pack("II", *w.table(b"signature")))
    symbols, strings = w.table(bytes(2 * (16 if w.bits == 64 else 12))), w.table(b"\0_main.main\0")
    indirect = w.table(bytes(12))
    w.command(0x2, w.pack("4I", symbols[0], 2, *strings))
    w.command(0xB, w.pack("18I", *[0] * 12, indirect[0], 3, *[0] * 4))


def link(kind: int, target: int, distance: int, bind: bool = False, signed: bool = False) -> int:
    """A chained pointer, `distance` in bytes."""
    if kind in (2, 6):
        return target | distance // 4 << 51 | bind << 63
    return target | distance // (4 if kind in (7, 10) else 8) << 51 | bind << 62 | signed << 63


def data_words(w: Writer, kind: int | None) -> bytes:
    """__DATA_CONST and __DATA: two chains for `kind`, plain zeros for None."""
    page = bytearray(PAGE)
    if kind is not None:
        base = w.base if kind in (1, 2, 10) else 0
        words = [
            (8, link(kind, base + 0xF00, 16)),
            (24, link(kind, 5, 8, bind=True)),
            (32, link(kind, base + 0xF80, 0)),
        ]
        if kind not in (2, 6):
            words[2:] = [(32, link(kind, base + 0xF80, 8)), (40, link(kind, 0xF40, 0, signed=True))]
        for at, word in (*words, (PAGE // 2, link(kind, base + PAGE, 0))):
            struct.pack_into(w.order + "Q", page, at, word)
    return bytes(page)


def chain_table(w: Writer, kind: int) -> bytes:
    """dyld_chained_fixups_header, dyld_chained_starts_in_image, and the starts of two segments."""
    segments = b"".join(
        w.pack("IHHQIHH", 24, PAGE, kind, offset, 0, 1, first) for offset, first in ((PAGE, 8), (PAGE * 3 // 2, 0))
    )
    image = w.pack("I6I", 6, 0, 0, 28, 52, 0, 0)
    return w.pack("7I", 0, 28, 0, 0, 0, 1, 0) + image + segments


def fat(*slices: bytes, wide: bool = False) -> bytes:
    magic, layout = (0xCAFEBABF, ">IIQQII") if wide else (0xCAFEBABE, ">IIIII")
    head, at = struct.pack(">II", magic, len(slices)), PAGE
    for body in slices:
        head += struct.pack(layout, 0x01000007, 3, at, len(body), 12, *([0] if wide else []))
        at += len(body)
    return head.ljust(PAGE, b"\0") + b"".join(slices)


def only(data: bytes) -> MachoImage:
    (image,) = macho_images(memoryview(data))
    return image


def everything(data: bytes) -> list[MachoImage]:
    """The images, after everything was asked of them."""
    found = list(macho_images(memoryview(data)))
    for image in found:
        for question in (image.symbol_table, image.dynamic, image.relocations):
            try:
                question()
            except FormatError:
                continue
        mapped = ByteMap.build(len(image.data), image.claims())
        assert sum(row.bytes for row in mapped.group(["structure"])) == len(image.data)
        assert all(s.offset + s.file_size <= len(image.data) for s in image.sections if s.file_size)
        assert all(s.offset + s.file_size <= len(image.data) for s in image.segments if s.file_size)
    fat_claims(memoryview(data))
    return found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("goarch", CPUS)
def test_headers(goarch: str, order: str) -> None:
    (image,) = everything(build(goarch, order))
    bits = 64 if goarch.endswith("64") else 32
    assert (image.format, image.goos, image.goarch, image.bits, image.order) == ("macho", "darwin", goarch, bits, order)
    assert (image.purpose, image.position_independent, image.base) == ("executable", True, 0)
    assert image.entry == (TEXT if bits == 64 else 0x1000) + 0xF10
    assert image.problems == []


@pytest.mark.parametrize(("platform", "goos"), [(1, "darwin"), (2, "ios"), (7, "ios"), (6, "darwin")])
def test_platform(platform: int, goos: str) -> None:
    assert only(build(platform=platform)).goos == goos


@pytest.mark.parametrize(("kind", "purpose"), [(1, "object"), (2, "executable"), (6, "library"), (8, "library")])
def test_purpose(kind: int, purpose: str) -> None:
    assert only(build(kind=kind)).purpose == purpose


@pytest.mark.parametrize(("goarch", "order"), [("arm64", "<"), ("386", "<"), ("arm64", ">")])
def test_sections(goarch: str, order: str) -> None:
    image = only(build(goarch, order))
    rows = [(s.name, s.offset, s.file_size, s.role, s.writable, s.compression) for s in image.sections]
    assert rows == [
        ("__TEXT,__text", 0xF00, 0x80, "code", False, None),
        ("__TEXT,__rodata", 0xF80, 0x80, "data", False, None),
        ("__DATA_CONST,__const", 0x1000, 0x100, "data", False, None),
        ("__DATA,__data", 0x1800, 16, "data", True, None),
        ("__DATA,__bss", 0, 0, "data", True, None),
        ("__DWARF,__zdebug_line", 0x2000, 16, "debug", False, "zdebug"),
        ("__DWARF,__debug_gdb_scri", 0x2010, 5, "debug", False, None),
    ]
    assert [(s.address, s.memory_size) for s in image.sections[5:]] == [(0, 0), (0, 0)]
    assert image.sections[4].memory_size == 64


def test_segments() -> None:
    image = only(build())
    assert [(s.name, s.writable, s.executable) for s in image.segments] == [
        ("__PAGEZERO", False, False),
        ("__TEXT", False, True),
        ("__DATA_CONST", True, False),
        ("__DATA", True, False),
        ("__DWARF", False, False),
        ("__LINKEDIT", False, False),
    ]
    assert image.offset_of(TEXT + 0xF00) == 0xF00
    assert image.address_of(0x1000) == TEXT + 0x1000


def test_symbols_and_libraries() -> None:
    data = build(kind=6)
    image = only(data)
    table = image.symbol_table()
    assert table is not None
    assert (table.record, table.count, table.strings_size) == ("nlist", 2, 12)
    assert data[table.strings_offset :].startswith(b"\0_main.main\0")
    dynamic = image.dynamic()
    assert dynamic.interpreter == "/usr/lib/dyld"
    assert dynamic.needed == ("/usr/lib/libSystem.B.dylib", "@rpath/libweak.dylib")
    assert dynamic.rpath == ("/opt/lib",)
    assert dynamic.soname == "@rpath/libgo.dylib"


def test_claims() -> None:
    data = build()
    mapped = ByteMap.build(len(data), only(data).claims())
    assert mapped.disputes == ()
    assert [mapped.owner(at)["structure"] for at in (0, 32, 0xEFF, 0xF00)] == [
        "Mach-O header",
        "load commands",
        "padding",
        "",
    ]
    sizes = {row.path[0]: row.bytes for row in mapped.group(["structure"])}
    wanted = {"rebase": 6, "bind": 4, "lazy bind": 4, "export trie": 6, "function starts": 6, "code signature": 9}
    assert wanted.items() <= sizes.items()
    assert (sizes["symtab"], sizes["strtab"], sizes["indirect symbols"]) == (32, 12, 12)


def test_rebase_opcodes_need_nothing() -> None:
    assert only(build()).relocations() is NO_RELOCATIONS


@pytest.mark.parametrize("kind", [1, 2, 6, 7, 9, 10, 12])
def test_chained_fixups(kind: int) -> None:
    image = only(build(fixups=kind))
    fixed = image.relocations()
    signed = {TEXT + PAGE + 40: TEXT + 0xF40} if kind not in (2, 6) else {}
    assert dict(zip(fixed.addresses.tolist(), fixed.values.tolist(), strict=True)) == {
        TEXT + PAGE + 8: TEXT + 0xF00,
        TEXT + PAGE + 32: TEXT + 0xF80,
        **signed,
        TEXT + PAGE * 3 // 2: TEXT + PAGE,
    }
    assert fixed.addresses.tolist() == sorted(fixed.addresses.tolist())
    assert image.words(TEXT + PAGE + 8, 1, "word").tolist() == [TEXT + 0xF00]
    assert image.pointers_to(TEXT + 0xF80) == [TEXT + PAGE + 32]
    assert image.problems == []


def test_high_byte() -> None:
    data = bytearray(build(fixups=6))
    struct.pack_into("<Q", data, PAGE + 8, link(6, 0xF00 | 0x5A << 36, 0))
    assert only(bytes(data)).relocations().values[0] == TEXT + 0xF00 | 0x5A << 56


def test_a_chain_that_leaves_its_page() -> None:
    data = bytearray(build(fixups=6))
    struct.pack_into("<Q", data, PAGE + 8, link(6, 0xF00, 0xFFF * 4))
    image = only(bytes(data))
    assert len(image.relocations().addresses) == 2
    assert "leaves its page" in image.problems[0].reason


def test_segments_that_share_their_bytes_are_refused() -> None:
    """Else a small file could have its chains followed once per segment, for hours."""
    data = bytearray(build(fixups=6))
    for name in (b"__DATA_CONST", b"__DATA"):
        at = data.index(
            name.ljust(16, b"\0") + struct.pack("<Q", TEXT + (PAGE if name.endswith(b"T") else PAGE * 3 // 2))
        )
        struct.pack_into("<QQ", data, at + 32, 0, len(data))
    with pytest.raises(FormatError, match="overlap"):
        only(bytes(data)).relocations()


def test_an_unknown_pointer_format() -> None:
    image = only(build(fixups=3))
    assert len(image.relocations().addresses) == 0
    assert "pointer format 3" in image.problems[0].reason


@pytest.mark.parametrize("wide", [False, True])
def test_universal(wide: bool) -> None:
    slices = build("amd64"), build("arm64")
    data = fat(*slices, wide=wide)
    images = everything(data)
    assert [(i.goarch, i.base, bytes(i.data)) for i in images] == [
        ("amd64", PAGE, slices[0]),
        ("arm64", PAGE + len(slices[0]), slices[1]),
    ]
    (claim,) = fat_claims(memoryview(data))
    assert (claim.starts.tolist(), claim.ends.tolist()) == ([0], [72 if wide else 48])
    assert fat_claims(memoryview(slices[0])) == []


def test_a_broken_slice_costs_itself() -> None:
    images = everything(fat(b"\0" * 64, build("arm64")))
    assert [i.goarch for i in images] == ["arm64"]
    assert images[0].problems[0].offset == PAGE


def test_no_slice_can_be_read() -> None:
    with pytest.raises(FormatError):
        everything(fat(bytes(64)))


def damaged(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Copies of `data` with a few bytes of the headers, of __LINKEDIT or anywhere changed."""
    chance = random.Random(seed)
    for _ in range(count):
        out = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            first, last = chance.choice(((0, 0x600), (3 * PAGE, len(data)), (0, len(data)), (PAGE, PAGE + 64)))
            out[chance.randrange(first, last)] = chance.choice((0, 255, chance.randrange(256)))
        yield bytes(out)


def tolerated(data: bytes) -> None:
    line = ""
    try:
        everything(data)
    except GoForensicsError as error:
        line = str(error)
    assert "\n" not in line


@pytest.mark.parametrize("data", [build("amd64"), build("386"), build(fixups=NEW)])
def test_prefixes(data: bytes) -> None:
    for end in (*range(0x700), *range(0x700, len(data), 61)):
        tolerated(data[:end])


@pytest.mark.parametrize("data", [build("amd64"), build("386"), build(fixups=NEW), build(fixups=OLD), build(order=">")])
def test_flips(data: bytes) -> None:
    for broken in damaged(data, len(data), 1000):
        tolerated(broken)


def test_flips_in_a_universal_file() -> None:
    data = fat(build("amd64"), build("arm64"))
    chance = random.Random(1)
    for _ in range(500):
        out = bytearray(data)
        for _ in range(2):
            out[chance.randrange(48)] = chance.randrange(256)
        tolerated(bytes(out))
