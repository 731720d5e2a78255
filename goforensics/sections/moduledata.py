"""moduledata: the linker's map of the program for the runtime, found by its pointer to the pclntab.

Source of truth: Go's src/runtime/symtab.go (moduledata), cmd/link/internal/ld/symtab.go (the writer).  Fields have
come and gone between releases; which ones are there shows in what the words point at, never in a version.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import msgspec

from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.sections import pcheader
from goforensics.sections.pcheader import PcHeader
from goforensics.sections.protocol import Parser, Source

WORDS = 80  # more than any release's fields up to inittasks
SLICES = ("textsectmap", "typelinks", "itablinks", "ptab", "pkghashes")
PC_FIELDS = ("findfunctab", "minpc", "maxpc", "text", "etext")
RANGES = ("noptrdata", "enoptrdata", "data", "edata", "bss", "ebss", "noptrbss", "enoptrbss")


class ModuleData(msgspec.Struct, frozen=True):
    """Words of moduledata by Go's field name (slices as name, name.len, name.cap); addresses unless said."""

    address: int
    offset: int
    fields: dict[str, int]

    def __getattr__(self, name: str) -> int:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None

    def range(self, start: str, end: str) -> tuple[int, int] | None:
        """The addresses between two fields; None unless both are there and in order."""
        low, high = self.fields.get(start), self.fields.get(end)
        return (low, high) if low is not None and high is not None and low <= high else None


def decode(source: Source) -> ModuleData:
    """Find the moduledata that points at the pclntab.  FormatError if no word that does is followed by sane fields."""
    image, header = source.image, source.read(pcheader.PARSER)
    target = image.address_of(header.offset)
    if target is None:
        raise FormatError("the pclntab is not loaded", structure="moduledata", offset=header.offset, absent=True)
    for address in image.pointers_to(target):
        fields = _fields_at(image, address, header, target)
        offset = image.offset_of(address)
        if fields is not None and offset is not None:
            return ModuleData(address, offset, fields)
    raise FormatError("nothing that points at the pclntab looks like it", structure="moduledata", offset=header.offset)


def _fields_at(image: Image, address: int, header: PcHeader, pclntab: int) -> dict[str, int] | None:
    words = _words(image, address)
    head = list(_head(header))
    if len(words) < len(head) + 16:
        return None
    fields = dict(zip(head, words, strict=False))
    if not _points_into(fields, header, pclntab):
        return None
    rest = words[len(head) :]
    tail = next((t for t in _tails(header) if _plausible(image, dict(zip(t, rest, strict=False)))), ())
    found = fields | dict(zip(tail, rest, strict=False))
    if "inittasks.cap" in found and not _full_slice(image, found, "inittasks"):  # up to 1.20 there is no such field
        found = {name: word for name, word in found.items() if not name.startswith("inittasks")}
    return found


def _words(image: Image, address: int) -> list[int]:
    """Up to WORDS words; fewer where the segment ends first."""
    offset = image.offset_of(address)
    if offset is None:
        return []
    end = max(s.offset + s.file_size for s in image.segments if s.offset <= offset < s.offset + s.file_size)
    count = min(WORDS, (end - offset) // image.pointer_size)
    return [int(word) for word in image.words(address, count, "moduledata")]


def _head(header: PcHeader) -> Iterator[str]:
    """The fields that every release of the layout begins with."""
    if header.layout == "1.2":
        slices: tuple[str, ...] = ("pclntable", "ftab", "filetab")
    else:
        yield "pcHeader"
        slices = ("funcnametab", "cutab", "filetab", "pctab", "pclntable", "ftab")
    for name in slices:
        yield from _slice(name)
    yield from PC_FIELDS
    yield from RANGES


def _slice(name: str) -> tuple[str, str, str]:
    return name, f"{name}.len", f"{name}.cap"


def _points_into(fields: dict[str, int], header: PcHeader, pclntab: int) -> bool:
    """The slices lie where the header says, and the text's bounds are in order."""
    if header.layout == "1.2":
        there = fields["ftab"] == pclntab + header.header_size
    else:
        there = fields["funcnametab"] == pclntab + header.tables["funcnametab"]
    counted = fields["ftab.len"] in (header.functions, header.functions + 1) or header.layout == "1.2"
    return there and counted and fields["text"] < fields["etext"] and fields["minpc"] < fields["maxpc"]


def _tails(header: PcHeader) -> Iterator[tuple[str, ...]]:
    """Every order of fields that a release has had after enoptrbss, newest first."""
    coverage = ((), ("covctrs", "ecovctrs"))
    types = (("types", "etypes"), ("types", "typedesclen", "etypes", "itaboffset", "itabsize"))
    rodata = ((), ("rodata", "gofunc"), ("rodata", "gofunc", "epclntab"))
    for cov, typ, rod in product(reversed(coverage), reversed(types), reversed(rodata)):
        links = () if "itaboffset" in typ else (*_slice("typelinks"), *_slice("itablinks"))
        tail = (*_slice("textsectmap"), *links, *_slice("ptab"), "pluginpath", "pluginpath.len", *_slice("pkghashes"))
        yield (*cov, "end", "gcdata", "gcbss", *typ, *rod, *tail, *_slice("inittasks"))


def _plausible(image: Image, fields: dict[str, int]) -> bool:
    """Pointers to data that the file holds are such, lengths are lengths, slices are full."""
    held = [fields[name] for name in ("gcdata", "gcbss", "types", "rodata", "gofunc") if name in fields]
    if any(image.offset_of(address) is None for address in held) or fields["types"] > fields["etypes"]:
        return False
    if fields.get("typedesclen", 0) > fields["etypes"] - fields["types"]:
        return False
    if "epclntab" in fields and not 0 < fields["epclntab"] - fields["gofunc"] < len(image.data):
        return False
    ordered = fields.get("covctrs", 0) <= fields.get("ecovctrs", 0) <= fields["end"] or "covctrs" not in fields
    return ordered and all(_full_slice(image, fields, name) for name in SLICES if name in fields)


def _full_slice(image: Image, fields: dict[str, int], name: str) -> bool:
    """A slice that the linker wrote: as long as its capacity, and either empty or in the file."""
    start, length, capacity = (fields[n] for n in _slice(name))
    return length == capacity < len(image.data) and (length == 0 or image.offset_of(start) is not None)


PARSER = Parser("moduledata", decode)
