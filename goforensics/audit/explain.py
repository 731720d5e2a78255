"""What a policy comes to, and what a rule is, for `goforensics policy`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from goforensics.audit import findings
from goforensics.audit.engine import reason_off
from goforensics.errors import UsageError
from goforensics.policy import Policy
from goforensics.policyfile import PolicyFile
from goforensics.report_policy import PolicyExplanation, PolicyValue, RuleExplanation, RuleState
from goforensics.rules import catalogue
from goforensics.rules.protocol import Rule


def policy(read: PolicyFile) -> PolicyExplanation:
    """The policy as it counts: every value with its source, every rule with its severity."""
    return PolicyExplanation(
        path=read.path,
        values=[PolicyValue(key, value, _source(key, read)) for key, value in _values(read.policy, "")],
        rules=[state(each, read.policy) for each in catalogue.rules()],
        problems=list(read.problems),
    )


def rule(name: str, read: PolicyFile) -> RuleExplanation:
    """One rule.  Raises UsageError, with the nearest that there is, if there is none of this name."""
    found = next((each for each in catalogue.rules() if each.id == name), None)
    if found is None:
        raise UsageError(catalogue.unknown(name) or f"{name} is a family; name one rule of it")
    return RuleExplanation(
        path=read.path,
        state=state(found, read.policy),
        default=found.severity,
        profiles=list(found.profiles),
        why=found.why,
        fix=found.fix,
        limits=found.limits,
    )


def state(found: Rule, policy: Policy) -> RuleState:
    """How much a rule counts, and why."""
    off = reason_off(found, policy, (), ())
    said = findings.stated(found.id, policy)
    source = off or ("as the rule has it" if said is None else "by the policy")
    return RuleState(found.id, found.title, "off" if off else said or found.severity, source)


def _values(table: msgspec.Struct, prefix: str) -> Iterator[tuple[str, str]]:
    """Every key that is no table, dotted, with its value as TOML would have it."""
    for field in msgspec.structs.fields(table):
        value, key = getattr(table, field.name), f"{prefix}{field.encode_name}"
        if isinstance(value, msgspec.Struct):
            yield from _values(value, f"{key}.")
        else:
            yield key, _shown(value)


def _shown(value: Any) -> str:
    return "not set" if value is None else msgspec.json.encode(value).decode()


def _source(key: str, read: PolicyFile) -> str:
    lines = [n for name, n in read.lines.items() if name == key or name.startswith((f"{key}.", f"{key}["))]
    return f"{read.path}:{min(lines)}" if lines else "default"
