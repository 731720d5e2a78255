"""Small ELF files for amd64, laid out as GNU ld lays them out or as a test says; no linker is needed."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

PROGBITS, SYMTAB, STRTAB, NOBITS = 1, 2, 3, 8
WRITE, ALLOC, EXECUTE, COMPRESSED = 1, 2, 4, 0x800
LOAD, RELRO = 1, 0x6474E552
PAGE, BASE = 4096, 0x400000
EHDR, PHDR, SHDR, SYM = 64, 56, 64, 24


@dataclass
class Made:
    """One section; a section without content of its own has `size` zeros."""

    name: str
    content: bytes = b""
    flags: int = 0
    align: int = 1
    type: int = PROGBITS
    size: int = 0
    offset: int = field(default=0, init=False)
    address: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.size = self.size or len(self.content)

    @property
    def held(self) -> int:
        """Bytes in the file."""
        return 0 if self.type == NOBITS else self.size


def up(value: int, to: int) -> int:
    return (value + to - 1) // to * to


def names_of(sections: Sequence[Made]) -> bytes:
    """.shstrtab, a name that ends another one inside of that one."""
    table = b"\0"
    for name in sorted({s.name.encode() for s in sections} | {b".shstrtab"}, key=len, reverse=True):
        if name + b"\0" not in table:
            table += name + b"\0"
    return table


def symbols(*symbols: tuple[str, int, int, int, int]) -> tuple[bytes, bytes]:
    """(.symtab, .strtab) of (name, value, size, st_info, section)."""
    table, strings = bytes(SYM), b"\0"
    for name, value, size, info, section in symbols:
        table += struct.pack("<IBBHQQ", len(strings), info, 0, section, value, size)
        strings += name.encode() + b"\0"
    return table, strings


def image(groups: Sequence[Sequence[Made]], rest: Sequence[Made], relro: Sequence[str] = (), slack: int = 0) -> bytes:
    """The file: a PT_LOAD per group, each from a page on, then `rest`; `relro` are those that end on a page.

    Of the writable group the sections behind `relro` begin 24 bytes before a page.  `slack` is padding behind each
    group, as Go's own linker leaves it.
    """
    at = EHDR + PHDR * (len(groups) + bool(relro))
    for number, group in enumerate(groups):
        if relro and group[0].name in relro:
            start = -24
            for s in reversed([s for s in group if s.name in relro]):
                start = (start - s.size) // s.align * s.align
            at += (start - at) % PAGE
        elif number:
            at = up(at, PAGE)
        at = _place(group, at, relro) + slack
    return _written(groups, list(rest), relro, at)


def _place(group: Sequence[Made], at: int, relro: Sequence[str]) -> int:
    memory = at
    for before, s in zip([None, *group], group, strict=False):
        if before is not None and before.name in relro and s.name not in relro:
            memory += (-24 - memory) % PAGE
        memory = up(memory, s.align)
        s.offset, s.address = (memory if s.held else at), BASE + memory
        memory += s.size
        at = memory if s.held else at
    return at


def _written(groups: Sequence[Sequence[Made]], rest: list[Made], relro: Sequence[str], end: int) -> bytes:
    loaded = [s for group in groups for s in group]
    names = Made(".shstrtab", names_of([*loaded, *rest]), type=STRTAB)
    rest.append(names)
    for s in rest:
        s.offset = end = up(end, s.align)
        end += s.held
    table, sections = up(end, 8), [*loaded, *rest]
    out = bytearray(table + SHDR * (1 + len(sections)))
    for s in sections:
        out[s.offset : s.offset + len(s.content)] = s.content
    headers = Made("", flags=ALLOC, size=groups[0][0].offset)  # the first segment holds them, too
    headers.address = BASE
    heads = [_segment(LOAD, [headers, *groups[0]]), *(_segment(LOAD, group) for group in groups[1:])]
    if relro:
        heads.append(_segment(RELRO, [s for s in loaded if s.name in relro], 24))
    out[EHDR : EHDR + PHDR * len(heads)] = b"".join(heads)
    for number, s in enumerate(sections, 1):
        name = names.content.find(s.name.encode() + b"\0")
        link = next((i for i, other in enumerate(sections, 1) if other.name == ".strtab"), 0) * (s.type == SYMTAB)
        struct.pack_into(
            "<IIQQQQIIQQ", out, table + SHDR * number,
            name, s.type, s.flags, s.address, s.offset, s.size, link, 0, s.align, SYM * (s.type == SYMTAB),
        )  # fmt: skip
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = (2, 62, 1, 0, EHDR, table, 0, EHDR, PHDR, len(heads), SHDR, 1 + len(sections), len(sections))
    out[:EHDR] = identity + struct.pack("<HHIQQQIHHHHHH", *head)
    return bytes(out)


def _segment(kind: int, group: Sequence[Made], more: int = 0) -> bytes:
    first, flags = group[0], 4 | 2 * bool(group[0].flags & WRITE) | bool(group[0].flags & EXECUTE)
    held = max(s.offset + s.held for s in group if s.held) - first.offset + more
    memory = max(s.address + s.size for s in group) - first.address + more
    return struct.pack("<IIQQQQQQ", kind, flags, first.offset, first.address, first.address, held, memory, PAGE)
