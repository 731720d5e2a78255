"""`inspect` as text: the answer first, the evidence beneath, the fix beside the finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from goforensics.renderers import View, text_sizes
from goforensics.renderers.text_reclaim import reclaimable
from goforensics.renderers.text_tables import (
    Listing,
    Share,
    count,
    facts,
    percent,
    section,
    shares,
    shortened,
    size,
    text,
    verdicts,
    wrapped,
)
from goforensics.renderers.text_verdicts import KINDS, findings
from goforensics.report import HeavyFunction, Inspection, Module, UnknownRange

FORMATS = {"elf": "ELF", "pe": "PE", "macho": "Mach-O", "macho-fat": "universal Mach-O"}
HEAVIEST = 5  # functions of either list
FIGURES = 50  # columns that the other cells of its rows take, about
EXAMPLES = 2  # paths of a group
SECTIONS = 40


def parts(document: Inspection, view: View) -> Iterator[RenderableType]:
    """The report in its parts, leaving out those of which the document has nothing."""
    yield Group(_identity(document), verdicts(findings(document), view))
    tables = (
        text_sizes.parts,
        _pclntab,
        _leaks,
        _heaviest,
        _inlined,
        _reclaimable,
        _build,
        _sections,
        _evidence,
        _unread,
    )
    for table in tables:
        yield from table(document, view)
    for image in document.slices[1:]:  # the first is what the parts above told of
        yield from parts(image, view)


def _identity(document: Inspection) -> Text:
    file, build = document.file, document.build
    lines = Text(plain_path(file.path), style="bold", overflow="fold")
    target = "/".join(filter(None, (file.goos, file.goarch))) or "unknown target"
    link = f"{file.link_mode} linking" if file.link_mode else None
    first = [
        size(file.size),
        f"{FORMATS[file.format]} {file.bits}-bit {target}",
        build.go_version or "Go version unknown",
    ]
    second = [_module(build.main) if build.main else build.path, file.build_mode, link, _stripped(document)]
    for line in (first, second):
        lines.append("\n" + " · ".join(text(item).plain for item in line if item), style="not bold")
    if file.slices:
        images = ", ".join(f"{one.goarch} ({size(one.size)} at {one.offset:#x})" for one in file.slices[:8])
        lines.append(f"\nimages: {text(images).plain}; the first is told of here", style="not bold")
    return lines


def plain_path(path: str) -> str:
    """What a file is called."""
    return "standard input" if path == "-" else text(path).plain


def _module(module: Module) -> str:
    return f"{module.path}@{module.version}" if module.version else module.path


def _stripped(document: Inspection) -> str:
    gone = document.file.stripped
    if gone.symtab and gone.dwarf:
        return "stripped"
    return "no symbol table" if gone.symtab else "no DWARF" if gone.dwarf else "not stripped"


def _pclntab(document: Inspection, view: View) -> Iterator[RenderableType]:
    table = document.pclntab
    if table is None:
        return
    rows = [Share(name, number) for name, number in sorted(table.parts.items(), key=lambda part: -part[1])]
    where = f"in {table.section}" if table.section else f"without a section, at {table.offset:#x}"
    note = f"{count(table.functions, 'function')}, {count(table.files, 'file')}; layout of Go {table.layout}, {where}"
    share = f"pclntab, {percent(table.size, document.file.size)} of the file"
    advice = [wrapped(f"→ {table.recommendation}", "bold")] if table.recommendation else []
    yield section(share, shares(rows, table.size, view.top), *advice, note=note)


def _leaks(document: Inspection, view: View) -> Iterator[RenderableType]:
    groups = document.leaks.groups
    if not groups:
        return
    table = Listing("<", "<", ">", ">")
    table.add("below", "what it is", "paths", "bytes", style="dim")
    for group in groups[: view.top]:
        table.add(group.prefix, KINDS.get(group.kind, group.kind), group.count, group.bytes)
        table.note(f"in {', '.join(group.where)}")
        for example in group.examples[:EXAMPLES]:
            table.note(example)
    table.left_out(len(groups) - view.top, "prefixes")
    yield section("Paths of the build machine", table, note=f"{document.leaks.paths:,} in {size(document.leaks.bytes)}")


def _heaviest(document: Inspection, view: View) -> Iterator[RenderableType]:
    yield from _ranking(document, view, "pclntab", "Heaviest functions in pclntab", lambda row: row.pclntab_bytes)
    yield from _ranking(document, view, "pcdata", "Heaviest functions in PCDATA", lambda row: row.pcdata_bytes)


def _ranking(
    document: Inspection, view: View, name: str, title: str, weight: Callable[[HeavyFunction], int]
) -> Iterator[RenderableType]:
    rows = [row for row in document.heaviest if name in row.ranked_by or not row.ranked_by]
    if not rows:
        return
    table = Listing("<", ">", ">", ">", ">")
    table.add("function", "pclntab", "PCDATA", "shared", "code", style="dim")
    for row in sorted(rows, key=weight, reverse=True)[: min(HEAVIEST, view.top)]:
        table.add(
            shortened(row.function, view.width - FIGURES),
            row.pclntab_bytes,
            row.pcdata_bytes,
            row.shared_bytes,
            row.code_bytes,
        )
    yield section(title, table, note="its own bytes; shared: tables that others use too, in full")


def _inlined(document: Inspection, view: View) -> Iterator[RenderableType]:
    rows = document.inlined[: min(HEAVIEST, view.top)]
    if not rows:
        return
    table = Listing("<", ">", ">", ">", ">")
    table.add("inlined function", "copies", "code", "inline trees", "InlTreeIndex", style="dim")
    for row in rows:
        table.add(
            shortened(row.function, view.width - FIGURES), row.copies, row.code_bytes, row.node_bytes, row.index_bytes
        )
    yield section(
        "Costliest inlined functions", table, note="all copies together; goforensics pcdata --by inlined has all"
    )


def _reclaimable(document: Inspection, view: View) -> Iterator[RenderableType]:
    if not document.reclaimable:
        return
    yield section("What a rebuild would free", reclaimable(document.reclaimable, document.file.size, "rebuild with"))


def _build(document: Inspection, view: View) -> Iterator[RenderableType]:
    build = document.build
    of = {
        "package": build.path,
        "modules": f"{len(build.modules):,}" if build.modules else None,
        "Go version from": build.version_source,
        "experiments": ", ".join(build.experiments) or None,
        "Go build ID": build.go_build_id,
        "GNU build ID": build.gnu_build_id,
        "sha256": document.file.sha256,
        **build.settings,
    }
    known = [(name, value) for name, value in of.items() if value is not None]
    most = 2 * view.top
    if len(known) > most:
        known[most:] = [("…", f"{len(known) - most:,} more; --format json has all")]
    yield section("How it was built", facts(known))


def _sections(document: Inspection, view: View) -> Iterator[RenderableType]:
    rows = document.sections
    if not rows:
        return
    table = Listing("<", ">", ">", ">", "<")
    table.add("section", "offset", "in the file", "in memory", style="dim")
    most = max(SECTIONS, view.top)
    for row in rows[:most]:
        packed = f"{row.compression}, from {row.uncompressed_size or 0:,}" if row.compression else ""
        table.add(row.name or "(no name)", f"{row.offset:#x}", row.file_size, row.memory_size, packed)
    table.left_out(len(rows) - most, "sections")
    yield section("Sections", table, note=f"{len(rows):,}")


def _evidence(document: Inspection, view: View) -> Iterator[RenderableType]:
    """Where the account is contradictory or ends."""
    disputes, unknown = document.disputes, document.unknown
    if not disputes and not unknown:
        return
    table = Listing("<", ">", ">")
    for row in disputes[: view.top]:
        table.add(f"claimed by {' and '.join(row.claimants)}", row.size, f"at {row.offset:#x}")
    table.left_out(len(disputes) - view.top, "such ranges")
    for each in _largest(unknown, view.top):
        known = "only its section is known" if each.known else "nothing is known"
        table.add(f"{each.section or '(no section)'}: {known}", each.size, f"at {each.offset:#x}")
    table.left_out(len(unknown) - view.top, "such ranges")
    known = f"{size(document.unknown_bytes)} unknown, {document.section_only_bytes:,} known by their section only"
    yield section("Evidence", table, note=known if unknown else "")


def _largest(rows: list[UnknownRange], top: int) -> list[UnknownRange]:
    """The ranges to look at first, in file order: those of which nothing is known, then the large ones."""
    chosen = sorted(rows, key=lambda row: (row.known is not None, -row.size))[:top]
    return sorted(chosen, key=lambda row: row.offset)


def _unread(document: Inspection, view: View) -> Iterator[RenderableType]:
    rows = document.unread
    if not rows:
        return
    known = [(row.structure, f"at {row.offset:#x}: {row.reason}") for row in rows[: view.top]]
    if len(rows) > view.top:
        known.append(("…", f"{len(rows) - view.top:,} more; --format json has all"))
    yield section("Could not be read", facts(known), note="everything else in this report stands")
