"""What claims leave out of a file."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from goforensics.bytemap import Claims
from goforensics.sections.arrays import Offsets


def gaps(size: int, claims: Iterable[Claims], column: str) -> list[tuple[int, int]]:
    """The ranges of a file of `size` bytes of which no claim says anything in `column`, in order."""
    told = [claim for claim in claims if column in claim.labels]
    starts, ends = _joined(size, [claim.starts for claim in told]), _joined(size, [claim.ends for claim in told])
    held = ends > starts
    starts, ends = starts[held], ends[held]
    order = np.argsort(starts, kind="stable")  # each claim's are mostly in order already
    low, high = np.r_[0, np.maximum.accumulate(ends[order])], np.r_[starts[order], size]
    free = np.flatnonzero(high > low)
    return list(zip(low[free].tolist(), high[free].tolist(), strict=True))


def _joined(size: int, sides: list[Offsets]) -> Offsets:
    """The offsets of all, those outside of the file at its edges."""
    joined: Offsets = np.clip(np.concatenate([np.empty(0, np.int64), *sides]), 0, size).astype(np.int64)
    return joined
