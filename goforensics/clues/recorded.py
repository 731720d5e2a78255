"""What the build recorded of itself, as rules ask for it: with its place, or the reason why it is not known.

Source of truth: Go's src/cmd/go/internal/load/pkg.go (setBuildInfo).  Settings are there since Go 1.18; -ldflags and
CGO_*FLAGS are left out under -trimpath, -buildmode and -cover came later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from goforensics.analysis.packages import Packages
from goforensics.containers.image import Section, SymbolTable
from goforensics.errors import FormatError
from goforensics.rules.protocol import Hit, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections import dwarf, pclntab, symtab
from goforensics.sections.buildinfo import BuildInfo, Module
from goforensics.sections.goversion import release
from goforensics.sections.pclntab import Pclntab

SETTINGS = (18,)  # the minor release that brought settings in
FILES = "command-line-arguments"  # the path of a program built from a list of files
DEVEL = "(devel)"
Instrument = Literal["-race", "-msan", "-asan", "-cover"]
# Functions that the instrumentation alone brings in, written in assembly or absent from its stubs: src/runtime/race.go,
# race_amd64.s, msan_amd64.s, asan_amd64.s.  Of coverage see `instrument`.
MARKS: dict[Instrument, frozenset[str]] = {
    "-race": frozenset(("runtime.racecallback", "runtime.racecallbackthunk")),
    "-msan": frozenset(("runtime.domsanread", "runtime.domsanwrite")),
    "-asan": frozenset(("runtime.doasanread", "runtime.doasanwrite")),
    "-cover": frozenset(),
}
COVERAGE = ("internal/coverage/cfile", "runtime/coverage")


def info(subject: Subject) -> BuildInfo:
    """The build information.  UnknownError if there is none, or it cannot be read."""
    found = subject.info
    if found is None:
        raise UnknownError("no build information in the file")
    return found


def complete(subject: Subject) -> BuildInfo:
    """Build information in which what is not recorded was not set.  UnknownError if it has no such record."""
    found = info(subject)
    if found.mod.problems:
        raise UnknownError(f"the build information cannot be read in full: {found.mod.problems[0]}")
    if found.setting("-compiler") is None:
        old = release(found.version)
        why = f"{found.version} records no settings" if old and old < SETTINGS else "no settings are recorded"
        raise UnknownError(f"{why} of the build{'' if old and old < SETTINGS else ': not built by the go command'}")
    return found


def setting(subject: Subject, key: str) -> Hit | None:
    """Where a setting is recorded, None if it is not."""
    found = subject.info
    row = next((s for s in found.mod.settings if s.key == key), None) if found else None
    return None if row is None else Hit(f"{key}={row.value}", f"buildinfo:{key}", row.offset, row.size)


def module(row: Module, text: str) -> Hit:
    """The line of a module."""
    return Hit(text, "buildinfo", row.offset, row.size)


def absent(text: str, where: str = "buildinfo") -> Hit:
    """What the file has not got."""
    return Hit(text, where)


def table(subject: Subject) -> tuple[Pclntab, Packages]:
    """The function table and its packages.  UnknownError without one."""
    found, owners = subject.binary.maybe(pclntab.PARSER), subject.owners.packages
    if found is None or owners is None or not len(found.funcs.name):
        raise UnknownError("no function table: what is linked in cannot be told")
    return found, owners


def named(subject: Subject, names: Iterable[str]) -> list[Hit]:
    """The functions of these names, as the function table has them."""
    found, _ = table(subject)
    wanted = frozenset(names)
    return [_function(found, i) for i, name in enumerate(found.names) if name in wanted]


def linked(subject: Subject, package: str) -> Hit | None:
    """The first function of a package, None if the package has no code in the file."""
    found, owners = table(subject)
    if package not in subject.packages:
        return None
    number = owners.names.index(package)
    return _function(found, int((owners.codes == number).argmax()))


def _function(found: Pclntab, i: int) -> Hit:
    name = found.names[i]
    return Hit(name, "funcnametab", found.offset + int(found.funcs.name[i]), len(name.encode("utf-8", "replace")))


def symbol_table(subject: Subject) -> SymbolTable | None:
    """Where the symbols are, None if there are none.  UnknownError if the headers tell of no place in the file."""
    try:
        return subject.image.symbol_table()
    except FormatError as error:
        raise UnknownError(f"the symbol table cannot be read: {error}") from None


def symbols(subject: Subject) -> bool:
    """There is a symbol table with more than the dynamic linker's needs; one that cannot be read is there, too.

    UnknownError as `symbol_table`.
    """
    if symbol_table(subject) is None:
        return False
    return subject.binary.maybe(symtab.PARSER) is None or not subject.file.stripped.symtab


def debug_sections(subject: Subject) -> list[Section]:
    """The sections with debug data, whether it can be read or not."""
    return [section for section in subject.image.sections if section.role == "debug" and section.file_size]


def instrument(subject: Subject, flag: Instrument) -> Hit | None:
    """The trace of an instrumented build: its setting, else what it links in.  UnknownError if nothing can tell.

    Go 1.20 and 1.21 do not record -cover; what it links in is what a program without -cover has only by importing
    runtime/coverage, which does nothing then.
    """
    told = setting(subject, flag)
    if told is not None:
        return told if told.text == f"{flag}=true" else None
    if flag == "-cover":
        return next((hit for package in COVERAGE if (hit := linked(subject, package))), None)
    try:
        return next(iter(named(subject, MARKS[flag])), None)
    except UnknownError:
        complete(subject)
        return None


def unoptimized(subject: Subject) -> str | None:
    """The compiler's own note that optimizations were off ("-N -l"), None if it has none.

    UnknownError without debug data.  Source of truth: cmd/internal/dwarf (the producer, which lists such flags).
    """
    tables = subject.binary.maybe(dwarf.PARSER)
    producers = {unit.producer for unit in tables.units if unit.is_go and unit.producer} if tables else set()
    if not producers:
        raise UnknownError("neither settings of the build nor debug data are in the file")
    for producer in sorted(producers):
        if {"-N", "-l"} & set(producer.replace(";", " ").split()):
            return producer
    return None
