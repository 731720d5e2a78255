"""Which file this is: system, build mode, link mode, cgo; and what the build recorded of itself."""

from __future__ import annotations

import re
from typing import Literal

import goforensics.report as report
from goforensics.analysis.code_bytes import c_ranges
from goforensics.analysis.packages import Packages
from goforensics.binary import Binary
from goforensics.containers.image import Dynamic, Image
from goforensics.errors import FormatError
from goforensics.sections import buildid, buildinfo, dwarf, functions, goversion, pclntab, symtab
from goforensics.sections.buildinfo import BuildInfo, Module
from goforensics.sections.search import file_ranges, find_all, held

CGO_FILES = {"_cgo_gotypes.go", "_cgo_import.go"}
# src/runtime/cgo: gcc_fatalf.c and gcc_linux_*.c (gcc_unix.c since Go 1.27); gcc_darwin_*.c and other systems' of old.
CGO_MESSAGES = (
    (b"runtime/cgo: \0", b"pthread_create failed: %s\0"),
    (b"runtime/cgo: pthread_create failed: %s\n\0",),
)
# Sections that a system linker writes and Go's own does not; see cmd/link/internal/ld/{elf,macho,pe}.go.
EXTERNAL = {".init_array", ".fini_array", ".eh_frame", ".gnu.hash", ".CRT", "__TEXT,__unwind_info", "__TEXT,__stubs"}
NUMBERS = re.compile(r"\d+")


def build(binary: Binary) -> report.Build:
    """Build information as recorded; the Go version also where there is no record."""
    info, ids = binary.maybe(buildinfo.PARSER), binary.maybe(buildid.PARSER)
    mod = info.mod if info else buildinfo.ModInfo()
    main = _module(mod.main, main=True) if mod.main else None
    raw, experiments, source = _version(binary, info)
    return report.Build(
        go_version=raw,
        path=mod.path or None,
        main=main,
        modules=[_module(module) for module in mod.modules],
        settings={setting.key: setting.value for setting in mod.settings},
        go_build_id=ids.go.id if ids and ids.go else None,
        gnu_build_id=ids.gnu.id if ids and ids.gnu else None,
        experiments=experiments,
        version_source=source,
    )


def _version(binary: Binary, info: BuildInfo | None) -> tuple[str | None, list[str], str | None]:
    """The Go version and who says so; only a file without build information is searched for it."""
    if info is not None and info.version:
        return info.version, list(info.experiments), "buildinfo"
    found = binary.maybe(goversion.PARSER)
    return (found.version, list(found.experiments), found.source) if found else (None, [], None)


def _module(module: Module, *, main: bool = False) -> report.Module:
    swap = module.replace
    replaced = report.Replacement(swap.path, swap.version or None, swap.sum or None) if swap else None
    return report.Module(module.path, module.version or None, module.sum or None, replaced, main)


def file(binary: Binary, settings: dict[str, str]) -> report.File:
    """The file's identity; what the build recorded goes before what the container shows."""
    image, data = binary.image, binary.image.data
    return report.File(
        path=binary.file.path,
        size=len(data),
        sha256=binary.file.sha256,
        format=image.format,
        goos=settings.get("GOOS") or image.goos or None,
        goarch=settings.get("GOARCH") or image.goarch or None,
        bits=image.bits,
        byte_order="little" if image.order == "<" else "big",
        build_mode=settings.get("-buildmode") or _build_mode(image),
        link_mode=_link_mode(image),
        stripped=report.Stripped(symtab=not has_symbols(binary), dwarf=not _has_units(binary)),
    )


def has_symbols(binary: Binary) -> bool:
    """There are defined symbols: a stripped Mach-O file keeps the undefined ones, which the loader needs."""
    symbols = binary.maybe(symtab.PARSER)
    return symbols is not None and bool(symbols.section.any())


def _has_units(binary: Binary) -> bool:
    tables = binary.maybe(dwarf.PARSER)
    return tables is not None and bool(tables.units)


def _build_mode(image: Image) -> str | None:
    """By the container alone: a library that asks for a dynamic linker is a position-independent executable."""
    if image.purpose == "executable":
        return "pie" if image.position_independent and image.format != "pe" else "exe"
    if image.purpose != "library":
        return None
    if image.format != "elf":
        return "c-shared"
    return "pie" if _dynamic(image).interpreter else "c-shared"


def _link_mode(image: Image) -> Literal["internal", "external"] | None:
    if not image.sections:
        return None
    return "external" if EXTERNAL & {section.name for section in image.sections} else "internal"


def _dynamic(image: Image) -> Dynamic:
    try:
        return image.dynamic()
    except FormatError:
        return Dynamic()


def dynamic(binary: Binary, packages: Packages | None) -> report.DynamicInfo:
    """Dynamic linking, and whether C code is in the program or called by it."""
    image, told = binary.image, _dynamic(binary.image)
    evidence = list(_cgo_evidence(binary, packages))
    placed = binary.maybe(functions.PARSER)
    c_bytes = sum(b - a for a, b in c_ranges(image, placed)[0]) if placed else 0
    return report.DynamicInfo(
        interpreter=told.interpreter,
        needed=list(told.needed),
        rpath=list(told.rpath),
        runpath=list(told.runpath),
        symbol_versions={library: newest(versions) for library, versions in told.versions.items() if versions},
        cgo=bool(evidence),
        c_text_bytes=c_bytes,
        cgo_evidence=evidence,
    )


def newest(versions: tuple[str, ...]) -> str:
    """The version that the others are older than: GLIBC_2.34 of GLIBC_2.2.5 and GLIBC_2.34."""
    return max(versions, key=lambda version: ([int(n) for n in NUMBERS.findall(version)], version))


def _cgo_evidence(binary: Binary, packages: Packages | None) -> list[str]:
    """What of Go's shows that there is C, else what of C's does: of runtime/cgo no Go function need be left."""
    return _cgo_in_table(binary, packages) or _cgo_messages(binary.image)


def _cgo_messages(image: Image) -> list[str]:
    """The beginning of what the C code of runtime/cgo says when it gives up, and one thing that it says.

    C ends its strings with NULs, and Go does not.  That pthread_create is imported shows nothing: packages without C
    import it, too (//go:cgo_import_dynamic).
    """
    for start, end in file_ranges(segment for segment in held(image) if not segment.writable):
        data = image.data[start:end]
        if any(all(next(find_all(data, text), None) is not None for text in texts) for texts in CGO_MESSAGES):
            return ["messages of runtime/cgo's C code"]
    return []


def _cgo_in_table(binary: Binary, packages: Packages | None) -> list[str]:
    table = binary.maybe(pclntab.PARSER)
    if table is None or packages is None:
        return []
    found = sorted(name for name in {path.rsplit("/", 1)[-1] for path in table.files} if name in CGO_FILES)
    used = set(packages.codes.tolist())
    runtime = any(name == "runtime/cgo" and i in used for i, name in enumerate(packages.names))
    return [*(f"{name} in the file table" for name in found), *(["package runtime/cgo"] if runtime else [])]
