"""rebuild.elf_external: files laid out here as GNU ld does it, one from another's figures; then real rebuilds."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import builds
import made_elf
import numpy as np
import pytest
from builds import Build, executable
from made_elf import ALLOC, EXECUTE, NOBITS, STRTAB, SYMTAB, WRITE, Made

from goforensics import binary
from goforensics.containers.elf import ElfImage
from goforensics.containers.image import SymbolTable
from goforensics.rebuild import changes, elf_external, elf_headers, goroot
from goforensics.rebuild.contents import Contents, Declined, Part
from goforensics.rebuild.flags import SAME, Flags
from goforensics.sections.symtab import Symbols

RELRO = (".init_array", ".dynamic", ".got")
MINORS = ("1.18", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27")
FLAGS = [Flags(ldflags, trim) for trim in (False, True) for ldflags in ((), ("-s",), ("-w",), ("-s", "-w"))][1:]
PIE = ("-buildmode=pie",)


@dataclass(frozen=True)
class Figures:
    """Bytes of what a rebuild changes."""

    strings: int = 96
    table: int = 70_000
    info: int = 160
    symbols: bool = True
    dwarf: bool = True
    table_in_relro: bool = False
    text: bytes = b""
    release: str = "go1.27.3"


def info_blob(figures: Figures) -> bytes:
    release = figures.release.encode()
    return b"\xff Go buildinf:\x08\x02".ljust(32, b"\0") + bytes([len(release)]) + release + b"\0"


class Linked:
    """A file with those figures, and where its parts are."""

    def __init__(self, figures: Figures) -> None:
        f, w = figures, WRITE | ALLOC
        table = Made(".gopclntab", size=f.table, flags=ALLOC, align=32)
        held = Made(".data.rel.ro", size=4096 + f.table, flags=w, align=32)
        self.strings = Made(".rodata", f.text, ALLOC, 32, size=30_000 + f.strings)
        self.info = Made(".go.buildinfo", info_blob(f), w, 16, size=f.info)
        self.table, self.in_table = (held, 4096) if f.table_in_relro else (table, 0)
        groups = [
            [Made(".interp", size=28, flags=ALLOC), Made(".note.go.buildid", size=100, flags=ALLOC, align=4)],
            [Made(".text", size=50_001, flags=ALLOC | EXECUTE, align=64)],
            [self.strings, *([] if f.table_in_relro else [table]), Made(".eh_frame", size=1848, flags=ALLOC, align=8)],
            [Made(".init_array", size=8, flags=w, align=8), *([held] if f.table_in_relro else []),
             Made(".dynamic", size=464, flags=w, align=8), Made(".got", size=40, flags=w, align=8),
             Made(".got.plt", size=416, flags=w, align=8), Made(".data", size=25_001, flags=w, align=32),
             self.info, Made(".noptrdata", size=19_522, flags=w, align=32),
             Made(".bss", size=5000, flags=w, align=32, type=NOBITS)],
        ]  # fmt: skip
        rest = [Made(".comment", b"GCC: (none) 12\0")]
        if f.symbols:
            table_, strings = made_elf.symbols(("runtime.text", 0x401000, 0, 2, 3))
            rest += [Made(".symtab", table_, align=8, type=SYMTAB), Made(".strtab", strings, type=STRTAB)]
        if f.dwarf:
            rest += [Made(".debug_info", size=777, align=8), Made(".debug_gdb_scripts", size=73)]
        relro = (*RELRO, ".data.rel.ro") if f.table_in_relro else RELRO
        self.data = made_elf.image(groups, rest, relro)

    @property
    def image(self) -> ElfImage:
        return ElfImage(memoryview(self.data))

    def part(self, section: Made, size: int, new: int, inside: int = 0) -> Part:
        return Part(section.address + inside, size, new)

    def contents(self, now: Figures, then: Figures) -> Contents:
        return Contents(
            symbols=then.symbols,
            dwarf=then.dwarf,
            strings=self.part(self.strings, now.strings, then.strings),
            buildinfo=self.part(self.info, now.info, then.info),
            pclntab=self.part(self.table, now.table, then.table, self.in_table),
            goroot=False,
            build_id=0,
            gdb_scripts=0,
        )


NOW = Figures()
IN_RELRO = Figures(table_in_relro=True)


@pytest.mark.parametrize("now", [NOW, IN_RELRO], ids=["own section", "in relro"])
@pytest.mark.parametrize("strings", [96, 128, 1024])
@pytest.mark.parametrize("table", [70_000, 69_992, 66_000, 41_000])
@pytest.mark.parametrize("kept", [(True, True), (True, False), (False, False)])
def test_one_file_from_another(now: Figures, strings: int, table: int, kept: tuple[bool, bool]) -> None:
    then = replace(now, strings=strings, table=table, info=176, symbols=kept[0], dwarf=kept[1])
    have = Linked(now)
    size, bound = elf_external.span(have.image, have.contents(now, then))
    assert size == len(Linked(then).data)
    assert bound == 0 or then.dwarf  # addresses in debug data


def test_the_file_itself() -> None:
    have = Linked(NOW)
    assert elf_external.span(have.image, have.contents(NOW, NOW)) == (len(have.data), 0)


def test_data_moves_a_page_when_what_lies_before_it_outgrows_one() -> None:
    have, grown = Linked(NOW), set()
    for table in range(70_000, 79_000, 500):
        size = elf_external.size(have.image, have.contents(NOW, replace(NOW, table=table)))
        grown.add(size - len(have.data))
    assert grown == {0, 4096, 8192}


@pytest.mark.parametrize("change", ["longer", "shorter", "moved"])
def test_a_file_that_was_changed_is_declined(change: str) -> None:
    have = Linked(NOW)
    data = bytearray(have.data)
    if change == "moved":
        table = struct.unpack_from("<Q", data, 40)[0]
        struct.pack_into("<Q", data, table + 64 * 4 + 24, have.strings.offset + 32)
    image = ElfImage(memoryview({"longer": have.data + b"\0", "shorter": have.data[:-1]}.get(change, bytes(data))))
    with pytest.raises(Declined):
        elf_external.size(image, have.contents(NOW, NOW))


def test_what_trimpath_makes_of_c_source_paths_is_not_known() -> None:
    have = Linked(replace(NOW, text=b"\0assertion failed\0/home/alice/lib/file.c\0"))
    with pytest.raises(Declined, match="path of its source"):
        elf_external.size(have.image, have.contents(NOW, replace(NOW, table=69_000)))
    relative = Linked(replace(NOW, text=b"\0assertion failed\0lib/file.c\0"))
    assert elf_external.size(relative.image, relative.contents(NOW, replace(NOW, table=69_000, dwarf=False)))


@pytest.mark.parametrize(("release", "keeps"), [("go1.25.5", True), ("go1.26.1", False), ("go1.22", True)])
def test_debug_data_of_c_stays_up_to_go_1_25(release: str, keeps: bool) -> None:
    now = replace(NOW, release=release)
    have = Linked(now)
    size, bound = elf_external.span(have.image, have.contents(now, replace(now, dwarf=False)), inflate=False)
    gone = len(Linked(replace(now, dwarf=False)).data)
    assert (bound > 0) == keeps
    assert abs(size - gone) <= bound


def test_the_recorded_release_may_be_missing() -> None:
    now = replace(NOW, release="unknown")
    have = Linked(now)
    with pytest.raises(Declined, match="release"):
        elf_external.size(have.image, have.contents(now, replace(now, dwarf=False)))


def test_a_name_that_ends_another_is_stored_once() -> None:
    assert elf_headers.merged_size([".rela.plt", ".plt", ".text", ".text"]) == 1 + 10 + 6
    assert elf_headers.merged_size([]) == 1


def table_of(*objects: tuple[int, int]) -> Symbols:
    """Symbols at (address, size)."""
    value, size = (np.array(column, np.uint64) for column in zip(*objects, strict=True))
    zero = np.zeros(len(value), np.int64)
    table = SymbolTable("elf", 0, len(value), 0, 0)
    return Symbols(table, value, size, zero, zero.astype(np.uint8), zero.astype(np.int32), memoryview(b"\0"))


@pytest.mark.parametrize(
    ("objects", "lost"),
    [
        ([(0x100, 16), (0x110, 16), (0x120, 40)], (0, 32)),  # 0x120 may be an address of alignment 8, too
        ([(0x100, 16), (0x110, 8), (0x120, 40)], (0, 0)),
        ([(0x100, 16), (0x110, 24), (0x140, 40)], (32, 0)),
        ([(0x100, 16), (0x110, 16), (0x120, 24), (0x140, 40)], (0, 0)),
        ([(0x100, 16), (0x110, 16), (0x121, 16)], (0, 32)),  # not where the linker puts it
        ([(0x100, 16)], (0, 32)),
    ],
)
def test_what_data_loses_with_a_variable(objects: list[tuple[int, int]], lost: tuple[int, int]) -> None:
    assert goroot._from_data(table_of(*objects), 0x100, 16) == lost


def rebuilt(build: Build, flags: Flags) -> Build:
    ldflags = ("-ldflags=" + " ".join(flags.ldflags),) if flags.ldflags else ()
    return replace(build, flags=(*build.flags, *(("-trimpath",) if flags.trimpath else ()), *ldflags))


CASES = [Build("cgo", minor, flags=flags, cgo=True) for minor in MINORS for flags in ((), PIE)]


def is_bounded(build: Build, flags: Flags) -> bool:
    """Debug data stays: all of it, or up to Go 1.25 that of C."""
    return not flags.ldflags or (flags.ldflags == ("-w",) and build.go not in ("1.26", "1.27"))


@pytest.mark.builds
@pytest.mark.parametrize("build", CASES, ids=builds.Build.label)
def test_real_rebuilds(build: Build) -> None:
    have = binary.open(executable(build))
    names = changes.names_of(changes.now(have))
    assert elf_external.span(have.image, changes.contents_of(have, SAME)) == (len(have.image.data), 0)
    for flags in FLAGS:
        contents = changes.contents_of(have, flags)
        if build.go == "1.18" and not build.flags and flags.trimpath:
            with pytest.raises(Declined, match="compiler"):  # runtime/cgo came compiled
                elf_external.span(have.image, contents, names=names)
            continue
        size, bound = elf_external.span(have.image, contents, names=names)
        actual = executable(rebuilt(build, flags)).stat().st_size
        assert abs(size - actual) <= bound, f"{flags.label}: {size} ± {bound}, is {actual}"
        assert (bound > 0) == is_bounded(build, flags), flags.label
        wide, slack = elf_external.span(have.image, contents, inflate=False)
        assert abs(wide - actual) <= slack, f"{flags.label}, not inflated: {wide} ± {slack}, is {actual}"


@pytest.mark.builds
@pytest.mark.parametrize("minor", ["1.22", "1.27"])
@pytest.mark.parametrize("flags", [Flags((), True), Flags(("-s", "-w"))], ids=["-trimpath", "-s -w"])
def test_rebuilds_of_stripped_and_of_trimmed_files(minor: str, flags: Flags) -> None:
    before = (builds.STRIP,) if flags.trimpath else ("-trimpath",)
    have = binary.open(executable(Build("cgo", minor, flags=before, cgo=True)))
    size, bound = elf_external.span(have.image, changes.contents_of(have, flags))
    actual = executable(Build("cgo", minor, flags=("-trimpath", builds.STRIP), cgo=True)).stat().st_size
    assert abs(size - actual) <= bound
    assert bound <= 64 * flags.trimpath  # without symbols, whether GOROOT's variable is there is not known


@pytest.mark.builds
@pytest.mark.parametrize(
    "build",
    [
        Build("hello", "1.27"),
        Build("hello", "1.27", flags=PIE),
        Build("hello", "1.27", goarch="arm64"),
        Build("cgo", "1.27", flags=("-ldflags=-extldflags=-fuse-ld=gold",), cgo=True),
    ],
    ids=builds.Build.label,
)
def test_other_linkers_files_are_declined(build: Build) -> None:
    have = binary.open(executable(build))
    with pytest.raises(Declined):
        elf_external.size(have.image, changes.contents_of(have, SAME))
