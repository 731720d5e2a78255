"""What one built executable is: sizes, symbols, debug data, tools that work on it, linking, leaked paths."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from goforensics.analysis import identity, mapping
from goforensics.analysis.ladder import ladder
from goforensics.analysis.leaks import leaks
from goforensics.binary import Binary
from goforensics.binary import open as open_binary
from goforensics.errors import FormatError, GoForensicsError
from goforensics.matrix.compressed import gzip_size, zstd_size
from goforensics.matrix.gocommand import Go, complaint
from goforensics.report_compare import Rung
from goforensics.report_matrix import Measured
from goforensics.sections import dwarf, pclntab

TRACES = "panic traces file:line"
NM_LIMIT = 600.0  # seconds


def measure(path: Path, go: Go) -> tuple[Measured, Binary | None, list[str]]:
    """The executable measured, as a Binary unless it cannot be read as one, and what could not be measured."""
    data = path.read_bytes()
    notes: list[str] = []
    bare = Measured(
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        gzip_size=gzip_size(data),
        zstd_size=zstd_size(data),
    )
    try:
        binary = open_binary(path)
        return _read(bare, binary, _symbols(path, go, binary, notes), notes), binary, notes
    except GoForensicsError as error:  # another tool made it, or the linker is one we do not know
        return bare, None, [f"not read: {error}"]


def _read(bare: Measured, binary: Binary, symbols: int | None, notes: list[str]) -> Measured:
    owners = mapping.owners(binary)
    found = leaks(binary, owners.packages.directory if owners.packages else {})
    rungs, linked = ladder(binary), _linking(binary, notes)
    table = binary.maybe(pclntab.PARSER)
    return Measured(
        size=bare.size,
        sha256=bare.sha256,
        gzip_size=bare.gzip_size,
        zstd_size=bare.zstd_size,
        symbols=symbols,
        dwarf_bytes=_dwarf(binary, notes),
        pclntab_bytes=len(table.data) if table else None,
        ladder=rungs,
        linking=linked[0],
        interpreter=linked[1],
        needed=linked[2],
        leaked_paths=found.paths,
        leaked_bytes=found.bytes,
        build_id=bool(owners.build.go_build_id),
        panic_traces=_works(rungs, TRACES),
        settings=owners.build.settings,
    )


def _works(rungs: list[Rung], tool: str) -> bool:
    return any(rung.tool == tool and rung.works in ("yes", "limited") for rung in rungs)


def _symbols(path: Path, go: Go, binary: Binary, notes: list[str]) -> int | None:
    """Lines that `go tool nm` prints."""
    done = go.run(["tool", "nm", str(path)], timeout=NM_LIMIT)
    if not done.code:
        return done.stdout.count(b"\n")
    if not identity.has_symbols(binary):
        return 0  # and nm complains that there are none
    notes.append(f"go tool nm: {complaint(done)}")
    return None


def _dwarf(binary: Binary, notes: list[str]) -> int | None:
    try:
        return binary.read(dwarf.PARSER).file_bytes
    except FormatError as error:
        if error.absent:
            return 0
        notes.append(f"DWARF: {error}")
        return None


Linking = tuple[Literal["static", "dynamic"] | None, str | None, list[str]]


def _linking(binary: Binary, notes: list[str]) -> Linking:
    """Whether another program or library has to be there for this one to start, and which."""
    try:
        told = binary.image.dynamic()
    except FormatError as error:
        notes.append(f"dynamic linking: {error}")
        return None, None, []
    dynamic = bool(told.interpreter or told.needed)
    return "dynamic" if dynamic else "static", told.interpreter, list(told.needed)
