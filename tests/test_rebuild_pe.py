"""rebuild.pe: files laid out here as Go's linker does it, one from another's figures; then real rebuilds."""

from __future__ import annotations

import random
import struct
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import builds
import pytest
import test_pe
from test_rebuild_macho import EXACT, rebuilt, up

from goforensics import binary
from goforensics.containers.pe import PeImage
from goforensics.errors import FormatError
from goforensics.rebuild import changes, pe
from goforensics.rebuild.base_relocations import relocated, relocations_size
from goforensics.rebuild.contents import Contents, Declined, Part
from goforensics.rebuild.flags import SAME
from goforensics.rebuild.moves import Moves

BASE, HEADERS, TEXT = 0x140000000, 0x600, 5001
GOROOT = b"C:/go/one.two.three.four.five.six.seven"  # 39 bytes: 64 in the file
FLAGS = 0xC0000040  # data, readable and writable


@dataclass(frozen=True)
class Made:
    """What a file holds, in bytes; `pointers` is how many words of .data, and as many of .rdata, are."""

    strings: int = 96
    table: int = 30000
    info: int = 256
    data: int = 20000
    pointers: int = 301
    debug: tuple[tuple[str, int], ...] = ((".zdebug_info", 3000), (".debug_gdb_scripts", 540))
    symbols: tuple[bytes, ...] = (b"main.main", b"main.f", b"runtime.defaultGOROOT.str")
    goroot: bool = True
    padded: bool = True


class Linked:
    """The file, and where its parts are."""

    def __init__(self, made: Made) -> None:
        self.made = made
        root = up(len(GOROOT), 32) if made.goroot else 0
        self.rdata = BASE + 0x1000 + up(TEXT, 4096)
        self.root = self.rdata + 2400 + 32
        self.strings_at = self.root + root
        self.table = up(self.strings_at + made.strings, 32)
        self.data = up(self.table + made.table, 4096)
        variable = self.data + up(made.info, 32)
        bss = up(variable + made.data, 32)
        rdata, data = bytearray(self.table + made.table - self.rdata), bytearray(bss - self.data)
        pointers = [self.rdata + 8 * i for i in range(made.pointers)]
        if made.goroot:
            struct.pack_into("<QQ", data, variable - self.data, self.root, len(GOROOT))
            pointers.append(variable)
            variable += 16
        pointers += [variable + 24 * i for i in range(made.pointers)]
        pointers += [self.table + 8]
        self.parts: list[tuple[bytes, int, int, bytes]] = []
        self.names = b""
        self.place = 0x1000
        for name, content, size in (
            (".text", bytes(TEXT), TEXT),
            (".rdata", bytes(rdata), len(rdata)),
            (".data", bytes(data), len(data) + 9000),
            *((name, bytes(size), size) for name, size in made.debug),
            (".idata", bytes(700), 700),
            (".reloc", blocks(pointers, made.padded), 0),
        ):
            self.section(name, content, size)
        records = self.records(bss - self.data)
        strings = struct.pack("<I", len(self.names) + 4) + self.names
        self.section(".symtab", records + strings, 0)
        self.image = PeImage(memoryview(self.file(len(records) // 18)))

    def section(self, name: str, content: bytes, size: int) -> None:
        short = name.encode()
        if name.startswith((".debug", ".zdebug")):
            short = f"/{len(self.names) + 4}".encode()
            self.names += name.encode() + b"\0"
        self.parts.append((short, self.place, size or len(content), content))
        self.place = up(self.place + (size or len(content)), 4096)

    def records(self, bss: int) -> bytes:
        out = b""
        for name in self.made.symbols and (*self.made.symbols, b"runtime.bss"):
            field = name.ljust(8, b"\0")
            if len(name) > 8:
                field = struct.pack("<II", 0, len(self.names) + 4)
                self.names += name + b"\0"
            out += field + struct.pack("<IhHBB", bss, 3, 0, 2, 0)
        return out

    def file(self, symbols: int) -> bytes:
        headers, body, at = b"", b"", HEADERS
        for name, place, size, content in self.parts:
            raw = content + bytes(-len(content) % 512)
            headers += struct.pack("<8s6IHHI", name, size, place, len(raw), at + len(body), 0, 0, 0, 0, FLAGS)
            body += raw
        table = at + len(body) - len(raw)
        optional = struct.pack("<H22xQII16xIII", 0x20B, BASE, 4096, 512, self.place, HEADERS, 0).ljust(108, b"\0")
        optional += struct.pack("<I", 16) + bytes(128)
        count = len(self.parts)
        head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
        head += struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, count, 0, table, symbols, len(optional), 0x22)
        return (head + optional + headers).ljust(HEADERS, b"\0") + body

    def contents(self, new: Made, **other: Any) -> Contents:
        """What changes from this file to `new`; `other` fields are set as given."""
        old, gone = self.made, self.made.goroot and not new.goroot
        fields: dict[str, Any] = {
            "symbols": bool(new.symbols),
            "dwarf": bool(new.debug),
            "strings": Part(self.strings_at, old.strings, new.strings),
            "buildinfo": Part(self.data, old.info, new.info),
            "pclntab": Part(self.table, old.table, new.table),
            "goroot": gone,
            "build_id": 0,
            "gdb_scripts": dict(old.debug).get(".debug_gdb_scripts", 0) - dict(new.debug).get(".debug_gdb_scripts", 0),
            "root_string": Part(self.root, up(len(GOROOT), 32), 0) if gone else None,
        }
        return Contents(**(fields | other))


def blocks(pointers: list[int], padded: bool) -> bytes:
    """The base relocations, a block per page."""
    out = b""
    pages = Counter((p - BASE) // 4096 for p in pointers)
    for page in sorted(pages):
        entries = [0xA000 | p % 4096 for p in sorted(pointers) if (p - BASE) // 4096 == page]
        entries += [0] * (padded and len(entries) % 2)
        out += struct.pack(f"<II{len(entries)}H", page * 4096, 8 + 2 * len(entries), *entries)
    return out


PLAIN = Made()
CHANGES: dict[str, dict[str, Any]] = {
    "same": {},
    "-s": {"symbols": (), "debug": (), "strings": 128, "info": 288},
    "-w": {"debug": (), "strings": 128, "info": 272},
    "-s -w=0": {"symbols": (), "strings": 160, "info": 304},
    "half a page less": {"table": 28000},
    "pages more": {"table": 40000, "info": 4000},
    "scripts": {"debug": ((".zdebug_info", 3000), (".debug_gdb_scripts", 500))},
    "no root": {"goroot": False, "data": 19984, "symbols": PLAIN.symbols[:2]},
    "no root -s": {"goroot": False, "data": 19984, "symbols": (), "debug": (), "table": 27000},
}


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_from_one_file_to_another(change: str, padded: bool) -> None:
    old = replace(PLAIN, padded=padded)
    new = replace(old, **CHANGES[change])
    first, second = Linked(old), Linked(new)
    contents = first.contents(new)
    assert pe.size(first.image, contents) == len(second.image.data)
    least, most = pe.bounds(first.image, contents)
    assert least <= len(second.image.data) <= most


@pytest.mark.parametrize("change", ["same", "-w", "no root"])
def test_names_of_any_length(change: str) -> None:
    """Sections are rounded to 512 bytes, which hides a wrong string table but for some of these."""
    for extra in range(0, 512, 16):
        name = b"main." + b"x" * (10 + extra)
        old = replace(PLAIN, symbols=(*PLAIN.symbols, name))
        fields = CHANGES[change]
        new = replace(old, **(fields | {"symbols": (*fields.get("symbols", PLAIN.symbols), name)}))
        first = Linked(old)
        assert pe.size(first.image, first.contents(new)) == len(Linked(new).image.data)


def test_the_changes_show() -> None:
    """Else the test above could pass with a layout that does nothing."""
    assert len({len(Linked(replace(PLAIN, **change)).image.data) for change in CHANGES.values()}) > 5


def test_debug_sections_of_another_size() -> None:
    old = Linked(PLAIN)
    new = Linked(replace(PLAIN, debug=((".zdebug_info", 9000), PLAIN.debug[1])))
    contents = old.contents(PLAIN)
    assert pe.size(old.image, contents, {".zdebug_info": (9000, 700)}) == len(new.image.data)
    least, most = pe.bounds(old.image, contents, {".zdebug_info": (9000, 700)})
    assert (least, most) == (len(new.image.data) - 512, len(new.image.data) + 512)


def test_declined() -> None:
    old = Linked(PLAIN)
    contents = old.contents(PLAIN)
    data = bytes(old.image.data)
    renamed = PeImage(memoryview(data.replace(b".idata\0\0", b".rsrc\0\0\0", 1)))
    for image, asked, reason in (
        (old.image, old.contents(PLAIN, build_id=83), "build ID"),
        (old.image, old.contents(PLAIN, strings=Part(1 << 40, 32, 64)), "not all in"),
        (old.image, old.contents(PLAIN, pclntab=Part(old.table, 5000, 4000)), "what follows"),
        (old.image, old.contents(PLAIN, buildinfo=Part(old.data + 16, 32, 64)), "build information"),
        (renamed, contents, "rsrc"),
        (PeImage(memoryview(data[:-512])), contents, "damaged"),
        (PeImage(memoryview(test_pe.build())), contents, "sections that"),
    ):
        with pytest.raises(Declined, match=reason):
            pe.size(image, asked)


def test_nothing_tells_where_data_ends() -> None:
    stripped = Linked(replace(PLAIN, symbols=()))
    with pytest.raises(Declined, match="ends and"):
        pe.size(stripped.image, stripped.contents(replace(PLAIN, symbols=(), info=400)))


@pytest.mark.parametrize(
    "table",
    [
        struct.pack("<II", 0x1000, 0),
        struct.pack("<II", 0x1000, 8),
        struct.pack("<IIH", 0x1000, 11, 0),
        struct.pack("<IIHH", 0x1000, 200, 0xA000, 0xA000),
        struct.pack("<IIHH", 0x1001, 12, 0xA000, 0xA000),
        struct.pack("<IIHH", 0x1000, 12, 0x4000, 0xA000),
        struct.pack("<IIHHIIHH", 0x2000, 12, 0xA000, 0xA000, 0x1000, 12, 0xA000, 0xA000),
        struct.pack("<IIHHIIH", 0x1000, 12, 0xA000, 0, 0x2000, 10, 0xA000),
        b"\1\2\3",
    ],
)
def test_relocations_of_another_linker(table: bytes) -> None:
    with pytest.raises(Declined):
        relocated(memoryview(table), BASE)


def test_relocations_that_move_to_another_page() -> None:
    image = Linked(PLAIN).image
    section = next(s for s in image.sections if s.name == ".data")
    last = section.address + 4088
    table = memoryview(blocks([last - 16, last - 8, last, last + 16], True))
    moves = Moves()
    moves.add(section, section.address + 8, [])
    assert (len(table), relocations_size(relocated(table, BASE), moves, None)) == (28, 24)


def test_relocations() -> None:
    table = memoryview(blocks([BASE + 0x1000, BASE + 0x1008, BASE + 0x2000], True))
    assert relocations_size(relocated(table, BASE), Moves(), None) == len(table) == 24
    assert relocations_size(relocated(table, BASE), Moves(), BASE + 0x2000) == 12
    assert relocations_size(relocated(memoryview(b""), BASE), Moves(), None) == 0


def test_damage_ends_in_an_error_or_a_size() -> None:
    old = Linked(PLAIN)
    data, contents = bytes(old.image.data), old.contents(replace(PLAIN, goroot=False))
    tables = data.index(struct.pack("<I", (old.rdata - BASE) // 4096 * 4096), HEADERS + TEXT)
    chance = random.Random(13)
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(3):
            first, last = chance.choice(((0, HEADERS), (tables, len(data))))
            broken[chance.randrange(first, last)] = chance.randrange(256)
        try:
            assert pe.size(PeImage(memoryview(bytes(broken))), contents) > 0
        except (Declined, FormatError):
            continue


WINDOWS = [(goarch, go) for goarch in ("amd64", "arm64") for go in ("1.18", "1.22", "1.26", "1.27")]


@pytest.mark.builds
@pytest.mark.parametrize(("goarch", "go"), [*WINDOWS, ("386", "1.27")])
def test_real_rebuilds(goarch: str, go: str) -> None:
    build = builds.Build("hello", go, "windows", goarch)
    found = binary.open(builds.executable(build))
    assert pe.size(found.image, changes.contents_of(found, SAME)) == len(found.image.data)
    for flags in EXACT:
        path = rebuilt(build, flags)
        contents = changes.contents_of(found, flags)
        assert pe.bounds(found.image, contents) == (path.stat().st_size,) * 2
        assert pe.size(found.image, contents) == path.stat().st_size
        after = binary.open(path)
        assert pe.size(after.image, changes.contents_of(after, SAME)) == path.stat().st_size


@pytest.mark.builds
@pytest.mark.parametrize(("goos", "goarch"), [("windows", "amd64"), ("windows", "arm64")])
def test_a_stripped_file_trimmed(goos: str, goarch: str) -> None:
    """Without symbols GOROOT's variable and .bss are found by what points where."""
    build = builds.Build("hello", "1.27", goos, goarch)
    found = binary.open(rebuilt(build, EXACT[1]))
    contents = changes.contents_of(found, EXACT[2])
    size = rebuilt(build, EXACT[2]).stat().st_size
    assert pe.bounds(found.image, contents) == (size, size)
