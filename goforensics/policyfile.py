"""Reads goforensics.toml.  What is wrong in it costs only itself: each mistake is a sentence, the rest applies."""

from __future__ import annotations

import datetime
import difflib
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from goforensics import policytoml
from goforensics.containers.source import read_file
from goforensics.errors import ReadError, UsageError
from goforensics.policy import Allowance, Policy
from goforensics.policychecks import check, check_name
from goforensics.report_policy import PolicyProblem

NAME = "goforensics.toml"
MOST_SHOWN = 60  # characters of a wrong value
MISSING = object()
KINDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", datetime.date: "a date"}
KINDS |= {dict: "a table", list: "a list", type(None): "nothing"}


class PolicyFile(msgspec.Struct, frozen=True):
    """What was read: the policy as far as it makes sense, and what does not."""

    path: str | None  # None: there is none, and everything is as the profile has it
    policy: Policy = Policy()
    problems: tuple[PolicyProblem, ...] = ()
    lines: dict[str, int] = {}  # of each key that counts, dotted


def find(directory: Path) -> Path | None:
    """The nearest goforensics.toml in `directory` or above it."""
    return next((path for each in (directory, *directory.parents) if (path := each / NAME).exists()), None)


def load(path: str | None, today: datetime.date | None = None) -> PolicyFile:
    """Read the policy at `path`, or the one found upwards from the working directory.  Raises nothing.

    `today` decides which allowances have expired (default: this day, UTC).
    """
    try:
        found = Path(path) if path is not None else find(Path.cwd())
    except OSError:  # the working directory is gone
        found = None
    if found is None:
        return PolicyFile(None)
    try:
        text = bytes(read_file(found).data).decode()
        return parse(text, str(found), today or datetime.datetime.now(datetime.UTC).date())
    except ReadError as error:
        reason = str(error).removeprefix(f"{found}: ").partition(";")[0]
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text: byte {error.start:,}"
    return PolicyFile(str(found), problems=(PolicyProblem(str(found), None, "", reason),))


def parse(text: str, path: str, today: datetime.date) -> PolicyFile:
    """A policy from TOML; `path` is for messages."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error) or "nested too deep"
        return PolicyFile(path, problems=(PolicyProblem(path, None, "", f"no valid TOML: {reason}"),))
    reader = _Reader(path, policytoml.key_lines(text))
    policy: Policy = reader.table(Policy, raw, ())
    for i, allowance in enumerate(raw.get("allow", ()) if policy.allow else ()):
        _expired(allowance, i, reader, today)
    return PolicyFile(path, policy, tuple(reader.problems), reader.used)


def _expired(raw: Any, number: int, reader: _Reader, today: datetime.date) -> None:
    """Say that an allowance has expired; the engine leaves it out by itself."""
    try:
        allowance = msgspec.convert(raw, Allowance)
    except (msgspec.ValidationError, TypeError):
        return
    if allowance.expires is not None and allowance.expires < today:
        said = f"the allowance of {allowance.rule} ({allowance.reason}) expired on {allowance.expires}"
        reader.wrong(("allow", number, "expires"), f"{said} and does not apply")


class _Reader:
    """Converts a table key by key, and notes what is wrong with its line."""

    def __init__(self, path: str, lines: dict[policytoml.Path, int]) -> None:
        self.path = path
        self.lines = lines
        self.problems: list[PolicyProblem] = []
        self.used: dict[str, int] = {}

    def wrong(self, key: policytoml.Path, message: str) -> None:
        self.problems.append(PolicyProblem(self.path, policytoml.line_of(self.lines, key), dotted(key), message))

    def table(self, kind: Any, raw: dict[str, Any], key: policytoml.Path) -> Any:
        """A Struct from a table; what is left out or wrong is as it is by default."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        values = {}
        for name, value in raw.items():
            if name not in fields:
                self.wrong((*key, name), unknown_key(dotted((*key, name)), name, list(fields), dotted(key)))
            elif (got := self.value(fields[name].type, value, (*key, name))) is not MISSING:
                values[fields[name].name] = got
        for name, field in fields.items():
            if field.required and name not in raw:
                self.wrong(key, f"{dotted(key)} has no {name!r}")
        required = all(field.name in values for field in fields.values() if field.required)
        return kind(**values) if required else MISSING

    def value(self, kind: Any, raw: Any, key: policytoml.Path) -> Any:
        """A value of a type, checked; MISSING if it is wrong, which has been noted then."""
        parts = typing.get_args(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._table_of(kind, raw, key)
        if typing.get_origin(kind) is tuple and isinstance(raw, list):
            items = [self.value(parts[0], item, (*key, i)) for i, item in enumerate(raw)]
            return tuple(item for item in items if item is not MISSING)
        if typing.get_origin(kind) is dict and isinstance(raw, dict):
            named = {name: self._named(parts[1], item, (*key, name)) for name, item in raw.items()}
            return {name: item for name, item in named.items() if item is not MISSING}
        return self._plain(kind, raw, key)

    def _table_of(self, kind: Any, raw: Any, key: policytoml.Path) -> Any:
        if not isinstance(raw, dict):
            self.wrong(key, mismatch(key, "a table", raw))
            return MISSING
        before = len(self.problems)
        made = self.table(kind, raw, key)
        # Half an allowance might allow more than was meant.
        return MISSING if kind is Allowance and len(self.problems) > before else made

    def _named(self, kind: Any, raw: Any, key: policytoml.Path) -> Any:
        """A value under a name of the user's own."""
        try:
            check_name(dotted(key[:-1]), str(key[-1]))
        except ValueError as error:
            self.wrong(key, f"{dotted(key)}: {error}")
            return MISSING
        return self.value(kind, raw, key)

    def _plain(self, kind: Any, raw: Any, key: policytoml.Path) -> Any:
        try:
            made = check(_pattern(key), msgspec.convert(raw, kind))
        except msgspec.ValidationError:
            self.wrong(key, mismatch(key, expected(kind), raw))
        except (ValueError, UsageError) as error:
            self.wrong(key, f"{dotted(key)}: {error}")
        else:
            if (line := policytoml.line_of(self.lines, key)) is not None:
                self.used[dotted(key)] = line
            return made
        return MISSING


def _pattern(key: policytoml.Path) -> str:
    """The key as its check knows it: `secrets.patterns.*`, `allow.*.rule`."""
    names = ["*" if isinstance(part, int) else part for part in key]
    if len(names) > 1 and names[-2] in ("patterns", "severity"):
        names[-1] = "*"
    return ".".join(names)


def dotted(key: policytoml.Path) -> str:
    """A key as a person writes it: allow[0].rule, severity."paths/home"."""
    out = ""
    for part in key:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            shown = part if part and part.replace("-", "").replace("_", "").isalnum() else f'"{part}"'
            out += f".{shown}" if out else shown
    return out


def unknown_key(full: str, name: str, known: list[str], table: str) -> str:
    """The message for a key that is not there, with the nearest that is."""
    near = difflib.get_close_matches(name.lower().replace("_", "-"), known, 1, 0.5)
    where = f"[{table}]" if table else "the top"
    advice = f"did you mean {near[0]!r}?" if near else f"{where} has {', '.join(known)}"
    return f"unknown key {full!r}; {advice}"


def mismatch(key: policytoml.Path, wanted: str, raw: Any) -> str:
    """The message for a value of the wrong type."""
    kind = next((text for kind, text in KINDS.items() if type(raw) is kind), type(raw).__name__)
    shown = repr(raw)
    shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"
    return f"{dotted(key)} must be {wanted}, and is {kind}: {shown}"


def expected(kind: Any) -> str:
    """A type in words."""
    return " or ".join(dict.fromkeys(_words(kind)))


def _words(kind: Any) -> Iterator[str]:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        yield "one of " + ", ".join(map(str, parts))
    elif origin in (typing.Union, types.UnionType):
        choices = [choice for part in parts if typing.get_origin(part) is Literal for choice in typing.get_args(part)]
        others = [part for part in parts if typing.get_origin(part) is not Literal and part is not type(None)]
        if choices:
            yield "one of " + ", ".join(choices)
        for part in others:
            yield from _words(part)
    elif origin is tuple:
        yield "a list"
    elif origin is dict:
        yield "a table"
    else:
        yield KINDS.get(kind, str(kind))
