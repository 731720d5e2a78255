"""The command line: finds the commands, and alone prints, opens output and sets the exit code.

Exit codes: 0 fine; 1 findings, or a gate failed; 2 wrong usage or unreadable input; 3 a partial result.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import shutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

import click

import goforensics
from goforensics import commands
from goforensics.commands import Failure, Outcome
from goforensics.errors import FormatError, GoForensicsError, ReadError, UsageError
from goforensics.output import replacing, replacing_file
from goforensics.renderers import View, file_renderer, render_all
from goforensics.renderers.plain import plain
from goforensics.renderers.progress import progress

if TYPE_CHECKING:
    from goforensics.report import Document

NAME = "goforensics"
USAGE, PARTIAL = 2, 3
INTERRUPTED, PIPE_CLOSED = 130, 141  # what a shell reports of a program that SIGINT or SIGPIPE ended
GRAVITY = (0, 1, PARTIAL, USAGE)  # of several files' exit codes the gravest stands
PIPED_WIDTH = 100


class Commands(click.Group):
    """The commands in `goforensics/commands/`, each imported when it is called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every module of the folder: adding a command is adding a file."""
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The module's `command`."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{commands.__name__}.{cmd_name}").command
        return command


@click.command(cls=Commands, name=NAME, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(goforensics.__version__, prog_name=NAME, message="%(prog)s %(version)s")
def cli() -> None:
    """Tell what every byte of a Go executable is, what leaks, and what can be reclaimed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code and never raises."""
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", INTERRUPTED)
    except (BrokenPipeError, SystemExit):
        # Nobody reads any more (click makes that a SystemExit); the flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return PIPE_CLOSED
    except click.ClickException as error:
        return _say(_usage(error), USAGE)
    except Exception as error:
        return _fail("", error)
    return code


def _run(arguments: list[str]) -> int:
    if sys.stdout is None:
        raise UsageError("standard output is closed")
    if not arguments:
        cli.main(["--help"], prog_name=NAME, standalone_mode=False)
        return USAGE
    outcome = cli.main(arguments, prog_name=NAME, standalone_mode=False, obj=progress)
    # --help and --version give an exit code instead.
    return _present(outcome) if isinstance(outcome, Outcome) else int(outcome or 0)


def _present(outcome: Outcome) -> int:
    """Write the documents where they are wanted, complain about the files that gave none."""
    codes = [0]
    documents = _documents(outcome, codes)
    writer = file_renderer(outcome.format)
    if writer is not None:
        if outcome.output in (None, "-"):
            raise UsageError(f"{outcome.format} is no text; name a file for it with -o OUT")
        with replacing_file(outcome.output, outcome.inputs) as path:
            writer.write(documents, path)
    elif outcome.output is None or outcome.output == "-":
        _write(sys.stdout, documents, outcome, _view(outcome.view, sys.stdout))
    else:
        with replacing(outcome.output, outcome.inputs) as stream:
            _write(stream, documents, outcome, outcome.view)
    return max(codes, key=GRAVITY.index)


def _write(stream: TextIO, documents: Iterator[Document], outcome: Outcome, view: View) -> None:
    for piece in render_all(documents, outcome.format, many=outcome.many, view=view):
        stream.write(piece)


def _documents(outcome: Outcome, codes: list[int]) -> Iterator[Document]:
    """The documents as they come; `codes` collects every file's exit code."""
    for result in outcome.results:
        if isinstance(result, Failure):
            sys.stdout.flush()  # so that a complaint stands where it belongs
            code = _fail(result.path, result.error)
            codes.append(code if result.exit_code is None else result.exit_code)
        else:
            codes.append(result.exit_code)
            if result.warning:
                _say(result.warning, result.exit_code)
            yield result.document


def _view(view: View, stream: TextIO) -> View:
    """`view` fitted to where it will be seen."""
    terminal = stream.isatty()
    color = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size((PIPED_WIDTH, 0)).columns if terminal else PIPED_WIDTH
    return replace(view, width=width, color=color, ascii=not _carries_blocks(stream))


def _carries_blocks(stream: TextIO) -> bool:
    try:
        "█✓→".encode(stream.encoding or "utf-8")
    except (LookupError, UnicodeEncodeError):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name may be in any script
        return False
    return True


def _say(message: str, code: int) -> int:
    """One line on stderr; returns the exit code."""
    if sys.stderr is None:  # closed: print would fall back to standard output
        return code
    with contextlib.suppress(OSError):  # nowhere left to complain
        print(plain(f"{NAME}: {message}").encode("ascii", "backslashreplace").decode(), file=sys.stderr)
    return code


def _fail(path: str, error: Exception) -> int:
    """Say what went wrong with `path`, and what to do next."""
    if os.environ.get("GOFORENSICS_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    where = "standard input" if path == "-" else path
    message, code = _explain(error)
    message = message.removeprefix(f"{path}: ").removeprefix(f"{where}: ")
    return _say(f"{where}: {message}" if where else message, code)


def _explain(error: Exception) -> tuple[str, int]:
    """An error as one line with advice, and its exit code."""
    if isinstance(error, MemoryError):
        return "out of memory; try it on a machine with more, or raise the limit (ulimit -v)", PARTIAL
    if isinstance(error, RecursionError):
        return "its data is nested too deep to read; the file is probably damaged on purpose", PARTIAL
    if isinstance(error, GoForensicsError):
        return f"{error}{_advice(error)}", USAGE
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return f"{name}{error.strerror}; check the path, its permissions and the free space", USAGE
    what = f"{type(error).__name__}: {error}"
    return f"internal error: {what}; please report it; GOFORENSICS_DEBUG=1 shows the traceback", PARTIAL


def _advice(error: GoForensicsError) -> str:
    if isinstance(error, ReadError):
        return "" if ";" in str(error) else "; check the path and its permissions"
    if isinstance(error, FormatError):
        return "; the file is cut short or damaged: compare its size and checksum with the original's"
    return f"; see {NAME} --help" if isinstance(error, UsageError) else ""


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{error.format_message().rstrip('.')}; see {context.command_path if context else NAME} --help"
