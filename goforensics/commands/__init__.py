"""One module per command, each with a click command named `command` that returns an Outcome and prints nothing.

A module here is imported only when its command is called or listed, and imports what is heavy (NumPy, the
documents) only once it runs: `--help` stays instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goforensics.errors import UsageError

if TYPE_CHECKING:
    from goforensics.renderers import View
    from goforensics.report import Document

Tell = Callable[[str, int, int], None]  # name of the step, steps done, steps in all
Progress = Callable[[str], AbstractContextManager[Tell]]  # what the file is called -> where to tell


@dataclass(frozen=True, slots=True)
class Result:
    """One document, and the exit code that it alone would give."""

    document: Document
    exit_code: int = 0
    warning: str = ""  # one line for a person, where the format of the document may have no place for it


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that gave no document."""

    path: str
    error: Exception
    exit_code: int | None = None  # what it counts for, where the command knows better than the error


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command hands to the cli; `results` is lazy, so that the first is shown before the last is made."""

    results: Iterable[Result | Failure]
    format: str
    view: View
    inputs: Sequence[str] = ()
    output: str | None = None
    many: bool = False  # several documents were asked for, whatever number comes


def told(path: str, document: Document, unread: int) -> Result:
    """A document that says itself how many structures it had to do without."""
    if not unread:
        return Result(document)
    where = "standard input" if path == "-" else path
    count = f"{unread:,} structure{'s' if unread > 1 else ''}"
    return Result(document, 3, f"{where}: {count} could not be read; goforensics inspect says which")


def each(paths: Sequence[str], work: Callable[[str], Result]) -> Iterator[Result | Failure]:
    """Apply `work` to every path; what goes wrong with one file must not cost the others.

    UsageError passes through: the question itself is wrong, for every file.
    """
    for path in paths:
        try:
            yield work(path)
        except UsageError:
            raise
        except Exception as error:
            yield Failure(path, error)
