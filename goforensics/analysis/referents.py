"""What an address is called: the function, symbol, type, itab, function value or string that lies there.

Only the addresses asked about are looked at, with what is cheap to read of each: no list of all types or strings is
made.  Source of truth: Go's src/internal/abi/type.go (Type), src/internal/abi/iface.go (ITab), src/runtime/runtime2.go
(funcval), src/runtime/string.go (stringStruct), and the linker's symbols where the file has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from goforensics.containers.image import Image, Section, Segment, Words
from goforensics.errors import FormatError
from goforensics.sections import functions, moduledata, pclntab, symtab
from goforensics.sections.arrays import strings
from goforensics.sections.protocol import Source
from goforensics.sections.region import region, words_at
from goforensics.sections.symtab import Symbols
from goforensics.sections.typewalk import INTERFACE, Walk

Kind = Literal["function", "function value", "symbol", "type", "itab", "string", "string header", "data"]
EXTRA_STAR = 2  # abi.TFlagExtraStar: the name begins with a "*" that is not the type's
LONGEST = 1 << 12  # bytes of a string, at most
CONTAINERS = ("go:string.*", "go.string.*", "type:*", "type.*", "go:func.*", "go.func.*", "runtime.gcbits.*")


class Referent(msgspec.Struct, frozen=True):
    """What lies at an address: its name, and the text of a string or of the one whose header lies there.

    A string has no name of its own unless the file has symbols; a header where the program may write ("symbol",
    "data") is a variable's, and its text what the program begins with.
    """

    kind: Kind
    name: str
    text: str | None = None


Found = dict[int, Referent]


def referents(source: Source, addresses: Words, lengths: Mapping[int, int]) -> Found:
    """What each address (n,) is called; `lengths` has bytes of those that are taken for the text of a string.

    An address outside of everything loaded is left out.
    """
    targets = np.unique(addresses)
    found = _places(source.image, targets)
    if not found:
        return {}
    targets = np.array(sorted(found), np.uint64)
    symbols = _symbols(source, targets)
    found |= symbols
    for at, text in _headers(source.image, targets).items():
        kind = found[at].kind if _written(source.image, at) else "string header"
        found[at] = Referent(kind, found[at].name, text)
    for at, text in _strings(source.image, targets, lengths).items():
        found[at] = Referent("string", symbols[at].name if at in symbols else "", text)
    found |= _values(source, targets)
    walk = _walk(source)
    if walk is not None:
        found |= _itabs(walk, source.image, targets) | _types(walk, targets)
    return found | function_names(source, targets)


def offset_name(name: str, offset: int) -> str:
    """`name+0x12`, or `name` alone."""
    return f"{name}+{offset:#x}" if offset else name


def _places(image: Image, targets: Words) -> Found:
    """The section or, where there are none, the segment, and how far into it."""
    found: Found = {}
    parts: tuple[Segment | Section, ...] = (*image.segments, *image.sections)
    for part in parts:
        if part.memory_size and part.address:
            inside = (targets >= part.address) & (targets - np.uint64(part.address) < part.memory_size)
            for at in targets[inside].tolist():
                found[at] = Referent("data", offset_name(part.name, at - part.address))
    return found


def function_names(source: Source, targets: Words) -> Found:
    """The function of the pclntab in whose code each address lies, and how far into it."""
    code, table = source.read(functions.PARSER), source.read(pclntab.PARSER)
    order = np.argsort(code.address, kind="stable")
    row = np.searchsorted(code.address[order], targets, "right") - 1
    mine = order[np.maximum(row, 0)]
    away = targets - code.address[mine]
    good = (row >= 0) & (away < code.size[mine].astype(np.uint64))
    names = strings(table.data, table.funcs.name[mine[good]])
    found = zip(targets[good].tolist(), names, away[good].tolist(), strict=True)
    return {at: Referent("function", offset_name(name, offset)) for at, name, offset in found}


def _symbols(source: Source, targets: Words) -> Found:
    """The linker's symbol: the one that begins at an address, or that says by its size that it holds it."""
    try:
        table: Symbols = source.read(symtab.PARSER)
    except FormatError:
        return {}
    order = np.lexsort((table.size, table.value))
    order = order[table.section[order] != 0]
    row = np.searchsorted(table.value[order], targets, "right") - 1
    targets, row = targets[row >= 0], order[row[row >= 0]]
    away = targets - table.value[row]
    good = away < np.maximum(table.size[row], np.uint64(1))
    found = zip(targets[good].tolist(), away[good].tolist(), table.names(row[good]), strict=True)
    return {at: Referent("symbol", offset_name(name, n)) for at, n, name in found if name and name not in CONTAINERS}


def _strings(image: Image, targets: Words, lengths: Mapping[int, int]) -> dict[int, str]:
    """Text whose length is known."""
    found = {at: _text(image, at, lengths[at]) for at in targets.tolist() if at in lengths}
    return {at: text for at, text in found.items() if text is not None}


def _headers(image: Image, targets: Words) -> dict[int, str]:
    """Text to which a pointer with its length lies at an address; of three words the first two are a slice's."""
    step = np.uint64(image.pointer_size)
    start, length, behind = (words_at(image, targets + step * np.uint64(n)) for n in range(3))
    sane = (length > 0) & (length <= LONGEST) & (behind != length)
    three = zip(targets[sane].tolist(), start[sane].tolist(), length[sane].tolist(), strict=True)
    found = {at: _text(image, text, size) for at, text, size in three}
    return {at: text for at, text in found.items() if text is not None}


def _text(image: Image, address: int, size: int) -> str | None:
    """`size` bytes as text; None if they are none, or lie where the program writes."""
    offset = image.offset_of(address) if 0 < size <= LONGEST else None
    if offset is None or _written(image, address):
        return None
    raw = bytes(image.data[offset : offset + size])
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return text if len(raw) == size and all(c.isprintable() or c in "\t\r\n" for c in text) else None


def _written(image: Image, address: int) -> bool:
    """Whether the program may write there."""
    return any(s.writable for s in image.segments if s.address <= address < s.address + s.memory_size)


def _values(source: Source, targets: Words) -> Found:
    """Function values: a word that holds the address of a function's first instruction."""
    words = words_at(source.image, targets)
    entry = np.isin(words, source.read(functions.PARSER).address)
    names = function_names(source, words[entry])
    pairs = zip(targets[entry].tolist(), words[entry].tolist(), strict=True)
    return {at: Referent("function value", names[word].name) for at, word in pairs if word in names}


def _walk(source: Source) -> Walk | None:
    """A reader of type descriptors; None where nothing says where they are."""
    try:
        module = source.read(moduledata.PARSER)
        bounds = module.range("types", "etypes")
        return Walk(region(source.image, *bounds, "types"), bounds[0], bounds[1]) if bounds else None
    except FormatError:
        return None


def _types(walk: Walk, targets: Words) -> Found:
    """Type descriptors, by their name."""
    return {at: Referent("type", f"type:{name}") for at, name in _type_names(walk, targets).items()}


def _type_names(walk: Walk, at: Words) -> dict[int, str]:
    """Names of those addresses that can be descriptors'; up to Go 1.16 names say their length otherwise."""
    found: dict[int, str] = {}
    for walk.wide_names in (True, False):
        good = at[walk.sane(at)]
        star = walk.memory.uint(good + np.uint64(2 * walk.memory.pointer + 4), 1) & np.uint64(EXTRA_STAR) > 0
        names = walk.texts(walk.named_by(good + np.uint64(4 * walk.memory.pointer + 8)))
        for address, name, extra in zip(good.tolist(), names, star.tolist(), strict=True):
            if name.isprintable():
                found[address] = name[1:] if extra and name.startswith("*") else name
    return found


def _itabs(walk: Walk, image: Image, targets: Words) -> Found:
    """Itabs: an interface type, a concrete one, and the hash of the latter."""
    pointer = image.pointer_size
    interface, concrete = words_at(image, targets), words_at(image, targets + np.uint64(pointer))
    names = _type_names(walk, np.unique(np.r_[interface, concrete]))
    hashed = words_at(image, targets + np.uint64(2 * pointer)) & np.uint64(0xFFFFFFFF)
    if image.order == ">" and pointer == 8:
        hashed = words_at(image, targets + np.uint64(2 * pointer)) >> np.uint64(32)
    same = hashed == walk.memory.uint(concrete + np.uint64(2 * pointer), 4)
    same &= walk.kind(interface) == INTERFACE
    three = zip(targets[same].tolist(), interface[same].tolist(), concrete[same].tolist(), strict=True)
    known = ((at, names[c], names[i]) for at, i, c in three if i in names and c in names)
    return {
        at: Referent("itab", f"go:itab.{concrete_name},{interface_name}") for at, concrete_name, interface_name in known
    }
