"""The function table: what the decoder promises, on tables built here in every layout, width and byte order."""

from __future__ import annotations

import itertools
import struct
from typing import Literal

import numpy as np
import pytest
from fakes import FakeImage, FakeSource, section, segment

from goforensics.errors import FormatError
from goforensics.sections import functions, moduledata, pcheader, pclntab, pcparts

MAGIC = {"1.2": 0xFFFFFFFB, "1.16": 0xFFFFFFFA, "1.18": 0xFFFFFFF0, "1.20": 0xFFFFFFF1, "1.26": 0xFFFFFFF1}
LAYOUTS = tuple(MAGIC)
TEXT, TABLE, DATA = 0x10000, 0x20000, 0x40000  # addresses
TWO = {"main.main": (0x40, "/src/main.go", 7), "main.(*T).Méthode": (0x20, "/src/t.go", 12)}


def varint(value: int) -> bytes:
    """binary.PutUvarint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def table_of(value: int, size: int) -> bytes:
    """A pc-value table that holds `value` for `size` bytes of code; it begins at -1."""
    delta = value + 1
    return varint(delta << 1 if delta >= 0 else (-delta << 1) - 1) + varint(size) + b"\0"


class Builder:
    """Lays a pclntab out as cmd/link of the layout's time does."""

    def __init__(self, layout: str, width: int, order: str, funcs: dict[str, tuple[int, str, int]]) -> None:
        self.layout, self.width, self.order, self.funcs = layout, width, order, funcs
        self.wide = layout in ("1.2", "1.16")
        self.names, self.name_at = self.strings(funcs)
        self.files, self.file_at = self.strings(dict.fromkeys(f[1] for f in funcs.values()))
        self.pctab = bytearray(b"\0")
        self.tables: dict[bytes, int] = {}

    def strings(self, texts: dict[str, object] | dict[str, tuple[int, str, int]]) -> tuple[bytes, dict[str, int]]:
        raw, at = b"", {}
        for text in texts:
            at[text] = len(raw)
            raw += text.encode() + b"\0"
        return raw, at

    def word(self, *values: int) -> bytes:
        return struct.pack(self.order + ("Q" if self.width == 8 else "I") * len(values), *values)

    def u4(self, *values: int) -> bytes:
        return struct.pack(f"{self.order}{len(values)}I", *values)

    def table(self, value: int, size: int) -> int:
        raw = table_of(value, size)
        if raw not in self.tables:
            self.tables[raw] = len(self.pctab)
            self.pctab += raw
        return self.tables[raw]

    def aligned(self, raw: bytes) -> bytes:
        to = 4 if self.layout == "1.26" else 32
        return raw + bytes(-len(raw) % to)

    def record(self, name: str, pc: int, file: int) -> bytes:
        size, _, line = self.funcs[name]
        fields = [self.name_at[name], 0, 0, self.table(8, size), self.table(file, size), self.table(line, size), 1, 0]
        if self.layout not in ("1.16", "1.18"):
            fields.append(line)  # startLine
        entry = self.word(pc + TEXT) if self.wide else self.u4(pc)
        return entry + self.u4(*fields) + bytes([0, 0, 0, 0]) + self.u4(self.table(-2, size))

    def build(self) -> bytes:
        return self.go12() if self.layout == "1.2" else self.modern()

    def modern(self) -> bytes:
        files = list(self.file_at)
        records, at, pc, pairs = b"", [], 0, []
        for name, (size, file, _) in self.funcs.items():
            at.append(len(records))
            records += self.record(name, pc, files.index(file))
            records += bytes(-len(records) % self.width)
            pairs.append(pc)
            pc += size
        head = 8 + self.width * (7 if self.layout == "1.16" else 8)
        first = head if self.layout == "1.26" else -(-head // 32) * 32
        cutab = self.u4(*self.file_at.values())
        body, offsets = b"", []
        for part in (self.names, cutab, self.files, bytes(self.pctab)):
            offsets.append(first + len(body))
            body = (
                self.aligned(body + part)
                if self.layout != "1.26"
                else body + part + bytes(-(len(part) + len(body) + first) % 4)
            )
        offsets.append(first + len(body))
        entry = self.word if self.wide else self.u4
        base = TEXT if self.wide else 0
        length = len(entry(0)) * (2 * len(pairs) + 1)
        length += -length % self.width
        flat = [x for pc, r in zip(pairs, at, strict=True) for x in (pc + base, r + length)]
        functab = entry(*flat, pc + base)
        counts = [len(self.funcs), len(files)] + ([] if self.layout == "1.16" else [0])
        header = self.u4(MAGIC[self.layout]) + bytes([0, 0, 1, self.width]) + self.word(*counts, *offsets)
        return header + bytes(first - len(header)) + body + functab + bytes(length - len(functab)) + records

    def go12(self) -> bytes:
        head = 8 + self.width
        records_at = head + (2 * len(self.funcs) + 1) * self.width + 4
        records_at += -records_at % self.width
        body, pairs, pc, files = b"", [], 0, list(self.file_at)
        for name, (size, file, line) in self.funcs.items():
            at = records_at + len(body)
            record = 32 + self.width + 4
            extra, places = name.encode() + b"\0", []
            for value in (8, files.index(file) + 1, line, -2):
                places.append(at + record + len(extra))
                extra += table_of(value, size)
            fields = (at + record, 0, 0, *places[:3], 1)
            body += self.word(pc + TEXT) + self.u4(*fields) + bytes(4) + self.u4(places[3]) + extra
            body += bytes(-len(body) % self.width)
            pairs += [pc + TEXT, at]
            pc += size
        filetab = records_at + len(body)
        names = filetab + 4 * (len(files) + 1)
        table = self.u4(len(files) + 1, *(names + self.file_at[file] for file in files))
        header = self.u4(MAGIC["1.2"]) + bytes([0, 0, 1, self.width]) + self.word(len(self.funcs))
        functab = self.word(*pairs, pc + TEXT) + self.u4(filetab)
        return header + functab + bytes(records_at - head - len(functab)) + body + table + self.files


def image_of(table: bytes, builder: Builder, *, named: bool = True) -> FakeImage:
    """The table behind some text, and a moduledata in a writable segment that points at it."""
    text, offset = bytes(0x100), 0x100
    data_at = offset + len(table) + (-len(table) % 8)
    data = text + table + bytes(data_at - offset - len(table))
    data += module_of(builder, builder.build())
    parts = [segment(0, 0x100, TEXT, executable=True), segment(offset, len(table), TABLE)]
    parts.append(segment(data_at, len(data) - data_at, DATA, writable=True))
    sections = [section(".gopclntab", offset, len(table), TABLE)] if named else []
    order: Literal["<", ">"] = "<" if builder.order == "<" else ">"
    return FakeImage(data, segments=parts, sections=sections, bits=64 if builder.width == 8 else 32, order=order)


def module_of(builder: Builder, table: bytes) -> bytes:
    count, size = len(builder.funcs), sum(f[0] for f in builder.funcs.values())

    def full(at: int, length: int) -> tuple[int, int, int]:
        return at, length, length

    if builder.layout == "1.2":
        head: tuple[int, ...] = (*full(TABLE, len(table)), *full(TABLE + 8 + builder.width, count + 1), *full(0, 0))
    else:
        offsets = struct.unpack_from(builder.order + ("Q" if builder.width == 8 else "I") * 8, table, 8)
        names = offsets[2 if builder.layout == "1.16" else 3]
        functab = offsets[6 if builder.layout == "1.16" else 7]
        slices = (full(TABLE + names, 1), *[full(0, 0)] * 3, full(TABLE + functab, len(table) - functab))
        head = (TABLE, *itertools.chain(*slices), *full(TABLE + functab, count + 1))
    pcs = (TABLE, TEXT, TEXT + size, TEXT, TEXT + size)
    return builder.word(*head, *pcs, *[DATA] * 8, *[0] * 24)


CASES = [(layout, width, order) for layout in LAYOUTS for width in (4, 8) for order in "<>"]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(("layout", "width", "order"), CASES)
def test_decodes_what_was_built(layout: str, width: int, order: str, named: bool) -> None:
    builder = Builder(layout, width, order, TWO)
    raw = builder.build()
    source = FakeSource(image_of(raw, builder, named=named))
    table = source.read(pclntab.PARSER)
    assert table.header.layout == layout
    assert not table.header.magic_overwritten
    assert table.names == list(TWO)
    assert table.funcs.size.tolist() == [size for size, _, _ in TWO.values()]
    assert table.files == [file for _, file, _ in TWO.values()]
    assert [table.files[table.file_offsets.tolist().index(at)] for at in table.entry_file.tolist()] == table.files
    assert table.entry_line.tolist() == [line for _, _, line in TWO.values()]
    assert source.read(functions.PARSER).address.tolist() == [TEXT, TEXT + 0x40]
    assert source.read(moduledata.PARSER).text == TEXT
    parts = pcparts.sizes(source.read(pcparts.PARSER), len(table.data))
    assert sum(parts.values()) == len(table.data) == len(raw)
    assert "unknown" not in parts
    assert not source.image.problems


@pytest.mark.parametrize(("layout", "width", "order"), CASES)
def test_an_overwritten_magic_hides_nothing(layout: str, width: int, order: str) -> None:
    builder = Builder(layout, width, order, {f"main.f{i}": (16, "/src/f.go", i) for i in range(9)})
    raw = b"\xde\xad\xbe\xef" + builder.build()[4:]
    header = FakeSource(image_of(raw, builder, named=False)).read(pcheader.PARSER)
    assert header.layout == layout
    assert header.magic_overwritten
    assert header.section is None


@pytest.mark.parametrize(("layout", "width", "order"), [(layout, 8, "<") for layout in LAYOUTS])
def test_every_prefix_is_an_error_or_a_table(layout: str, width: int, order: str) -> None:
    builder = Builder(layout, width, order, TWO)
    raw = builder.build()
    for length in range(len(raw)):
        try:
            table = FakeSource(image_of(raw[:length], builder)).read(pclntab.PARSER)
        except FormatError:
            continue
        assert len(table.data) == length


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_broken_byte_escapes_as_anything_else(layout: str) -> None:
    rng = np.random.default_rng(1)
    builder = Builder(layout, 8, "<", TWO)
    good = np.frombuffer(builder.build(), np.uint8)
    for _ in range(400):
        bad = good.copy()
        bad[rng.integers(len(bad), size=rng.integers(1, 5))] = rng.integers(256)
        source = FakeSource(image_of(bad.tobytes(), builder))
        try:
            table = source.read(pclntab.PARSER)
        except FormatError:
            continue
        assert ((table.funcs.name >= 0) & (table.funcs.name < len(bad))).all()
        assert ((table.entry_file >= 0) & (table.entry_file < len(bad))).all()
        assert len(table.names) == len(table.entry_line) == len(table.funcs.record)
        parts = pcparts.sizes(source.read(pcparts.PARSER), len(bad))
        assert sum(parts.values()) == len(bad)


def test_a_table_without_functions_is_an_error() -> None:
    """A2 of the public reports: zero functions found must not read as a clean result."""
    builder = Builder("1.20", 8, "<", {})
    with pytest.raises(FormatError):
        FakeSource(image_of(builder.build(), builder)).read(pclntab.PARSER)


def test_a_count_that_no_file_could_hold_is_an_error() -> None:
    """A18 of the public reports: nfunc of 2^40 must cost nothing."""
    builder = Builder("1.20", 8, "<", TWO)
    raw = bytearray(builder.build())
    raw[8:16] = (1 << 40).to_bytes(8, "little")
    with pytest.raises(FormatError):
        FakeSource(image_of(bytes(raw), builder)).read(pclntab.PARSER)


def test_equal_tables_are_shared() -> None:
    builder = Builder("1.20", 8, "<", {"a.f": (16, "/a.go", 3), "a.g": (16, "/a.go", 3)})
    table = FakeSource(image_of(builder.build(), builder)).read(pclntab.PARSER)
    assert set(table.tables.users.tolist()) == {2}
    assert table.tables.size.tolist() == [3, 3, 3, 3]
