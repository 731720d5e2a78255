"""What several rules ask of one file, worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from goforensics.rules.subject import Subject

T = TypeVar("T")
_KNOWN: WeakKeyDictionary[Subject, dict[Callable[[Subject], object], object]] = WeakKeyDictionary()


def once(subject: Subject, work: Callable[[Subject], T]) -> T:
    """`work(subject)`, kept as long as the subject is.  What it raises is not kept."""
    known = _KNOWN.setdefault(subject, {})
    if work not in known:
        known[work] = work(subject)
    return cast(T, known[work])
