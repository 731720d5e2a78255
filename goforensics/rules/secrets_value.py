"""Secrets that only their name tells: values of -X and of embedded environment files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.clues.linker_values import Value, values
from goforensics.clues.secret_assignments import RULE_ID, secret_name, secret_value
from goforensics.clues.secret_shapes import digest, redacted
from goforensics.clues.secrets import FIX, drafts, specific
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject

INSIDE = re.compile(r"(?i)(?:password|passwd|secret|token|api[-_]?key)\s*[=:]\s*[\"']?([^\s\"';,&]{8,})")


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Each value once, unless a rule that knows its format has it."""
    for value in values(subject):
        found = _named(value) or _inside(value)
        if found and not specific(subject, value):
            label, start, size = found
            yield _draft(value, label, start, size)
    yield from drafts(subject, RULE_ID)


def _named(value: Value) -> tuple[str, int, int] | None:
    """The whole text, if the variable's name says that it is a secret."""
    name = value.variable.rpartition(".")[2]
    raw = value.text.encode()
    return (f"value of {value.variable}", 0, len(raw)) if secret_name(name) and secret_value(raw) else None


def _inside(value: Value) -> tuple[str, int, int] | None:
    """A part of the text that says so itself: password=…"""
    found = INSIDE.search(value.text)
    if found is None or not secret_value(found[1].encode()):
        return None
    start = len(value.text[: found.start(1)].encode())
    label = f"password in the value of {value.variable}" if value.variable else "password in a value of -X"
    return label, start, len(found[1].encode())


def _draft(value: Value, label: str, start: int, size: int) -> Draft:
    shown = redacted("", size)
    whole = len(value.text.encode())
    hits = [
        Hit(f"{label} {shown}", where, offset + start if length == whole else offset, min(size, length))
        for offset, length, where in value.places
    ]
    secret = value.text.encode()[start : start + size]
    return Draft(f"{label} {shown}, set by -X", hits, f"{label} {digest(secret)}")


RULE = Rule(
    id=RULE_ID,
    title="A value that is called a secret is in the file",
    severity="medium",
    why=(
        "What is set with -ldflags=-X is a plain string in the file. -trimpath hides the flag from go version -m,"
        " not the value."
    ),
    fix=FIX,
    limits=(
        "It goes by the name of the variable, which a stripped build with -trimpath does not have: there only a "
        "text such as password=… tells. Of embedded files only those are read whose every line is an assignment "
        "(.env)."
    ),
    check=check,
)
