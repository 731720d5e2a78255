"""What leaves an ELF file's sections with runtime.GOROOT's default, which -trimpath does not set.

The string is among the read-only data; its variable, a string header, moves from .data to .bss; a position-independent
file loses the relocation of its pointer, and the symbol table the string's name.

Source of truth: Go's src/cmd/link/internal/ld/data.go (addstrdata, dodataSect, symalign): data is sorted by size, and
an object of 32 bytes or more is aligned to 32, a smaller one to the largest power of two that it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.rebuild.contents import Contents
from goforensics.rebuild.elf_headers import SHT_SYMTAB, ElfHeaders, ElfSection, up
from goforensics.sections import symtab
from goforensics.sections.symtab import Symbols

VARIABLE = "runtime.defaultGOROOT"
LARGE = 32  # bytes of objects that are aligned to as many
ROOT = 64  # bytes that an unknown GOROOT is taken to need at the most, where a file has no symbols to tell


@dataclass(slots=True)
class Losses:
    """Bytes by which sections shrink, by index; and what they may have lost besides: (index, bytes more)."""

    known: dict[int, int] = field(default_factory=dict)
    doubts: list[tuple[int, int]] = field(default_factory=list)

    def lose(self, section: ElfSection | None, size: int, doubt: int = 0) -> None:
        """Take `size` bytes from a section that is there."""
        if section is None:
            return
        self.known[section.index] = self.known.get(section.index, 0) + size
        if doubt:
            self.doubts.append((section.index, doubt))


def losses(headers: ElfHeaders, contents: Contents) -> Losses:
    """What goes with the string, if `contents` says that it goes."""
    found, symbols = Losses(), _symbols(headers.image)
    _lose_string(headers, contents, found)
    if symbols is None:
        _unseen(headers, contents, found)
        return found
    if not contents.goroot:
        return found
    _lose_symbol(headers, found)
    at = symbols.find(VARIABLE)
    if at:
        address, width = int(symbols.value[at[0]]), 2 * headers.image.pointer_size
        relocated = len(headers.image.fixed_words(address, address + width)[0])
        found.lose(_relocations(headers, "dyn"), relocated * 3 * headers.image.pointer_size)
        found.lose(headers.named(".data"), *_from_data(symbols, address, width))
    return found


def _symbols(image: Image) -> Symbols | None:
    try:
        table = image.symbol_table()
        return None if table is None else symtab.decode_table(image, table)
    except FormatError:
        return None


def _lose_string(headers: ElfHeaders, contents: Contents, found: Losses) -> None:
    """The string: a long one is aligned as all that follow it are; of a short one the rounding decides."""
    text = contents.root_string
    if text is None or text.new_size >= text.size:
        return
    section = next((s for s in headers.sections if s.loaded and s.address <= text.address < s.address + s.size), None)
    long, stays = text.size > LARGE, text.new_size > 0
    found.lose(section, up(text.size, LARGE) if long else 0, -LARGE if long and stays else 0 if long else LARGE)


def _unseen(headers: ElfHeaders, contents: Contents, found: Losses) -> None:
    """Without symbols: whether there is a variable shows only where GOROOT's text was found."""
    if contents.root_string is not None or contents.pclntab is not None:
        pie = headers.image.position_independent
        found.lose(headers.named(".data"), 0, LARGE)
        found.lose(_relocations(headers, "dyn") if pie else None, 0, 3 * headers.image.pointer_size)
        found.lose(headers.named(".rodata"), 0, 0 if contents.root_string is not None else ROOT)


def _relocations(headers: ElfHeaders, kind: str) -> ElfSection | None:
    return headers.named(f".rela.{kind}") or headers.named(f".rel.{kind}")


def _lose_symbol(headers: ElfHeaders, found: Losses) -> None:
    table = next((s for s in headers.sections if s.type == SHT_SYMTAB), None)
    if table is not None:
        found.lose(table, 24 if headers.image.bits == 64 else 16)
        names = (s for s in headers.sections if s.index == table.link)
        found.lose(next(names, None), len(VARIABLE) + len(".str") + 1)


def _from_data(symbols: Symbols, address: int, width: int) -> tuple[int, int]:
    """(bytes that .data loses with the variable, what it may lose more).

    What follows moves by the variable's size until an object's alignment takes that up.  All must lie as the linker's
    rule puts them, and the alignments that a place allows must come to the same; else nothing is known.
    """
    order = np.argsort(symbols.value, kind="stable")
    first = int(np.searchsorted(symbols.value[order], np.uint64(address + width)))
    end, moved = address + width, width
    for i in order[first:].tolist():
        start, size = int(symbols.value[i]), int(symbols.size[i])
        if size == 0 and start <= end:
            continue  # a label
        then = {up(end - moved, align) for align in (width // 2, _align(size)) if start == up(end, align)}
        if len(then) != 1:
            break
        moved = start - then.pop()
        if moved in (0, LARGE):
            return moved, 0
        end = start + size
    return 0, LARGE


def _align(size: int) -> int:
    """cmd/link's symalign for an object that asks for no alignment of its own; others ask for a pointer's."""
    return LARGE if size >= LARGE else 1 << max(size.bit_length() - 1, 0)
