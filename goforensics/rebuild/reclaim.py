"""The rebuilds that `inspect` lists, as records of its document."""

from __future__ import annotations

from goforensics.binary import Binary
from goforensics.rebuild import predict
from goforensics.rebuild.predict import Prediction
from goforensics.report import Reclaimable


def reclaimable(binary: Binary) -> list[Reclaimable]:
    """The rebuilds that would change the file, and those of which nothing can be said; no debug data is inflated."""
    size = len(binary.image.data)
    return [record(each, size) for each in predict.table(binary) if each.note is None]


def record(found: Prediction, size: int) -> Reclaimable:
    """A prediction for a file of `size` bytes."""
    unknown = found.declined is not None
    return Reclaimable(
        action=found.flags.label,
        bytes=size - found.size_after,
        size_after=found.size_after,
        exact=found.exact and not unknown,
        bound=size if unknown else found.bound,
        loses=list(found.loses),
        freed=found.freed,
        keeps=list(found.keeps),
        declined=found.declined,
        note=found.note,
    )
