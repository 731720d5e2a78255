"""The size of what strip(1) of GNU binutils makes of an ELF file: `strip -s` and `strip -g`.

Loaded sections stay as they are, each segment at the first offset that agrees with its address; padding that a linker
left behind a segment goes.  Behind them come what else is kept in the order of the section headers, the symbols, the
names of sections and, last, the section headers.  Compared with strip of binutils 2.40.

Source of truth: binutils' binutils/objcopy.c (is_strip_section, filter_symbols), bfd/elf.c
(assign_file_positions_for_load_sections, swap_out_syms), bfd/elf-strtab.c.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.rebuild import elf_headers
from goforensics.rebuild.contents import Declined
from goforensics.rebuild.elf_headers import SHT_NOBITS, ElfHeaders, ElfSection, up
from goforensics.sections import symtab
from goforensics.sections.symtab import Symbols

VERIFIED = frozenset({"amd64", "386"})  # machines that it was compared with the real program for
SECTION, FILE = 3, 4  # STT_*: symbols that only debuggers need
COMMON_OR_ABSOLUTE = 0xFF00  # SHN_LORESERVE: what is no section's index
RECORD = {64: 24, 32: 16}  # bytes of a symbol
DEBUG = (".debug", ".zdebug", ".stab", ".gdb_index", ".gnu.debuglto_", ".gnu.linkonce.wi.")
NAMES = (".symtab", ".strtab", ".shstrtab")

Mode = Literal["-s", "-g"]


def size(image: Image, mode: Mode) -> int:
    """Bytes of the file after `strip -s` (symbols and debug data) or `strip -g` (debug data).

    Declined for machines that it was not compared for, and for files whose parts do not lie as a linker puts them.
    """
    headers = elf_headers.read(image)
    if image.goarch not in VERIFIED or image.goos != "linux":
        raise Declined(f"what strip makes of files for {image.goos}/{image.goarch} was not compared")
    end = _loaded_end(headers)
    rest = [s for s in headers.sections if not s.loaded and _stays(headers, s)]
    for s in rest:
        end = up(end, s.align) + (s.size if s.type != SHT_NOBITS else 0)
    names = [s.name for s in headers.sections if s.loaded or s in rest]
    if mode == "-g" and image.symbol_table() is not None:
        records, strings = _symbols(headers, rest)
        end = up(end, image.pointer_size) + records + strings
        names += NAMES
    else:
        names += NAMES[-1:]
    end = up(end + elf_headers.merged_size(names), image.pointer_size)
    return end + headers.entry_size * (1 + len(names))


def _stays(headers: ElfHeaders, section: ElfSection) -> bool:
    """It is neither debug data nor one of the tables that are written anew."""
    tables = headers.symbol_sections() | {headers.names}
    return section.index not in tables and not section.name.startswith(DEBUG)


def _loaded_end(headers: ElfHeaders) -> int:
    """Where what is loaded ends.  Declined if a section that is loaded lies in no segment or not in order."""
    end, loads = 0, sorted(headers.loads())
    pending = [s for s in headers.sections if s.loaded and s.type != SHT_NOBITS]
    for address, held, page in loads:
        mine = [s for s in pending if address <= s.address and s.address + s.size <= address + held]
        end += (address - end) % page if page else 0
        if mine:
            end += max(s.address + s.size for s in mine) - address
        pending = [s for s in pending if s not in mine]
    if pending:
        raise Declined(f"the section {pending[0].name} is loaded and lies in no segment")
    return end


def _symbols(headers: ElfHeaders, kept: list[ElfSection]) -> tuple[int, int]:
    """Bytes of (the records, their names) that -g leaves: of what debug data held, and of source files, none."""
    image = headers.image
    table = image.symbol_table()
    if table is None or table.record != "elf":
        raise Declined("no symbol table")
    try:
        symbols = symtab.decode_table(image, table)
        stays = _wanted(headers, symbols, kept)
        names = symbols.names(np.flatnonzero(stays))
    except FormatError as error:
        raise Declined(f"the symbol table cannot be read: {error.reason}") from None
    return RECORD[image.bits] * (1 + len(names)), elf_headers.merged_size(names)


def _wanted(headers: ElfHeaders, symbols: Symbols, kept: list[ElfSection]) -> NDArray[np.bool_]:
    """(n,) which symbols stay."""
    indices = [s.index for s in headers.sections if s.loaded or s in kept]
    kind = symbols.kind & 0xF
    held = np.isin(symbols.section, [0, *indices]) | (symbols.section >= COMMON_OR_ABSOLUTE)
    wanted: NDArray[np.bool_] = (kind != FILE) & (kind != SECTION) & held
    return wanted
