"""From flags to Contents: what of the file in hand changes when it is built again.

What the linker does with a flag is no structure of the file, so the recorded release decides that: since Go 1.22 -s
implies -w; before, it dropped DWARF whatever -w said, and for darwin it did nothing.  Source of truth: Go's
cmd/link/internal/ld/main.go (Main), dwarf.go (dwarfEnabled) and macho.go (machosymorder).
"""

from __future__ import annotations

import re
import shlex
from functools import cached_property

import msgspec

from goforensics.binary import Binary
from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.rebuild import modinfo, relaid, trimmed
from goforensics.rebuild.contents import MAX_ALIGN, STRING_ALIGN, Contents, Declined, Part
from goforensics.rebuild.elf_headers import up
from goforensics.rebuild.flags import Flags
from goforensics.sections import buildid, buildinfo, pclntab, symtab
from goforensics.sections.buildinfo import ALIGN, HEADER, SENTINEL, BuildInfo
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.search import file_ranges, find_all, held

RELEASE = re.compile(r"go(\d+)\.(\d+)")
NEWEST = (1, 1000)  # what an unreleased toolchain is taken for
ROOT_SYMBOLS = ("runtime.defaultGOROOT.str", "runtime/internal/sys.DefaultGoroot.str")
ROOT_GOES = (1, 19)  # the first release whose -trimpath leaves the string out; before it is "go"
SCRIPTS = (".debug_gdb_scripts", "__DWARF,__debug_gdb_scri")
DEBUG_INFO = re.compile(r"\.z?debug_info$|__DWARF,__z?debug_info$")
IMPLIES = (1, 22)  # the release in which -s came to imply -w, unless -w=0 is told, and to do anything for darwin
VALUES = {"": True, "=1": True, "=true": True, "=0": False, "=false": False}


class Now(msgspec.Struct, frozen=True, dict=True):
    """The file in hand, as far as flags change it."""

    image: Image
    info: BuildInfo
    text: bytes  # the module information, sentinels excluded
    table: Pclntab
    release: tuple[int, int]
    symbols: bool
    dwarf: bool
    trimmed: bool
    ldflags: tuple[str, ...]
    build_id: int  # bytes of Go's
    root: int | None  # the address of the default GOROOT's string by its symbol

    @cached_property
    def renamed(self) -> list[str]:
        """What -trimpath calls each source file, in the order of the table.  Declined where that cannot be told."""
        return trimmed.renamed(self.table, self.info.mod)


def now(binary: Binary) -> Now:
    """What the file was built with.  Declined without build information or a table of functions."""
    try:
        info, table = binary.read(buildinfo.PARSER), binary.read(pclntab.PARSER)
    except FormatError as error:
        raise Declined(f"{error.structure} cannot be read: {error.reason}") from None
    text = bytes(binary.image.data[info.mod_offset : info.mod_offset + info.mod_size])
    return Now(
        image=binary.image,
        info=info,
        text=text,
        table=table,
        release=release_of(info.version),
        symbols=_has_symbols(binary),
        dwarf=any(DEBUG_INFO.match(s.name) and s.file_size for s in binary.image.sections),
        trimmed=trimmed.is_trimmed(table.files),
        ldflags=_words(modinfo.recorded_ldflags(text)),
        build_id=_build_id(binary),
        root=_root_symbol(binary),
    )


def _words(flags: str) -> tuple[str, ...]:
    """The flags as cmd/go splits them, by blanks outside of quotes."""
    try:
        return tuple(shlex.split(flags))
    except ValueError:
        return tuple(flags.split())


def release_of(version: str) -> tuple[int, int]:
    """(1, 22) of "go1.22.10"; an unreleased toolchain is newer than all."""
    found = RELEASE.match(version)
    return (int(found[1]), int(found[2])) if found else NEWEST


def _has_symbols(binary: Binary) -> bool:
    table = binary.maybe(symtab.PARSER)
    return table is not None and bool(table.find("runtime.text"))


def drops(flags: tuple[str, ...], release: tuple[int, int], container: str) -> tuple[bool, bool]:
    """Whether cmd/link leaves out (the symbols, the DWARF) with these flags, the last of each kind deciding."""
    strip, told = _last(flags, "s") or False, _last(flags, "w")
    if release >= IMPLIES:
        return strip, strip if told is None else told
    if container == "macho":
        return False, bool(told)
    return strip, strip or bool(told)


def _last(flags: tuple[str, ...], letter: str) -> bool | None:
    values = {f"{dash}{letter}{value}": on for dash in ("-", "--") for value, on in VALUES.items()}
    return next((values[f] for f in reversed(flags) if f in values), None)


def _stripped_later(have: Now) -> bool:
    """The file has less than its recorded flags let the linker write: a rebuild would bring that back."""
    recorded = have.info.setting("-compiler") is not None and not have.trimmed
    no_symbols, no_dwarf = drops(have.ldflags, have.release, have.image.format)
    return recorded and ((not have.symbols and not no_symbols) or (not have.dwarf and not no_dwarf))


def _brings_back(have: Now, flags: tuple[str, ...]) -> bool:
    """The flags ask for what the file does not have."""
    symbols, debug = (_last(flags, letter) is False for letter in "sw")
    return (symbols and not have.symbols) or (debug and not have.dwarf)


def contents_of(binary: Binary, flags: Flags) -> Contents:
    """What a rebuild of the file with `flags` writes.  Declined if the file does not tell all of it."""
    return contents_after(now(binary), flags)


def contents_after(have: Now, flags: Flags) -> Contents:
    """The same, of a file that has been looked at."""
    if _stripped_later(have):
        raise Declined("it was stripped after it had been linked, which its flags do not tell")
    if _brings_back(have, flags.ldflags):
        raise Declined("the file does not have what a rebuild would keep")
    no_symbols, no_dwarf = drops((*have.ldflags, *flags.ldflags), have.release, have.image.format)
    trims = flags.trimpath and not have.trimmed
    dwarf_stays = have.dwarf and not (no_dwarf and flags.ldflags)
    root = _root_string(have) if trims else None
    return Contents(
        symbols=have.symbols and not (no_symbols and flags.ldflags),
        dwarf=dwarf_stays,
        strings=_strings(have, flags),
        buildinfo=_buildinfo(have, flags),
        pclntab=_pclntab(have) if trims else None,
        goroot=root is not None and have.release >= ROOT_GOES,
        build_id=have.build_id if "-buildid=" in flags.ldflags else 0,
        gdb_scripts=_gdb_scripts(have) if trims and dwarf_stays else 0,
        root_string=root,
        string_doubt=_string_doubt(have, flags, root),
    )


def _after(have: Now, flags: Flags) -> int:
    """Bytes of the module information after the rebuild, with its sentinels."""
    after = modinfo.rebuilt(have.text, flags, flags.trimpath or have.trimmed, have.release)
    return len(after) + 2 * SENTINEL


def _strings(have: Now, flags: Flags) -> Part | None:
    """runtime.modinfo.str: the text with its sentinels and a NUL, aligned as the linker aligns its own strings."""
    at = _place(have, bytes(have.image.data[have.info.mod_offset - SENTINEL :][: len(have.text) + 2 * SENTINEL]))
    if at is None or not have.text:
        return None
    size, after = len(have.text) + 2 * SENTINEL + 1, _after(have, flags) + 1
    align = STRING_ALIGN.get(have.image.goarch, MAX_ALIGN)
    return Part(at, up(size, align), up(after, align))


def _string_doubt(have: Now, flags: Flags, root: Part | None) -> int:
    """The strings lie among other data in the order of size, and what follows may be aligned less than they are."""
    align = STRING_ALIGN.get(have.image.goarch, MAX_ALIGN)
    changed = _after(have, flags) != len(have.text) + 2 * SENTINEL
    return align * (changed + (root is not None))


def _place(have: Now, text: bytes) -> int | None:
    """The address of a text in memory that is only read, the build information excluded."""
    image, info = have.image, have.info
    for start, end in file_ranges(s for s in held(image) if not s.executable or image.format != "elf"):
        for at in find_all(image.data[start:end], text):
            if not info.offset <= start + at < info.offset + info.size:
                return image.address_of(start + at)
    return None


def _buildinfo(have: Now, flags: Flags) -> Part | None:
    """Since Go 1.18 the strings are inside; before, its size never changes."""
    image, info = have.image, have.info
    address = image.address_of(info.offset)
    if address is None or not image.data[info.offset + 15] & 2:
        return None
    version, after = len(info.go_version.encode()), _after(have, flags)
    size = HEADER + _varint(version) + version + _varint(after) + after
    return Part(address, info.size, up(size, ALIGN))


def _varint(value: int) -> int:
    return max(1, -(-value.bit_length() // 7))


def _pclntab(have: Now) -> Part:
    address = have.image.address_of(have.table.offset)
    if address is None:
        raise Declined("the table of functions is not loaded")
    return Part(address, len(have.table.data), relaid.size(have.image, have.table, have.renamed))


def _root_string(have: Now) -> Part | None:
    """The default of runtime.GOROOT, where the program has it: by its symbol, else by its text."""
    root = trimmed.goroot(have.table.files)
    place = have.root if have.symbols else _place(have, root.encode() + b"\0") if root else None
    if place is None:
        return None
    align = STRING_ALIGN.get(have.image.goarch, MAX_ALIGN)
    return Part(place, up(len(root) + 1, align), 0)  # before ROOT_GOES it is "go", which fits in a gap


def _root_symbol(binary: Binary) -> int | None:
    symbols = binary.maybe(symtab.PARSER)
    if symbols is None:
        return None
    found = [i for name in ROOT_SYMBOLS for i in symbols.find(name)]
    return int(symbols.value[found[0]]) if found else None


def _build_id(binary: Binary) -> int:
    found = binary.maybe(buildid.PARSER)
    return found.go.size if found is not None and found.go else 0


def _gdb_scripts(have: Now) -> int:
    """The path of the runtime's script for gdb loses GOROOT and "src"; the section is never compressed."""
    section = have.image.section(*SCRIPTS)
    root = f"{trimmed.goroot(have.table.files)}/src/".encode()
    return bytes(have.image.data[section.offset :][: section.file_size]).count(root) * len(root) if section else 0


def names_of(have: Now) -> dict[str, str]:
    """What -trimpath calls each source file, by its name now.  Declined where that cannot be told."""
    return dict(zip(have.table.files, have.renamed, strict=True))
