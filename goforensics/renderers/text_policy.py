"""A policy as it counts, as text: values with their sources, rules with their severities."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from goforensics.renderers import View
from goforensics.renderers.text_tables import Listing, facts, section, wrapped
from goforensics.report_policy import PolicyExplanation


def parts(document: PolicyExplanation, view: View) -> Iterator[RenderableType]:
    """What the file says, then what rules make of it."""
    yield wrapped(document.path or "no goforensics.toml here or in a folder above: everything as by default", "bold")
    yield section("Values", facts((row.key, f"{row.value}  ({row.source})") for row in document.values))
    rules = Listing("<", "<", "<")
    for each in document.rules:
        rules.add(each.rule, each.severity, each.source, style="dim" if each.severity == "off" else "")
    yield section("Rules", rules)
    if document.problems:
        yield section("Mistakes", *(wrapped(f"  {problem}") for problem in document.problems))
