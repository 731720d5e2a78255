"""The byte map of a whole file: of its one image, or of every slice of a universal Mach-O file."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

import goforensics.report as report
from goforensics.analysis import identity, sizes
from goforensics.analysis.modules import Modules
from goforensics.analysis.packages import Packages, packages
from goforensics.binary import Binary
from goforensics.bytemap import COLUMNS, ByteMap, Claims
from goforensics.containers.recognise import why_not_go
from goforensics.sections import buildid, buildinfo, dwarf, pclntab


class Owners(msgspec.Struct, frozen=True):
    """Whose an image's bytes can be."""

    build: report.Build
    packages: Packages | None
    modules: Modules


def owners(binary: Binary) -> Owners:
    """What the function table and the build information say.  Raises NotGoError as `must_be_go` does."""
    must_be_go(binary)
    table = binary.maybe(pclntab.PARSER)
    found = packages(table) if table else None
    build = identity.build(binary)
    dependencies = [module.path for module in build.modules]
    main = build.main.path if build.main else None
    directories = found.directory if found else {}
    modules = Modules(main, dependencies, directories, recorded=bool(dependencies or main))
    return Owners(build, found, modules)


def must_be_go(binary: Binary) -> None:
    """Raise NotGoError if the image holds neither a function table nor build information, not even broken ones."""
    found = binary.maybe(pclntab.PARSER) or binary.maybe(buildinfo.PARSER)
    if found is None and not any(problem.structure in ("pclntab", "buildinfo") for problem in binary.problems()):
        raise why_not_go(binary.image.data, {section.name for section in binary.image.sections})


def bytemap_of(binary: Binary, columns: Sequence[str] = COLUMNS) -> ByteMap:
    """Who owns every byte of the file, slices at their offsets.  Only `columns` can be asked for.

    Raises NotGoError if the file shows no trace of Go's toolchain.
    """
    parts = binary.slices or (binary,)
    for part in parts:
        dwarf.ahead(part.image)
    found = [image_claims(part, owners(part), columns) for part in parts]
    return universal(binary, found, columns) if binary.slices else image_map(binary, found[0], columns)


def image_claims(binary: Binary, who: Owners, columns: Sequence[str] = COLUMNS) -> list[Claims]:
    """Everything that is known of one image's bytes, for a map of these columns."""
    return sizes.claims(binary, who.packages, who.modules, columns)


def image_map(binary: Binary, claims: Sequence[Claims], columns: Sequence[str]) -> ByteMap:
    """One image's map."""
    return ByteMap.build(len(binary.image.data), claims, columns)


def universal(binary: Binary, found: Sequence[Sequence[Claims]], columns: Sequence[str]) -> ByteMap:
    """The map of a universal file, from the claims on each of its slices."""
    from goforensics.containers.macho import fat_claims

    data = binary.file.data
    claims = list(fat_claims(data))
    for part, mine in zip(binary.slices, found, strict=True):
        claims += [sizes.in_slice(claim, part.image) for claim in mine]
    return ByteMap.build(len(data), [*claims, *sizes.padding(data, claims)], columns)


def unread(binary: Binary) -> list[report.Unread]:
    """Every problem of one image, those that parsers keep in their results included, in file order."""
    rows = [report.Unread(p.structure, p.offset, p.reason) for p in binary.problems()]
    info, tables, ids = binary.maybe(buildinfo.PARSER), binary.maybe(dwarf.PARSER), binary.maybe(buildid.PARSER)
    rows += [report.Unread("buildinfo", info.offset, reason) for reason in info.mod.problems] if info else []
    rows += [report.Unread("DWARF", 0, reason) for reason in (tables.problems if tables else ())]
    rows += [report.Unread("build ID", 0, reason) for reason in (ids.problems if ids else ())]
    if binary.file.changed:
        rows.append(report.Unread("file", 0, f"changed while it was read: {binary.file.expected} bytes at first"))
    return rows


def unread_everywhere(binary: Binary) -> list[report.Unread]:
    """The problems of every image, at the file's offsets."""
    if not binary.slices:
        return unread(binary)
    return [
        report.Unread(row.structure, row.offset + part.image.base, f"{part.image.goarch}: {row.reason}")
        for part in binary.slices
        for row in unread(part)
    ]
