"""What strip(1), a harder compression and wiping make of a file: made-up ones, and the real tools on real ones."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import builds
import made_elf
import numpy as np
import pytest
from builds import Build, executable
from fakes import FakeImage, section
from made_elf import ALLOC, COMPRESSED, EXECUTE, NOBITS, STRTAB, SYMTAB, WRITE, Made

from goforensics import binary
from goforensics.containers.elf import ElfImage
from goforensics.rebuild import elf_headers, postlink, strip
from goforensics.rebuild.contents import Declined
from goforensics.sections import compression, pclntab
from goforensics.sections.pctables import SLOTS

TEXT = b"DW_TAG_compile_unit DW_TAG_subprogram " * 400
FUNC, FILE, SECTION = 2, 4, 3
MODES: tuple[strip.Mode, strip.Mode] = ("-s", "-g")
PIE = ("-buildmode=pie",)


def chdr(content: bytes, level: int) -> bytes:
    return struct.pack("<IIQQ", 1, 0, len(content), 1) + zlib.compress(content, level)


def made(slack: int = 0, packed: bytes = b"") -> bytes:
    """Three loaded sections and bss, symbols, and one debug section, compressed if it is `packed`."""
    groups = [
        [Made(".text", size=5001, flags=ALLOC | EXECUTE, align=64)],
        [Made(".data", size=777, flags=ALLOC | WRITE, align=32),
         Made(".bss", size=999, flags=ALLOC | WRITE, align=32, type=NOBITS)],
    ]  # fmt: skip
    table, strings = made_elf.symbols(
        ("main.main", 0x401000, 9, FUNC, 1),
        ("go.go", 0, 0, FILE, 0xFFF1),
        ("", 0x401000, 0, SECTION, 1),
        ("main", 0x401010, 9, FUNC, 1),  # the end of the first one's name
        ("in.debug", 0, 0, 0, 5),
    )
    debug = Made(".debug_info", packed or TEXT, flags=COMPRESSED if packed else 0)
    rest = [Made(".comment", b"GCC\0"), debug, Made(".symtab", table, align=8, type=SYMTAB),
            Made(".strtab", strings, type=STRTAB)]  # fmt: skip
    return made_elf.image(groups, rest, slack=slack)


def image(data: bytes) -> ElfImage:
    return ElfImage(memoryview(data))


LOADED = 4096 + 4096 + 777  # headers and .text on the first two pages, .data on the third
NAMES = 1 + len(".text\0.data\0.bss\0.comment\0.shstrtab\0")


@pytest.mark.parametrize("slack", [0, 100, 3000])
def test_strip_takes_symbols_debug_data_and_padding(slack: int) -> None:
    end = made_elf.up(LOADED + 4 + NAMES, 8)
    assert strip.size(image(made(slack)), "-s") == end + 64 * 6


def test_strip_of_debug_data_leaves_the_other_symbols() -> None:
    symbols = made_elf.up(LOADED + 4, 8) + 24 * 3 + 1 + len("main.main\0")
    end = made_elf.up(symbols + NAMES + len(".symtab\0.strtab\0"), 8)
    assert strip.size(image(made()), "-g") == end + 64 * 8


@pytest.mark.parametrize(
    ("names", "size"),
    [([], 1), (["", ""], 1), (["main", "x.main", "main"], 8), (["ab", "b", "cb"], 7), (["é"], 4)],
)
def test_merged_names(names: list[str], size: int) -> None:
    assert elf_headers.merged_size(names) == size


def test_strip_declines_machines_it_was_not_compared_for() -> None:
    data = bytearray(made())
    struct.pack_into("<H", data, 18, 183)  # EM_AARCH64
    with pytest.raises(Declined, match="arm64"):
        strip.size(image(bytes(data)), "-s")


def test_strip_declines_a_section_outside_of_every_segment() -> None:
    data = bytearray(made())
    table = struct.unpack_from("<Q", data, 40)[0]
    struct.pack_into("<Q", data, table + 64 + 16, 0x900000)
    with pytest.raises(Declined, match="in no segment"):
        strip.size(image(bytes(data)), "-s")


def tool() -> str:
    """Return GNU strip; other programs of that name write other files."""
    found = shutil.which("strip")
    if not found or b"GNU" not in subprocess.run([found, "--version"], capture_output=True, check=False).stdout:
        pytest.skip("needs strip of GNU binutils")
    return found


def stripped(path: Path, mode: str, work: Path) -> int:
    output = work / "stripped"
    subprocess.run([tool(), mode, "-o", str(output), str(path)], check=True)
    return output.stat().st_size


@pytest.mark.parametrize("mode", MODES)
def test_strip_of_the_made_up_file_is_what_the_tool_makes(mode: strip.Mode, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(made(slack=100))
    assert strip.size(image(made(slack=100)), mode) == stripped(tmp_path / "made", mode, tmp_path)


CORNERS = ("1.18", "1.22", "1.27")
STRIPPED = [
    *[Build("hello", f"1.{minor}") for minor in (16, 18, 20, 21, 22, 23, 24, 25, 26, 27)],
    *[Build("hello", minor, flags=PIE) for minor in (*CORNERS, "1.25")],
    *[Build("hello", minor, flags=(flag,)) for minor in CORNERS for flag in ("-ldflags=-w", builds.STRIP)],
    *[Build("hello", minor, goarch="386") for minor in CORNERS],
    *[Build("cgo", minor, flags=flags, cgo=True) for minor in (*CORNERS, "1.25") for flags in ((), PIE)],
    Build("app", "1.27"),
]  # fmt: skip


@pytest.mark.builds
@pytest.mark.parametrize("build", STRIPPED, ids=builds.Build.label)
def test_strip_of_real_files(build: Build, tmp_path: Path) -> None:
    path = executable(build)
    have = binary.open(path).image
    for mode in MODES:
        assert strip.size(have, mode) == stripped(path, mode, tmp_path), mode


@pytest.mark.parametrize("packed", [b"", chdr(TEXT, 1)], ids=["plain", "compressed"])
def test_recompressing(packed: bytes) -> None:
    data, best = made(packed=packed), 24 + len(zlib.compress(TEXT, 9))
    found = postlink.recompressed(image(data))
    now = len(packed or TEXT)
    assert found.sections == {".debug_info": (now, best)}
    assert found.freed == now - best
    assert found.size_after == len(made(packed=chdr(TEXT, 9)))


def test_what_cannot_be_made_smaller_is_left_alone() -> None:
    data = made(packed=chdr(TEXT, 9))
    assert postlink.recompressed(image(data)) == postlink.Recompressed({}, 0, len(data))


def test_a_debug_section_that_cannot_be_inflated_is_left_alone() -> None:
    data = made(packed=chdr(TEXT, 1)[:-9] + bytes(9))
    assert postlink.recompressed(image(data)).freed == 0


def test_the_file_after_is_not_told_where_its_sections_do_not_lie_in_order() -> None:
    assert postlink.recompressed(image(made() + b"appended")).size_after is None


def test_other_containers_tell_only_what_is_freed() -> None:
    parts = (section("__DWARF,__debug_info", 0, len(TEXT)), section("__DWARF,__debug_gdb_scri", 0, len(TEXT)))
    found = postlink.recompressed(FakeImage(TEXT, sections=parts, format="macho"))
    assert found.sections == {"__DWARF,__debug_info": (len(TEXT), 12 + len(zlib.compress(TEXT, 9)))}
    assert found.size_after is None


WIPED = [Build("hello", minor) for minor in ("1.15", "1.16", "1.18", "1.22", "1.25", "1.27")]


@pytest.mark.builds
@pytest.mark.parametrize("build", WIPED, ids=builds.Build.label)
def test_wiping_touches_file_and_line_tables_only(build: Build) -> None:
    table = binary.open(executable(build)).read(pclntab.PARSER)
    found = postlink.wiped(table)
    zero = np.zeros(len(table.data), bool)
    for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True):
        assert not zero[start:end].any()
        zero[start:end] = True
    assert zero.sum() == found.bytes
    uses = table.tables
    of_traces = np.isin(uses.slot, [SLOTS.index("pcfile"), SLOTS.index("pcln")])
    for number in np.unique(uses.table[~of_traces]).tolist():
        assert not zero[uses.start[number] : uses.end[number]].any()
    assert sum(len(name) for name in table.files) < found.bytes < len(table.data) // 2
    assert 0 < postlink.wiping_gains(table) < found.bytes


@pytest.mark.builds
@pytest.mark.parametrize("build", [Build("hello", "1.22"), Build("cgo", "1.22", cgo=True)], ids=builds.Build.label)
def test_recompressing_real_files(build: Build) -> None:
    have = binary.open(executable(build)).image
    found = postlink.recompressed(have)
    for part in have.sections:
        if part.name in found.sections:
            best = zlib.compress(bytes(compression.content(have, part)), 9)
            assert found.sections[part.name] == (part.file_size, 24 + len(best))
    assert found.size_after is not None
    assert abs(len(have.data) - found.freed - found.size_after) < 8 * len(have.sections)  # what is aligned behind
    assert found.freed > 0
