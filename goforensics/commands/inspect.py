"""`goforensics inspect`: everything in a Go executable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from goforensics.commands import Outcome, Progress, Result, each
from goforensics.errors import UsageError
from goforensics.options import column_names, filter_option, output_option, top_option, view_option
from goforensics.question import COLUMNS, ViewName
from goforensics.renderers import View

if TYPE_CHECKING:
    from goforensics.report import Inspection, Sizes

EXAMPLES = """
\b
Examples:
  goforensics inspect ./app
  goforensics inspect ./app --by module --top 30
  goforensics inspect ./app --by module,package --view apportioned
  goforensics inspect ./app --by symbol --filter package=net/... --filter kind=code
  goforensics inspect ./app --format json -o app.json
  goforensics inspect bin/* --format json | jq '.[].leaks.paths'
  curl -sL https://example.com/app | goforensics inspect -

\b
Exit code: 0 fine; 2 wrong usage or a file that cannot be read; 3 something
in a file could not be read (listed under "unread"), the rest is reported.
"""


def _columns(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """`--by`'s value as column names."""
    return column_names(value)


@click.command(epilog=EXAMPLES, short_help="Tell everything about a Go executable.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--by",
    metavar="COLUMNS",
    default="section",
    show_default=True,
    callback=_columns,
    help=f"Group the bytes by these, comma-separated, each within the one before: {', '.join(COLUMNS)}.",
)
@view_option
@filter_option
@top_option("Show at most N rows of each level of a listing as text; JSON always has all.")
@click.option(
    "--sort",
    type=click.Choice(["bytes", "name"]),
    default="bytes",
    show_default=True,
    help="Order of the size rows.",
)
@output_option
@click.pass_obj
def command(
    progress: Progress,
    files: tuple[str, ...],
    format_: str,
    by: tuple[str, ...],
    view: ViewName,
    filters: tuple[str, ...],
    top: int,
    sort: str,
    output: str | None,
) -> Outcome:
    """Tell everything about a Go executable: where its bytes went, what it leaks, what a rebuild would free.

    FILE may be an ELF, PE or Mach-O executable, stripped or not; - reads standard input.
    """
    if files.count("-") > 1:
        raise UsageError("standard input can be read only once")
    return Outcome(
        results=each(files, lambda path: _one(path, by, view, filters, sort, progress)),
        format=format_,
        view=View(top=top),
        inputs=files,
        output=output,
        many=len(files) > 1,
    )


def _one(path: str, by: Sequence[str], view: ViewName, filters: Sequence[str], sort: str, progress: Progress) -> Result:
    """Inspect one file."""
    # Not at the top: NumPy and its kin take longer to import than --help may.
    from goforensics.analysis.inspect import inspect
    from goforensics.binary import open as open_binary

    with progress(path) as tell:
        inspection = inspect(open_binary(path), by, tell, view=view, filters=filters)
    document = _by_name(inspection) if sort == "name" else inspection
    return Result(document, 3 if _partial(inspection) else 0)


def _partial(inspection: Inspection) -> bool:
    return bool(inspection.unread) or any(map(_partial, inspection.slices))


def _by_name(inspection: Inspection) -> Inspection:
    """The same document with its size rows in alphabetical order."""
    import msgspec

    def ordered(sizes: Sizes) -> Sizes:
        return msgspec.structs.replace(sizes, rows=sorted(sizes.rows, key=lambda row: (row.path, row.kind)))

    return msgspec.structs.replace(
        inspection,
        sizes=ordered(inspection.sizes),
        modules=ordered(inspection.modules),
        slices=[_by_name(each_slice) for each_slice in inspection.slices],
    )
