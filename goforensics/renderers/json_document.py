"""JSON: one document alone, or an array of those that were asked for together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from goforensics.renderers import View
from goforensics.report import ByteMapDocument, Document

BATCH = 8192  # rows in one piece of text


def render(documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
    """Indented JSON in UTF-8; every row, whatever `view` shows a person.  The rows of a byte map take a line each."""
    if not many:
        for document in documents:
            yield from _pieces(document)
            yield "\n"
        return
    opening = "[\n"
    for document in documents:
        yield opening
        yield from _pieces(document)
        opening = ",\n"
    yield "\n]\n" if opening == ",\n" else "[]\n"


def _pieces(document: Document) -> Iterator[str]:
    if not isinstance(document, ByteMapDocument):
        yield msgspec.json.format(_json(document), indent=2).decode()
        return
    # `rows` comes last: what stands before it is the same document without any.
    bare = msgspec.json.format(_json(msgspec.structs.replace(document, rows=[])), indent=2).decode()
    yield bare.removesuffix("]\n}")
    rows, separator = iter(document.rows), "\n    "
    while batch := list(islice(rows, BATCH)):
        lines = [_json(row).decode() for row in batch]
        yield separator + ",\n    ".join(lines)
        separator = ",\n    "
    yield "\n  ]\n}"


def _json(document: Document) -> bytes:
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(msgspec.to_builtins(document)))


def _encodable(value: Any) -> Any:
    r"""The same value without lone surrogates, which stand for file-name bytes outside UTF-8: they become \udcNN."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value
