"""What a comparison comes down to: the same file, the same but for paths and build ID, the same code, or other code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from goforensics.analysis.samedata import same_data
from goforensics.binary import Binary
from goforensics.report import File
from goforensics.report_compare import Code, Difference, Verdict
from goforensics.sections import buildid, pclntab

MOST = 6  # reasons in one sentence


def conclusion(
    before: tuple[Binary, File], after: tuple[Binary, File], code: Code | None, found: list[Difference]
) -> tuple[Verdict, str]:
    """The verdict, and a sentence that says it."""
    if before[1].sha256 == after[1].sha256:
        return "identical", "the files are identical"
    if _only_build_id(before[0], after[0]):
        return "build-id", "only the build ID differs, not code"
    if code is None:
        return "unknown", "the code cannot be compared: no function table, or several images in one file"
    others = code.changed + code.added + code.removed + code.renamed
    if others:
        return "code", f"code differs: {_counted(code)}"
    if code.unproven:
        equal = f"{code.unproven:,} of the same size but other bytes"
        return "unknown", f"the same functions, {equal}, which on this machine may be addresses or not"
    also = list(_also(before, after, found))
    functions = f"all {code.same:,} functions are the same"
    if also == ["paths"] and same_data(before[0], after[0]):
        return "paths", f"paths and build ID differ, not code: {functions}"
    return "same-code", f"code is the same: {functions}; {_listed(also) or 'data'} differ"


def _counted(code: Code) -> str:
    parts = {"changed": code.changed, "added": code.added, "removed": code.removed, "renamed": code.renamed}
    parts |= {"not proven the same": code.unproven, "the same": code.same}
    return ", ".join(f"{number:,} {name}" for name, number in parts.items() if number)


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _also(before: tuple[Binary, File], after: tuple[Binary, File], found: list[Difference]) -> Iterator[str]:
    """What else is not the same."""
    if before[1].stripped.symtab != after[1].stripped.symtab:
        yield "symbol tables"
    if before[1].stripped.dwarf != after[1].stripped.dwarf:
        yield "debug data"
    if _files(before[0]) != _files(after[0]):
        yield "paths"
    if any(row.what != "module" for row in found):
        yield "build settings"
    if any(row.what == "module" for row in found):
        yield "versions of modules"


def _files(binary: Binary) -> list[str]:
    table = binary.maybe(pclntab.PARSER)
    return table.files if table else []


def _only_build_id(one: Binary, other: Binary) -> bool:
    """Everything but the build IDs is the same byte for byte."""
    if one.slices or other.slices or len(one.file.data) != len(other.file.data):
        return False
    mine, theirs = (np.frombuffer(binary.image.data, np.uint8) for binary in (one, other))
    differ = mine != theirs
    for binary in (one, other):
        ids = binary.maybe(buildid.PARSER)
        for stamp in (ids.go, ids.gnu) if ids else ():
            if stamp is not None:
                differ[stamp.offset : stamp.offset + stamp.size] = False
    return not differ.any()
