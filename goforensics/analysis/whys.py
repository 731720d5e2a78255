"""Causes of a difference, as far as the two files prove them."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.analysis.callers import callers
from goforensics.analysis.methods import Methods, methods
from goforensics.analysis.samecode import Program
from goforensics.binary import Binary
from goforensics.report_compare import Why

LOOKUPS = frozenset({"reflect.Value.Method", "reflect.Value.MethodByName"})
MOST = 5  # callers named


def whys(before: tuple[Binary, Program], after: tuple[Binary, Program]) -> Iterator[Why]:
    """What explains bytes that came in or went."""
    counts = methods(before[0]), methods(after[0])
    if counts[0] is None or counts[1] is None or counts[0].for_reflection == counts[1].for_reflection:
        return
    first, second = counts[0], counts[1]
    with_it, grew = (after[1], True) if second.for_reflection else (before[1], False)
    found = [name for name in callers(with_it, LOOKUPS) if not name.startswith("reflect.")]
    if not found:
        return
    since = "every exported method is now kept for reflection" if grew else "methods are no longer kept for reflection"
    more = f" and {len(found) - MOST:,} more" if len(found) > MOST else ""
    told = f"{', '.join(found[:MOST])}{more}: calls reflect.Value.Method or MethodByName"
    unknown = "a method looked up by a name that the compiler does not know makes the linker keep all exported ones"
    yield Why(since, [_counted("before", first), _counted("after", second), told, unknown])


def _counted(when: str, found: Methods) -> str:
    total, types = found.kept + found.left_out, found.whole + found.partial
    return (
        f"{when}: {found.kept:,} of {total:,} exported methods have code; "
        f"{found.partial:,} of {types:,} types have lost some of theirs"
    )
