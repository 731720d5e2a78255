"""The compile units of .debug_info: of each the header and the root entry, never the tree below it.

Source of truth: DWARF 5, sections 3.1, 7.5.1; Go's src/debug/dwarf/unit.go, cmd/internal/dwarf/dwarf.go (the writer).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from goforensics.errors import FormatError
from goforensics.sections.dwarf_forms import INFO, Abbreviations, Ref, Shape, Value, value
from goforensics.sections.dwarf_reader import Budget, Reader, string_at

TAG_COMPILE_UNIT = 0x11
NAME, STMT_LIST, LOW_PC, LANGUAGE, COMP_DIR, PRODUCER = 0x03, 0x10, 0x11, 0x13, 0x1B, 0x25
STR_OFFSETS_BASE, ADDR_BASE, GNU_ADDR_BASE = 0x72, 0x73, 0x2133
RANGES, RNGLISTS_BASE, LOCLISTS_BASE = 0x55, 0x74, 0x8C
TEXTS = (NAME, COMP_DIR, PRODUCER)
PLACES = (  # attributes that are offsets in other sections, of DWARF 5 and of those before
    (STMT_LIST, ".debug_line", ".debug_line"),
    (RNGLISTS_BASE, ".debug_rnglists", None),
    (RANGES, ".debug_rnglists", ".debug_ranges"),
    (LOCLISTS_BASE, ".debug_loclists", None),
    (ADDR_BASE, ".debug_addr", None),
    (STR_OFFSETS_BASE, ".debug_str_offsets", None),
)
WANTED = frozenset((*TEXTS, LOW_PC, LANGUAGE, GNU_ADDR_BASE, *(attribute for attribute, _, _ in PLACES)))
EXTRA = {4: 8, 5: 8, 2: 8, 6: 8}  # DW_UT_skeleton, _split_compile, _type, _split_type: an ID after the header
TYPED = (2, 6)  # DW_UT_type, DW_UT_split_type: and an offset after that

LANG_GO = 0x16
C_FAMILY = frozenset((
    0x01, 0x02, 0x04, 0x0C, 0x1A, 0x1D, 0x21, 0x2B, 0x2C, 0x3A, 0x8001,
))  # fmt: skip
"""DW_LANG_ C89 C C_plus_plus C99 C_plus_plus_11 C11 C_plus_plus_14 _17 (DWARF 6: 0x2b) C17 _20 Mips_Assembler."""


class Places(msgspec.Struct, frozen=True):
    """Where a unit's parts are in the debug sections, as far as its header and root entry tell."""

    size: int  # bytes in .debug_info, the header included
    at: Mapping[str, int]  # by section the least offset that it refers to, in the inflated bytes
    texts: frozenset[str]  # the sections that its root entry's strings lie in


NOWHERE = Places(0, {}, frozenset())


@dataclass(frozen=True, slots=True)
class Unit:
    """One compile unit.  A value that its root entry does not have, or that cannot be had, is None."""

    offset: int  # of its header in the inflated .debug_info
    version: int
    offset_size: int  # 4, or 8 in 64-bit DWARF
    address_size: int
    language: int | None
    producer: str | None
    name: str | None
    comp_dir: str | None
    stmt_list: int | None  # offset in the inflated .debug_line
    low_pc: int | None
    places: Places = field(default=NOWHERE, compare=False)

    @property
    def is_go(self) -> bool:
        """The Go compiler wrote it."""
        return self.language == LANG_GO

    @property
    def is_c(self) -> bool:
        """C, C++ or assembler for them: what cgo brings in."""
        return self.language in C_FAMILY


class Root(msgspec.Struct):
    """A root entry whose strings and addresses may still have to be looked up in other sections."""

    offset: int
    shape: Shape
    table: int  # offset of its abbreviations
    values: dict[int, Value]
    size: int = 0  # bytes, the header included
    texts: dict[int, str] = {}

    def number(self, attribute: int) -> int | None:
        """An attribute that is a number."""
        found = self.values.get(attribute)
        return found if isinstance(found, int) else None

    def ref(self, attribute: int) -> Ref | None:
        """An attribute that lies in another section."""
        found = self.values.get(attribute)
        return found if isinstance(found, Ref) else None


def roots(info: bytes | bytearray, abbreviations: Abbreviations, order: str, budget: Budget) -> Iterator[Root]:
    """The root entry of each compile unit, in order, texts that lie in `info` itself read.

    Type units and partial units are passed over.  FormatError at the first unit that is broken.
    """
    reader = Reader(info, order, INFO)
    while reader.offset < len(info):
        start, begin = reader.offset, Reader(info, order, INFO, reader.offset)
        size, offset_size = begin.length()
        if begin.offset + size > len(info):
            raise begin.error(f"a unit of {size} bytes does not fit")
        reader.offset = begin.offset + size
        if size:  # a length of 0 is padding between units, as debug/dwarf has it
            begin.end = reader.offset
            root = _root(begin, start, offset_size, abbreviations, budget)
            if root is not None:
                root.size = reader.offset - start
                _own_texts(root, info, budget)
                yield root


def _root(reader: Reader, start: int, offset_size: int, abbreviations: Abbreviations, budget: Budget) -> Root | None:
    """Header and root entry of the unit whose length has just been read; None if it is no compile unit."""
    version = reader.number(2)
    if not 2 <= version <= 5:
        raise reader.error(f"version {version}")
    kind = 0
    if version == 5:
        kind, address_size = reader.number(1), reader.number(1)
        table = reader.number(offset_size)
    else:
        table = reader.number(offset_size)
        address_size = reader.number(1)
    if address_size not in (1, 2, 4, 8):
        raise reader.error(f"addresses of {address_size} bytes")
    reader.skip(EXTRA.get(kind, 0) + (offset_size if kind in TYPED else 0))
    code = reader.uleb()
    tag, specs = abbreviations.find(table, code) if code else (0, [])
    if tag != TAG_COMPILE_UNIT:
        return None
    budget.step(INFO, start, len(specs))
    shape = Shape(version, offset_size, address_size)
    read = ((attribute, value(reader, shape, form, constant)) for attribute, form, constant in specs)
    return Root(start, shape, table, {attribute: found for attribute, found in read if attribute in WANTED})


def _own_texts(root: Root, info: bytes | bytearray, budget: Budget) -> None:
    for attribute in TEXTS:
        ref = root.ref(attribute)
        if ref is not None and ref.where == INFO:
            root.texts[attribute] = string_at(info, ref.at, INFO, budget)[0]


Content = Callable[[str], bytes | bytearray]  # a section's inflated bytes by canonical name; empty if there is none


def resolve(found: list[Root], content: Content, order: str, budget: Budget) -> list[Unit]:
    """Look up what lies in other sections, one section at a time, so that no two are held at once."""
    numbered = _string_offsets(found, content, order)
    for section in (".debug_str", ".debug_line_str"):
        wanted = [(root, a, ref) for root in found for a in TEXTS if (ref := root.ref(a)) and ref.where == section]
        if wanted:
            _look_up(wanted, numbered, content(section), section, budget)
    low = dict(_addresses(found, content, order))
    return [_unit(root, low.get(root.offset)) for root in found]


def _string_offsets(found: list[Root], content: Content, order: str) -> dict[tuple[int, int], int]:
    """By unit and attribute the offset in .debug_str of its strings that are given by number."""
    wanted = [(root, a, ref.at) for root in found for a in TEXTS if (ref := root.ref(a)) and ref.indexed]
    table = content(".debug_str_offsets") if wanted else b""
    out = {}
    for root, attribute, index in wanted:
        size = root.shape.offset_size
        default = 2 * size if root.shape.version == 5 else 0  # GNU's table has no header, DWARF 5's has one
        base = root.number(STR_OFFSETS_BASE)
        at = _entry(table, order, (default if base is None else base) + index * size, size)
        if at is not None:
            out[root.offset, attribute] = at
    return out


def _look_up(
    wanted: list[tuple[Root, int, Ref]],
    numbered: dict[tuple[int, int], int],
    strings: bytes | bytearray,
    section: str,
    budget: Budget,
) -> None:
    known: dict[int, str] = {}
    for root, attribute, ref in wanted:
        at = numbered.get((root.offset, attribute), -1) if ref.indexed else ref.at
        try:
            if at not in known:
                known[at] = string_at(strings, at, section, budget)[0]
            root.texts[attribute] = known[at]
        except FormatError:
            continue  # the unit stands without it


def _addresses(found: list[Root], content: Content, order: str) -> Iterator[tuple[int, int]]:
    """Offset of the unit and its low_pc, for those that give it by number."""
    wanted = [(root, ref.at) for root in found if (ref := root.ref(LOW_PC)) and ref.indexed]
    table = content(".debug_addr") if wanted else b""
    for root, index in wanted:
        base, gnu = root.number(ADDR_BASE), root.number(GNU_ADDR_BASE)
        start = base if base is not None else gnu if gnu is not None else 0
        address = _entry(table, order, start + index * root.shape.address_size, root.shape.address_size)
        if address is not None:
            yield root.offset, address


def _entry(table: bytes | bytearray, order: str, at: int, size: int) -> int | None:
    """The number of `size` bytes at an offset of a table; None outside it."""
    if at < 0 or at + size > len(table):
        return None
    return Reader(table, order, "", at).number(size)


def _unit(root: Root, low_pc: int | None) -> Unit:
    return Unit(
        offset=root.offset,
        version=root.shape.version,
        offset_size=root.shape.offset_size,
        address_size=root.shape.address_size,
        language=root.number(LANGUAGE),
        producer=root.texts.get(PRODUCER),
        name=root.texts.get(NAME),
        comp_dir=root.texts.get(COMP_DIR),
        stmt_list=root.number(STMT_LIST),
        low_pc=low_pc if low_pc is not None else root.number(LOW_PC),
        places=_places(root),
    )


def _places(root: Root) -> Places:
    at = {".debug_abbrev": root.table}
    for attribute, new, old in PLACES:
        section, offset = new if root.shape.version == 5 else old, root.number(attribute)
        if section and offset is not None:
            at[section] = min(offset, at.get(section, offset))
    texts = frozenset(ref.where for attribute in TEXTS if (ref := root.ref(attribute)))
    return Places(root.size, at, texts)
