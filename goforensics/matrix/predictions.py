"""What was foretold of each row from the default build alone, put beside what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from goforensics.binary import Binary
from goforensics.errors import GoForensicsError
from goforensics.matrix.flagsets import FlagSet
from goforensics.rebuild.contents import Declined
from goforensics.rebuild.flags import Flags
from goforensics.rebuild.predict import predict
from goforensics.report_matrix import MatrixPrediction, Measured

KNOWN = {"-s", "-w", "-w=0", "-buildid="}


def check(
    default: Binary | None, flags: FlagSet, measured: Measured | None, overlaps: Sequence[str]
) -> MatrixPrediction:
    """The prediction for one row and its difference; `overlaps` are the flags in GOFLAGS that rows replace."""
    reason = _no_prediction(default, flags, overlaps)
    if default is None or reason:
        return MatrixPrediction(declined=reason)
    try:
        found = _predicted(default, flags)
    except (GoForensicsError, Declined) as error:
        return MatrixPrediction(declined=str(error))
    if found.size is None or measured is None:
        return found
    difference = found.size - measured.size
    return MatrixPrediction(found.size, found.exact, found.bound, difference, abs(difference) <= found.bound)


def _no_prediction(default: Binary | None, flags: FlagSet, overlaps: Sequence[str]) -> str:
    if flags.plain:
        return "predictions start from this build"
    if default is None:
        return "there is no default build to predict from"
    if not flags.trims_only or not set(flags.ldflags) <= KNOWN:
        return "only -s, -w, -buildid= and -trimpath can be predicted"
    if flags.ldflags and "-ldflags" in overlaps:
        return "GOFLAGS sets -ldflags, which this row replaces"
    return ""


def _predicted(default: Binary, flags: FlagSet) -> MatrixPrediction:
    found = predict(default, Flags(flags.ldflags, bool(flags.flags)))
    if found.declined is not None:
        return MatrixPrediction(declined=found.declined)
    return MatrixPrediction(found.size_after, found.exact, 0 if found.exact else found.bound)
