"""What a rebuild with -s, -w or -trimpath would free: a first estimate, with a bound.

The bytes that go are known; what the linker's rounding makes of them is bounded: every loaded segment starts on a
page, and the -ldflags line that a build records may push each of them over one page's edge.
"""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.containers.image import Image
from goforensics.report import Build, DwarfInfo, Leaks, Reclaimable, SymtabInfo

PAGES = {"amd64": 4096, "386": 4096}  # FlagRound of cmd/link; 64 KiB on every other architecture of ELF
MACHO_PAGES = {"arm64": 16384}
EXTERNAL_DWARF = 65536  # C objects' debug data that -w leaves in externally linked files up to Go 1.25
MODULE_PATH = 64  # bytes by which a directory and the module path in its place may differ
NM = "go tool nm and objdump"
DEBUGGERS = ["gdb and delve source lines and variables"]
SYMBOLS = [NM, "pprof -disasm", "perf's function names"]


def reclaimable(
    image: Image, build: Build, symtab: SymtabInfo | None, dwarf: DwarfInfo | None, leaks: Leaks
) -> list[Reclaimable]:
    """Per action the bytes freed; actions that would free nothing are left out."""
    debug, symbols = dwarf.file_bytes if dwarf else 0, symtab.file_bytes if symtab else 0
    slack = (len(image.segments) + 1) * _page(image)
    size = len(image.data)
    rows = list(_strip_rows(debug, symbols, slack, size))
    trimmed, doubt = _trimmed(leaks)
    if trimmed and build.settings.get("-trimpath") != "true":
        lines = sum(s.file_size for s in image.sections if "debug_line" in s.name)
        rows.append(
            _row("-trimpath", trimmed, slack + lines + doubt, size, ["absolute source paths in traces and debuggers"])
        )
        if debug + symbols:
            loses = [*DEBUGGERS, *SYMBOLS, "absolute source paths"]
            rows.append(_row("-trimpath -s -w", debug + symbols + trimmed, slack + doubt, size, loses))
    return rows


def _strip_rows(debug: int, symbols: int, slack: int, size: int) -> Iterator[Reclaimable]:
    if debug:
        yield _row("-w", debug, slack + EXTERNAL_DWARF, size, DEBUGGERS)
    if debug + symbols:
        yield _row("-s -w", debug + symbols, slack, size, [*DEBUGGERS, *SYMBOLS])


def _row(action: str, freed: int, bound: int, size: int, loses: list[str]) -> Reclaimable:
    return Reclaimable(action, freed, size - freed, exact=False, bound=bound, loses=loses)


def _page(image: Image) -> int:
    if image.format == "macho":
        return MACHO_PAGES.get(image.goarch, 4096)
    return PAGES.get(image.goarch, 65536) if image.format == "elf" else 4096


def _trimmed(leaks: Leaks) -> tuple[int, int]:
    """(bytes of the prefixes that -trimpath takes out of the file table, how far off that may be).

    GOROOT and the module cache go whole; of what lies below a home or a work directory only the module's own
    directory is replaced, by the module's path.
    """
    groups = [(g.kind, len(g.prefix) + 1, g.counts.get("filetab", 0)) for g in leaks.groups]
    freed = sum(length * count for _, length, count in groups)
    return freed, sum(MODULE_PATH * count for kind, _, count in groups if kind not in ("goroot", "module-cache"))
