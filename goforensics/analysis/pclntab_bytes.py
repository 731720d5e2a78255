"""The pclntab and the function data, each table and record to the functions that use it."""

from __future__ import annotations

import numpy as np

from goforensics.analysis.vocabulary import Holdings
from goforensics.bytemap import Claims, Labels, Level
from goforensics.sections import pcitems
from goforensics.sections.protocol import Source

FUNCDATA = ("funcdata", "findfunctab")  # how structures begin that 1.26 moved into the table


def holdings(source: Source) -> Holdings:
    """Every item with all its users.  FormatError if there is no pclntab."""
    items = source.read(pcitems.PARSER)
    sizes = np.array([len(each.starts) for each in items], np.int64)
    base = np.cumsum(sizes) - sizes
    item = np.concatenate([each.item + first for each, first in zip(items, base.tolist(), strict=True)])
    owner = np.concatenate([each.owner for each in items])
    order = np.argsort(item, kind="stable")
    names = [each.structure if each.structure.startswith(FUNCDATA) else f"pclntab/{each.structure}" for each in items]
    return Holdings(
        source="pclntab.items",
        kind="pclntab",
        structure=Labels(np.repeat(np.arange(len(items), dtype=np.int32), sizes), names),
        start=np.concatenate([each.starts for each in items]),
        end=np.concatenate([each.ends for each in items]),
        item=item[order],
        owner=owner[order],
        of_packages=False,
    )


def structures(held: Holdings) -> Claims:
    """What the items are, without their users."""
    return Claims(held.source, Level.ITEM, held.start, held.end, {"structure": held.structure})
