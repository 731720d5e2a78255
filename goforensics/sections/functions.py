"""Functions: where the code of each function is, in memory and in the file.

Source of truth: Go's src/runtime/symtab.go (textAddr).  A function's place comes from moduledata.text, never from the
address of .text: C code that the system linker put first would shift every function.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image, Problem, Words
from goforensics.errors import FormatError
from goforensics.sections import moduledata, pclntab
from goforensics.sections.arrays import Offsets
from goforensics.sections.codepadding import code_sizes
from goforensics.sections.moduledata import ModuleData
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.protocol import Parser, Source


class Functions(msgspec.Struct, frozen=True):
    """Code of every function of the pclntab, in its order."""

    address: NDArray[np.uint64]  # (n,)
    offset: Offsets  # (n,) in the image, -1 where the file does not hold the code
    size: Offsets  # (n,) bytes to the next function, padding included
    code: Offsets  # (n,) bytes without the padding at the end, which its content shows
    text: tuple[int, int]  # addresses: where Go's code begins and ends


def decode(source: Source) -> Functions:
    """Place every function.  FormatError if there is no pclntab, or nothing says where the text begins."""
    image, table = source.image, source.read(pclntab.PARSER)
    try:
        module: ModuleData | None = source.read(moduledata.PARSER)
    except FormatError:
        module = None
    address = table.funcs.entry if table.header.wide_functab else _addresses(image, table, module)
    size = table.funcs.size.astype(np.int64)
    offset = image.offsets_of(address)
    last = image.offsets_of(address + np.maximum(table.funcs.size, np.uint64(1)) - np.uint64(1))
    inside = (offset >= 0) & (last == offset + np.maximum(size, 1) - 1)
    lost = int(np.count_nonzero(~inside))
    if lost:
        image.problems.append(Problem("functab", table.offset, f"{lost} functions lie outside the file's segments"))
    offset = np.where(inside, offset, -1)
    return Functions(address, offset, size, code_sizes(image, offset, size), _text(address, size, module))


def _text(address: Words, size: Offsets, module: ModuleData | None) -> tuple[int, int]:
    if module is not None:
        return module.text, module.etext
    return int(address.min(initial=0)), int((address + size.astype(np.uint64)).max(initial=0))


def _addresses(image: Image, table: Pclntab, module: ModuleData | None) -> Words:
    """Entries are offsets from runtime.text; where the linker had to split the text, textsectmap places the parts."""
    entry = table.funcs.entry
    if module is not None and module.fields.get("textsectmap.len", 0) > 1:
        return _by_sections(image, entry, module)
    return entry + np.uint64(module.text if module else _text_start(image, table))


def _by_sections(image: Image, entry: Words, module: ModuleData) -> Words:
    """textsectmap: (offset from runtime.text, end offset, address) per part of the text."""
    words = image.words(module.textsectmap, 3 * module.fields["textsectmap.len"], "textsectmap").reshape(-1, 3)
    part = np.maximum(np.searchsorted(words[:, 0], entry, side="right") - 1, 0)
    address: Words = words[part, 2] + entry - words[part, 0]
    return address


def _text_start(image: Image, table: Pclntab) -> int:
    """Without a moduledata: the header's textStart (1.18 to 1.25), else where the executable segment's code begins."""
    header = table.header
    if header.layout in ("1.18", "1.20"):
        at = image.address_of(header.offset + 8 + 2 * header.pointer)
        start = int(image.words(at, 1, "pcHeader")[0]) if at else 0
        if image.offset_of(start) is not None and start:
            return start
    section = next((s for s in image.sections if s.name in (".text", "__TEXT,__text")), None)
    if section is None:
        raise FormatError("no moduledata says where the text begins", structure="functions", offset=table.offset)
    image.problems.append(Problem("functions", section.offset, "no moduledata: the text is taken to begin at .text"))
    return section.address


PARSER = Parser("functions", decode)
