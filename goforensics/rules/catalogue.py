"""The catalogue: every rule there is, found by looking."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache

import goforensics.rules
from goforensics.errors import UsageError
from goforensics.rules.protocol import Rule


@cache
def rules() -> tuple[Rule, ...]:
    """Every module's RULE, by id.  ValueError if two have one id, or an id is no family/name."""
    package = goforensics.rules
    names = [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
    found = [module.RULE for module in map(importlib.import_module, names) if hasattr(module, "RULE")]
    return ordered(found)


def ordered(found: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules by id.  ValueError as `rules`."""
    by_id: dict[str, Rule] = {}
    for rule in found:
        if rule.id in by_id or len(rule.id.split("/")) != 2 or not all(rule.id.split("/")):
            raise ValueError(f"rule id {rule.id!r}: must be family/name, and one rule's only")
        by_id[rule.id] = rule
    return tuple(by_id[name] for name in sorted(by_id))


def matches(rule: str, pattern: str) -> bool:
    """Whether an id is meant by `pattern`: an id, or family/*."""
    return fnmatchcase(rule, pattern)


def unknown(pattern: str) -> str | None:
    """What is wrong with the name of a rule or of rules, with the nearest that there is; None if nothing is."""
    ids = [rule.id for rule in rules()]
    if any(matches(name, pattern) for name in ids):
        return None
    families = sorted({f"{name.partition('/')[0]}/*" for name in ids})
    near = difflib.get_close_matches(pattern, [*ids, *families], 1, 0.5)
    advice = f"did you mean {near[0]}?" if near else f"families are {', '.join(families)}"
    return f"there is no rule {pattern!r}; {advice}"


def require_known(patterns: Iterable[str]) -> None:
    """Raise UsageError for the first that names no rule."""
    for pattern in patterns:
        if problem := unknown(pattern):
            raise UsageError(problem)
