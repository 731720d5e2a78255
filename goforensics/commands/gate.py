"""`goforensics gate`: may a program grow by as much as it did?"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import click

from goforensics.bytesizes import parse
from goforensics.commands import Failure, Outcome, Progress, Result
from goforensics.errors import UsageError
from goforensics.options import output_option, top_option
from goforensics.renderers import View

if TYPE_CHECKING:
    from goforensics.analysis.gate import Limits, Measured, OtherVersion

EXAMPLES = """
\b
Examples:
  goforensics gate ./app --against app-1.4
  goforensics gate ./app --against app-1.4 --max-delta 200KiB --per-module
  goforensics gate ./app --write-baseline size.json
  goforensics gate ./app --against size.json --format markdown -o comment.md
  goforensics gate ./app --against size.json --max-delta-percent 2 --format json

\b
A baseline is a small JSON file with a program's size by module and package:
keep it in the repository, and no older build is needed. Growth of exactly the
budget is within it. Sizes are a number of bytes, or one with KiB, MiB, GiB
(1024) or KB, MB, GB (1000).

\b
Exit code: 0 within the budget; 1 over it; 2 wrong usage, a file that cannot
be read, or a baseline of another program; 3 something in a file could not be
read, or the baseline is of another version and nothing was compared.
"""
FORMATS = {"text": "text", "json": "json", "markdown": "markdown_gate"}
BUDGET = "5MiB"
MOST_PERCENT = 1_000_000
BLANK = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and what may stand before the brace


def _size(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """Bytes."""
    try:
        return parse(value)
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def _percent(context: click.Context, parameter: click.Parameter, value: str | None) -> Decimal | None:
    """A percentage, exactly as written: 0.1 is no binary fraction."""
    if value is None:
        return None
    try:
        found = Decimal(value.strip().removesuffix("%").strip())
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not 0 <= found <= MOST_PERCENT:
        raise click.BadParameter(f"{value!r} is no percentage from 0 to {MOST_PERCENT:,}; write 2 or 2.5")
    return found


@click.command(name="gate", epilog=EXAMPLES, short_help="Fail if a build grew by more than its budget, and say why.")
@click.argument("new", metavar="NEW")
@click.option("--against", metavar="OLD", help="An earlier build, or a baseline that --write-baseline wrote.")
@click.option("--max-delta", metavar="SIZE", callback=_size, default=BUDGET, show_default=True, help="Growth allowed.")
@click.option(
    "--max-delta-percent",
    metavar="P",
    callback=_percent,
    help="Growth allowed in percent of OLD; --max-delta holds, too.",
)
@click.option("--per-module", is_flag=True, help="No module may grow by more than --max-delta either.")
@click.option("--write-baseline", metavar="FILE", help="Write NEW's sizes to this file, instead of comparing.")
@click.option("--format", "format_", type=click.Choice(list(FORMATS)), default="text", show_default=True)
@top_option("Show at most N rows of a table as text or Markdown, then the others in one; JSON always has all.")
@output_option
@click.pass_obj
def command(
    progress: Progress,
    new: str,
    against: str | None,
    max_delta: int,
    max_delta_percent: Decimal | None,
    per_module: bool,
    write_baseline: str | None,
    format_: str,
    top: int,
    output: str | None,
) -> Outcome:
    """Hold the size of a build against an earlier one: by how much it grew, which modules and packages did, and
    whether that is within the budget.

    NEW may be an ELF, PE or Mach-O executable, stripped or not; - reads standard input.
    """
    if (against is None) == (write_baseline is None):
        raise UsageError("give either --against OLD, to compare, or --write-baseline FILE")
    if write_baseline is not None:
        if output is not None:
            raise UsageError("--write-baseline names the file already; leave -o out")
        return Outcome(_baseline(new, progress), "json", View(), [new], write_baseline)
    from goforensics.analysis.gate import Limits

    limits = Limits(max_delta, max_delta_percent, per_module)
    inputs = [new, against or ""]
    if inputs.count("-") > 1:
        raise UsageError("standard input can be read only once")
    return Outcome(_gated(inputs, limits, progress), FORMATS[format_], View(top=top), inputs, output)


def _baseline(path: str, progress: Progress) -> Iterator[Result | Failure]:
    from goforensics.analysis.gate import baseline, measure
    from goforensics.binary import open as open_binary

    try:
        with progress(path) as tell:
            tell("sizes", 0, 1)
            found = measure(open_binary(path))
        yield Result(baseline(found), 3 if found.side.unread else 0)
    except Exception as error:
        yield Failure(path, error)


def _gated(paths: list[str], limits: Limits, progress: Progress) -> Iterator[Result | Failure]:
    """One document; or, if a file cannot be read, what is wrong with which."""
    from goforensics.analysis.gate import OtherVersion, alone, compare, measure, unread
    from goforensics.binary import open as open_binary

    new, against = paths
    path = against
    try:
        with progress(f"{against} {new}") as tell:
            tell("sizes", 0, 2)
            before = _before(against)
            tell("sizes", 1, 2)
            path = new
            after = measure(open_binary(new))
        if isinstance(before, OtherVersion):
            why = f"{against} is a {before.schema}, which this release of goforensics does not read"
            yield Result(
                alone(after, f"{why}: write a new one with --write-baseline"), 3, f"{why}; nothing was compared"
            )
            return
        document = compare(before, after, limits)
    except UsageError:
        raise
    except Exception as error:
        yield Failure(path, error)
        return
    partial = 3 if unread(document) else 0
    yield Result(document, partial if document.passed else 1)


def _before(path: str) -> Measured | OtherVersion:
    """The earlier build, as a file or as a baseline: JSON begins with a brace, and no executable does."""
    from pathlib import Path

    from goforensics.analysis.gate import measure, read_baseline
    from goforensics.binary import open as open_binary
    from goforensics.containers.source import read_file

    if path == "-":
        return measure(open_binary(path))
    data = read_file(Path(path)).data
    if bytes(data[:64]).lstrip(BLANK)[:1] != b"{" and not path.lower().endswith(".json"):
        return measure(open_binary(path))
    return read_baseline(path, bytes(data).lstrip(BLANK))
