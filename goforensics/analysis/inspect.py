"""Everything in one Go executable, as one result document."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

import goforensics.report as report
from goforensics.analysis import callees, heaviest, identity, inlining, mapping
from goforensics.analysis.leaks import leaks
from goforensics.analysis.listing import evidence, listing
from goforensics.analysis.packages import Packages
from goforensics.binary import Binary
from goforensics.bytemap import ByteMap
from goforensics.containers.image import Section
from goforensics.errors import FormatError
from goforensics.question import Question, question
from goforensics.rebuild.reclaim import reclaimable
from goforensics.sections import compression, dwarf, functions, pcitems, pclntab, pcparts, symtab

Progress = Callable[[str, int, int], None]
STEPS = ("functions", "build information", "debug data", "paths", "sizes", "heaviest functions")
TOP = 10  # functions per ranking
GO, C_FAMILY = 0x16, {0x01, 0x02, 0x04, 0x0C, 0x10, 0x11, 0x1A, 0x1D, 0x21, 0x2B, 0x2C, 0x8001}  # DW_LANG_*


def _silent(step: str, done: int, total: int) -> None:
    pass


def inspect(
    binary: Binary,
    by: Sequence[str] = ("section",),
    progress: Progress = _silent,
    *,
    view: str = "owned",
    filters: Sequence[str] = (),
) -> report.Inspection:
    """The whole account of `binary`; `by` names the byte map's columns that the sizes are grouped by.

    `view` and `filters` are those of `goforensics.question`.  Raises UsageError for a question that makes no sense,
    NotGoError if the image holds neither a pclntab nor build information.
    """
    asked = question(by, view, filters)
    if binary.slices:
        return _universal(binary, asked, progress)
    facts = _facts(binary, progress)
    progress(STEPS[4], 4, len(STEPS))
    claims = mapping.image_claims(binary, facts.owners, asked.painted)
    return _document(binary, facts, mapping.image_map(binary, claims, asked.painted), asked, progress)


class _Facts(msgspec.Struct, frozen=True):
    """What the sizes need to be known first."""

    owners: mapping.Owners
    leaks: report.Leaks


def _facts(binary: Binary, progress: Progress) -> _Facts:
    progress(STEPS[0], 0, len(STEPS))
    binary.file.hash_ahead()
    dwarf.ahead(binary.image)
    binary.maybe(pclntab.PARSER)
    progress(STEPS[1], 1, len(STEPS))
    mapping.must_be_go(binary)
    progress(STEPS[2], 2, len(STEPS))
    binary.maybe(dwarf.PARSER)
    owners = mapping.owners(binary)
    progress(STEPS[3], 3, len(STEPS))
    return _Facts(owners, leaks(binary, owners.packages.directory if owners.packages else {}))


def _document(
    binary: Binary, facts: _Facts, bytemap: ByteMap, asked: Question, progress: Progress
) -> report.Inspection:
    progress(STEPS[5], 5, len(STEPS))
    build, found = facts.owners.build, facts.owners.packages
    symbols, debug, seen = _symtab(binary), _dwarf(binary), evidence(bytemap)
    copies = _inlining(binary, facts.owners)
    return report.Inspection(
        file=identity.file(binary, build.settings),
        build=build,
        sections=[_section(binary, section) for section in binary.image.sections],
        pclntab=_pclntab(binary, copies.recommendation),
        symtab=symbols,
        dwarf=debug,
        dynamic=identity.dynamic(binary, found),
        leaks=facts.leaks,
        sizes=listing(bytemap, asked),
        heaviest=_heaviest(binary, found),
        reclaimable=reclaimable(binary),
        modules=listing(bytemap, Question(("module",), asked.view)),
        unread=mapping.unread(binary),
        disputes=seen.disputes,
        unknown=seen.unknown,
        unknown_bytes=seen.unknown_bytes,
        section_only_bytes=seen.section_only_bytes,
        inlining=copies.totals,
        inlined=copies.costliest,
    )


def _section(binary: Binary, section: Section) -> report.SectionRow:
    try:
        inflated = compression.uncompressed_size(binary.image, section) if section.compression else None
    except FormatError:
        inflated = None
    return report.SectionRow(
        section.name,
        section.offset,
        section.file_size,
        section.memory_size,
        section.address,
        section.compression,
        inflated,
    )


def _pclntab(binary: Binary, recommendation: str | None) -> report.PclntabInfo | None:
    table = binary.maybe(pclntab.PARSER)
    if table is None:
        return None
    header, placed = table.header, binary.maybe(functions.PARSER)
    return report.PclntabInfo(
        layout=header.layout,
        offset=table.offset,
        size=len(table.data),
        functions=header.functions,
        files=header.files,
        parts=pcparts.sizes(binary.read(pcparts.PARSER), len(table.data)),
        section=header.section,
        magic=f"{header.magic:08x}",
        magic_overwritten=header.magic_overwritten,
        text_start=placed.text[0] if placed else None,
        code_bytes=int(placed.size.sum()) if placed else None,
        recommendation=recommendation,
    )


def _symtab(binary: Binary) -> report.SymtabInfo | None:
    symbols = binary.maybe(symtab.PARSER)
    if symbols is None:
        return None
    claims = list(symtab.PARSER.claims(binary, symbols))
    return report.SymtabInfo(symbols.count, int(sum((c.ends - c.starts).sum() for c in claims)))


def _dwarf(binary: Binary) -> report.DwarfInfo | None:
    tables = binary.maybe(dwarf.PARSER)
    if tables is None:
        return None
    go = sum(unit.language == GO for unit in tables.units)
    c = sum(unit.language in C_FAMILY for unit in tables.units)
    return report.DwarfInfo(
        version=max((unit.version for unit in tables.units), default=None),
        file_bytes=tables.file_bytes,
        uncompressed_bytes=tables.uncompressed_bytes,
        units=len(tables.units),
        go_units=go,
        c_units=c,
        other_units=len(tables.units) - go - c,
        producers=sorted({unit.producer for unit in tables.units if unit.producer}),
    )


def _heaviest(binary: Binary, found: Packages | None) -> list[report.HeavyFunction]:
    table = binary.maybe(pclntab.PARSER)
    if table is None or found is None:
        return []
    return heaviest.heaviest(binary, found, table.funcs.size.astype("int64"), TOP)


class _Copies(msgspec.Struct, frozen=True):
    """What is told of inlining."""

    totals: report.Inlining | None = None
    costliest: list[report.InlinedFunction] = []
    recommendation: str | None = None


def _inlining(binary: Binary, owners: mapping.Owners) -> _Copies:
    copies = binary.maybe(inlining.PARSER)
    if copies is None:
        return _Copies()
    found = callees.callees(copies)
    sorts = (sort for sort in binary.read(pcitems.PARSER) if sort.structure == pcitems.INLINED_NAMES)
    totals = heaviest.totals(copies, found, sum(int((sort.ends - sort.starts).sum()) for sort in sorts))
    advice = heaviest.recommendation(
        totals, found, owners.modules, len(copies.table.data) if copies.table.inside else None
    )
    return _Copies(totals, heaviest.costliest(found, TOP), advice)


def _universal(binary: Binary, asked: Question, progress: Progress) -> report.Inspection:
    """A universal Mach-O file: an account per slice, and what can be told of all of them at the file's offsets."""
    documents, claims = [], []
    for part in binary.slices:
        facts = _facts(part, progress)
        mine = mapping.image_claims(part, facts.owners, asked.painted)
        documents.append(_document(part, facts, mapping.image_map(part, mine, asked.painted), asked, progress))
        claims.append(mine)
    return _joined(binary, documents, mapping.universal(binary, claims, asked.painted), asked)


def _joined(binary: Binary, documents: list[report.Inspection], whole: ByteMap, asked: Question) -> report.Inspection:
    first, seen = documents[0], evidence(whole)
    images = [part.image for part in binary.slices]
    file = msgspec.structs.replace(
        first.file,
        format="macho-fat",
        size=len(binary.file.data),
        sha256=binary.file.sha256,
        slices=[report.Slice(image.goarch, image.base, len(image.data)) for image in images],
    )
    return msgspec.structs.replace(
        first,
        file=file,
        sizes=listing(whole, asked),
        modules=listing(whole, Question(("module",), asked.view)),
        unread=mapping.unread_everywhere(binary),
        disputes=seen.disputes,
        unknown=seen.unknown,
        unknown_bytes=seen.unknown_bytes,
        section_only_bytes=seen.section_only_bytes,
        slices=documents,
    )
