"""dwarf: sections, compile units and line programs' names, on built bytes and broken bytes."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import numpy as np
import pytest
from fakes import FakeImage, FakeSource, section

from goforensics.containers.image import Section
from goforensics.errors import FormatError
from goforensics.sections import dwarf, dwarf_lines, dwarf_paths, goversion
from goforensics.sections.dwarf_reader import Budget, Reader
from goforensics.sections.dwarf_units import Unit

Order = Literal["<", ">"]
PRODUCER, LANGUAGE, NAME, COMP_DIR, STMT_LIST, LOW_PC = 0x25, 0x13, 0x03, 0x1B, 0x10, 0x11
SHAPES = [(order, version, wide) for order in "<>" for version in (2, 3, 4, 5) for wide in (False, True)]


def uleb(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def prefixed(order: str, wide: bool, body: bytes) -> bytes:
    """A body after its initial length."""
    return (b"\xff" * 4 + struct.pack(order + "Q", len(body)) if wide else struct.pack(order + "I", len(body))) + body


def offset(order: str, wide: bool, value: int) -> bytes:
    return struct.pack(order + ("Q" if wide else "I"), value)


Field = tuple[int, int, bytes]  # attribute, form, encoded value


def abbreviation(code: int, tag: int, fields: Iterable[Field]) -> bytes:
    specs = b"".join(uleb(a) + uleb(form) + (uleb(value[0]) if form == 0x21 else b"") for a, form, value in fields)
    return uleb(code) + uleb(tag) + b"\1" + specs + b"\0\0"


def unit(
    order: str, version: int, wide: bool, fields: Iterable[Field], *, table: int = 0, code: int = 1, kind: int = 1
) -> bytes:
    """A unit of 8-byte addresses whose root entry is followed by the rest of a tree, which nobody may need."""
    at = offset(order, wide, table)
    head = struct.pack(order + "H", version) + (bytes([kind, 8]) + at if version == 5 else at + b"\x08")
    if kind in (2, 6):
        head += bytes(8) + offset(order, wide, 0)
    values = b"".join(value for _, form, value in fields if form != 0x21)
    return prefixed(order, wide, head + uleb(code) + values + b"\xfe\xff\xff" * 3)


def go_fields(order: str, name: bytes, stmt: int = 0, wide: bool = False, version: int = 4) -> list[Field]:
    """A root entry as cmd/link writes it."""
    form = 0x17 if version >= 4 else 0x07 if wide else 0x06
    return [
        (NAME, 0x08, name + b"\0"),
        (LANGUAGE, 0x0B, b"\x16"),
        (STMT_LIST, form, offset(order, wide, stmt)),
        (LOW_PC, 0x01, struct.pack(order + "Q", 0x401000)),
        (COMP_DIR, 0x08, b".\0"),
        (PRODUCER, 0x08, b"Go cmd/compile go1.26.8; regabi\0"),
    ]


def image(order: Order = "<", **contents: bytes) -> FakeImage:
    """An image of debug sections: debug_info=b"…" is .debug_info."""
    data, sections = b"\0" * 16, []
    for name, content in contents.items():
        sections.append(section("." + name, len(data), len(content)))
        data += content
    return FakeImage(data, sections=sections, order=order)


def tables(fake: FakeImage) -> dwarf.DwarfTables:
    return dwarf.decode(FakeSource(fake))


@pytest.mark.parametrize(("order", "version", "wide"), SHAPES)
def test_go_units(order: Order, version: int, wide: bool) -> None:
    first = go_fields(order, b"runtime", 0, wide, version)
    second = go_fields(order, b"main", 77, wide, version)
    info = unit(order, version, wide, first) + bytes(4) + unit(order, version, wide, second)
    found = tables(image(order, debug_info=info, debug_abbrev=abbreviation(1, 0x11, first) + b"\0"))
    assert not found.problems
    assert [u.name for u in found.units] == ["runtime", "main"]
    assert found.units[1] == Unit(
        offset=len(unit(order, version, wide, first)) + 4,
        version=version,
        offset_size=8 if wide else 4,
        address_size=8,
        language=0x16,
        producer="Go cmd/compile go1.26.8; regabi",
        name="main",
        comp_dir=".",
        stmt_list=77,
        low_pc=0x401000,
    )
    assert found.units[1].is_go
    assert not found.units[1].is_c


STR = b"\0clang\0src.c\0/src\0"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("based", [False, True])
def test_strings_and_addresses_by_number(order: Order, wide: bool, based: bool) -> None:
    size, head = (8, 16) if wide else (4, 8)
    gap = 24 if based else 0
    offsets = bytes(gap + head) + b"".join(offset(order, wide, at) for at in (1, 7, 13))
    fields: list[Field] = [
        (PRODUCER, 0x25, b"\0"),
        (LANGUAGE, 0x21, bytes([0x1D])),
        (NAME, 0x1A, b"\1"),
        (COMP_DIR, 0x1F, offset(order, wide, 3)),
        (LOW_PC, 0x1B, b"\2"),
        (0x73, 0x17, offset(order, wide, 8)),
    ]
    if based:
        fields.append((0x72, 0x17, offset(order, wide, gap + head)))
    found = tables(
        image(
            order,
            debug_abbrev=abbreviation(1, 0x11, fields),
            debug_info=unit(order, 5, wide, fields),
            debug_str_offsets=offsets,
            debug_str=STR,
            debug_line_str=b"no/tmp\0",
            debug_addr=bytes(8) + struct.pack(order + "3Q", 1, 2, 0x1234),
        )
    )
    (only,) = found.units
    assert (only.producer, only.name, only.comp_dir, only.low_pc) == ("clang", "src.c", "tmp", 0x1234)
    assert only.is_c
    assert (size, only.offset_size) == (only.offset_size, size)


FORMS: list[tuple[int, bytes]] = [
    (0x03, b"\2\0ab"), (0x04, b"\1\0\0\0a"), (0x05, b"12"), (0x06, b"1234"), (0x07, b"12345678"), (0x09, b"\2ab"),
    (0x0A, b"\2ab"), (0x0C, b"\1"), (0x0D, b"\xff\x7f"), (0x0F, b"\xff\1"), (0x10, b"1234"), (0x11, b"1"),
    (0x12, b"12"), (0x13, b"1234"), (0x14, b"12345678"), (0x15, b"\x80\1"), (0x16, b"\x0b1"), (0x16, b"\x16\x0512"),
    (0x18, b"\3abc"), (0x19, b""), (0x1C, b"1234"), (0x1D, b"1234"), (0x1E, b"0123456789abcdef"), (0x20, b"12345678"),
    (0x22, b"\x80\1"), (0x23, b"\1"), (0x24, b"12345678"), (0x25, b"1"), (0x26, b"12"), (0x27, b"123"),
    (0x28, b"1234"), (0x29, b"1"), (0x2A, b"12"), (0x2B, b"123"), (0x2C, b"1234"), (0x1F01, b"\1"), (0x1F02, b"\1"),
    (0x1F20, b"1234"), (0x1F21, b"1234"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "value"), FORMS)
def test_reads_past_every_form(form: int, value: bytes) -> None:
    fields: list[Field] = [(0x3FFF, form, value), (NAME, 0x08, b"after\0")]
    nested = form == 0x16 and value[:1] == b"\x16"  # indirect to indirect is forbidden
    found = tables(image(debug_info=unit("<", 5, False, fields), debug_abbrev=abbreviation(1, 0x11, fields)))
    assert [u.name for u in found.units] == ([] if nested else ["after"])
    assert bool(found.problems) == nested


def test_type_units_and_partial_units_do_not_count() -> None:
    fields = go_fields("<", b"main", version=5)
    abbrev = abbreviation(1, 0x11, fields) + abbreviation(2, 0x41, []) + abbreviation(3, 0x3C, [])
    info = (
        unit("<", 5, False, [], code=2, kind=2) + unit("<", 5, False, [], code=3, kind=3) + unit("<", 5, False, fields)
    )
    found = tables(image(debug_info=info, debug_abbrev=abbrev))
    assert [u.name for u in found.units] == ["main"]
    assert not found.problems


def test_a_broken_unit_leaves_those_before_it() -> None:
    fields = go_fields("<", b"main")
    good = unit("<", 4, False, fields)
    for broken in (unit("<", 6, False, fields), unit("<", 4, False, fields, code=9), good[:-1], b"\xf0\xff\xff\xff"):
        found = tables(image(debug_info=good + broken + good, debug_abbrev=abbreviation(1, 0x11, fields) + b"\0"))
        assert [u.name for u in found.units][:1] == ["main"]
        assert found.problems


def test_a_string_that_is_not_there_leaves_the_unit() -> None:
    fields: list[Field] = [(NAME, 0x0E, b"\xff\0\0\0"), (LANGUAGE, 0x0B, b"\x16")]
    found = tables(image(debug_info=unit("<", 4, False, fields), debug_abbrev=abbreviation(1, 0x11, fields)))
    assert [(u.name, u.language) for u in found.units] == [(None, 0x16)]


def test_an_abbreviation_table_is_read_once_and_only_as_far_as_needed() -> None:
    fields = go_fields("<", b"main")
    abbrev = abbreviation(1, 0x11, fields) + b"\x02\x80"  # the second declaration is broken
    found = tables(image(debug_info=unit("<", 4, False, fields) * 50, debug_abbrev=abbrev))
    assert len(found.units) == 50
    assert not found.problems


def test_shared_tables_cannot_cost_more_than_the_budget() -> None:
    """A18: thousands of units that each want the same endless table, entry or text."""
    many: list[Field] = [(0x3FFF, 0x19, b"")] * 20_000
    info = unit("<", 4, False, []) * 5_000
    found = tables(image(debug_info=info, debug_abbrev=abbreviation(1, 0x11, many)))
    assert "more entries" in found.problems[0]
    budget = Budget(text=100)
    with pytest.raises(FormatError, match="more text"):
        Reader(b"a" * 200 + b"\0", "<", "x").string(budget)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".debug_info", ".debug_info"),
        (".zdebug_line", ".debug_line"),
        ("__DWARF,__debug_info", ".debug_info"),
        ("__DWARF,__zdebug_abbrev", ".debug_abbrev"),
        ("__DWARF,__debug_str_offs", ".debug_str_offsets"),
        ("__DWARF,__zdebug_gdb_scr", ".debug_gdb_scripts"),
        ("__DWARF,__zdebug_line_st", ".debug_line_str"),
        ("__TEXT,__debug_info", None),
        (".text", None),
    ],
)
def test_names_in_every_container(name: str, expected: str | None) -> None:
    assert dwarf.canonical(section(name, 0, 1)) == expected


def test_sizes_and_claims_of_compressed_sections() -> None:
    fields = go_fields("<", b"main")
    info = unit("<", 4, False, fields)
    packed = b"ZLIB" + len(info).to_bytes(8, "big") + zlib.compress(info)
    script, abbrev = b"\1/goroot/x.py\0", abbreviation(1, 0x11, fields)
    sections = (
        Section(".zdebug_info", 0, len(packed), 0, 0, "debug", compression="zdebug"),
        section(".debug_abbrev", len(packed), len(abbrev)),
        section(".debug_gdb_scripts", len(packed) + len(abbrev), len(script)),
    )
    source = FakeSource(FakeImage(packed + abbrev + script, sections=sections))
    found = source.read(dwarf.PARSER)
    assert [u.name for u in found.units] == ["main"]
    assert [(s.name, s.file_bytes, s.uncompressed_bytes) for s in found.sections] == [
        (".debug_info", len(packed), len(info)),
        (".debug_abbrev", len(abbrev), len(abbrev)),
        (".debug_gdb_scripts", len(script), len(script)),
    ]
    assert found.file_bytes == len(source.image.data)
    assert found.uncompressed_bytes == len(info) + len(abbrev) + len(script)
    (claims,) = dwarf.claims(source, found)
    assert claims.ends.tolist()[-1] == len(source.image.data)
    version = goversion.by_dwarf(source)
    assert version is not None
    assert (version.raw, version.source) == ("go1.26.8", "dwarf")


@pytest.mark.parametrize("declared", [0, 5, 1 << 62])
def test_a_size_that_lies_is_a_problem(declared: int) -> None:
    packed = b"ZLIB" + declared.to_bytes(8, "big") + zlib.compress(bytes(100))
    sections = [Section(".zdebug_info", 0, len(packed), 0, 0, "debug", compression="zdebug")]
    found = tables(FakeImage(packed, sections=sections))
    assert not found.units
    assert found.problems
    assert found.uncompressed_bytes < 1000


def test_none_is_absent() -> None:
    with pytest.raises(FormatError) as caught:
        tables(FakeImage(b"", sections=[section(".text", 0, 0)]))
    assert caught.value.absent


def test_no_broken_byte_escapes_at_all() -> None:
    rng = np.random.default_rng(6)
    fields = [*go_fields("<", b"main", version=5), (0x3FFF, 0x0E, b"\1\0\0\0")]
    good = image(
        debug_info=unit("<", 5, False, fields) * 2,
        debug_abbrev=abbreviation(1, 0x11, fields),
        debug_str=STR,
        debug_line=line_program("<", 5, False),
        debug_line_str=LINE_STR,
    )
    raw = np.frombuffer(good.data, np.uint8)
    for _ in range(1500):
        bad = raw.copy()
        bad[rng.integers(16, len(bad), size=rng.integers(1, 5))] = rng.integers(256)
        broken = FakeImage(bad.tobytes(), sections=good.sections)
        found = tables(broken)
        contents = (dwarf.section_bytes(broken, found, f".debug_{n}") for n in ("line", "line_str", "str"))
        list(dwarf_lines.file_names(dwarf_lines.LineStrings(*contents), found.units, "<", []))


LINE_STR = b"/proj\0sub\0a.c\0/abs/b.c\0"


def line_program(order: str, version: int, wide: bool) -> bytes:
    """Directories /proj and sub, files a.c in sub and /abs/b.c, then what may be a program."""
    if version == 5:
        names = b"\1\1\x1f\2" + offset(order, wide, 0) + offset(order, wide, 6)
        names += b"\3\1\x1f\2\x0b\5\x1e\2"  # a path, a directory, an MD5 sum
        names += offset(order, wide, 10) + b"\1" + bytes(16) + offset(order, wide, 14) + b"\1" + bytes(16)
    else:
        names = b"/proj\0sub\0\0a.c\0\2\0\0/abs/b.c\0\2\1\1\0"
    rest = b"\1" + (b"\1" if version >= 4 else b"") + b"\1\xfb\x0e\x0d" + b"\0\1\1\1\1\0\0\0\1\0\0\1" + names
    head = struct.pack(order + "H", version) + (b"\x08\0" if version == 5 else b"")
    return prefixed(order, wide, head + offset(order, wide, len(rest)) + rest + b"\xff" * 9)


def a_unit(stmt_list: int | None, comp_dir: str = "/comp") -> Unit:
    return Unit(0, 4, 4, 8, 0x16, None, None, comp_dir, stmt_list, None)


def names(line: bytes, units: list[Unit], order: str = "<") -> tuple[list[dwarf_lines.LineName], list[str]]:
    problems: list[str] = []
    strings = dwarf_lines.LineStrings(line, LINE_STR, STR)
    return list(dwarf_lines.file_names(strings, units, order, problems)), problems


@pytest.mark.parametrize(("order", "version", "wide"), SHAPES)
def test_line_names(order: Order, version: int, wide: bool) -> None:
    line = line_program(order, version, wide)
    found, problems = names(line, [a_unit(None), a_unit(0), a_unit(0)], order)
    assert not problems
    assert {n.unit for n in found} == {1}  # the third unit shares the second's program
    directory = "sub" if version == 5 else "/comp/sub"
    assert [(n.kind, n.path, n.name) for n in found] == [
        ("directory", "/proj", "/proj"),
        ("directory", directory, "sub"),
        ("file", f"{directory}/a.c", "a.c"),
        ("file", "/abs/b.c", "/abs/b.c"),
    ]
    assert [n.number for n in found] == ([0, 1, 0, 1] if version == 5 else [1, 2, 1, 2])
    place = {".debug_line": line, ".debug_line_str": LINE_STR}
    for n in found:
        assert place[n.where][n.offset : n.offset + n.size] == n.name.encode() + b"\0"


@pytest.mark.parametrize("version", [4, 5])
def test_any_prefix_of_a_line_program_is_a_problem(version: int) -> None:
    line = line_program("<", version, False)
    for length in range(len(line)):
        assert names(line[:length], [a_unit(0)])[1]
    assert names(line, [a_unit(len(line) + 5)])[1]


def go_program(*files: bytes) -> bytes:
    """As Go's linker writes it: one directory, then whole names of files in it."""
    tables = b"\1\1\x08\1/comp\0" + b"\2\1\x08\2\x0f" + bytes([len(files)]) + b"".join(f + b"\0\0" for f in files)
    rest = b"\1\1\1\xfb\x0e\1" + tables
    return prefixed("<", False, struct.pack("<H", 5) + b"\x08\0" + offset("<", False, len(rest)) + rest + b"\xff" * 9)


def counts(line: bytes, units: list[Unit]) -> tuple[Counter[tuple[str, int]], list[str]]:
    problems: list[str] = []
    return dwarf_lines.name_counts(dwarf_lines.LineStrings(line, LINE_STR, STR), units, "<", problems), problems


def test_counting_finds_what_reading_finds() -> None:
    """In whole programs of Go's and C's, shared ones, and in a thousand broken ones."""
    programs = [go_program(b"/src/a.go", b"fmt/print.go", b"/src/a.go"), go_program(), line_program("<", 5, False)]
    programs += [line_program("<", 4, False), go_program(b"x" * 5000), go_program(b"\xff.go")]
    line, units = b"", []
    for program in programs:
        units += [a_unit(len(line)), a_unit(len(line))]
        line += program
    rng = np.random.default_rng(5)
    for broken in range(1000):
        raw = np.frombuffer(line, np.uint8).copy()
        raw[rng.integers(len(raw), size=broken and 3)] = rng.integers(256)
        read, problems = names(raw.tobytes(), units)
        assert counts(raw.tobytes(), units) == (Counter((n.name, n.size) for n in read), problems)
    assert counts(line, units)[0]["/src/a.go", 10] == 2


def test_entries_without_bytes_are_refused() -> None:
    head = struct.pack("<H", 5) + b"\x08\0"
    rest = b"\1\1\1\xfb\x0e\1" + b"\0" + b"\xff" * 9 + b"\1"
    found, problems = names(prefixed("<", False, head + offset("<", False, len(rest)) + rest), [a_unit(0)])
    assert not found
    assert "do not fit" in problems[0]


@pytest.mark.parametrize(
    ("directory", "name", "path"),
    [
        ("/a/b", "../c.go", "/a/c.go"),
        ("", "c.go", "c.go"),
        (".", "c.go", "c.go"),
        ("//a", "c", "/a/c"),
        ("C:\\a", "c.go", "C:\\a\\c.go"),
        ("C:/a", "c.go", "C:/a/c.go"),
        ("C:\\a", "D:c.go", "D:c.go"),
        ("C:\\a\\", "c:c.go", "C:\\a\\c.go"),
        ("\\\\host\\share\\d", "c", "\\\\host\\share\\d\\c"),
    ],
)
def test_join(directory: str, name: str, path: str) -> None:
    assert dwarf_paths.join(directory, name) == path


def test_signed_numbers() -> None:
    for value, encoded in ((-1, b"\x7f"), (-128, b"\x80\x7f"), (63, b"\x3f"), (64, b"\xc0\0"), (-64, b"\x40")):
        assert Reader(encoded, "<", "x").sleb() == value
