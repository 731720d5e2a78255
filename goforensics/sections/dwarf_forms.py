"""Attribute forms of DWARF 2 to 5 and GNU's, for reading past a unit's root entry.

Source of truth: DWARF 5, section 7.5; Go's src/debug/dwarf/{const,entry}.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from goforensics.sections.dwarf_reader import Budget, Reader


class Shape(NamedTuple):
    """What the sizes of forms depend on."""

    version: int
    offset_size: int  # 4 or 8
    address_size: int


class Ref(NamedTuple):
    """A string or an address that lies elsewhere: in the section `where`, at an offset or (indexed) by number."""

    where: str
    at: int
    indexed: bool = False


Value = int | Ref | None  # None: a block, a reference or a flag, which no root entry is asked for
Spec = tuple[int, int, int]  # attribute, form, DW_FORM_implicit_const's value

INFO, STR, LINE_STR, ADDR = ".debug_info", ".debug_str", ".debug_line_str", ".debug_addr"
FORM_INDIRECT = 0x16
FORM_IMPLICIT_CONST = 0x21


def _number(size: int) -> Callable[[Reader, Shape], Value]:
    return lambda r, s: r.number(size)


def _skip(size: int) -> Callable[[Reader, Shape], Value]:
    return lambda r, s: r.skip(size)


def _skip_offset(r: Reader, s: Shape) -> None:
    r.skip(s.offset_size)


def _skip_uleb(r: Reader, s: Shape) -> None:
    r.uleb()


def _ref_addr(r: Reader, s: Shape) -> None:
    r.skip(s.address_size if s.version == 2 else s.offset_size)


def _block(size: int) -> Callable[[Reader, Shape], Value]:
    return lambda r, s: r.skip(r.number(size) if size else r.uleb())


def _string(r: Reader, s: Shape) -> Ref:
    return Ref(INFO, r.skip_string())


def _at_offset(where: str) -> Callable[[Reader, Shape], Value]:
    return lambda r, s: Ref(where, r.number(s.offset_size))


def _by_number(where: str, size: int) -> Callable[[Reader, Shape], Value]:
    return lambda r, s: Ref(where, r.number(size) if size else r.uleb(), indexed=True)


READ: dict[int, Callable[[Reader, Shape], Value]] = {
    0x01: lambda r, s: r.number(s.address_size),  # addr
    0x03: _block(2),
    0x04: _block(4),
    0x05: _number(2),  # data2
    0x06: _number(4),
    0x07: _number(8),
    0x08: _string,
    0x09: _block(0),
    0x0A: _block(1),
    0x0B: _number(1),  # data1
    0x0C: _skip(1),  # flag
    0x0D: lambda r, s: r.sleb(),  # sdata
    0x0E: _at_offset(STR),  # strp
    0x0F: lambda r, s: r.uleb(),  # udata
    0x10: _ref_addr,
    0x11: _skip(1),  # ref1
    0x12: _skip(2),
    0x13: _skip(4),
    0x14: _skip(8),
    0x15: _skip_uleb,  # ref_udata
    0x17: lambda r, s: r.number(s.offset_size),  # sec_offset
    0x18: _block(0),  # exprloc
    0x19: lambda r, s: None,  # flag_present
    0x1A: _by_number(STR, 0),  # strx
    0x1B: _by_number(ADDR, 0),  # addrx
    0x1C: _skip(4),  # ref_sup4
    0x1D: _skip_offset,  # strp_sup
    0x1E: _skip(16),  # data16
    0x1F: _at_offset(LINE_STR),
    0x20: _skip(8),  # ref_sig8
    0x22: _skip_uleb,  # loclistx
    0x23: _skip_uleb,  # rnglistx
    0x24: _skip(8),  # ref_sup8
    0x25: _by_number(STR, 1),  # strx1
    0x26: _by_number(STR, 2),
    0x27: _by_number(STR, 3),
    0x28: _by_number(STR, 4),
    0x29: _by_number(ADDR, 1),  # addrx1
    0x2A: _by_number(ADDR, 2),
    0x2B: _by_number(ADDR, 3),
    0x2C: _by_number(ADDR, 4),
    0x1F01: _by_number(ADDR, 0),  # GNU_addr_index
    0x1F02: _by_number(STR, 0),  # GNU_str_index
    0x1F20: _skip_offset,  # GNU_ref_alt
    0x1F21: _skip_offset,  # GNU_strp_alt
}


def value(reader: Reader, shape: Shape, form: int, constant: int) -> Value:
    """Read one attribute's value.  FormatError if its form is unknown: nothing after it can be found, then."""
    if form == FORM_IMPLICIT_CONST:
        return constant
    if form == FORM_INDIRECT:
        form = reader.uleb()
    read = READ.get(form)
    if read is None:
        raise reader.error(f"unknown form {form:#x}")
    return read(reader, shape)


class Abbreviations:
    """.debug_abbrev, parsed only as far as asked for: all of Go's units share one table and need its first entry."""

    def __init__(self, raw: bytes | bytearray, order: str, budget: Budget) -> None:
        self._raw, self._order, self._budget = raw, order, budget
        self._tables: dict[int, tuple[Reader, dict[int, tuple[int, list[Spec]]]]] = {}

    def find(self, table: int, code: int) -> tuple[int, list[Spec]]:
        """Tag and attributes of an abbreviation.  FormatError if the table at that offset has none of that code."""
        reader, known = self._tables.setdefault(table, (Reader(self._raw, self._order, ".debug_abbrev", table), {}))
        while code not in known:
            found = reader.uleb() if table < reader.end else 0
            if not found:
                reader.offset = max(table, reader.offset - 1)  # stay at the end, for the next who asks
                raise reader.error(f"no abbreviation {code}")
            known[found] = self._declaration(reader)
        return known[code]

    def _declaration(self, reader: Reader) -> tuple[int, list[Spec]]:
        tag = reader.uleb()
        reader.skip(1)  # has children
        specs: list[Spec] = []
        while True:
            self._budget.step(reader.section, reader.offset)
            attribute, form = reader.uleb(), reader.uleb()
            if form == FORM_IMPLICIT_CONST:
                specs.append((attribute, form, reader.sleb()))
            elif attribute or form:
                specs.append((attribute, form, 0))
            else:
                return tag, specs
