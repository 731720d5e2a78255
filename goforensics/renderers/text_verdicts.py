"""The answer first: what is good and bad about an executable, one line each, with what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from goforensics.renderers.text_reclaim import certainty
from goforensics.renderers.text_tables import Verdict, capped, count, percent, size
from goforensics.report import Inspection, LeakGroup, Reclaimable

KINDS = {"module-cache": "module cache", "gopath": "GOPATH", "goroot": "GOROOT", "ci": "CI workspace"}
KINDS |= {"main-module": "main module", "nix": "Nix store", "bazel": "Bazel", "temporary": "temporary directory"}
RUN_PATHS = {"rpath", "runpath"}
SOURCES = {"symbol": "runtime.buildVersion", "data": "a string in its data", "dwarf": "DWARF"}
MOST = 4  # names in one sentence


def findings(document: Inspection) -> Iterator[Verdict]:
    """The verdicts, in the order of what a release engineer asks."""
    yield _symbols(document)
    yield from _leaks(document)
    yield _linking(document)
    yield from _identity(document)
    yield from _trust(document)


def action(document: Inspection, flags: str) -> Reclaimable | None:
    """What is known of a rebuild with these flags."""
    return next((row for row in document.reclaimable if row.action.split() == flags.split()), None)


def _symbols(document: Inspection) -> Verdict:
    gone = document.file.stripped
    if gone.symtab and gone.dwarf:
        return Verdict("good", "Symbols", "no symbol table and no DWARF: nothing left for -s -w to free")
    there = "DWARF" if gone.symtab else "a symbol table" if gone.dwarf else "a symbol table and DWARF"
    # -s implies -w; without DWARF -w alone frees nothing.
    row = action(document, "-w" if gone.symtab else "-s -w") or action(document, "-s -w")
    if row is None or row.bytes <= 0:
        return Verdict("info", "Symbols", f"{there}, as go build leaves it")
    share = percent(row.bytes, document.file.size)
    sure = "" if row.exact else f" {certainty(row)}"
    finding = f"{there}: {row.action} frees {row.bytes:,}{sure} bytes, {share} of the file"
    return Verdict("warn", "Symbols", finding, f'go build -ldflags="{row.action}"')


def _leaks(document: Inspection) -> Iterator[Verdict]:
    leaks = document.leaks
    if not leaks.paths:
        yield Verdict("good", "Paths", "no path of the build machine found")
        return
    kinds: Counter[str] = Counter()
    for group in leaks.groups:
        kinds[KINDS.get(group.kind, group.kind)] += group.count
    named = capped([f"{number:,} {kind}" for kind, number in kinds.most_common()], MOST)
    noun = count(leaks.paths, "path")
    yield Verdict("warn", "Paths", f"{noun} of the build machine in {size(leaks.bytes)}: {named}", _path_fix(document))


def _path_fix(document: Inspection) -> str:
    """What takes the paths out; -trimpath does nothing about run paths, and nothing a second time."""
    groups = document.leaks.groups
    trimmed = document.build.settings.get("-trimpath") == "true"
    fixes = ["go build -trimpath"] if not trimmed and any(set(g.where) - RUN_PATHS for g in groups) else []
    if any(RUN_PATHS & set(group.where) for group in groups):
        fixes.append("drop -rpath from the linker flags")
    return "; ".join(fixes) or _trimmed_fix(groups)


def _trimmed_fix(groups: list[LeakGroup]) -> str:
    places = sorted({place for group in groups for place in group.where})
    return f"built with -trimpath already; look in {capped(places, MOST)}"


def _linking(document: Inspection) -> Verdict:
    dynamic, goos = document.dynamic, document.file.goos
    cgo = "cgo" if dynamic.cgo else "no cgo"
    code = f", {size(dynamic.c_text_bytes)} of C code" if dynamic.cgo and dynamic.c_text_bytes else ""
    if not dynamic.needed and not dynamic.interpreter:
        return Verdict("good", "Linking", f"static, {cgo}{code}: needs nothing but the kernel")
    libraries = [_library(name, dynamic.symbol_versions.get(name)) for name in dynamic.needed]
    needs = capped([*filter(None, [dynamic.interpreter]), *libraries], MOST)
    finding = f"dynamic, {cgo}{code}: needs {needs}"
    if goos in ("windows", "darwin", "ios"):
        return Verdict("info", "Linking", finding)  # every program of theirs is dynamic
    pie = document.file.build_mode == "pie" and not dynamic.cgo
    return Verdict("warn", "Linking", finding, "go build -buildmode=exe" if pie else "CGO_ENABLED=0, if no C is needed")


def _library(name: str, floor: str | None) -> str:
    return f"{name} ≥ {floor}" if floor else name


def _identity(document: Inspection) -> Iterator[Verdict]:
    build = document.build
    if build.version_source != "buildinfo":
        source = SOURCES.get(build.version_source or "", build.version_source)
        source = f"; the Go version is from {source}" if source else ""
        finding = f"no build information{source}: vulnerability and SBOM tools see nothing"
        yield Verdict("warn", "Modules", finding, "build with go build in a module, and leave .go.buildinfo in")
    elif build.main is None and not build.modules and not (build.path or "").startswith("cmd/"):
        finding = "no list of modules: vulnerability and SBOM tools see the standard library only"
        yield Verdict("warn", "Modules", finding, "build a package of a module, not a list of files")
    table = document.pclntab
    if table and table.magic_overwritten:
        yield Verdict("warn", "Pclntab", f"its magic is overwritten ({table.magic}): the file was made hard to read")
    elif table is None:
        yield Verdict("bad", "Pclntab", "not found: no functions, files or lines can be told")


def _trust(document: Inspection) -> Iterator[Verdict]:
    if document.unread:
        names = capped(sorted({row.structure for row in document.unread}), MOST)
        noun = count(len(document.unread), "structure")
        yield Verdict("bad", "Unread", f"{noun} could not be read: {names}", "see the reasons at the end")
    if document.disputes:
        total = sum(row.size for row in document.disputes)
        finding = f"{count(len(document.disputes), 'range')} ({size(total)}) claimed by two structures"
        yield Verdict("bad", "Disputes", finding, "damaged, or tampered with: compare with a fresh build")
