"""`goforensics disasm`: one function's instructions with everything that the pclntab says of them."""

from __future__ import annotations

import click

from goforensics.commands import Outcome, Progress, Result, each, told
from goforensics.options import output_option
from goforensics.renderers import View

EXAMPLES = """
\b
Examples:
  goforensics disasm ./app main.main
  goforensics disasm ./app '(*http2Client).reader'
  goforensics disasm ./app 0x47d8c0 --bytes
  goforensics disasm ./app fmt.Fprintf --format json | jq '.why'
  goforensics disasm ./universal main.main --arch arm64

\b
Beside each instruction stand the source line, the inline stack where it
changes, what is called or referred to, and each transition of pcsp and of
the PCDATA tables that happens there (UnsafePoint -> -2), as "go tool compile
-S" shows them, but from the finished file, stripped or not. At the end: what
makes the transitions, by table and cause, and the bytes that they take.

\b
Exit code: 0 fine; 2 wrong usage, no such function, or a file that cannot be
read; 3 something in the file could not be read ("goforensics inspect" says
what).
"""


@click.command(name="disasm", epilog=EXAMPLES, short_help="Disassemble a function, with lines and PCDATA.")
@click.argument("file", metavar="FILE")
@click.argument("function", metavar="FUNCTION")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--bytes", "raw", is_flag=True, help="Show each instruction's bytes.")
@click.option("--arch", metavar="GOARCH", help="The slice of a universal Mach-O file; the first by default.")
@output_option
@click.pass_obj
def command(
    progress: Progress, file: str, function: str, format_: str, raw: bool, arch: str | None, output: str | None
) -> Outcome:
    """Disassemble one function of a Go executable, with source lines, inline stacks and PCDATA.

    FILE may be an ELF, PE or Mach-O executable, stripped or not; - reads standard input. FUNCTION is a name, the
    end of one that only one function has (after a "." or "/"), or an address in its code (0x…).
    """
    return Outcome(
        results=each([file], lambda path: _one(path, function, arch, raw, progress)),
        format=format_,
        view=View(),
        inputs=[file],
        output=output,
    )


def _one(path: str, function: str, arch: str | None, raw: bool, progress: Progress) -> Result:
    # Not at the top: NumPy, Capstone and their kin take longer to import than --help may.
    from goforensics.analysis.disasm import document
    from goforensics.binary import open as open_binary

    with progress(path) as tell:
        tell("disassembly", 0, 1)
        found = document(open_binary(path), function, arch, raw=raw)
    return told(path, found, len(found.unread))
