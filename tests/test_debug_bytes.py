"""debug_bytes: debug sections to packages, on built units and on real files."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import builds
import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from fakes import FakeImage, FakeSource, section
from test_dwarf import COMP_DIR, LANGUAGE, NAME, STMT_LIST, STR, Field, Order, abbreviation, image, unit

import goforensics.binary
from goforensics.analysis import debug_bytes
from goforensics.analysis.packages import PackageNames, Packages, packages
from goforensics.analysis.vocabulary import Holdings
from goforensics.containers.image import Section
from goforensics.errors import FormatError
from goforensics.sections import dwarf, dwarf_parts, functions, pclntab
from goforensics.sections.functions import Functions

RANGES, ADDR_BASE, RNGLISTS_BASE, LOCLISTS_BASE, LOCATION, SEC_OFFSET = 0x55, 0x73, 0x74, 0x8C, 0x02, 0x17
PLACED = Functions(
    address=np.array([0x1000, 0x2000], np.uint64),
    offset=np.array([-1, -1]),
    size=np.array([0x1000, 0x2000]),
    code=np.array([0x1000, 0x2000]),
    text=(0x1000, 0x4000),
)
CODES = np.array([1, 2], np.int32)
OF_FUNCTIONS = Packages(CODES, ["", "main", "runtime"], {}, CODES)
Ranges = list[tuple[int, int, dict[str, float]]]  # start and end in the section, weights of the owners


def reference(attribute: int, value: int, order: str = "<") -> Field:
    return attribute, SEC_OFFSET, struct.pack(order + "I", value)


def fields(name: bytes, *more: Field, language: int = 0x16) -> list[Field]:
    return [(NAME, 0x08, name + b"\0"), (LANGUAGE, 0x0B, bytes([language])), *more]


def units(*each: list[Field], order: Order = "<", version: int = 5) -> dict[str, Any]:
    """.debug_info and .debug_abbrev; each unit has a table of its own."""
    info = abbrev = b""
    for i, values in enumerate(each):
        info += unit(order, version, False, values, table=len(abbrev))
        abbrev += abbreviation(1, 0x11, values) + b"\0" * (i + 1)
    return {"debug_info": info, "debug_abbrev": abbrev}


def held(fake: FakeImage, *, placed: bool = False) -> dict[str, Ranges]:
    """By structure the ranges and their owners, functions as numbers; ranges must fill every section."""
    names = PackageNames(OF_FUNCTIONS.names)
    context = (OF_FUNCTIONS, PLACED) if placed else (None, None)
    holdings = debug_bytes.holdings(FakeSource(fake), names, *context)
    starts = {s.name.lstrip(".").replace("zdebug", "debug"): s.offset for s in fake.sections}
    found: dict[str, Ranges] = {}
    for holding in holdings:
        assert (holding.kind, holding.origin) == ("debug", "debug")
        assert isinstance(holding.structure, str)
        found.setdefault(holding.structure, []).extend(ranges(holding, names, starts[holding.structure]))
    for s in fake.sections:
        sizes = [end - start for start, end, _ in found[s.name.lstrip(".").replace("zdebug", "debug")]]
        assert sum(sizes) == s.file_size
    return {name: sorted(each, key=lambda r: r[0]) for name, each in found.items()}


def ranges(holding: Holdings, names: PackageNames, base: int) -> Ranges:
    assert (np.diff(holding.item) >= 0).all()
    out: Ranges = [(a - base, b - base, {}) for a, b in zip(holding.start.tolist(), holding.end.tolist(), strict=True)]
    weight = np.ones(len(holding.item)) if holding.weight is None else holding.weight
    for item, owner, share in zip(holding.item.tolist(), holding.owner.tolist(), weight.tolist(), strict=True):
        out[item][2][names.all[owner] if holding.of_packages else str(owner)] = share
    return out


def only(found: Ranges) -> list[tuple[int, int, set[str]]]:
    """The owners without their weights; neighbours with the same ones are joined."""
    out: list[tuple[int, int, set[str]]] = []
    for start, end, owners in found:
        joins = out and out[-1][1:] == (start, set(owners))
        out.append((out.pop()[0] if joins else start, end, set(owners)))
    return out


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [4, 5])
def test_units_and_line_programs(order: Order, version: int) -> None:
    each = [
        fields(b"runtime", reference(STMT_LIST, 0, order)),
        fields(b"gopkg.in/yaml%2ev3", reference(STMT_LIST, 40, order)),
        fields(b"a.c", reference(STMT_LIST, 60, order), language=0x1D),
    ]
    parts = units(*each, order=order, version=version)
    found = held(image(order, **parts, debug_line=bytes(100), debug_gdb_scripts=b"\1x.py\0"))
    sizes = [len(unit(order, version, False, values)) for values in each]
    first, second = sizes[0], sizes[0] + sizes[1]
    owners = ["runtime", "gopkg.in/yaml.v3", "(C)"]
    assert only(found["debug_info"]) == [
        (0, first, {owners[0]}),
        (first, second, {owners[1]}),
        (second, sum(sizes), {owners[2]}),
    ]
    assert only(found["debug_line"]) == [(0, 40, {owners[0]}), (40, 60, {owners[1]}), (60, 100, {owners[2]})]
    assert [set(shares) for _, _, shares in found["debug_abbrev"]] == [{owner} for owner in owners]
    ((_, _, shares),) = found["debug_gdb_scripts"]
    assert shares == dict(zip(owners, sizes, strict=True))


def test_padding_and_broken_units_are_nobodys() -> None:
    parts = units(fields(b"main"))
    size = len(parts["debug_info"])
    found = held(image(debug_info=parts["debug_info"] + bytes(8) + b"\xff\xff", debug_abbrev=parts["debug_abbrev"]))
    assert only(found["debug_info"]) == [(0, size, {"main"}), (size, size + 10, set())]


def test_strings_belong_to_the_units_that_have_one_there() -> None:
    c: list[Field] = [(NAME, 0x0E, b"\7\0\0\0"), (LANGUAGE, 0x0B, b"\x1d"), (COMP_DIR, 0x1F, b"\0\0\0\0")]
    found = held(image(**units(fields(b"main"), c), debug_str=STR, debug_line_str=b"/tmp\0"))
    assert only(found["debug_str"]) == [(0, len(STR), {"(C)"})]
    assert only(found["debug_line_str"]) == [(0, 5, {"(C)"})]


def contribution(size: int, *, head: bytes = b"\5\0\x08\0\0\0\0\0") -> bytes:
    return struct.pack("<I", len(head) + size) + head + bytes(size)


def test_bases_and_headers_of_dwarf_5() -> None:
    """Go writes one header for all units, C compilers one for each, and may not point at it."""
    go, more = (
        fields(name, reference(RANGES, at), reference(ADDR_BASE, base))
        for name, at, base in ((b"main", 12, 8), (b"runtime", 20, 24))
    )
    c = fields(b"a.c", language=0x1D)
    lists, table = contribution(30), contribution(40, head=b"\5\0\x08\0")
    found = held(image(**units(go, more, c), debug_rnglists=lists + contribution(9), debug_addr=table))
    assert only(found["debug_rnglists"]) == [
        (0, 20, {"main"}),
        (20, len(lists), {"runtime"}),
        (len(lists), len(lists) + 21, {"(C)"}),
    ]
    assert only(found["debug_addr"]) == [(0, 24, {"main"}), (24, 48, {"runtime"})]
    alone = held(image(**units(go, more), debug_rnglists=lists))
    assert only(alone["debug_rnglists"]) == [(0, 20, {"main"}), (20, 42, {"runtime"})]


def test_a_base_of_its_own_contribution_brings_its_header() -> None:
    c = [fields(name, reference(RNGLISTS_BASE, at), language=0x1D) for name, at in ((b"a.c", 12), (b"b.c", 33))]
    go = fields(b"main", reference(RANGES, 54))
    found = held(image(**units(*c, go), debug_rnglists=contribution(9) * 3))
    assert only(found["debug_rnglists"]) == [(0, 42, {"(C)"}), (42, 63, {"main"})]


@pytest.mark.parametrize("order", ["<", ">"])
def test_location_lists_by_what_refers_to_them(order: Order) -> None:
    one = b"\1\0\4\0\1\1\x50\0"  # base_addressx, offset_pair, end_of_list
    count = 100  # so that no length or other offset looks like a list of the last units
    starts = [12 + len(one) * i for i in range(count)]
    owner = [(b"main", starts[:-5]), (b"runtime", starts[-5:-1]), (b"os", starts[-1:])]
    each = [fields(name, *(reference(LOCATION, at, order) for at in mine)) for name, mine in owner]
    chance = [*each[1], reference(LOCATION, starts[-1], order)]  # what looks like a reference, and is none
    lists = struct.pack(order + "I", 8 + count * len(one)) + (b"\5\0" if order == "<" else b"\0\5") + b"\x08\0\0\0\0\0"
    lists += one * count
    for middle in (each[1], chance):
        fake = image(order, **units(each[0], middle, each[2], order=order), debug_loclists=lists)
        assert only(held(fake)["debug_loclists"]) == [
            (0, starts[-5], {"main"}),
            (starts[-5], starts[-1], {"runtime"}),
            (starts[-1], len(lists), {"os"}),
        ]


def test_location_lists_of_dwarf_4() -> None:
    one = struct.pack("<QQH", 1, 5, 1) + b"\x50" + bytes(16)
    each = [
        fields(name, *(reference(LOCATION, len(one) * i) for i in mine))
        for name, mine in ((b"a", (0, 1)), (b"b", (2,)))
    ]
    found = held(image(**units(*each, version=4), debug_loc=one * 3))
    assert only(found["debug_loc"]) == [(0, 2 * len(one), {"a"}), (2 * len(one), 3 * len(one), {"b"})]


def test_range_lists_of_units_that_come_before_those_of_functions() -> None:
    """Go before 1.16."""
    one = struct.pack("<QQQQ", 1, 5, 0, 0)
    each = [
        fields(b"a", reference(RANGES, 0), reference(LOCATION, 64), reference(LOCATION, 96)),
        fields(b"b", reference(RANGES, 32), reference(LOCATION, 128)),
    ]
    found = held(image(**units(*each, version=4), debug_ranges=one * 5))
    assert only(found["debug_ranges"]) == [(0, 32, {"a"}), (32, 64, {"b"}), (64, 128, {"a"}), (128, 160, {"b"})]
    after = [fields(b"a", reference(RANGES, 0)), fields(b"b", reference(RANGES, 32))]
    with_long_lists = struct.pack("<QQQQ", 1, 5, 7, 9) + one + one * 5
    assert only(held(image(**units(*after, version=4), debug_ranges=with_long_lists))["debug_ranges"]) == [
        (0, 32, {"a"}),
        (32, len(with_long_lists), {"b"}),
    ]


def test_indexes_say_which_unit_they_are_about() -> None:
    each = [fields(b"a"), fields(b"b")]
    second = len(unit("<", 5, False, each[0]))
    sets = [struct.pack("<IHI", 16, 2, at) + bytes(10) for at in (0, second)]
    found = held(image(**units(*each), debug_aranges=b"".join(sets), debug_pubnames=sets[1]))
    assert only(found["debug_aranges"]) == [(0, 20, {"a"}), (20, 40, {"b"})]
    assert only(found["debug_pubnames"]) == [(0, 20, {"b"})]


def frame(order: str, common: int, *words: int) -> bytes:
    return struct.pack(f"{order}II{len(words)}Q", 4 + 8 * len(words), common, *words)


@pytest.mark.parametrize("order", ["<", ">"])
def test_frames_are_their_functions(order: Order) -> None:
    cie = 0xFFFFFFFF
    records = [
        frame(order, cie, 0),
        frame(order, 0, 0x2100, 16),
        frame(order, 0, 0x1000, 16, 5),
        frame(order, cie, 0),
        frame(order, 16 + 24 + 32, 0x9000, 4),
    ]
    parts = {**units(fields(b"main"), order=order), "debug_frame": b"".join(records) + bytes(4)}
    found = held(image(order, **parts), placed=True)["debug_frame"]
    assert [(end - start, owners) for start, end, owners in found] == [
        (16, {"runtime": 24, "main": 32}),
        (24, {"1": 1}),
        (32, {"0": 1}),
        (16, {"(C)": 28}),
        (28, {"(C)": 28}),
    ]
    assert only(held(image(order, **parts))["debug_frame"]) == [(0, 116, {"main"})]  # without functions: by unit


@pytest.mark.parametrize("raw", [b"\1", b"\5\0\0\0" * 3, b"\xff\xff\xff\xff" * 5, b"\x08\0\0\0\0\0\0\0"])
def test_frames_that_do_not_fit_have_no_owner(raw: bytes) -> None:
    found = held(image(**units(fields(b"main")), debug_frame=raw), placed=True)["debug_frame"]
    assert all(not owners for _, _, owners in found)


def test_a_compressed_section_is_shared_by_inflated_bytes() -> None:
    each = [fields(b"a"), fields(b"b" * 40), fields(b"a")]
    parts = units(*each)
    packed = b"ZLIB" + len(parts["debug_info"]).to_bytes(8, "big") + zlib.compress(parts["debug_info"])
    sections = [
        Section(".zdebug_info", 0, len(packed), 0, 0, "debug", compression="zdebug"),
        section(".debug_abbrev", len(packed), len(parts["debug_abbrev"])),
    ]
    found = held(FakeImage(packed + parts["debug_abbrev"], sections=sections))
    sizes = [len(unit("<", 5, False, values)) for values in each]
    assert found["debug_info"] == [(0, len(packed), {"a": sizes[0] + sizes[2], "b" * 40: sizes[1]})]


def test_only_the_first_of_two_sections_of_a_name_is_read() -> None:
    parts = units(fields(b"main"))
    fake = image(**parts)
    again = section(".debug_info", 0, 10)
    found = debug_bytes.holdings(
        FakeSource(FakeImage(bytes(fake.data), sections=[*fake.sections, again])), PackageNames([]), None, None
    )
    assert [h.structure for h in found].count("debug_info") == 2
    assert sum(len(h.item) for h in found if h.structure == "debug_info") <= 1


def test_none_is_absent() -> None:
    with pytest.raises(FormatError) as caught:
        debug_bytes.holdings(FakeSource(FakeImage(b"")), PackageNames([]), None, None)
    assert caught.value.absent


def test_no_broken_byte_escapes() -> None:
    rng = np.random.default_rng(8)
    go = fields(
        b"main", reference(STMT_LIST, 3), reference(RANGES, 12), reference(ADDR_BASE, 8), reference(LOCATION, 12)
    )
    c = fields(b"a.c", reference(LOCLISTS_BASE, 40), language=0x1D)
    good = image(
        **units(go, c),
        debug_line=bytes(20),
        debug_rnglists=contribution(20) * 2,
        debug_loclists=struct.pack("<I", 24) + b"\5\0\x08\0\0\0\0\0" + b"\1\0\4\0\1\1\x50\0" * 2 + contribution(6),
        debug_addr=contribution(20, head=b"\5\0\x08\0"),
        debug_aranges=struct.pack("<IHI", 16, 2, 0) + bytes(10),
        debug_frame=frame("<", 0xFFFFFFFF, 0) + frame("<", 0, 0x2100, 16),
        debug_ranges=bytes(64),
        debug_loc=bytes(64),
    )
    raw = np.frombuffer(good.data, np.uint8)
    for _ in range(1000):
        bad = raw.copy()
        bad[rng.integers(16, len(bad), size=rng.integers(1, 6))] = rng.integers(256)
        held(FakeImage(bad.tobytes(), sections=good.sections), placed=True)


UNCOMPRESSED = ("-ldflags=-compressdwarf=false",)
ELF_BUILDS = (
    *(builds.Build("hello", go) for go in ("1.13", "1.18", "1.22", "1.27")),
    builds.Build("hello", "1.27", flags=UNCOMPRESSED),
    builds.Build("cgo", "1.27", cgo=True),
    builds.Build("cgo", "1.22", cgo=True),
)
OTHERS = tuple(
    builds.Build("hello", "1.27", *target, flags=flags)
    for target in (("darwin", "arm64"), ("windows", "amd64"))
    for flags in ((), UNCOMPRESSED)
)


def of_build(build: builds.Build) -> tuple[dict[str, Counter[str]], dwarf.DwarfTables]:
    """By structure the inflated bytes of each package; those of shared ranges are divided."""
    binary = goforensics.binary.open(builds.executable(build))
    of_functions, tables = packages(binary.read(pclntab.PARSER)), binary.read(dwarf.PARSER)
    names = PackageNames(of_functions.names)
    found: dict[str, Counter[str]] = {}
    sizes: Counter[str] = Counter()
    inflated = {s.name.lstrip("."): s for s in tables.sections}
    for held in debug_bytes.holdings(binary, names, of_functions, binary.read(functions.PARSER)):
        structure = str(held.structure)
        sizes[structure] += int((held.end - held.start).sum())
        size = (held.end - held.start).astype(np.float64)
        if inflated[structure].section.compression:
            size[:] = inflated[structure].uncompressed_bytes
        weight = np.ones(len(held.item)) if held.weight is None else held.weight
        part = size[held.item] * weight / np.bincount(held.item, weights=weight, minlength=len(size))[held.item]
        owner = held.owner if held.of_packages else of_functions.codes[held.owner]
        for i, share in zip(owner.tolist(), part.tolist(), strict=True):
            found.setdefault(structure, Counter())[names.all[i]] += share
    assert sizes == {name: s.file_bytes for name, s in inflated.items()}
    for structure, packages_of in found.items():
        assert sum(packages_of.values()) == pytest.approx(inflated[structure].uncompressed_bytes)
    return found, tables


def elftools_units(path: Path) -> list[tuple[str, Any]]:
    """Each unit with its package: pyelftools'."""
    with path.open("rb") as file:
        info = ELFFile(file).get_dwarf_info()
        out = []
        for cu in info.iter_CUs():
            attributes = cu.get_top_DIE().attributes
            name = attributes["DW_AT_name"].value.decode().replace("%2e", ".")
            go = attributes["DW_AT_language"].value == 0x16
            program = info.line_program_for_CU(cu)
            line = program.header["unit_length"] + 4 if program else 0
            out.append((name if go else "(C)", (cu["unit_length"] + 4, line)))
        return out


@pytest.mark.builds
@pytest.mark.parametrize("build", ELF_BUILDS, ids=builds.Build.label)
def test_agrees_with_elftools(build: builds.Build) -> None:
    found, _ = of_build(build)
    info, line = Counter[str](), Counter[str]()
    for package, (unit_size, line_size) in elftools_units(builds.executable(build)):
        info[package] += unit_size
        line[package] += line_size
    assert found["debug_info"] == pytest.approx(info)
    assert found["debug_line"] == pytest.approx(+line)


@pytest.mark.builds
@pytest.mark.parametrize("build", OTHERS, ids=builds.Build.label)
def test_other_containers(build: builds.Build) -> None:
    found, tables = of_build(build)
    info = Counter[str]()
    for each in tables.units:
        info[each.name or ""] += each.places.size
    assert found["debug_info"] == pytest.approx(info)
    assert {"debug_line", "debug_abbrev", "debug_frame"} <= found.keys()
    assert all(by["main"] for name, by in found.items() if "loc" not in name)  # hello's main has no location lists


def first_lists(build: builds.Build, attribute: str) -> dict[int, int]:
    """By unit the first list that an entry refers to: pyelftools', which reads every entry."""
    with builds.executable(build).open("rb") as file:
        out: dict[int, int] = {}
        for i, cu in enumerate(ELFFile(file).get_dwarf_info().iter_CUs()):
            values = [die.attributes[attribute] for die in cu.iter_DIEs() if attribute in die.attributes]
            lists = [value.value for value in values if value.form == "DW_FORM_sec_offset"]
            if lists:
                out[i] = min(lists)
        return out


@pytest.mark.builds
@pytest.mark.parametrize("build", [builds.Build("hello", go) for go in ("1.22", "1.27")], ids=builds.Build.label)
def test_location_lists_begin_where_entries_say(build: builds.Build) -> None:
    binary = goforensics.binary.open(builds.executable(build))
    tables = binary.read(dwarf.PARSER)
    name = dwarf_parts.LOCLISTS if tables.units[0].version == 5 else dwarf_parts.LOC
    size = next(s.uncompressed_bytes for s in tables.sections if s.name == name)

    def content(wanted: str) -> bytes | bytearray:
        return dwarf.section_bytes(binary.image, tables, wanted)

    found = dwarf_parts.parts(name, size, tables.units, content, "<")
    header = 12 if name == dwarf_parts.LOCLISTS else 0
    starts = {int(u): max(int(found.start[i]), header) for i, u in zip(found.item, found.unit, strict=True)}
    assert starts == first_lists(build, "DW_AT_location")
