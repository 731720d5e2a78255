"""The size of an ELF file that the system's linker wrote for cgo: GNU ld's layout, position-independent or not.

Every section keeps its place in the order and its alignment; what changes are lengths.  Each group of sections with
the same access starts on a page of its own, and the writable one where what is read-only after relocation ends on a
page.  The layout must first put every section of the file in hand where it is, or it declines.

Source of truth: binutils' ld/scripttempl/elf.sc, ld/ldlang.c (lang_size_relro_segment_1), bfd/elf.c
(assign_file_positions_for_load_sections, _bfd_elf_assign_file_positions_for_non_load); Go's
src/cmd/link/internal/ld/lib.go (hostlink), which tells it what to strip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, product

from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.rebuild import c_dwarf, elf_headers, goroot, line_tables
from goforensics.rebuild.contents import Contents, Declined, Part
from goforensics.rebuild.elf_headers import SHT_NOBITS, ElfHeaders, ElfSection, up
from goforensics.rebuild.goroot import Losses
from goforensics.sections import buildinfo

VERIFIED = frozenset({"amd64"})  # machines that the layout was compared with real builds for
LAZY = 3  # words of .got.plt that are read-only after relocation
SCRIPTS = ".debug_gdb_scripts"
PATHS = ("debug_line", "debug_line_str", "debug_str")  # where source paths may be
ONLY_C = ("debug_aranges", *PATHS[1:])  # sections that Go writes nothing into
RELEASE = re.compile(r"go1\.(\d+)")
STRIPS_ALL_DWARF = 26  # Go 1.26 and later tell the linker -S for -w; before it Go's own DWARF alone was left out
COMPILED_STD = 20  # up to Go 1.19 package runtime/cgo came compiled; -trimpath compiles it, by the local compiler
SOURCES = tuple(f".{end}\0".encode() for end in ("c", "cc", "cpp", "cxx", "m", "h", "hh", "hpp", "go"))
LONGEST = 4096  # bytes of a path


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each section lies, by index, and the bytes of the whole file."""

    offsets: Mapping[int, int]
    size: int


def size(image: Image, contents: Contents) -> int:
    """Bytes in the rebuilt file.  Declined if the file in hand is not laid out by these rules."""
    return span(image, contents)[0]


def span(
    image: Image, contents: Contents, *, names: Mapping[str, str] | None = None, inflate: bool = True
) -> tuple[int, int]:
    """(bytes in the rebuilt file, by how much that may be off at the most): 0 where every length is known.

    `names` says what source files are called now and after -trimpath, for .debug_line where it stays.  Without
    `inflate` debug data is not inflated; where that would be needed the bound is wider.
    """
    headers = elf_headers.read(image)
    if image.goarch not in VERIFIED:
        raise Declined(f"external linking for {image.goarch} was not compared")
    if contents.build_id:
        raise Declined("external linking without a build ID was not compared")
    _require_the_file(headers)
    changes = _changes(headers, contents)
    sizes = {s.index: s.size - changes.known.get(s.index, 0) for s in headers.sections}
    if not contents.symbols:
        for index in headers.symbol_sections():
            sizes.pop(index, None)
    debug, slack = _debug(headers, contents, (names or {}) if inflate else None)
    for section in (s for s in headers.sections if s.is_debug):
        sizes[section.index] = debug.get(section.offset, 0)
        if section.offset not in debug:
            del sizes[section.index]
    likely = _lay(headers, sizes)
    return likely.size, slack + max(abs(likely.size - s) for s in _others(headers, sizes, changes.doubts, likely))


def _others(
    headers: ElfHeaders, sizes: Mapping[int, int], doubts: Sequence[tuple[int, int]], likely: Layout
) -> Iterator[int]:
    """Sizes of the file with each choice of what may have gone besides."""
    yield likely.size
    for chosen in product((False, True), repeat=len(doubts)):
        less = dict(sizes)
        for (index, fewer), used in zip(doubts, chosen, strict=True):
            if used and index in less:
                less[index] -= fewer
        yield _lay(headers, less).size


def _require_the_file(headers: ElfHeaders) -> None:
    """The rules put every section of the file in hand where it is."""
    layout = _lay(headers, {s.index: s.size for s in headers.sections})
    for s in headers.sections:
        if s.type != SHT_NOBITS and layout.offsets[s.index] != s.offset:
            raise Declined(f"section {s.name} is not where GNU ld's rules put it")
    if layout.size != len(headers.image.data):
        raise Declined(f"GNU ld's rules make a file of {layout.size} bytes, not {len(headers.image.data)}")


def _lay(headers: ElfHeaders, sizes: Mapping[int, int]) -> Layout:
    """Lay out the sections of `sizes`, bytes by index; the names' table gets what it needs."""
    offsets: dict[int, int] = {}
    end = _lay_loaded(headers, sizes, offsets)
    names = elf_headers.merged_size(s.name for s in headers.sections if s.index in sizes)
    for s in sorted((s for s in headers.sections if not s.loaded and s.index in sizes), key=lambda s: s.offset):
        offsets[s.index] = end = up(end, s.align)
        end += names if s.index == headers.names else sizes[s.index] if s.type != SHT_NOBITS else 0
    end = up(end, headers.image.pointer_size)
    return Layout(offsets, end + headers.entry_size * (1 + len(sizes)))


def _lay_loaded(headers: ElfHeaders, sizes: Mapping[int, int], offsets: dict[int, int]) -> int:
    """Place what is loaded; where it ends in the file.  Offsets and addresses agree modulo a page."""
    starts = {address: align for address, _, align in headers.loads()}
    relro, page = _relro(headers), max(1, *starts.values())
    held = {s.index for s in relro}
    loaded = [s for s in headers.sections if s.loaded and s.index in sizes]
    end = loaded[0].offset if loaded else 0
    for before, s in pairwise([None, *loaded]):
        if s is None:
            continue
        if s.index == relro[0].index:
            end += (_relro_start(headers, relro, sizes) - end) % page
        elif before is not None and before.index in held and s.index not in held:
            end += (_writable_part(headers, relro) - end) % page
        elif s.address in starts and s.index not in held:
            end = up(end, page)
        offsets[s.index] = end = up(end, s.align) if s.in_file else end
        end += sizes[s.index] if s.type != SHT_NOBITS else 0
    return end


def _relro(headers: ElfHeaders) -> list[ElfSection]:
    """The sections that become read-only after relocation, in order.  Declined if no segment says so."""
    head = next((h for h in headers.image.program_headers if h["p_type"] == "PT_GNU_RELRO"), None)
    if head is None:
        raise Declined("no segment that is read-only after relocation: no rule for where data begins")
    start, end = head["p_vaddr"], head["p_vaddr"] + head["p_memsz"]
    found = [s for s in headers.sections if s.loaded and start <= s.address and s.address + _memory(s) <= end]
    if not found or found[0].address != start:
        raise Declined("no section begins what is read-only after relocation")
    return found


def _memory(section: ElfSection) -> int:
    return 0 if section.is_tbss else section.size


def _relro_start(headers: ElfHeaders, relro: list[ElfSection], sizes: Mapping[int, int]) -> int:
    """Where the first of them starts, from the end of the last one's page, so that the last one ends there."""
    start = _writable_part(headers, relro)
    for s in reversed(relro):
        start -= 0 if s.is_tbss else sizes.get(s.index, 0)
        start -= start % s.align
    return start


def _writable_part(headers: ElfHeaders, relro: list[ElfSection]) -> int:
    """Where what stays writable begins, from the end of the page: the first words of .got.plt are read-only."""
    lazy = headers.named(".got.plt")
    held = lazy is not None and lazy.size >= LAZY * headers.image.pointer_size and lazy not in relro
    return -LAZY * headers.image.pointer_size if held else 0


def _changes(headers: ElfHeaders, contents: Contents) -> Losses:
    """What each loaded section loses, by index, and what some may lose besides."""
    found = Losses()
    if contents.goroot or contents.pclntab is not None:
        _require_own_sources(headers)
        found = goroot.losses(headers, contents)
    for part in (contents.strings, contents.buildinfo, contents.pclntab):
        if part is not None and part.new_size != part.size:
            found.lose(_section_of(headers, part), part.size - part.new_size)
    return found


def _section_of(headers: ElfHeaders, part: Part) -> ElfSection:
    """The section that holds a part.  Declined if what follows the part may not move by as much as it grows."""
    for s in headers.sections:
        if s.loaded and s.in_file and s.address <= part.address < s.address + s.size:
            end = part.address + part.size
            if end < s.address + s.size and (part.new_size - part.size) % s.align:
                raise Declined(f"what follows in {s.name} is aligned to {s.align} bytes")
            return s
    raise Declined(f"no section holds address {part.address:#x}")


def _require_own_sources(headers: ElfHeaders) -> None:
    """What -trimpath makes of C code is known: nothing.  Declined where C code holds a path of its source."""
    if release(headers) < COMPILED_STD and _compilers(headers) > 1:
        raise Declined("-trimpath compiles runtime/cgo, which another C compiler compiled for this file")
    rodata = headers.named(".rodata")
    if rodata is not None and _holds_source(bytes(headers.image.data[rodata.offset :][: rodata.in_file])):
        raise Declined("C code may hold the path of its source, which -trimpath replaces")


def _holds_source(strings: bytes) -> bool:
    """A C string is the absolute path of a source file, as __FILE__ gives it."""
    for end in SOURCES:
        at = strings.find(end)
        while at >= 0:
            start = strings.rfind(b"\0", max(0, at - LONGEST), at) + 1
            if strings[start : start + 1] == b"/":
                return True
            at = strings.find(end, at + 1)
    return False


def _compilers(headers: ElfHeaders) -> int:
    """How many compilers .comment names."""
    comment = headers.named(".comment")
    if comment is None:
        return 0
    raw = bytes(headers.image.data[comment.offset : comment.offset + comment.in_file])
    return len(set(raw.split(b"\0")) - {b""})


def release(headers: ElfHeaders) -> int:
    """The minor number of the Go release that linked the file, by which a rebuild's linker acts.

    Declined if the file does not tell.
    """
    for offset in islice(buildinfo.candidates(headers.image), buildinfo.MOST):
        try:
            found = RELEASE.search(buildinfo.decode_at(headers.image, offset).version)
        except FormatError:
            continue
        if found:
            return int(found[1])
    raise Declined("no Go release is recorded, and what -w does depends on it")


Debug = tuple[dict[int, int], int]  # bytes in the file of what stays, by offset now; how far off their sum may be


def _debug(headers: ElfHeaders, contents: Contents, names: Mapping[str, str] | None) -> Debug:
    """The debug sections that stay; no `names` at all: nothing is to be inflated."""
    now = [s for s in headers.sections if s.is_debug]
    if not contents.symbols and headers.symbol_sections():
        return {}, 0  # the linker is told -s: it strips all, whatever Go's flags say of DWARF
    if contents.dwarf:
        return _go_debug(headers, contents, now, names)
    if not now or release(headers) >= STRIPS_ALL_DWARF:
        return {}, 0
    if names is None:
        sizes = {s.offset: s.size if s.name.endswith(ONLY_C) else 0 for s in now if s.name != SCRIPTS}
        return sizes, sum(s.size for s in now)  # of the others anything may be C's
    found, slack = c_dwarf.kept(headers.image, trimmed=contents.pclntab is not None)
    return found, slack + _rounding(headers, found)


def _go_debug(
    headers: ElfHeaders, contents: Contents, now: Sequence[ElfSection], names: Mapping[str, str] | None
) -> Debug:
    """All of it stays; what moves or loses paths is estimated."""
    found = {s.offset: s.size - (contents.gdb_scripts if s.name == SCRIPTS else 0) for s in now}
    if not contents.moves and not contents.goroot:
        return found, 0
    image = headers.image
    estimates = line_tables.compressed(image, names, external=True) if names else line_tables.moved(image)
    slack = _rounding(headers, found)
    for section in (s for s in now if s.name in estimates):
        found[section.offset], doubt = estimates[section.name]
        unseen = contents.pclntab is not None and not names
        lost = section.size if unseen and section.name.endswith(PATHS) else 0
        slack += doubt + lost
    return found, slack


def _rounding(headers: ElfHeaders, debug: Mapping[int, int]) -> int:
    """What the alignment of sections of uncertain sizes may add to how far off they are."""
    return sum(s.align - 1 for s in headers.sections if s.offset in debug and s.is_debug)
