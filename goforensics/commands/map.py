"""`goforensics map`: who owns every byte of a Go executable, row by row."""

from __future__ import annotations

import click

from goforensics.commands import Outcome, Progress, Result, each, told
from goforensics.options import output_option, top_option
from goforensics.renderers import View

EXAMPLES = """
\b
Examples:
  goforensics map ./app -o app.csv
  goforensics map ./app --format parquet -o app.parquet
  duckdb -c "select package, sum(size) from 'app.parquet' group by all"
  goforensics map ./app --format json | jq '.rows[] | select(.kind == "string")'
  goforensics map ./app --format text --top 40

\b
A row is a stretch of bytes of which everything is the same: offset, size,
section, structure, module, package, symbol, kind, origin, basis, shared_by.
The rows follow one another from the first byte of the file to the last.

\b
JSON and Parquet have names exactly as the file has them. In CSV a character
that cannot be printed is its escape (\\x1b), and a value that a spreadsheet
would take for a formula (= + - @) has an apostrophe in front. Parquet needs
DuckDB: pip install 'goforensics[parquet]'.

\b
Exit code: 0 fine; 2 wrong usage or a file that cannot be read; 3 something
in the file could not be read ("goforensics inspect" says what), and is in
the map by its section only.
"""


@click.command(name="map", epilog=EXAMPLES, short_help="Write who owns every byte, as CSV, JSON or Parquet.")
@click.argument("file", metavar="FILE")
@click.option(
    "--format", "format_", type=click.Choice(["csv", "json", "parquet", "text"]), default="csv", show_default=True
)
@top_option("Show the N largest rows as text; the other formats always have all.")
@output_option
@click.pass_obj
def command(progress: Progress, file: str, format_: str, top: int, output: str | None) -> Outcome:
    """Write the byte map itself: who owns every byte of a Go executable, and why.

    FILE may be an ELF, PE or Mach-O executable, stripped or not; - reads standard input.
    """
    return Outcome(
        results=each([file], lambda path: _one(path, progress)),
        format=format_,
        view=View(top=top),
        inputs=[file],
        output=output,
    )


def _one(path: str, progress: Progress) -> Result:
    # Not at the top: NumPy and its kin take longer to import than --help may.
    from goforensics.analysis.maprows import document
    from goforensics.binary import open as open_binary

    with progress(path) as tell:
        tell("sizes", 0, 1)
        found = document(open_binary(path))
    return told(path, found, len(found.unread))
