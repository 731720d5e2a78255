"""Many files' audits, spread over processes, in the order of the files; then the summary of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from goforensics.audit.examine import Answer, Question, Task, examine
from goforensics.audit.findings import counts
from goforensics.audit.walk import Walked
from goforensics.audit.workers import Spread
from goforensics.report_audit import Audit, AuditedFile, Audits, FailedFile, Severity

Tell = Callable[[str, int, int], None]
STDIN = "-"


class Audited(msgspec.Struct, frozen=True):
    """One file's answer."""

    path: str
    answer: Answer


def run(walked: Walked, question: Question, jobs: int, tell: Tell) -> Iterator[Audited]:
    """The answers for all files; `tell` hears of each rule if there is one file, of each file if there are several."""
    tasks = [Task(each, question) for each in walked.candidates]
    piped = next((task for task in tasks if task.candidate.path == STDIN), None)
    if len(tasks) < 2:
        answers = iter([examine(task, tell) for task in tasks])
    else:
        # Standard input is this process's own.
        others = [task for task in tasks if task is not piped]
        answers = _woven(tasks, piped, iter(Spread(examine, others, jobs, lambda n, of: tell(f"{n:,}/{of:,}", n, of))))
    for task in tasks:
        yield Audited(task.candidate.path, next(answers))


def _woven(tasks: Sequence[Task], piped: Task | None, spread: Iterator[Answer]) -> Iterator[Answer]:
    for task in tasks:
        yield examine(task) if task is piped else next(spread)


def row(document: Audit) -> AuditedFile:
    """The document's line in the summary."""
    numbers: Counter[Severity] = Counter(each.severity for each in document.findings if counts(each))
    states = Counter(check.state for check in document.checks)
    return AuditedFile(
        path=document.file.path,
        ship=document.ship,
        counts=dict(numbers),
        known=sum(each.known for each in document.findings),
        allowed=sum(each.allowed is not None and not each.known for each in document.findings),
        unknown=states["unknown"],
        failed=states["failed"] + len(document.unread),
    )


def summary(files: list[AuditedFile], failed: list[FailedFile], walked: Walked, notes: Sequence[str]) -> Audits:
    """The document about all of them."""
    return Audits(
        ship=bool(files) and not failed and all(file.ship for file in files),
        files=files,
        failed=failed,
        passed_over=walked.passed_over,
        notes=list(notes),
    )
