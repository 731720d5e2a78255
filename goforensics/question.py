"""What is asked of the byte map: the columns to group by, how shared bytes count, which rows are wanted.

Nothing here needs NumPy, so that a wrong question is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from goforensics.errors import UsageError

ViewName = Literal["owned", "apportioned"]
VIEWS: tuple[ViewName, ...] = get_args(ViewName)
COLUMNS = (  # of the map
    *("section", "structure", "module", "package", "symbol"),
    *("kind", "origin", "basis", "users", "instantiator"),
)
ALWAYS = ("section", "structure", "module", "origin")  # what every report needs, whatever else is asked
WILD = "..."


@dataclass(frozen=True, slots=True)
class Filter:
    """Rows whose `column` is `value`, or begins like it where it ends in Go's wildcard."""

    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}={self.value}"

    def matches(self, label: str) -> bool:
        """As in `go list`: "net/..." is net and everything below, "net..." everything that begins so."""
        start = self.value.removesuffix(WILD)
        if start == self.value:
            return label == self.value
        return label.startswith(start) or (start.endswith("/") and label == start[:-1])


@dataclass(frozen=True, slots=True)
class Question:
    """One listing of the byte map."""

    by: tuple[str, ...]
    view: ViewName = "owned"
    filters: tuple[Filter, ...] = ()

    @property
    def grouped(self) -> tuple[str, ...]:
        """The columns to tell rows apart by: those of the listing first, then what only a filter looks at."""
        return tuple(dict.fromkeys((*self.by, *(each.column for each in self.filters))))

    @property
    def painted(self) -> tuple[str, ...]:
        """The columns that the map must have."""
        users = ("users",) if self.view == "apportioned" else ()
        return tuple(dict.fromkeys((*self.grouped, *ALWAYS, *users)))


def question(by: Sequence[str] = ("section",), view: str = "owned", filters: Iterable[str] = ()) -> Question:
    """A question from its words.  Raises UsageError where it makes no sense."""
    if view not in VIEWS:
        raise UsageError(f"there is no view {view!r}; {_hint(view, VIEWS)}")
    return Question(columns(by), view, tuple(map(parse_filter, filters)))


def columns(names: Sequence[str]) -> tuple[str, ...]:
    """Columns to group by.  Raises UsageError unless each is there, once."""
    if not names:
        raise UsageError(f"name a column; choose from {', '.join(COLUMNS)}")
    if len(set(names)) < len(names):
        raise UsageError("a column is named twice")
    return tuple(map(column, names))


def column(name: str) -> str:
    """`name`.  Raises UsageError, with the nearest one, if there is no such column."""
    if name not in COLUMNS:
        raise UsageError(f"there is no column {name!r}; {_hint(name, COLUMNS)}")
    return name


def parse_filter(text: str) -> Filter:
    """COLUMN=VALUE.  Raises UsageError for anything else."""
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise UsageError(f"a filter is COLUMN=VALUE, such as package=net/...; {text!r} is not")
    return Filter(column(name.strip()), value)


def _hint(name: str, known: Sequence[str]) -> str:
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(name.lower(), known, 1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
