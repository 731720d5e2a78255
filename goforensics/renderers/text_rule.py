"""A rule as text."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from goforensics.renderers import View
from goforensics.renderers.text_tables import facts, wrapped
from goforensics.report_policy import RuleExplanation


def parts(document: RuleExplanation, view: View) -> Iterator[RenderableType]:
    """What it finds, how much it counts, and the rest."""
    state = document.state
    severity = f"{state.severity}, {state.source}"
    if document.default != state.severity:
        severity += f"; the rule's own is {document.default}"
    rows = [
        ("severity", severity),
        ("policy", document.path or "none found"),
        ("profiles", ", ".join(document.profiles)),
        ("why", document.why),
        ("fix", document.fix),
        ("limits", document.limits),
    ]
    yield Group(wrapped(f"{state.rule}: {state.title}", "bold"), *(facts([row], 10) for row in rows))
