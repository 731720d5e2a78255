"""`policy check` as text: every mistake with its line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from goforensics.renderers import View
from goforensics.renderers.text_tables import count, wrapped
from goforensics.report_policy import PolicyCheck


def parts(document: PolicyCheck, view: View) -> Iterator[RenderableType]:
    """One line each."""
    if not document.problems:
        yield wrapped(f"✓ {document.path}: nothing wrong", "green")
        return
    said = wrapped(f"✗ {document.path}: {count(len(document.problems), 'mistake')}", "bold red")
    yield Group(said, *(wrapped(str(problem)) for problem in document.problems))
