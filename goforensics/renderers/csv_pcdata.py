"""`pcdata` as rows: a function with each of its parts, or an inlined one, per line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from goforensics.report_pcdata import CalleeRow, FunctionRow, Pcdata

FUNCTION = tuple(name for name in FunctionRow.__struct_fields__ if name not in ("parts", "why"))
KINDS = ("own", "apportioned", "shared", "transitions")
TEXTS = ("function", "package")
Cell = Callable[[str], str | None]


def head(document: Pcdata) -> Sequence[str]:
    """The names of the columns.  A column of a part is called part:kind."""
    if document.by == "inlined":
        return ("goarch", *CalleeRow.__struct_fields__)
    return ("goarch", *FUNCTION, *(f"{name}:{kind}" for name in _parts(document) for kind in KINDS))


def _parts(document: Pcdata) -> list[str]:
    return list(dict.fromkeys(part.name for image in document.images for part in image.parts))


def rows(document: Pcdata, cell: Cell) -> Iterator[Sequence[object]]:
    """The rows of every image; `cell` makes text harmless."""
    parts = _parts(document)
    for image in document.images:
        arch = cell(image.goarch or "")
        for callee in image.callees:
            yield arch, cell(callee.function), cell(callee.package), *msgspec.structs.astuple(callee)[2:]
        for function in image.functions:
            said = (getattr(function, name) for name in FUNCTION[len(TEXTS) :])
            yield arch, cell(function.function), cell(function.package), *said, *_cells(function, parts)


def _cells(function: FunctionRow, parts: Sequence[str]) -> Iterator[int | None]:
    for name in parts:
        part = function.parts.get(name)
        yield from (0, 0, 0, None) if part is None else msgspec.structs.astuple(part)
