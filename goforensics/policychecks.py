"""What the values of a policy must be beyond their types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from goforensics import bytesizes, patterns
from goforensics.analysis import targets
from goforensics.rules import catalogue

Check = Callable[[Any], Any]


def check(key: str, value: Any) -> Any:
    """The value, made what rules expect of it.  ValueError or UsageError, with a sentence, if it makes no sense.

    `key` has * for the elements of lists and for names of the user's own.
    """
    return CHECKS[key](value) if key in CHECKS and value is not None else value


def check_name(key: str, name: str) -> None:
    """Raise ValueError if a table of the user's own names has one that makes no sense."""
    if key == "severity":
        _rule(name)


def _rule(value: str) -> str:
    if problem := catalogue.unknown(value):
        raise ValueError(problem)
    return value


def target(value: str) -> str:
    """Where a binary must run.  UsageError if there is no such place."""
    targets.parse(value)
    return value


def _go(value: str) -> str:
    if not re.fullmatch(r"[0-9]+\.[0-9]+(\.[0-9]+)?", value):
        raise ValueError(f"{value!r} is no Go release, such as 1.25 or 1.25.3")
    return value


def _commit(value: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{4,64}", value):
        raise ValueError(f"{value!r} is no revision: 4 to 64 hexadecimal digits")
    return value


def _pattern(value: str) -> str:
    patterns.matcher(value)
    return value


def _bytes(value: int | str) -> int:
    return bytesizes.parse(str(value))


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{value} is no share, from 0 to 1")
    return value


def _percent(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{value} is no percentage, from 0 up")
    return value


def _reason(value: str) -> str:
    if not value.strip():
        raise ValueError("an allowance needs a reason")
    return value


CHECKS: dict[str, Check] = {
    "allow.*.rule": _rule,
    "allow.*.reason": _reason,
    "targets.*": target,
    "build.min-go": _go,
    "build.commit": _commit,
    "size.max": _bytes,
    "size.delta": _bytes,
    "size.delta-percent": _percent,
    "size.reclaimable": _share,
    "internal.patterns.*": _pattern,
    "secrets.patterns.*": _pattern,
}
