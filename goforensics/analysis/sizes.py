"""The byte map of a binary: every parser's claims, the code of every function, and what is left over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from goforensics.analysis import code_bytes, data_bytes, debug_bytes, pclntab_bytes, symbol_bytes
from goforensics.analysis.data import DataOwners, data_owners
from goforensics.analysis.gaps import gaps
from goforensics.analysis.modules import Modules
from goforensics.analysis.packages import PackageNames, Packages
from goforensics.analysis.vocabulary import Holdings, Vocabulary
from goforensics.binary import Binary
from goforensics.bytemap import COLUMNS, Claims, Labels, Level
from goforensics.containers.image import Image, Role
from goforensics.errors import FormatError
from goforensics.report import Kind
from goforensics.sections import buildid, buildinfo, dwarf, functions, moduledata, pclntab, pcparts, symtab
from goforensics.sections.functions import Functions
from goforensics.sections.protocol import Parser

PARSERS: tuple[Parser[object], ...] = (pcparts.PARSER, symtab.PARSER, dwarf.PARSER, buildinfo.PARSER, buildid.PARSER)  # type: ignore[assignment]
ZEROS = 32  # in a row: no chance, and no more than a linker aligns to
ORIGINS: dict[Role, Kind] = {
    "code": "section-only",
    "data": "section-only",
    "symbols": "symbols",
    "debug": "debug",
    "metadata": "metadata",
}
KINDS: dict[Role, str] = {
    "code": "unknown",
    "data": "unknown",
    "symbols": "symbol table",
    "debug": "debug",
    "metadata": "metadata",
}


def claims(
    binary: Binary, packages: Packages | None, modules: Modules, columns: Sequence[str] = COLUMNS
) -> list[Claims]:
    """Everything that is known of the image's bytes, as offsets in the image; owners in those of `columns` alone."""
    image = binary.image
    found = [*_container(image), *_parsed(binary)]
    placed = binary.maybe(functions.PARSER) if packages is not None else None
    if packages is None or placed is None:
        return [*found, *_sections(image, found)]
    names, items = PackageNames(packages.names), pclntab_bytes.holdings(binary)
    owners = _data_owners(binary, packages, names, [*found, pclntab_bytes.structures(items)])
    held = [items, *_tables(binary, names, packages, placed)]
    words = Vocabulary(binary.read(pclntab.PARSER), packages, names.all, modules, columns)
    found += code_bytes.claims(image, placed, words)
    found += [claim for holding in held for claim in words.claims(holding)]
    if owners is not None:
        found += data_bytes.claims(image, owners, words)
    return [*found, *_sections(image, found)]


def _tables(binary: Binary, names: PackageNames, packages: Packages, placed: Functions) -> Iterator[Holdings]:
    """The symbol table and the debug sections; what cannot be split stays what its parser says it is."""
    symbols = binary.maybe(symtab.PARSER)
    if symbols is not None:
        with suppress(FormatError):
            yield from symbol_bytes.holdings(binary.image, symbols, names, packages, placed)
    if binary.maybe(dwarf.PARSER) is not None:
        with suppress(FormatError):
            yield from debug_bytes.holdings(binary, names, packages, placed)


def _data_owners(binary: Binary, packages: Packages, names: PackageNames, known: Sequence[Claims]) -> DataOwners | None:
    """Of loaded data that no other structure holds; None without moduledata, for then nothing says where Go's is."""
    module = binary.maybe(moduledata.PARSER)
    if module is None:
        return None
    return data_owners(binary, data_bytes.free_memory(binary.image, module, known), packages, names)


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


def _container(image: Image) -> list[Claims]:
    """Headers, and sections that are a structure of their own."""
    whole = [s for s in image.sections if s.file_size and s.role in ("symbols", "debug", "metadata")]
    ranges = [(s.offset, s.offset + s.file_size) for s in whole]
    return [*image.claims(), Claims.of("sections", Level.SECTION, ranges, structure=[s.name for s in whole])]


def _sections(image: Image, known: list[Claims]) -> list[Claims]:
    """Sections' and segments' names, which are no structure, and the zeros between them."""
    sections = [s for s in image.sections if s.file_size]
    ranges = [(s.offset, s.offset + s.file_size) for s in sections]
    names, roles = [s.name for s in sections], [s.role for s in sections]
    kinds, origins = [KINDS[role] for role in roles], [ORIGINS[role] for role in roles]
    named = Claims.of("sections.names", Level.SECTION, ranges, section=names, kind=kinds, origin=origins)
    parts = [s for s in image.segments if s.file_size]
    held = [(s.offset, s.offset + s.file_size) for s in parts]
    only = {"kind": "unknown", "origin": "section-only"}
    loaded = Claims.of("segments", Level.SEGMENT, held, section=[f"[{s.name}]" for s in parts], **only)
    return [named, loaded, *padding(image.data, [*known, named])]


def padding(data: memoryview, known: list[Claims]) -> list[Claims]:
    """Zeros that nothing known holds: whole gaps, and runs of them around what is there without a name."""
    raw = np.frombuffer(data, np.uint8)
    zero = [run for start, end in gaps(len(data), known, "origin") for run in _zeros(raw, start, end)]
    labels = {"section": "(between sections)", "structure": "padding", "kind": "padding", "origin": "padding"}
    return [Claims.of("padding", Level.SECTION, zero, **labels)]


def _zeros(raw: NDArray[np.uint8], start: int, end: int) -> list[tuple[int, int]]:
    """The range itself if it holds only zeros, else its runs of at least ZEROS of them."""
    used = np.r_[start - 1, np.flatnonzero(raw[start:end]) + start, end]
    long = np.flatnonzero(np.diff(used) > (ZEROS if len(used) > 2 else 1))
    return list(zip((used[long] + 1).tolist(), used[long + 1].tolist(), strict=True))


def _parsed(binary: Binary) -> Iterator[Claims]:
    for parser in PARSERS:
        try:
            yield from parser.claims(binary, binary.read(parser))
        except FormatError:
            continue  # its bytes stay the section's; binary.problems() has the reason
    module = binary.maybe(moduledata.PARSER)
    if module is not None:
        size = len(module.fields) * binary.image.pointer_size
        labels = {"structure": "moduledata", "kind": "metadata", "origin": "metadata"}
        yield Claims.of("moduledata", Level.TABLE, [(module.offset, module.offset + size)], **labels)
