"""Everything in one Go executable, as one result document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

import goforensics.report as report
from goforensics.analysis import identity, sizes
from goforensics.analysis.heaviest import heaviest
from goforensics.analysis.leaks import leaks
from goforensics.analysis.modules import Modules
from goforensics.analysis.packages import Packages, packages
from goforensics.analysis.reclaim import reclaimable
from goforensics.binary import Binary
from goforensics.bytemap import ByteMap
from goforensics.containers.image import Section
from goforensics.containers.recognise import why_not_go
from goforensics.errors import FormatError
from goforensics.sections import buildid, buildinfo, compression, dwarf, functions, pclntab, pcparts, symtab
from goforensics.sections.pclntab import Pclntab

Progress = Callable[[str, int, int], None]
STEPS = ("functions", "build information", "debug data", "paths", "sizes", "heaviest functions")
TOP = 10  # functions per ranking
GO, C_FAMILY = 0x16, {0x01, 0x02, 0x04, 0x0C, 0x10, 0x11, 0x1A, 0x1D, 0x21, 0x2B, 0x2C, 0x8001}  # DW_LANG_*


def _silent(step: str, done: int, total: int) -> None:
    pass


def inspect(binary: Binary, by: Sequence[str] = ("section",), progress: Progress = _silent) -> report.Inspection:
    """The whole account of `binary`; `by` names the byte map's columns that the sizes are grouped by.

    Raises NotGoError if the image holds neither a pclntab nor build information.
    """
    if binary.slices:
        return _universal(binary, by, progress)
    facts = _facts(binary, progress)
    progress(STEPS[4], 4, len(STEPS))
    bytemap = ByteMap.build(len(binary.image.data), sizes.claims(binary, facts.packages, facts.modules))
    return _document(binary, facts, bytemap, by, progress)


@dataclass(frozen=True)
class _Facts:
    """What the sizes need to be known first."""

    build: report.Build
    packages: Packages | None
    modules: Modules
    leaks: report.Leaks


def _facts(binary: Binary, progress: Progress) -> _Facts:
    progress(STEPS[0], 0, len(STEPS))
    table = binary.maybe(pclntab.PARSER)
    progress(STEPS[1], 1, len(STEPS))
    info = binary.maybe(buildinfo.PARSER)
    if table is None and info is None and not _broken(binary):
        raise why_not_go(binary.image.data, {section.name for section in binary.image.sections})
    progress(STEPS[2], 2, len(STEPS))
    binary.maybe(dwarf.PARSER)
    found = packages(table) if table else None
    directories = found.directory if found else {}
    build = identity.build(binary)
    dependencies = [module.path for module in build.modules]
    main = build.main.path if build.main else None
    modules = Modules(main, dependencies, directories, recorded=bool(dependencies or main))
    progress(STEPS[3], 3, len(STEPS))
    return _Facts(build, found, modules, leaks(binary, directories))


def _broken(binary: Binary) -> bool:
    """A Go structure is there and could not be read."""
    return any(problem.structure in ("pclntab", "buildinfo") for problem in binary.problems())


def _document(
    binary: Binary, facts: _Facts, bytemap: ByteMap, by: Sequence[str], progress: Progress
) -> report.Inspection:
    progress(STEPS[5], 5, len(STEPS))
    dynamic = identity.dynamic(binary, facts.packages)
    symbols, debug, table = _symtab(binary), _dwarf(binary), _pclntab(binary)
    return report.Inspection(
        file=identity.file(binary, facts.build.settings),
        build=facts.build,
        sections=[_section(binary, section) for section in binary.image.sections],
        pclntab=table,
        symtab=symbols,
        dwarf=debug,
        dynamic=dynamic,
        leaks=facts.leaks,
        sizes=sizes.table(bytemap, by),
        heaviest=_heaviest(binary, facts.packages),
        reclaimable=reclaimable(
            binary.image, facts.build, symbols if identity.has_symbols(binary) else None, debug, facts.leaks
        ),
        modules=sizes.table(bytemap, ("module",)),
        unread=_unread(binary),
        disputes=[
            report.DisputeRow(d.start, d.end - d.start, list(d.claimants))
            for d in bytemap.disputes[: report.MOST_DISPUTES]
        ],
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


def _pclntab(binary: Binary) -> report.PclntabInfo | None:
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
    table: Pclntab | None = binary.maybe(pclntab.PARSER)
    if table is None or found is None:
        return []
    return heaviest(table, found, table.funcs.size.astype("int64"), TOP)


def _unread(binary: Binary) -> list[report.Unread]:
    """Every problem, those that parsers keep in their results included, in file order."""
    rows = [report.Unread(p.structure, p.offset, p.reason) for p in binary.problems()]
    info, tables, ids = binary.maybe(buildinfo.PARSER), binary.maybe(dwarf.PARSER), binary.maybe(buildid.PARSER)
    rows += [report.Unread("buildinfo", info.offset, reason) for reason in info.mod.problems] if info else []
    rows += [report.Unread("DWARF", 0, reason) for reason in (tables.problems if tables else ())]
    rows += [report.Unread("build ID", 0, reason) for reason in (ids.problems if ids else ())]
    if binary.file.changed:
        rows.append(report.Unread("file", 0, f"changed while it was read: {binary.file.expected} bytes at first"))
    return rows


def _universal(binary: Binary, by: Sequence[str], progress: Progress) -> report.Inspection:
    """A universal Mach-O file: an account per slice; sizes and unread of all of them, moved to the file's offsets."""
    from goforensics.containers.macho import fat_claims

    documents, claims = [], list(fat_claims(binary.file.data))
    for part in binary.slices:
        facts = _facts(part, progress)
        image = part.image
        mine = sizes.claims(part, facts.packages, facts.modules)
        bytemap = ByteMap.build(len(image.data), mine)
        documents.append(_document(part, facts, bytemap, by, progress))
        claims += [sizes.in_slice(claim, image) for claim in mine]
    whole = ByteMap.build(len(binary.file.data), [*claims, *sizes.padding(binary.file.data, claims)])
    return _joined(binary, documents, whole, by)


def _joined(binary: Binary, documents: list[report.Inspection], whole: ByteMap, by: Sequence[str]) -> report.Inspection:
    first = documents[0]
    images = [part.image for part in binary.slices]
    slices = [report.Slice(image.goarch, image.base, len(image.data)) for image in images]
    file = msgspec.structs.replace(
        first.file,
        format="macho-fat",
        size=len(binary.file.data),
        sha256=identity.sha256(binary.file.data),
        slices=slices,
    )
    unread = [
        report.Unread(row.structure, row.offset + image.base, f"{image.goarch}: {row.reason}")
        for document, image in zip(documents, images, strict=True)
        for row in document.unread
    ]
    return msgspec.structs.replace(
        first,
        file=file,
        sizes=sizes.table(whole, by),
        modules=sizes.table(whole, ("module",)),
        unread=unread,
        slices=documents,
    )
