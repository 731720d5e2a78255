"""TOML: the text that a document brings with it, as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goforensics.errors import UsageError
from goforensics.renderers import View
from goforensics.report import Document
from goforensics.report_policy import PolicyTemplate


def render(documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
    """The text of new policy files.  UsageError for a document of another kind."""
    for document in documents:
        if not isinstance(document, PolicyTemplate):
            raise UsageError("only a policy is written as toml")
        yield document.text
