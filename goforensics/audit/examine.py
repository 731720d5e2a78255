"""One file's audit as a process of its own does it: the answer is data, whatever goes wrong."""

from __future__ import annotations

import copyreg
import datetime
import pickle
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from goforensics.audit.engine import audit
from goforensics.audit.remedy import chosen, remedy
from goforensics.audit.walk import Candidate
from goforensics.binary import Binary
from goforensics.binary import open as open_binary
from goforensics.errors import FormatError, GoForensicsError, NotGoError
from goforensics.policy import Policy
from goforensics.report_audit import Audit

Answer = Audit | Exception | None  # None: no Go executable, and nobody said that it is one
Progress = Callable[[str, int, int], None]


class Question(msgspec.Struct, frozen=True):
    """What every file is asked."""

    policy: Policy
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    baseline: frozenset[str] = frozenset()
    fix: Literal["no", "failing", "all"] = "no"  # what to give a command for
    notes: tuple[str, ...] = ()
    today: datetime.date | None = None


class Task(msgspec.Struct, frozen=True):
    """One file and what it is asked."""

    candidate: Candidate
    question: Question


def examine(task: Task, progress: Progress | None = None) -> Answer:
    """The audit of a file, or what kept it from being audited.  Raises nothing."""
    try:
        binary = open_binary(task.candidate.path)
        try:
            return _audit(binary, task.question, progress)
        except NotGoError as error:
            problems = binary.problems()
            if problems:  # of a damaged executable nobody can say what it was
                told = f"{problems[0].structure}: {problems[0].reason}"
                return NotGoError(f"a damaged executable ({told}) without any trace of Go's toolchain", error.advice)
            return error if task.candidate.named else None
    except NotGoError as error:
        # What is packed may be anything, a Go executable too.
        return error if task.candidate.named or "packed" in error.what else None
    except Exception as error:
        return _sendable(error)


def _audit(binary: Binary, asked: Question, progress: Progress | None) -> Audit:
    more: dict[str, Any] = {"progress": progress} if progress else {}
    document = audit(
        binary,
        asked.policy,
        only=asked.only,
        skip=asked.skip,
        baseline=asked.baseline,
        today=asked.today,
        **more,
    )
    mended = None
    if asked.fix != "no":
        fail_on = asked.policy.fail_on if asked.fix == "failing" else None
        mended = remedy(chosen(document.findings, fail_on), document.build)
    return msgspec.structs.replace(document, remedy=mended, notes=list(asked.notes))


def _sendable(error: Exception) -> Exception:
    """The error itself if it survives the way to another process, else its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return GoForensicsError(f"{type(error).__name__}: {error}")
    return error


def _not_go(error: NotGoError) -> tuple[Any, ...]:
    return NotGoError, (error.what, error.advice)


def _format_error(reason: str, structure: str, offset: int, absent: bool) -> FormatError:
    return FormatError(reason, structure=structure, offset=offset, absent=absent)


def _format(error: FormatError) -> tuple[Any, ...]:
    return _format_error, (error.reason, error.structure, error.offset, error.absent)


# Exceptions travel as their class and their one text; these two are made of more.
copyreg.pickle(NotGoError, _not_go)
copyreg.pickle(FormatError, _format)
