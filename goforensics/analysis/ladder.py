"""What can be done with an executable in hand: which tools still find what they need in it.

Source of truth: what each tool asks for.  Go's src/cmd/internal/objfile (nm, objdump, addr2line, pprof -disasm),
src/runtime/pprof (profiles come with names), src/runtime/traceback.go, src/debug/buildinfo; delve's
pkg/proc/{bininfo,pclntab}.go; perf reads the symbols of ELF and no DWARF for names.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from goforensics.analysis import identity
from goforensics.binary import Binary
from goforensics.containers.image import Image
from goforensics.report_compare import Rung, Works
from goforensics.sections import buildinfo, dwarf, pclntab
from goforensics.sections.pclntab import Pclntab

GO_LANGUAGE = 0x16  # DW_LANG_Go
TABLES = (".gopclntab", ".data.rel.ro.gopclntab", "__DATA_CONST,__gopclntab", "__TEXT,__gopclntab")
NO_SYMBOLS = "no symbol table"
SYMBOLS = "the symbol table is there"
NO_DWARF = "no DWARF of Go code"
DWARF = "Go's DWARF is there"


class Facts(msgspec.Struct, frozen=True):
    """What the tools look for."""

    image: Image
    symbols: bool  # defined ones
    dwarf: bool  # with a compile unit of Go's
    table: Pclntab | None
    info: buildinfo.BuildInfo | None

    @property
    def named_table(self) -> bool:
        """There is a section that tools know the function table by; PE has none."""
        return self.image.section(*TABLES) is not None


def ladder(binary: Binary) -> list[Rung]:
    """A rung per tool, those of the toolchain first; of a universal file, those of its first image."""
    tables = binary.maybe(dwarf.PARSER)
    facts = Facts(
        binary.image,
        identity.has_symbols(binary),
        tables is not None and any(unit.language == GO_LANGUAGE for unit in tables.units),
        binary.maybe(pclntab.PARSER),
        binary.maybe(buildinfo.PARSER),
    )
    return [*_toolchain(facts), *_profiles(facts), *_debuggers(facts), *_program(facts)]


def _by(found: bool, tool: str, there: str, missing: str) -> Rung:
    return Rung(tool, "yes" if found else "no", there if found else missing)


def _toolchain(facts: Facts) -> Iterator[Rung]:
    yield _by(facts.symbols, "go tool nm", SYMBOLS, NO_SYMBOLS)
    yield _by(facts.symbols, "go tool objdump", SYMBOLS, f"{NO_SYMBOLS} to find functions by")
    found = facts.table is not None and (facts.named_table or facts.symbols)
    there = "reads the function table, which stays whatever is stripped"
    missing = (
        "no function table" if facts.table is None else "no section and no symbol says where the function table is"
    )
    yield _by(found, "go tool addr2line", there, missing)


def _profiles(facts: Facts) -> Iterator[Rung]:
    in_process = "the running program puts names and lines into its profiles"
    yield _by(facts.table is not None, "pprof -top", in_process, "no function table found")
    yield _with_paths(facts, "pprof -list", in_process, "name the sources' place with -trim_path and -source_path")
    yield _by(facts.symbols, "pprof -disasm", SYMBOLS, f"{NO_SYMBOLS} to find functions by")


def _with_paths(facts: Facts, tool: str, there: str, limited: str) -> Rung:
    """Tools that show source lines: the files must be where the table says that they are."""
    if facts.table is None:
        return Rung(tool, "no", "no function table found")
    lined, full = _lines(facts.table)
    if not lined:
        return Rung(tool, "no", "the function table has no files or no lines")
    return Rung(tool, "yes", there) if full else Rung(tool, "limited", f"paths are trimmed: {limited}")


def _lines(table: Pclntab) -> tuple[bool, bool]:
    """(some function has a file and a line, the files' paths are most of them absolute)."""
    lined = bool(np.any((table.entry_file > 0) & (table.entry_line > 0)))
    used = table.files
    absolute = sum(path.startswith("/") or path[1:3] in (":/", ":\\") for path in used)
    return lined and any(used), 2 * absolute > len(used)


def _debuggers(facts: Facts) -> Iterator[Rung]:
    yield _by(facts.dwarf, "gdb source lines", DWARF, NO_DWARF)
    there = DWARF if facts.dwarf else f"{NO_DWARF}, but {SYMBOLS}"
    yield _by(facts.dwarf or facts.symbols, "gdb function names", there, f"{NO_SYMBOLS} and {NO_DWARF}")
    yield from _delve(facts)
    if facts.image.format != "elf":
        yield Rung("perf names", "no", "perf is Linux's")
    else:
        yield _by(facts.symbols, "perf names", SYMBOLS, f"{NO_SYMBOLS}: raw addresses")


def _delve(facts: Facts) -> Iterator[Rung]:
    lines, stacks = "delve breakpoints and lines", "delve stack traces and variables"
    if facts.dwarf and not facts.symbols and facts.image.format == "elf":
        reason = "delve refuses a file with DWARF and without a symbol table"
        yield from (Rung(lines, "no", reason), Rung(stacks, "no", reason))
    elif facts.dwarf:
        yield from (Rung(lines, "yes", DWARF), Rung(stacks, "yes", DWARF))
    else:
        found = facts.table is not None and facts.named_table
        there, missing = f"{NO_DWARF}: from the function table only", f"{NO_DWARF} and no section of the function table"
        yield Rung(lines, "limited" if found else "no", there if found else missing)
        yield Rung(stacks, "no", NO_DWARF)


def _program(facts: Facts) -> Iterator[Rung]:
    there = "the function table has full paths"
    yield _with_paths(facts, "panic traces file:line", there, "module@version/file.go")
    yield Rung("go version -m", *_version(facts))


def _version(facts: Facts) -> tuple[Works, str]:
    info = facts.info
    if info is None:
        return "no", "no build information"
    if not (info.mod.path or info.mod.settings or info.mod.modules):
        return "limited", "the Go version alone: no modules and no settings are recorded"
    return "yes", "the build information is there"
