"""The recommended flag set: a rule over what was measured.

Candidates are the rows whose flags touch only what lies beside the program: code that does something else, or is
slower, is for its author to choose.  Of them those that grant the most wishes (panic traces,
the same bytes in every directory, no path of the build machine), and of those the smallest; but one that is larger by
less than a thousandth and loses less goes before.
"""

from __future__ import annotations

from collections.abc import Sequence

from goforensics.report_matrix import MatrixRow, Measured, Recommendation

NEAR = 1000  # a saving below one part in so many is not worth a tool
WISHES = ("panic traces", "reproducible", "no leaked paths")
GRANTED = {
    "panic traces": "panic traces keep functions, files and lines",
    "reproducible": "two builds in two directories gave the same bytes",
    "no leaked paths": "no path of the build machine was found in it",
}
MISSED = {
    "panic traces": "the function table that panic traces need was not found",
    "reproducible": "no candidate was shown to be reproducible",
    "no leaked paths": "paths of the build machine stay in it",
}


def recommend(rows: Sequence[MatrixRow], default: str, command: dict[str, list[str]]) -> Recommendation | None:
    """The choice among `rows`; `command` has each row's words for a shell.  None if no candidate was built."""
    built = [(row, row.measured) for row in rows if row.trims_only and row.measured is not None]
    if not built:
        return None
    base = next((measured for row, measured in built if row.name == default), None)
    most = max(len(_wishes(row, measured)) for row, measured in built)
    fit = [(row, measured) for row, measured in built if len(_wishes(row, measured)) == most]
    smallest = min(measured.size for _, measured in fit)
    near = [(row, measured) for row, measured in fit if (measured.size - smallest) * NEAR < smallest]
    chosen, measured = min(near, key=lambda pair: (_lost(base, pair[1]), len(pair[0].flags), pair[1].size))
    granted = _wishes(chosen, measured)
    return Recommendation(
        row=chosen.name,
        command=command[chosen.name],
        why=[_size(measured, len(fit), most), *(GRANTED[wish] for wish in granted), *_passed(near, measured, base)],
        loses=loses(base, measured),
        limits=_limits(base, measured),
        misses=[MISSED[wish] for wish in WISHES if wish not in granted],
    )


def loses(base: Measured | None, measured: Measured) -> list[str]:
    """The tools that work on the default build, if only partly, and no longer on this one."""
    if base is None:
        return []
    before = {rung.tool for rung in base.ladder if rung.works in ("yes", "limited")}
    lost = [rung.tool for rung in measured.ladder if rung.works == "no" and rung.tool in before]
    return [*lost, *(["the Go build ID"] if base.build_id and not measured.build_id else [])]


def _limits(base: Measured | None, measured: Measured) -> list[str]:
    """What works on the default build and only partly on this one, and why; tools of one reason together."""
    before = {rung.tool for rung in base.ladder if rung.works == "yes"} if base else set()
    by_reason: dict[str, list[str]] = {}
    for rung in measured.ladder:
        if rung.tool in before and rung.works == "limited":
            by_reason.setdefault(rung.reason, []).append(rung.tool)
    return [f"{', '.join(tools)}: {reason}" for reason, tools in by_reason.items()]


def _wishes(row: MatrixRow, measured: Measured) -> list[str]:
    granted = (measured.panic_traces, row.reproducible.answer is True, measured.leaked_paths == 0)
    return [wish for wish, good in zip(WISHES, granted, strict=True) if good]


def _lost(base: Measured | None, measured: Measured) -> int:
    """How much is lost; tools count once each, whatever the reason."""
    if base is None:
        return 0
    working = [sum(rung.works == "yes" for rung in one.ladder) + one.build_id for one in (base, measured)]
    return working[0] - working[1]


def _size(measured: Measured, fit: int, wishes: int) -> str:
    among = f"of the {fit} sets that grant {wishes} of {len(WISHES)} wishes" if fit > 1 else "the only one that fits"
    if not measured.saved:
        return f"{measured.size:,} bytes, {among}"
    share = 100 * measured.saved / (measured.size + measured.saved)
    return f"{measured.size:,} bytes, {share:.1f} % less than the default build; {among}"


def _passed(near: Sequence[tuple[MatrixRow, Measured]], chosen: Measured, base: Measured | None) -> list[str]:
    """Rows that are smaller by next to nothing and lose more."""
    return [
        f"{row.name} is {chosen.size - measured.size:,} bytes smaller, but loses {', '.join(more)}"
        for row, measured in near
        if measured.size < chosen.size and (more := [x for x in loses(base, measured) if x not in loses(base, chosen)])
    ]
