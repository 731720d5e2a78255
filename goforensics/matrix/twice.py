"""Whether a flag set makes builds reproducible: two builds in two directories, compared byte for byte.

The toolchain, the module cache and the build cache are the same for both: what depends on the directory shows, what
depends on the machine does not.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from goforensics.matrix.copying import Copy
from goforensics.matrix.flagsets import FlagSet
from goforensics.matrix.gocommand import Go, Package, build
from goforensics.report_matrix import Reproducible

UNSTAMPED = ("-buildvcs=false",)


class Pair(msgspec.Struct, frozen=True):
    """One row's two builds: the first is there, and the second is put into `folder` and removed again."""

    flags: FlagSet
    first: Path
    folder: Path
    stamped: bool  # the first carries what the version control system says, which a copy without repository cannot


def compare(go: Go, package: Package, copy: Copy, pair: Pair) -> Reproducible:
    """Build again in the copy and compare.  Raises what `build` raises."""
    extra, first = (UNSTAMPED, pair.folder / "here") if pair.stamped else ((), pair.first)
    second = pair.folder / "there"
    try:
        if pair.stamped and (error := build(go, package, pair.flags, first, extra)):
            return Reproducible(reason=f"the build without a stamp of the repository failed: {error}")
        away = FlagSet(pair.flags.name, pair.flags.flags, pair.flags.ldflags, (*copy.env.items(), *pair.flags.env))
        if error := build(go, package, away, second, extra, copy.directory):
            return Reproducible(reason=f"the build in the second directory failed: {error}")
        return _verdict(first.read_bytes(), second.read_bytes(), _scope(copy, pair))
    finally:
        for path in (pair.folder / "here", second):
            path.unlink(missing_ok=True)


def _scope(copy: Copy, pair: Pair) -> str:
    said = ["compared with -buildvcs=false, for the copy has no repository"] if pair.stamped else []
    if copy.shared:
        said.append(f"both builds share {', '.join(copy.shared)}, which go.mod names by an absolute path")
    return "; ".join(said)


def _verdict(first: bytes, second: bytes, scope: str) -> Reproducible:
    if first == second:
        return Reproducible(True, scope)
    most = min(len(first), len(second))
    one, two = (np.frombuffer(data, np.uint8, most) for data in (first, second))
    different = one != two
    at = int(different.argmax()) if different.any() else most
    return Reproducible(False, scope, len(second) - len(first), at)
