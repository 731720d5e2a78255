"""`inspect` as text: the answer first, the evidence beneath, the fix beside the finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from goforensics.renderers import View
from goforensics.renderers.text_tables import (
    Share,
    count,
    grid,
    header,
    more,
    percent,
    section,
    shares,
    size,
    text,
    verdicts,
    wrapped,
)
from goforensics.renderers.text_verdicts import KINDS, certainty, findings
from goforensics.report import HeavyFunction, Inspection, LeakGroup, Module

FORMATS = {"elf": "ELF", "pe": "PE", "macho": "Mach-O", "macho-fat": "universal Mach-O"}
HEAVIEST = 5  # functions of either list
EXAMPLES = 2  # paths of a group
SECTIONS = 40
WITH_KIND = {"module", "package", "symbol"}  # columns whose rows are mostly of one kind, which says much


def parts(document: Inspection, view: View) -> Iterator[RenderableType]:
    """The report in its parts, leaving out those of which the document has nothing."""
    yield Group(_identity(document), verdicts(findings(document), view))
    tables = (_sizes, _pclntab, _leaks, _heaviest, _reclaimable, _build, _sections, _disputes, _unread)
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


def _sizes(document: Inspection, view: View) -> Iterator[RenderableType]:
    """One row a name: kinds are merged, the largest is named."""
    by = document.sizes.by
    kinds: dict[tuple[str, ...], dict[str, int]] = {}
    for row in document.sizes.rows:
        kinds.setdefault(tuple(row.path), {}).setdefault(row.kind, 0)
        kinds[tuple(row.path)][row.kind] += row.bytes
    rows = [Share(" › ".join(path), sum(of.values()), _note(of, by)) for path, of in kinds.items()]
    if not _alphabetical(document):
        rows.sort(key=lambda row: -row.bytes)  # merging may have changed the order
    title = f"Where the bytes went, by {', '.join(by)}"
    yield section(title, shares(rows, document.file.size, view))


def _note(kinds: dict[str, int], by: list[str]) -> str:
    if not WITH_KIND & set(by) or "kind" in by:
        return ""
    largest = max(kinds, key=lambda kind: kinds[kind])
    return largest if len(kinds) == 1 else f"{largest} +{len(kinds) - 1}"


def _alphabetical(document: Inspection) -> bool:
    paths = [row.path for row in document.sizes.rows]
    return paths == sorted(paths)


def _pclntab(document: Inspection, view: View) -> Iterator[RenderableType]:
    table = document.pclntab
    if table is None:
        return
    rows = [Share(name, number) for name, number in sorted(table.parts.items(), key=lambda part: -part[1])]
    where = f"in {table.section}" if table.section else f"without a section, at {table.offset:#x}"
    note = f"{count(table.functions, 'function')}, {count(table.files, 'file')}; layout of Go {table.layout}, {where}"
    share = f"pclntab, {percent(table.size, document.file.size)} of the file"
    yield section(share, shares(rows, table.size, view), note=note)


def _leaks(document: Inspection, view: View) -> Iterator[RenderableType]:
    groups = document.leaks.groups
    if not groups:
        return
    table = grid("<", "<", ">", ">", widths=(None, 19))
    header(table, "below", "what it is", "paths", "bytes")
    for group in groups[: view.top]:
        table.add_row("", text(group.prefix), _kind(group), text(f"{group.count:,}"), text(f"{group.bytes:,}"))
        table.add_row("", text(f"  in {', '.join(group.where)}", "dim"))
        for example in group.examples[:EXAMPLES]:
            table.add_row("", text(f"  {example}", "dim"))
    more(table, len(groups) - view.top, "prefix")
    yield section("Paths of the build machine", table, note=f"{document.leaks.paths:,} in {size(document.leaks.bytes)}")


def _kind(group: LeakGroup) -> Text:
    return text(KINDS.get(group.kind, group.kind))


def _heaviest(document: Inspection, view: View) -> Iterator[RenderableType]:
    yield from _ranking(document, view, "pclntab", "Heaviest functions in pclntab", lambda row: row.pclntab_bytes)
    yield from _ranking(document, view, "pcdata", "Heaviest functions in PCDATA", lambda row: row.pcdata_bytes)


def _ranking(
    document: Inspection, view: View, name: str, title: str, weight: Callable[[HeavyFunction], int]
) -> Iterator[RenderableType]:
    rows = [row for row in document.heaviest if name in row.ranked_by or not row.ranked_by]
    if not rows:
        return
    table = grid("<", ">", ">", ">", ">")
    header(table, "function", "pclntab", "of it PCDATA", "shared tables", "code")
    for row in sorted(rows, key=weight, reverse=True)[: min(HEAVIEST, view.top)]:
        figures = (row.pclntab_bytes, row.pcdata_bytes, row.shared_bytes, row.code_bytes)
        table.add_row("", text(row.function), *(text(f"{number:,}") for number in figures))
    yield section(title, table, note="bytes of its own, and in full those of tables it shares with others")


def _reclaimable(document: Inspection, view: View) -> Iterator[RenderableType]:  # noqa: ARG001
    if not document.reclaimable:
        return
    table = grid("<", ">", ">", ">", ">")
    header(table, "rebuild with", "frees", "", "size after", "")
    for row in document.reclaimable:
        share = percent(row.bytes, document.file.size)
        figures = (f"{row.bytes:,}", share, f"{row.size_after:,}", certainty(row))
        table.add_row("", text(row.action), *map(text, figures))
        if row.loses:
            table.add_row("", text(f"  loses {', '.join(row.loses)}", "dim"))
    yield section("What a rebuild would free", table)


def _build(document: Inspection, view: View) -> Iterator[RenderableType]:
    build = document.build
    facts = {
        "package": build.path,
        "modules": f"{len(build.modules):,}" if build.modules else None,
        "Go version from": build.version_source,
        "experiments": ", ".join(build.experiments) or None,
        "Go build ID": build.go_build_id,
        "GNU build ID": build.gnu_build_id,
        "sha256": document.file.sha256,
        **build.settings,
    }
    known = [(name, value) for name, value in facts.items() if value is not None]
    table = grid("<", "w", widths=(24,))
    most = 2 * view.top
    for name, value in known[:most]:
        table.add_row("", text(name, "dim"), wrapped(value))
    more(table, len(known) - most, "setting")
    yield section("How it was built", table)


def _sections(document: Inspection, view: View) -> Iterator[RenderableType]:
    rows = document.sections
    if not rows:
        return
    table = grid("<", ">", ">", ">", "<")
    header(table, "section", "offset", "in the file", "in memory", "compressed")
    most = max(SECTIONS, view.top)
    for row in rows[:most]:
        packed = f"{row.compression}, from {row.uncompressed_size or 0:,}" if row.compression else ""
        figures = (f"{row.offset:#x}", f"{row.file_size:,}", f"{row.memory_size:,}", packed)
        table.add_row("", text(row.name or "(no name)"), *map(text, figures))
    more(table, len(rows) - most, "section")
    yield section("Sections", table, note=f"{len(rows):,}")


def _disputes(document: Inspection, view: View) -> Iterator[RenderableType]:
    rows = document.disputes
    if not rows:
        return
    table = grid("<", ">", ">")
    for row in rows[: view.top]:
        table.add_row("", text(" and ".join(row.claimants)), text(f"{row.size:,}"), text(f"at {row.offset:#x}"))
    more(table, len(rows) - view.top, "range")
    yield section("Bytes that two structures claim", table)


def _unread(document: Inspection, view: View) -> Iterator[RenderableType]:
    rows = document.unread
    if not rows:
        return
    table = grid("<", ">", "w", widths=(22, 12))
    for row in rows[: view.top]:
        table.add_row("", text(row.structure), text(f"at {row.offset:#x}"), wrapped(row.reason))
    more(table, len(rows) - view.top, "structure")
    yield section("Could not be read", table, note="everything else in this report stands")
