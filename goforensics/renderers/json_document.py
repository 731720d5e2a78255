"""JSON: one document alone, or an array of those that were asked for together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from goforensics.renderers import View
from goforensics.report import Document


def render(documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
    """Indented JSON in UTF-8; every row, whatever `view` shows a person."""
    if not many:
        yield from (_json(document) + "\n" for document in documents)
        return
    opening = "[\n"
    for document in documents:
        yield opening + _json(document)
        opening = ",\n"
    yield "\n]\n" if opening == ",\n" else "[]\n"


def _json(document: Document) -> str:
    try:
        text = msgspec.json.encode(document)
    except UnicodeEncodeError:
        text = msgspec.json.encode(_encodable(msgspec.to_builtins(document)))
    return msgspec.json.format(text, indent=2).decode()


def _encodable(value: Any) -> Any:
    r"""The same value without lone surrogates, which stand for file-name bytes outside UTF-8: they become \udcNN."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value
