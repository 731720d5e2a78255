"""What the renderers of a build matrix have in common: its cells as words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from goforensics.report_matrix import BuildMatrix, MatrixPrediction, MatrixRow, Measured, Reproducible, Startup

SAFE_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
TOOLS = {  # the short column: the tools of the ladder behind it, which all have to work for a plain yes
    "pprof": ("pprof -top", "pprof -list", "pprof -disasm"),
    "delve": ("delve breakpoints and lines", "delve stack traces and variables"),
    "gdb": ("gdb source lines", "gdb function names"),
}
PARTLY = f"partly: not all of {'; '.join(', '.join(tools) for tools in TOOLS.values())}"


def ability(measured: Measured, name: str) -> str:
    """What a tool can do: "yes", "no", or "partly", also where one of its ways works and another does not."""
    found = {rung.works for rung in measured.ladder if rung.tool in TOOLS[name]}
    if not found:
        return "?"
    return found.pop().replace("limited", "partly").replace("unknown", "?") if len(found) == 1 else "partly"


def number(value: int | None) -> str:
    """`12,345`, or a question mark for what was not measured."""
    return "?" if value is None else f"{value:,}"


def saving(measured: Measured) -> str:
    """What a row saves against the default build, in percent of that."""
    if measured.saved is None:
        return ""
    share = 100 * measured.saved / (measured.size + measured.saved)
    return f"{-share:+.1f} %" if abs(share) >= 0.05 else "~0 %" if measured.saved else "0 %"


def predicted(prediction: MatrixPrediction) -> str:
    """The prediction's worth: how far off, and how far it allowed itself to be."""
    if prediction.size is None:
        return "none"
    if prediction.difference is None:
        return f"{prediction.size:,}"
    allowed = "exact" if prediction.exact else f"± {prediction.bound:,}"
    missed = "" if prediction.held else "MISSED "
    return f"{missed}{signed(prediction.difference)} ({allowed})"


def signed(difference: int) -> str:
    """`+12`, `-12`, `0`."""
    return f"{difference:+,}" if difference else "0"


def reproducible(answer: Reproducible) -> str:
    """In a word."""
    return {True: "yes", False: "no", None: "?"}[answer.answer]


def seconds(value: float | None) -> str:
    """Milliseconds with two decimals."""
    return "?" if value is None else f"{1000 * value:,.2f} ms"


def paired(time: Startup) -> str:
    """How much longer than the default build a row takes."""
    return "" if time.difference is None else f"{1000 * time.difference:+,.2f} ms"


def failures(row: MatrixRow) -> list[str]:
    """What went wrong with a row, each on a line."""
    return [*([row.error] if row.error else []), *row.notes]


def refusals(document: BuildMatrix) -> list[tuple[str, str]]:
    """Reasons for which there is no prediction, and of which rows."""
    rows = [row for row in document.rows if row.measured and row.name != document.default]
    return _grouped([(row.prediction.declined, row.name) for row in rows])


def untested(document: BuildMatrix) -> list[tuple[str, str]]:
    """What is to be said of reproducibility, and of which rows."""
    return _grouped([(row.reproducible.reason, row.name) for row in document.rows if row.measured])


def _grouped(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is said, with the names that it is said of; without, if it is said of all."""
    found: dict[str, list[str]] = {}
    for said, name in pairs:
        found.setdefault(said, []).append(name)
    return [(said, f" of {', '.join(names)}" if len(found) > 1 else "") for said, names in found.items() if said]


def shell(words: Sequence[str]) -> str:
    """Words as a person would type them: go build -ldflags="-s -w" ."""
    return " ".join(map(_typed, words))


def _typed(word: str) -> str:
    if SAFE_WORD.fullmatch(word):
        return word
    name, equals, value = word.partition("=")
    if equals and SAFE_WORD.fullmatch(name) and not re.search(r'["\\$`!]', value):
        return f'{name}="{value}"'
    return "'" + word.replace("'", "'\\''") + "'"
