"""`goforensics audit`: what a release binary must not carry."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from goforensics.commands import Failure, Outcome, Progress, Result, Tell
from goforensics.errors import GoForensicsError, UsageError
from goforensics.options import output_option
from goforensics.renderers import View

if TYPE_CHECKING:
    from goforensics.audit.examine import Question
    from goforensics.audit.run import Audited
    from goforensics.audit.walk import Walked
    from goforensics.report_audit import Audit, AuditedFile, FailedFile, Finding

EXAMPLES = """
\b
Examples:
  goforensics audit ./app
  goforensics audit dist/ --fail-on high
  goforensics audit ./app --profile container --target scratch
  goforensics audit ./app --only 'paths/*' --only secrets/aws
  goforensics audit ./app --write-baseline known.json
  goforensics audit ./app --baseline known.json
  goforensics audit dist/ --format json | jq '.[-1].ship'

\b
Directories are walked: Go executables are known by their content, links are
not followed, other files are passed over and counted. With several files or
a directory the JSON is an array, the last of it the summary.

\b
A policy (goforensics.toml, found upwards from here) says which rules count
how much, what is allowed and until when, targets and budgets; "goforensics
policy init" writes one, "goforensics policy explain RULE" tells about a rule.

\b
A rule that cannot tell says "unknown" and why; that is no pass, and no
finding either.

\b
--fix changes no file: it prints the go build line that would mend what fails
the audit, as far as flags can mend it, of what the file records of its build;
--fix-all does so for what lies below --fail-on, too. What takes more, each
finding says.

\b
Exit code: 0 ship; 1 do not ship; 2 wrong usage, or no file could be audited;
3 not the whole answer: something could not be read or finished, or the
policy or the baseline is wrong (a message each), the rest is reported.
"""
PARTIAL, USAGE = 3, 2


@click.command(name="audit", epilog=EXAMPLES, short_help="Say whether a release may be shipped, and why not.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--policy", metavar="FILE", help="The policy.  [default: goforensics.toml here or in a folder above]")
@click.option(
    "--profile", type=click.Choice(["release", "container", "debug"]), help="What the build is for.  [default: release]"
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--fail-on",
    type=click.Choice(["low", "medium", "high", "critical"]),
    help="The least severity that says do not ship.  [default: medium]",
)
@click.option("--baseline", metavar="FILE", help="Findings recorded in this file are known, and do not fail.")
@click.option(
    "--write-baseline",
    metavar="FILE",
    help="Record what is found in this file; it is known from now on, this time included.",
)
@click.option("--only", metavar="RULE", multiple=True, help="Ask these rules only: an id, or a family as paths/*.")
@click.option("--skip", metavar="RULE", multiple=True, help="Do not ask these rules.")
@click.option(
    "--target",
    "targets",
    metavar="T",
    multiple=True,
    help="Where it must run: scratch, alpine, distroless-static, debian:12, ubuntu:22.04, rhel:9, glibc:2.31, musl.",
)
@click.option("--jobs", metavar="N", type=click.IntRange(1, 512), help="Files at a time.  [default: CPUs]")
@click.option("--fix", is_flag=True, help="Print the go build line that mends what fails, as far as flags can.")
@click.option("--fix-all", is_flag=True, help="The same for findings below --fail-on, and those of the baseline, too.")
@output_option
@click.pass_obj
def command(
    progress: Progress, /, paths: tuple[str, ...], format_: str, output: str | None, **options: object
) -> Outcome:
    """Say whether Go executables may be shipped: each finding with its evidence and its fix.

    PATH is an ELF, PE or Mach-O executable, or a directory of them; - reads standard input.
    """
    if paths.count("-") > 1:
        raise UsageError("standard input can be read only once")
    return Outcome(
        results=_results(paths, options, progress, quiet=output in (None, "-")),
        format=format_,
        view=View(),
        inputs=[*paths, *(str(options[key]) for key in ("policy", "baseline") if options[key])],
        output=output,
        many=len(paths) > 1 or any(map(os.path.isdir, paths)),
    )


def _results(
    paths: Sequence[str], options: dict[str, object], progress: Progress, *, quiet: bool
) -> Iterator[Result | Failure]:
    """Complaints about policy and baseline, a document per file, and the summary if there can be several."""
    # Not at the top: NumPy and its kin take longer to import than --help may.
    from goforensics.audit.ask import Options, question
    from goforensics.audit.walk import walk

    jobs, record = options.pop("jobs"), options.pop("write_baseline")
    asked = question(Options(**options))  # type: ignore[arg-type]
    for note in asked.notes:
        yield Failure("", GoForensicsError(note), PARTIAL)
    walked = walk(paths)
    many = len(paths) > 1 or bool(walked.directories)
    files = _Files(walked, asked, many, record is not None)
    yield from files.audited(int(str(jobs or _cpus())), progress, quiet=quiet)
    if many:
        yield files.summary()
    if record is not None:
        from goforensics.audit import baseline

        baseline.write(str(record), files.found)


def _cpus() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Files:
    """The files of one audit, and what is to be remembered of each."""

    def __init__(self, walked: Walked, question: Question, many: bool, record: bool) -> None:
        self.walked = walked
        self.question = question
        self.many = many
        self.record = record
        self.rows: list[AuditedFile] = []
        self.failed: list[FailedFile] = []
        self.found: list[Finding] = []

    def audited(self, jobs: int, progress: Progress, *, quiet: bool) -> Iterator[Result | Failure]:
        """A document or a complaint for each."""
        from goforensics.audit.run import run

        for path, error in self.walked.failed:
            yield self._failure(path, error)
        with _Bar(progress, self._title(), quiet=quiet) as bar:
            answers = run(self.walked, self.question, jobs, bar.tell)
            while (answer := bar.during(lambda: next(answers, None))) is not None:
                if result := self._result(answer):
                    yield result

    def _title(self) -> str:
        candidates = self.walked.candidates
        return candidates[0].path if len(candidates) == 1 else f"audit of {len(candidates):,} files"

    def _result(self, audited: Audited) -> Result | Failure | None:
        from goforensics.audit.engine import partial
        from goforensics.audit.run import row

        answer = audited.answer
        if answer is None:
            self.walked.passed_over += 1
            return None
        if isinstance(answer, UsageError):
            raise answer
        if isinstance(answer, Exception):
            return self._failure(audited.path, answer)
        document = self._recorded(answer)
        self.rows.append(row(document))
        return Result(document, PARTIAL if partial(document) else int(not document.ship))

    def _recorded(self, document: Audit) -> Audit:
        """The document with everything in it known, if it is being recorded."""
        import msgspec

        if not self.record:
            return document
        self.found += document.findings
        known = [msgspec.structs.replace(each, known=True) for each in document.findings]
        return msgspec.structs.replace(document, findings=known, ship=True)

    def _failure(self, path: str, error: Exception) -> Failure:
        from goforensics.report_audit import FailedFile

        self.failed.append(FailedFile(path, str(error).removeprefix(f"{path}: ")))
        return Failure(path, error, PARTIAL if self.many else None)

    def summary(self) -> Result:
        """The document about all of them; no file at all is no reason to ship."""
        from goforensics.audit.run import summary

        document = summary(self.rows, self.failed, self.walked, self.question.notes)
        if not self.rows:
            return Result(document, USAGE, "no Go executable was audited")
        return Result(document)


class _Bar:
    """A progress bar that stands all the time, or, where the report goes to the same terminal, while one waits."""

    def __init__(self, progress: Progress, title: str, *, quiet: bool) -> None:
        self.progress = progress
        self.title = title
        self.shared = quiet and bool(sys.stdout) and sys.stdout.isatty()
        self.stack = contextlib.ExitStack()
        self.now: Tell | None = None

    def __enter__(self) -> _Bar:
        if not self.shared:
            self.now = self.stack.enter_context(self.progress(self.title))
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def tell(self, step: str, done: int, total: int) -> None:
        """Pass it on to the bar that stands now."""
        if self.now is not None:
            self.now(step, done, total)

    def during(self, work: Callable[[], Audited | None]) -> Audited | None:
        """Wait for the next answer."""
        if not self.shared:
            return work()
        with self.progress(self.title) as self.now:
            answer = work()
        self.now = None
        return answer
