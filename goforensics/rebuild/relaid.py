"""The length of the pclntab once the files have other names.

Source of truth: Go's cmd/link/internal/ld/pcln.go (addGeneratedSym): every table's length is rounded up to a pointer,
every start to the table's alignment.
"""

from __future__ import annotations

from goforensics.containers.elf import ElfImage
from goforensics.containers.image import Image
from goforensics.rebuild import elf_headers
from goforensics.rebuild.contents import Declined
from goforensics.rebuild.elf_headers import up
from goforensics.sections.pclntab import Pclntab

ALIGNMENTS = (32, 16, 8, 4)


def size(image: Image, table: Pclntab, names: list[str]) -> int:
    """Bytes from the header to the end of the table if its files were called `names`.

    Declined for the layout of Go 1.2 to 1.15, and where what is there now does not follow the linker's rules.
    """
    header = table.header
    if header.layout == "1.2" or len(names) != header.files:
        raise Declined("the table of functions is that of Go 1.15 or before, or broken")
    align, tables = _alignment(table), header.tables
    now, then = (_after_files(table, size, align) for size in (_length(table.files), _length(names)))
    if now != tables["pctab"]:
        raise Declined("the table of files does not end where the linker would end it")
    if table.inside is None:
        return len(table.data) + then - now
    return _with_funcdata(image, table, then - now)


def _length(names: list[str]) -> int:
    return len("\0".join(names).encode("utf-8", "surrogateescape")) + min(len(names), 1)


def _after_files(table: Pclntab, size: int, align: int) -> int:
    return up(table.header.tables["filetab"] + up(size, table.header.pointer), align)


def _alignment(table: Pclntab) -> int:
    """Of the tables: what divides all their starts.  Up to Go 1.25 it is 32, on arm 8; since, that of their content."""
    starts = table.header.tables.values()
    return next((a for a in ALIGNMENTS if a >= table.header.pointer and not any(at % a for at in starts)), 1)


def _with_funcdata(image: Image, table: Pclntab, moved: int) -> int:
    """Since Go 1.26 function data follows, at its own alignment, and then findfunctab."""
    inside, funcs, pointer = table.inside, table.funcs, table.header.pointer
    if inside is None:
        return len(table.data)
    end = up(int((funcs.record + funcs.length).max()), pointer)
    fits = [a for a in ALIGNMENTS if up(end, a) == inside[0]]
    stated = _stated(image, table.offset)
    align = stated if stated in fits else next((a for a in reversed(fits) if a >= pointer), 0)
    if not align:
        raise Declined("function data does not begin where the linker would begin it")
    return len(table.data) + up(end + moved, align) - inside[0]


def _stated(image: Image, offset: int) -> int:
    """The alignment of the section at an offset, which is that of the function data; 0 where sections have none."""
    if not isinstance(image, ElfImage):
        return 0
    return next((s.align for s in elf_headers.read(image).sections if s.offset == offset and s.size), 0)
