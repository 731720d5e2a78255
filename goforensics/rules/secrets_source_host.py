"""Tokens of source hosts and package registries: GitHub, GitLab, npm, PyPI."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.secret_tokens import HOST
from goforensics.clues.secrets import FIX, drafts
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Each key once, with every place that it is in."""
    return drafts(subject, HOST)


RULE = Rule(
    id=HOST,
    title="A source host's or registry's token is in the file",
    severity="critical",
    why=(
        "Such a token reads private source or publishes packages in your name; builds that fetch private modules "
        "have one at hand, and -ldflags=-X puts it into the file for good."
    ),
    fix=FIX,
    limits=(
        "GitHub's and npm's tokens are believed if their checksum is right, GitLab's routable ones too, PyPI's if"
        " they decode; fine-grained GitHub tokens and GitLab's short ones by their shape alone."
    ),
    check=check,
)
