"""The baseline: findings that are known, by fingerprint, with their names for people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from goforensics.containers.source import read_file
from goforensics.errors import GoForensicsError, ReadError
from goforensics.output import replacing
from goforensics.report import Document
from goforensics.report_audit import Finding

SCHEMA: Literal["goforensics.audit-baseline/1"] = "goforensics.audit-baseline/1"


class BaselineError(GoForensicsError):
    """A baseline that cannot be used, as a sentence."""


class Known(Document, frozen=True):
    """A finding that is known; only the fingerprint counts."""

    fingerprint: str
    rule: str
    owner: str
    title: str


class Baseline(Document, frozen=True, kw_only=True):
    """The file."""

    schema: Literal["goforensics.audit-baseline/1"] = SCHEMA
    findings: list[Known]


def read(path: str) -> frozenset[str]:
    """The fingerprints in a baseline file.  Raises BaselineError."""
    try:
        raw = msgspec.json.decode(read_file(Path(path)).data)
        schema = raw.get("schema") if isinstance(raw, dict) else None
        if schema != SCHEMA:
            raise BaselineError(f"{path}: {_another(schema)}")
        return frozenset(each.fingerprint for each in msgspec.convert(raw, Baseline).findings)
    except ReadError as error:
        raise BaselineError(f"{path}: {str(error).removeprefix(f'{path}: ').partition(';')[0]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BaselineError(f"{path}: no baseline: {error}") from None


def _another(schema: Any) -> str:
    if isinstance(schema, str) and schema.startswith(SCHEMA.partition("/")[0] + "/"):
        return f"its schema is {schema!r}, and this goforensics reads {SCHEMA!r}; write it anew with --write-baseline"
    return f"no baseline: its schema is not {SCHEMA!r}; write one with --write-baseline"


def write(path: str, found: Iterable[Finding]) -> None:
    """Record findings, each once, whole or not at all.  Raises OSError."""
    known = {each.fingerprint: Known(each.fingerprint, each.rule, each.owner, each.title) for each in found}
    ordered = sorted(known.values(), key=lambda each: (each.rule, each.owner, each.title, each.fingerprint))
    text = msgspec.json.format(_encoded(Baseline(findings=ordered)), indent=2).decode()
    with replacing(path) as stream:
        stream.write(text + "\n")


def _encoded(document: Baseline) -> bytes:
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # a name from a file system that is not UTF-8
        plain = [Known(*(_plain(text) for text in msgspec.structs.astuple(each))) for each in document.findings]
        return msgspec.json.encode(Baseline(findings=plain))


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
