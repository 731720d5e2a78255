"""`goforensics reclaim`: what a rebuild, strip(1) or compressing would save, before anyone has tried."""

from __future__ import annotations

import click

from goforensics.commands import Outcome, Progress, Result, each, told
from goforensics.options import output_option
from goforensics.renderers import View

EXAMPLES = """
\b
Examples:
  goforensics reclaim ./app
  goforensics reclaim ./app --format json | jq '.rebuilds[] | {action, size_after, exact}'

\b
"exact" figures are what go build would write, to the byte; "± N" is a bound.
Two figures: "frees" is what the file gets smaller by, and where pages are
rounded a second line tells how much of its content goes. Nothing is predicted
from a file whose own size the linker's layout does not give: one that strip
or a packer has changed, for instance.

\b
Exit code: 0 fine; 2 wrong usage or a file that cannot be read; 3 something
in the file could not be read.
"""


@click.command(name="reclaim", epilog=EXAMPLES, short_help="Predict what -s, -w, -trimpath and strip would save.")
@click.argument("file", metavar="FILE")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@output_option
@click.pass_obj
def command(progress: Progress, file: str, format_: str, output: str | None) -> Outcome:
    """Predict the size of a Go executable rebuilt with -s, -w or -trimpath, and what strip(1) would leave.

    FILE may be an ELF, PE or Mach-O executable; - reads standard input. Nothing is built, run or changed.
    """
    return Outcome(
        results=each([file], lambda path: _one(path, progress)),
        format=format_,
        view=View(),
        inputs=[file],
        output=output,
    )


def _one(path: str, progress: Progress) -> Result:
    # Not at the top: NumPy and its kin take longer to import than --help may.
    from goforensics.binary import open as open_binary
    from goforensics.rebuild.savings import document

    with progress(path) as tell:
        tell("rebuilds", 0, 1)
        found = document(open_binary(path))
    return told(path, found, len(found.unread))
