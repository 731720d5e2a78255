"""`goforensics pcdata`: which functions, and which inlining, weigh down the table of functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from goforensics.commands import Outcome, Progress, Result, each, told
from goforensics.errors import UsageError
from goforensics.options import output_option, top_option
from goforensics.renderers import View

if TYPE_CHECKING:
    from goforensics.analysis.pcreport import Asked
    from goforensics.report_pcdata import By, SortName

EXAMPLES = """
\b
Examples:
  goforensics pcdata ./app
  goforensics pcdata ./app --sort pcln --top 30
  goforensics pcdata ./app --function 'http\\.\\(\\*Server\\)' --package net/...
  goforensics pcdata ./app --by inlined
  goforensics pcdata ./app --why --top 5
  goforensics pcdata ./app --levers
  goforensics pcdata ./app --format json | jq '.images[0].functions[0].parts'
  goforensics pcdata ./app --by inlined --format csv -o inlined.csv

\b
Every byte of the table is one function's own, or shared by several and
divided among them in whole numbers, or no function's: the rows and the
remainder sum to the section's size. Up to Go 1.25 function data lies
elsewhere, and is told apart.

\b
An instruction belongs to the innermost inlined function it is in; the code
of inlined functions and the functions' own sum to all code.

\b
Exit code: 0 fine; 2 wrong usage or a file that cannot be read; 3 something
in the table could not be read (listed under "unread"), the rest is reported.
"""


def _expression(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The value of `--function`, once it makes sense."""
    from goforensics.patterns import matcher

    if value is not None:
        try:
            matcher(value)
        except UsageError as error:
            raise click.BadParameter(str(error)) from None
    return value


@click.command(epilog=EXAMPLES, short_help="Tell which functions and which inlining weigh down the pclntab.")
@click.argument("file", metavar="FILE")
@click.option(
    "--by",
    type=click.Choice(["function", "inlined"]),
    default="function",
    show_default=True,
    help="function: what each takes; inlined: what the copies of each inlined function take, of code too.",
)
@click.option(
    "--function",
    metavar="REGEX",
    callback=_expression,
    help="Only functions whose name has a match of this expression (RE2 syntax).",
)
@click.option(
    "--package", metavar="PACKAGE", help="Only functions of this package; net/... is net and everything below."
)
@click.option(
    "--sort",
    type=click.Choice(["pcdata", "pcln", "total", "density"]),
    help="Order of the rows: PCDATA tables (inlined: InlTreeIndex), line tables, all bytes, or bytes of tables per "
    "byte of code.  [default: pcdata; with --by inlined total]",
)
@click.option(
    "--why",
    is_flag=True,
    help="Say of the first rows, --top of them, what makes their transitions: calls, inlined bodies, bounds checks.  "
    "Not without being asked, for their code is disassembled: a large function takes 50 ms.",
)
@click.option(
    "--levers",
    is_flag=True,
    help="Say what flags of go build would change, and what they cannot.  Not without being asked: it searches all "
    "code for calls, and compresses the table.",
)
@click.option("--format", "format_", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
@top_option("Show N rows as text, then the others in one; JSON and CSV always have all.  --why is about N, too.")
@output_option
@click.pass_obj
def command(
    progress: Progress,
    file: str,
    by: By,
    function: str | None,
    package: str | None,
    sort: SortName | None,
    why: bool,
    levers: bool,
    format_: str,
    top: int,
    output: str | None,
) -> Outcome:
    """Tell what each function of a Go executable takes in .gopclntab: PCDATA, line tables, function data, names.

    FILE may be an ELF, PE or Mach-O executable, stripped or not; - reads standard input.
    """

    if why and by == "inlined":
        raise UsageError("--why is about functions, not --by inlined")
    if format_ == "csv" and (why or levers):
        raise UsageError("CSV has one row for a function: --why and --levers are for text and JSON")

    def work(path: str) -> Result:
        from goforensics.analysis.pcreport import Asked

        # A row is made for each of tens of thousands of functions only if it is going to be written.
        rows = top if format_ == "text" else None
        return _one(path, Asked(by, sort, function, package, rows, top if why else 0, levers), progress)

    return Outcome(results=each([file], work), format=format_, view=View(top=top), inputs=[file], output=output)


def _one(path: str, asked: Asked, progress: Progress) -> Result:
    # Not at the top: NumPy and its kin take longer to import than --help may.
    from goforensics.analysis.pcreport import pcdata
    from goforensics.binary import open as open_binary

    with progress(path) as tell:
        tell("functions", 0, 1)
        found = pcdata(open_binary(path), asked)
    return told(path, found, sum(len(image.unread) for image in found.images))
