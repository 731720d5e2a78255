"""rebuild.macho: files laid out here as Go's linker does it, one from another's figures; then real rebuilds."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import builds
import numpy as np
import pytest
import test_macho

from goforensics import binary
from goforensics.containers.image import Segment
from goforensics.containers.macho import MachoImage
from goforensics.errors import FormatError
from goforensics.rebuild import changes, dyld_info, macho
from goforensics.rebuild.contents import Contents, Declined, Part
from goforensics.rebuild.flags import SAME, Flags
from goforensics.rebuild.moves import Moves

CPU = {"amd64": (0x01000007, 0x1000000, 4096), "arm64": (0x0100000C, 1 << 32, 16384)}  # number, base, page
GOROOT = b"/usr/lib/go-toolchains/one.two.three"  # 36 bytes: 64 in the file
HEADR = 4096


def up(size: int, to: int) -> int:
    return (size + to - 1) // to * to


def uleb(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


@dataclass(frozen=True)
class Made:
    """What a file holds, in bytes; `pointers` is how many words of .data are."""

    goarch: str = "arm64"
    strings: int = 96
    table: int = 30000
    info: int = 256
    data: int = 20000
    pointers: int = 2400
    debug: int = 9000
    scripts: int = 80
    defined: tuple[bytes, ...] = (b"_main.main", b"_runtime.text", b"_runtime.defaultGOROOT.str")
    goroot: bool = True
    signed: bool = True

    def sections(self) -> dict[str, list[tuple[str, int, int]]]:
        """(name, size, exponent of its alignment) of each segment's sections."""
        root = up(len(GOROOT), 32) if self.goroot else 0
        return {
            "__TEXT": [
                ("__text", 9001, 4),
                ("__rodata", 5000 + root + self.strings, 5),
                ("__gopclntab", self.table, 3),
            ],
            "__DATA_CONST": [("__rodata", 3000, 5), ("__got", 64, 2)],
            "__DATA": [("__go_buildinfo", self.info, 4), ("__data", self.data, 5), ("__bss", 4096, 5)],
        }


class Linked:
    """The file, and where its parts are."""

    def __init__(self, made: Made) -> None:
        self.made = made
        number, self.base, self.page = CPU[made.goarch]
        self.at: dict[str, int] = {}
        self.commands: list[bytes] = []
        self.body = bytearray(HEADR)
        self.segment("__PAGEZERO", 0, 0, [])
        for name, sections in made.sections().items():
            self.loaded(name, sections)
        if made.debug:
            start = len(self.body)
            self.body += bytes(made.debug + made.scripts)
            records = [("__zdebug_info", 0, made.debug, start, 0), ("__debug_gdb_scri", 0, made.scripts, start, 0)]
            self.segment("__DWARF", start, made.debug + made.scripts, records)
            self.pad()
        self.linkedit()
        head = struct.pack("<8I", 0xFEEDFACF, number, 3, 2, len(self.commands), sum(map(len, self.commands)), 0, 0)
        head += b"".join(self.commands)
        self.body[: len(head)] = head
        self.image = MachoImage(memoryview(bytes(self.body)))

    def pad(self) -> None:
        self.body += bytes(-len(self.body) % self.page)

    def command(self, number: int, body: bytes) -> None:
        self.commands.append(struct.pack("<II", number, len(body) + 8) + body)

    def segment(self, name: str, at: int, size: int, sections: list[tuple[str, int, int, int, int]]) -> None:
        body = struct.pack("<16s4Q4I", name.encode(), self.base + at, size, at, size, 7, 3, len(sections), 0)
        for section, address, length, offset, align in sections:
            flags = 1 if section == "__bss" else 0
            names = (section.encode(), name.encode())
            body += struct.pack("<16s16sQQ8I", *names, address, length, offset, align, 0, 0, flags, 0, 0, 0)
        self.command(0x19, body)

    def loaded(self, name: str, sections: list[tuple[str, int, int]]) -> None:
        start = 0 if name == "__TEXT" else len(self.body)
        records, end = [], 0
        for section, size, align in sections:
            at = up(end or len(self.body), 1 << align)
            self.at[f"{name},{section}"] = self.base + at
            records.append((section, self.base + at, size, 0 if section == "__bss" else at, align))
            end = at + size
        stop = at if sections[-1][0] == "__bss" else end
        self.body += bytes(stop - len(self.body))
        self.segment(name, start, stop - start, records)
        if name == "__DATA" and self.made.goroot:  # the variable is the first thing in .data
            self.root = self.at["__TEXT,__rodata"] + 1024
            words = struct.pack("<QQ", self.root, len(GOROOT))
            at = self.at["__DATA,__data"] - self.base
            self.body[at : at + 16] = words
        self.pad()

    def linkedit(self) -> None:
        made, start = self.made, len(self.body)
        segment = self.at["__DATA,__go_buildinfo"]
        first = self.at["__DATA,__data"] - segment + (0 if made.goroot else 16)
        step = [first] * made.goroot + [first + 16 + 8 * i for i in range(made.pointers)]
        rebase = b"\x11" + b"".join(b"\x23" + uleb(at) + b"\x51" for at in step) + b"\0"
        rebase += bytes(-len(rebase) % 8)
        got = self.at["__DATA_CONST,__got"] - self.at["__DATA_CONST,__rodata"]
        bind = b"\x51\x72" + uleb(got) + b"\x11\x40_exit\0\x90\0"
        bind += bytes(-len(bind) % 16)
        names, records = b" \0", b""
        for name in (*made.defined, b"_exit"):
            kind = 1 if name == b"_exit" else 0x0E
            records += struct.pack("<IBBHQ", len(names), kind, kind >> 3, 0, 0)
            names += name + b"\0"
        indirect = bytes(4 * 16)
        names += bytes(-len(rebase + bind + records + indirect + names) % 16)
        places, tables = [], (rebase, bind, records, indirect, names)
        for table in tables:
            places.append((len(self.body), len(table)))
            self.body += table
        self.command(0x80000022, struct.pack("<10I", *places[0], *places[1], *[0] * 6))
        self.command(0x2, struct.pack("<4I", places[2][0], len(records) // 16, *places[4]))
        self.command(0xB, struct.pack("<18I", *[0] * 12, places[3][0], 16, *[0] * 4))
        if made.signed:
            hashes = -(-len(self.body) // 4096)
            self.command(0x1D, struct.pack("<2I", len(self.body), 114 + 32 * hashes))
            self.body += bytes(114 + 32 * hashes)
        self.segment("__LINKEDIT", start, len(self.body) - start, [])

    def contents(self, new: Made, **other: Any) -> Contents:
        """What changes from this file to `new`; `other` fields are set as given."""
        old, strings = self.made, self.at["__TEXT,__gopclntab"] - 200
        gone = old.goroot and not new.goroot
        root = up(len(GOROOT), 32)
        fields: dict[str, Any] = {
            "symbols": b"_main.main" in new.defined,
            "dwarf": bool(new.debug),
            "strings": Part(strings, old.strings, new.strings),
            "buildinfo": Part(self.at["__DATA,__go_buildinfo"], old.info, new.info),
            "pclntab": Part(self.at["__TEXT,__gopclntab"], old.table, new.table),
            "goroot": gone,
            "build_id": 0,
            "gdb_scripts": old.scripts - new.scripts if new.debug else 0,
            "root_string": Part(self.root, root, 0) if gone else None,
        }
        return Contents(**(fields | other))


PLAIN = Made()
CHANGES: dict[str, dict[str, Any]] = {
    "same": {},
    "-s": {"defined": (), "debug": 0, "strings": 128, "info": 288},
    "-w": {"debug": 0, "strings": 128, "info": 272},
    "-s -w=0": {"defined": (), "strings": 160, "info": 304},
    "a page less": {"table": 9000},
    "a page more": {"table": 50000, "info": 1024},
    "scripts": {"scripts": 20},
    "no root": {"goroot": False, "data": 19984, "defined": PLAIN.defined[:2]},
    "no root -s": {"goroot": False, "data": 19984, "defined": (), "debug": 0, "table": 27000},
}


@pytest.mark.parametrize("goarch", CPU)
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_from_one_file_to_another(change: str, goarch: str, signed: bool) -> None:
    old = replace(PLAIN, goarch=goarch, signed=signed)
    new = replace(old, **CHANGES[change])
    first, second = Linked(old), Linked(new)
    contents = first.contents(new)
    assert macho.size(first.image, contents) == len(second.body)
    least, most = macho.bounds(first.image, contents)
    assert least <= len(second.body) <= most


def test_names_of_any_length() -> None:
    """__LINKEDIT is rounded to 16 bytes, which hides a wrong string table but for some of these."""
    for length in range(1, 18):
        old = Linked(replace(PLAIN, defined=(*PLAIN.defined, b"_" + b"x" * length)))
        assert macho.size(old.image, old.contents(old.made)) == len(old.body)


def test_the_changes_show() -> None:
    """Else the test above could pass with a layout that does nothing."""
    sizes = [len(Linked(replace(PLAIN, **change)).body) for change in CHANGES.values()]
    assert len(set(sizes)) > 5


def test_where_a_variable_leaves_a_doubt() -> None:
    """.data ends a few bytes behind a page: whether the page goes depends on what follows GOROOT's variable."""
    end = next(n for n in range(20000, 40000, 32) if up(256 + n, 16384) - 256 - n == 16384 - 32)
    old = Linked(replace(PLAIN, data=end))
    least, most = macho.bounds(old.image, old.contents(replace(old.made, goroot=False)))
    assert most - least >= 16384


def test_debug_sections_of_another_size() -> None:
    old, new = Linked(PLAIN), Linked(replace(PLAIN, debug=40000))
    contents = old.contents(old.made)
    debug = {"__DWARF,__zdebug_info": (40000, 20000), "__DWARF,__debug_gdb_scri": (80, 0)}
    assert macho.size(old.image, contents, debug) == len(new.body)
    least, most = macho.bounds(old.image, contents, debug)
    assert least < len(new.body) < most


def test_declined() -> None:
    old = Linked(PLAIN)
    contents = old.contents(PLAIN)
    stray = old.contents(PLAIN, strings=Part(1 << 40, 32, 64))
    for image, asked, reason in (
        (old.image, old.contents(PLAIN, build_id=83), "build ID"),
        (old.image, stray, "not all in"),
        (old.image, old.contents(PLAIN, pclntab=Part(0, -1, 2)), "no range"),
        (MachoImage(memoryview(bytes(old.body)), 4096), contents, "universal"),
        (MachoImage(memoryview(bytes(old.body[:-1]))), contents, "damaged"),
        (test_macho.only(test_macho.build(fixups=6)), contents, "another linker"),
        (test_macho.only(test_macho.build("386")), contents, "this machine"),
    ):
        with pytest.raises(Declined, match=reason):
            macho.size(image, asked)


def test_another_signature() -> None:
    data = bytes(Linked(PLAIN).body)
    at = data.index(struct.pack("<II", 0x1D, 16)) + 12
    longer = (
        data[:at] + struct.pack("<I", int.from_bytes(data[at : at + 4], "little") + 32) + data[at + 4 :] + bytes(32)
    )
    with pytest.raises(Declined, match="code signature"):
        macho.size(MachoImage(memoryview(longer)), Linked(PLAIN).contents(PLAIN))


SEGMENTS = tuple(Segment(f"s{i}", 0, 0, i << 32, 0, True, False) for i in range(3))


def test_rebase_opcodes() -> None:
    table = b"\x11\x21\x00\x51\x22\x85\x01\x51\x00\0\0\0\0\0\0\0"
    places = dyld_info.rebased(memoryview(table), SEGMENTS)
    assert dyld_info.rebase_size(places, Moves(), None) == 16
    assert dyld_info.rebase_size(places, Moves(), 1 << 32) == 8
    assert dyld_info.rebase_size(dyld_info.rebased(memoryview(b""), SEGMENTS), Moves(), None) == 0


@pytest.mark.parametrize(
    "table",
    [
        b"\0",
        b"\x11",
        b"\x11\x21\x00\x51",
        b"\x11\x21\x80",
        b"\x11\x51\x00",
        b"\x11\x21\x05\x52\0",
        b"\x11\0\x21\x05\x51\0",
        b"\x11\x29\x05\x51\0",
        b"\x11\x21" + b"\x80" * 9 + b"\x01\x51\0",
    ],
)
def test_rebase_opcodes_of_another_linker(table: bytes) -> None:
    with pytest.raises(Declined):
        dyld_info.rebased(memoryview(table), SEGMENTS)


@pytest.mark.parametrize(
    "table", [b"\0", b"\x51", b"\x51\x71", b"\x51\x71\x80", b"\x51\x40abc", b"\x51\x7f\0\0", b"\x51\xa0\0"]
)
def test_bind_opcodes_of_another_linker(table: bytes) -> None:
    with pytest.raises(Declined):
        dyld_info.bound(memoryview(table), SEGMENTS)


def test_damage_ends_in_an_error_or_a_size() -> None:
    data, contents = bytes(Linked(PLAIN).body), Linked(PLAIN).contents(replace(PLAIN, goroot=False))
    tail = data.index(b"\x11\x23")
    chance = random.Random(13)
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(3):
            first, last = chance.choice(((0, 0x600), (tail, len(data))))
            broken[chance.randrange(first, last)] = chance.randrange(256)
        try:
            assert macho.size(MachoImage(memoryview(bytes(broken))), contents) > 0
        except (Declined, FormatError):
            continue


RELEASES = ("1.18", "1.22", "1.24", "1.27")
DARWIN = [("darwin", goarch, go) for goarch in CPU for go in RELEASES]
EXACT = (Flags(("-w",)), Flags(("-s", "-w")), Flags(("-s", "-w"), trimpath=True))


def rebuilt(build: builds.Build, flags: Flags) -> Path:
    ldflags = (f"-ldflags={' '.join(flags.ldflags)}",) if flags.ldflags else ()
    return builds.executable(replace(build, flags=(*(("-trimpath",) if flags.trimpath else ()), *ldflags)))


@pytest.mark.builds
@pytest.mark.parametrize(("goos", "goarch", "go"), DARWIN)
def test_real_rebuilds(goos: str, goarch: str, go: str) -> None:
    build = builds.Build("hello", go, goos, goarch)
    found = binary.open(builds.executable(build))
    assert macho.size(found.image, changes.contents_of(found, SAME)) == len(found.image.data)
    for flags in EXACT:
        if go == "1.18" and "-s" in flags.ldflags:
            continue  # -s did nothing then, on darwin
        path = rebuilt(build, flags)
        contents = changes.contents_of(found, flags)
        assert macho.bounds(found.image, contents) == (path.stat().st_size,) * 2
        assert macho.size(found.image, contents) == path.stat().st_size
        after = binary.open(path)
        assert macho.size(after.image, changes.contents_of(after, SAME)) == path.stat().st_size


def test_moves() -> None:
    moves = Moves()
    section = next(s for s in Linked(PLAIN).image.sections if s.name == "__DATA,__data")
    part = Part(section.address + 64, 32, 0)
    end = moves.add(section, section.address + 16, [part])
    at = np.array([0, section.address, part.address + 31, part.address + 32], np.uint64)
    assert moves.moved(at).tolist() == [0, 16, 16, -16]
    assert end == section.address + section.memory_size - 16


@pytest.mark.builds
@pytest.mark.parametrize(("goos", "goarch"), [("darwin", "amd64"), ("darwin", "arm64")])
def test_a_stripped_file_trimmed(goos: str, goarch: str) -> None:
    """Without symbols GOROOT's variable and .bss are found by what points where."""
    build = builds.Build("hello", "1.27", goos, goarch)
    found = binary.open(rebuilt(build, EXACT[1]))
    contents = changes.contents_of(found, EXACT[2])
    size = rebuilt(build, EXACT[2]).stat().st_size
    assert macho.bounds(found.image, contents) == (size, size)
