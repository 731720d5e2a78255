"""Which functions call others directly."""

from __future__ import annotations

import numpy as np

from goforensics.analysis.samecode import Program
from goforensics.sections.calls import calls


def callers(program: Program, wanted: frozenset[str]) -> list[str]:
    """The names of the functions that call one of `wanted` by its entry, in address order.

    Nothing for a machine whose calls cannot be told, and no call through a pointer or an interface.
    """
    targets = np.array([i for i, name in enumerate(program.names) if name in wanted], np.int64)
    placed = np.flatnonzero((program.offset >= 0) & (program.code > 0))
    if not len(targets) or not len(placed):
        return []
    first, last = int(placed[0]), int(placed[-1])
    code = program.data[int(program.offset[first]) : int(program.offset[last] + program.code[last])]
    at, to = calls(program.image.goarch, code, int(program.address[first]))
    owners = np.unique(np.searchsorted(program.address, at[np.isin(to, program.address[targets])], "right") - 1)
    return [program.names[i] for i in owners.tolist()]
