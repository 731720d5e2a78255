"""The Python API, behind `import goforensics`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from goforensics.analysis.inspect import inspect as inspect_binary
from goforensics.binary import Binary, open
from goforensics.report import Inspection

__all__ = ["Binary", "Inspection", "inspect", "open"]


def inspect(path: str | Path, by: Sequence[str] = ("section",)) -> Inspection:
    """The whole account of one executable: what `goforensics inspect PATH --format json` prints.

    Raises what `open` raises, and NotGoError for an executable without any trace of Go's toolchain.
    """
    return inspect_binary(open(path), by)
