"""The byte map of a binary: every parser's claims, the code of every function, and what is left over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from goforensics.analysis.modules import Modules
from goforensics.analysis.packages import Packages
from goforensics.binary import Binary
from goforensics.bytemap import ByteMap, Claims, Labels, Level
from goforensics.containers.image import Image, Role
from goforensics.errors import FormatError
from goforensics.report import Kind, SizeRow, Sizes
from goforensics.sections import buildid, buildinfo, dwarf, functions, moduledata, pclntab, pcparts, symtab
from goforensics.sections.functions import Functions
from goforensics.sections.pclntab import Pclntab
from goforensics.sections.protocol import Parser

PARSERS: tuple[Parser[object], ...] = (pcparts.PARSER, symtab.PARSER, dwarf.PARSER, buildinfo.PARSER, buildid.PARSER)  # type: ignore[assignment]
KINDS: dict[Role, Kind] = {
    "code": "section-only",
    "data": "section-only",
    "symbols": "symbols",
    "debug": "debug",
    "metadata": "metadata",
}
STUBS = (".plt", "__stubs", "__symbol_stub", "__stub_helper")  # jumps to shared libraries, written by a linker


@dataclass(frozen=True)
class Names(Sequence[str]):
    """Functions' names as a label vocabulary: turned into text only when a listing shows them."""

    table: Pclntab

    def __len__(self) -> int:
        return len(self.table.funcs.name)

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        return self.table.names[i]


def claims(binary: Binary, packages: Packages | None, modules: Modules) -> list[Claims]:
    """Everything that is known of the image's bytes, as offsets in the image."""
    image = binary.image
    found = [*_container(image), *_parsed(binary)]
    if packages is not None:
        table, placed = binary.read(pclntab.PARSER), binary.maybe(functions.PARSER)
        if placed is not None:
            found += _code(table, placed, packages, modules)
            found += _c_code(image, placed)
    return found


def in_slice(claim: Claims, image: Image) -> Claims:
    """A slice's claim as one on its universal file: moved, its sections named with the architecture."""
    moved = claim.moved(image.base)
    section = moved.labels.get("section")
    if section is None:
        return moved
    named: Labels | str = (
        f"{image.goarch}:{section}"
        if isinstance(section, str)
        else Labels(section.codes, [f"{image.goarch}:{name}" for name in section.names])
    )
    return Claims(moved.source, moved.level, moved.starts, moved.ends, {**moved.labels, "section": named})


def table(bytemap: ByteMap, by: Sequence[str]) -> Sizes:
    """The map grouped by columns; rows sum to its size."""
    rows = [
        SizeRow(name=row.path[-1], path=list(row.path), kind=cast(Kind, row.kind), bytes=row.bytes)
        for row in bytemap.group(by)
    ]
    return Sizes(by=list(by), rows=rows)


def _container(image: Image) -> list[Claims]:
    """Headers, sections, segments, and the zeros between them."""
    headers = list(image.claims())
    sections = [s for s in image.sections if s.file_size]
    ranges = [(s.offset, s.offset + s.file_size) for s in sections]
    names, kinds = [s.name for s in sections], [KINDS[s.role] for s in sections]
    plain = [s.name if s.role in ("symbols", "debug", "metadata") else "" for s in sections]
    named = Claims.of("sections", Level.SECTION, ranges, section=names, structure=plain, kind=kinds)
    parts = [s for s in image.segments if s.file_size]
    loaded = Claims.of(
        "segments",
        Level.SEGMENT,
        [(s.offset, s.offset + s.file_size) for s in parts],
        section=[f"[{s.name}]" for s in parts],
        kind="section-only",
    )
    gaps = padding(image.data, [*headers, named]) if sections else []
    return [*headers, named, loaded, *gaps]


def padding(data: memoryview, known: list[Claims]) -> list[Claims]:
    """Zeros that nothing known holds."""
    found = ByteMap.build(len(data), known)
    free = np.flatnonzero(found.codes["kind"] == 0)
    raw = np.frombuffer(data, np.uint8)
    spans = zip(found.bounds[free].tolist(), found.bounds[free + 1].tolist(), strict=True)
    zero = [(a, b) for a, b in spans if not raw[a:b].any()]
    labels = {"section": "(between sections)", "structure": "padding", "kind": "padding"}
    return [Claims.of("padding", Level.SECTION, zero, **labels)]


def _parsed(binary: Binary) -> Iterator[Claims]:
    for parser in PARSERS:
        try:
            yield from parser.claims(binary, binary.read(parser))
        except FormatError:
            continue  # its bytes stay the section's; binary.problems() has the reason
    module = binary.maybe(moduledata.PARSER)
    if module is not None:
        size = len(module.fields) * binary.image.pointer_size
        labels = {"structure": "moduledata", "kind": "metadata"}
        yield Claims.of("moduledata", Level.TABLE, [(module.offset, module.offset + size)], **labels)


def _code(table: Pclntab, placed: Functions, packages: Packages, modules: Modules) -> list[Claims]:
    """Each function's code, by package, module and symbol."""
    homes = [modules.home(name) for name in packages.names]
    shown = np.flatnonzero(placed.offset >= 0)
    codes = packages.codes[shown]
    labels: dict[str, Labels | str] = {
        "structure": "code",
        "package": Labels(codes, packages.names),
        "module": Labels(codes, [home.module for home in homes]),
        "kind": Labels(codes, [home.kind for home in homes]),
        "symbol": Labels(shown.astype(np.int32), Names(table)),
    }
    starts = placed.offset[shown]
    return [Claims("functions", Level.ITEM, starts, starts + placed.size[shown], labels)]


def c_ranges(image: Image, placed: Functions) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Offsets of what executable sections hold outside of Go's text: (code of C and of its start-up, mere filling)."""
    low, high = placed.text
    code: list[tuple[int, int]] = []
    filling: list[tuple[int, int]] = []
    for s in image.sections:
        if s.role != "code" or not s.file_size or any(stub in s.name for stub in STUBS):
            continue
        start, end = s.address, s.address + min(s.file_size, s.memory_size or s.file_size)
        for a, b in ((start, min(end, low)), (max(start, high), end)):
            if a < b:
                found = (a - s.address + s.offset, b - s.address + s.offset)
                (filling if _is_filling(image.data[found[0] : found[1]]) else code).append(found)
    return code, filling


def _is_filling(data: memoryview) -> bool:
    """One byte over and over, as a linker fills what it leaves free: zeros, breakpoints or no-operations."""
    return len(set(bytes(data[:4096]))) <= 1 and bytes(data).count(data[:1]) == len(data)


def _c_code(image: Image, placed: Functions) -> list[Claims]:
    code, filling = c_ranges(image, placed)
    return [
        Claims.of("c-code", Level.TABLE, code, structure="C code", package="(C)", module="(C)", kind="c"),
        Claims.of("c-padding", Level.TABLE, filling, structure="padding", kind="padding"),
    ]
