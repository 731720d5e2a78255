"""`goforensics matrix`: a Go package built under a table of flag sets, every build measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from goforensics.commands import Outcome, Progress, Result
from goforensics.renderers import View

if TYPE_CHECKING:
    from goforensics.matrix.builder import Options
    from goforensics.report_matrix import BuildMatrix

EXAMPLES = """
\b
Examples:
  goforensics matrix ./cmd/app
  goforensics matrix . --flags release.toml --format markdown >> "$GITHUB_STEP_SUMMARY"
  goforensics matrix ./cmd/app --runs 20 -- --version
  goforensics matrix ./cmd/app --out builds -j 2
  goforensics matrix ./cmd/app --levers --no-reproducible
  goforensics matrix . --format json | jq '.rows[] | {name, size: .measured.size}'

\b
PACKAGE is a directory, a .go file or an import path, as for go build. It is
built by the go command on PATH, with the user's own settings (go env), which
the report lists; a row's flags win over those in GOFLAGS. The package's
directory is only read, and what is built goes to a temporary directory that
is removed, unless --out names one.

\b
Building is running the go command, and cgo the C compiler, on the package.
The programs built are not run unless --runs asks for it.

\b
A file for --flags (TOML) holds one [[set]] per row; default comes by itself:
  [[set]]
  flags = ["-trimpath", "-tags=prod"]
  ldflags = "-s -w"
  env = { CGO_ENABLED = "0" }
  name = "release"

\b
Exit code: 0 fine; 2 wrong usage, no go command, or nothing could be built;
3 some rows could not be built or read (each says why), the rest is reported.
"""
FORMATS = {"text": "text", "json": "json", "markdown": "markdown_matrix", "csv": "csv_matrix"}
MOST_JOBS = 4  # the go command itself works in parallel


@click.command(name="matrix", epilog=EXAMPLES, short_help="Build a package under many flag sets and measure each.")
@click.argument("package", metavar="PACKAGE")
@click.argument("arguments", metavar="[-- ARGUMENTS...]", nargs=-1)
@click.option("--flags", "file", metavar="FILE", help="Build these flag sets (TOML, see below) instead of the usual.")
@click.option(
    "--levers",
    is_flag=True,
    help="Build without inlining, without bounds checks and without optimization instead of the usual flag sets: what "
    "each does to the pclntab.",
)
@click.option("--format", "format_", type=click.Choice(list(FORMATS)), default="text", show_default=True)
@click.option(
    "--runs",
    metavar="N",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    help="Run each program N times, with ARGUMENTS, for its start-up time: in turn, each round compared with the "
    "default build.  0 runs nothing.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True, max=3600),
    default=10.0,
    show_default=True,
    help="End a run that takes longer; a server needs ARGUMENTS that make it exit.",
)
@click.option(
    "--reproducible/--no-reproducible",
    default=True,
    show_default=True,
    help="Build each row again from a copy of the sources in another directory, and compare.",
)
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(1, 64), help="Rows at a time.  [default: CPUs, up to 4]")
@click.option("--out", metavar="DIR", help="Keep the executables below this directory.")
@click.option("-o", "--output", metavar="OUT", help="Write the report to this file instead of standard output.")
@click.pass_obj
def command(
    progress: Progress,
    package: str,
    arguments: tuple[str, ...],
    file: str | None,
    levers: bool,
    format_: str,
    runs: int,
    timeout: float,
    reproducible: bool,
    jobs: int | None,
    out: str | None,
    output: str | None,
) -> Outcome:
    """Build a Go package under a table of flag sets and measure every build.

    Per row: size, plain and compressed, beside what was predicted; symbols, DWARF, what pprof, delve and gdb can do;
    linking, leaked paths, start-up time, and whether the build is reproducible.  Names the set to use and why.
    """
    from pathlib import Path

    from goforensics.errors import UsageError
    from goforensics.matrix.builder import Options

    if file and levers:
        raise UsageError("--flags and --levers both say what to build; give one of them")
    options = Options(
        jobs=jobs or min(os.cpu_count() or 1, MOST_JOBS),
        runs=runs,
        arguments=arguments,
        timeout=timeout,
        reproducible=reproducible,
        out=Path(out).absolute() if out else None,
    )
    return Outcome(
        results=_built(package, file, levers, options, progress),
        format=FORMATS[format_],
        view=View(),
        inputs=[file] if file else [],
        output=output,
    )


def _built(package: str, file: str | None, levers: bool, options: Options, progress: Progress) -> Iterator[Result]:
    from goforensics.matrix.builder import matrix
    from goforensics.matrix.flagsets import LEVERS, TABLE_OF_SETS, read

    sets = read(file) if file else LEVERS if levers else TABLE_OF_SETS
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    with progress(f"matrix {package}") as tell:
        document = matrix(package, sets, options, tell)
    yield Result(document, 3 if _partial(document) else 0)


def _partial(document: BuildMatrix) -> bool:
    return any(row.error or row.notes for row in document.rows)
