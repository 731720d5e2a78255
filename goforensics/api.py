"""The Python API, behind `import goforensics`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from goforensics.analysis.inspect import inspect as inspect_binary
from goforensics.analysis.mapping import bytemap_of
from goforensics.binary import Binary, open
from goforensics.bytemap import ByteMap
from goforensics.question import ViewName
from goforensics.report import Inspection

__all__ = ["Binary", "ByteMap", "Inspection", "bytemap_of", "inspect", "open"]


def inspect(
    path: str | Path,
    by: Sequence[str] = ("section",),
    *,
    view: ViewName = "owned",
    filters: Sequence[str] = (),
) -> Inspection:
    """The whole account of one executable: what `goforensics inspect PATH --format json` prints.

    `by`, `view` and `filters` ("package=net/...") are those of the command.  Raises what `open` raises, UsageError
    for a column that is not there, and NotGoError for an executable without any trace of Go's toolchain.
    """
    return inspect_binary(open(path), by, view=view, filters=filters)
