"""`goforensics compare`: the same program in several builds, or two releases of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from goforensics.commands import Failure, Outcome, Progress, Result
from goforensics.errors import UsageError
from goforensics.options import column_names, filter_option, output_option, top_option, view_option
from goforensics.question import COLUMNS, ViewName
from goforensics.renderers import View

if TYPE_CHECKING:
    from goforensics.analysis.compare import Asked
    from goforensics.analysis.tables import SortName
    from goforensics.binary import Binary
    from goforensics.report_compare import Comparison

DEFAULT = (("section",), ("structure",), ("module",), ("package",), ("function",))
EXAMPLES = """
\b
Examples:
  goforensics compare app-1.4 app-1.5
  goforensics compare app app-stripped app-trimmed
  goforensics compare old new --by package --filter module=std --top 30
  goforensics compare old new --by module,package --sort name
  goforensics compare main-branch pull-request --format markdown -o comment.md
  goforensics compare old new --format json | jq '.pairs[0].verdict'
  goforensics compare old new --by function --format csv -o functions.csv

\b
Every table adds up: its differences sum to the difference of the files'
sizes. Functions are matched by name; one that has another name is taken for
the same only where its code and its name prove it, and the row says how.

\b
Exit code: 0 fine; 2 wrong usage or a file that cannot be read; 3 something
in a file could not be read (listed under "unread"), the rest is reported.
"""


def _by(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The columns of every table."""
    return tuple(_columns(text) for text in value) or DEFAULT


def _columns(text: str) -> tuple[str, ...]:
    """The columns of one table; "function" is the map's "symbol"."""
    names = [name.strip() for name in text.split(",")]
    column_names(",".join("symbol" if name == "function" else name for name in names))
    return tuple(names)


@click.command(epilog=EXAMPLES, short_help="Tell what differs between builds, and by how much.")
@click.argument("files", metavar="BASE FILE...", nargs=-1, required=True)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "markdown", "csv"]),
    default="text",
    show_default=True,
    help="markdown is fit for a comment on a pull request; csv has the rows of the tables.",
)
@click.option(
    "--by",
    metavar="COLUMNS",
    multiple=True,
    callback=_by,
    help="A table by these columns, comma-separated; may be given several times: "
    f"{', '.join(COLUMNS)}; function is symbol without variables.  [default: section, structure, module, package and "
    "function, a table each]",
)
@view_option
@filter_option
@top_option("Show at most N rows of a table as text or Markdown, then the others in one; JSON and CSV always have all.")
@click.option(
    "--sort",
    type=click.Choice(["delta", "size", "name"]),
    default="delta",
    show_default=True,
    help="Order of the rows.",
)
@output_option
@click.pass_obj
def command(
    progress: Progress,
    files: tuple[str, ...],
    format_: str,
    by: tuple[tuple[str, ...], ...],
    view: ViewName,
    filters: tuple[str, ...],
    top: int,
    sort: SortName,
    output: str | None,
) -> Outcome:
    """Compare builds of a program: sizes by section, package and function, settings, and what can be debugged.

    Every FILE is compared with BASE.  Each may be an ELF, PE or Mach-O executable, stripped or not; - reads
    standard input.
    """
    if len(files) < 2:
        raise UsageError("name at least two files to compare")
    if files.count("-") > 1:
        raise UsageError("standard input can be read only once")
    return Outcome(
        results=_results(files, by, view, filters, sort, progress),
        format=format_,
        view=View(top=top),
        inputs=files,
        output=output,
    )


def _results(
    files: Sequence[str],
    by: Sequence[Sequence[str]],
    view: ViewName,
    filters: Sequence[str],
    sort: SortName,
    progress: Progress,
) -> Iterator[Result | Failure]:
    """One document; or, if a file cannot be read, what is wrong with which."""
    # Not at the top: NumPy and its kin take longer to import than --help may.
    from goforensics.analysis.compare import questions

    path = files[0]
    try:
        asked, binaries = questions(by, view, filters), []
        for path in files:
            binaries.append(_open(path))
        path = " ".join(files)
        yield _result(binaries, asked, sort, path, progress)
    except UsageError:
        raise
    except Exception as error:
        yield Failure(path, error)


def _open(path: str) -> Binary:
    """Read a file; what is no Go program at all is told now, by its own name."""
    from goforensics.analysis.mapping import must_be_go
    from goforensics.binary import open as open_binary

    binary = open_binary(path)
    for part in binary.slices or (binary,):
        must_be_go(part)
    return binary


def _result(
    binaries: Sequence[Binary], asked: Sequence[Asked], sort: SortName, name: str, progress: Progress
) -> Result:
    from goforensics.analysis.compare import compare

    with progress(name) as tell:
        document = compare(binaries, asked, tell)
    return Result(_sorted(document, sort), 3 if any(file.unread for file in document.files) else 0)


def _sorted(document: Comparison, sort: SortName) -> Comparison:
    """The document with its rows in the order asked for."""
    from msgspec.structs import replace

    from goforensics.analysis.tables import ordered

    if sort == "delta":
        return document
    pairs = [
        replace(pair, tables=[replace(table, rows=ordered(table.rows, sort)) for table in pair.tables])
        for pair in document.pairs
    ]
    return replace(document, pairs=pairs)
