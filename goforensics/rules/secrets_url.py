"""Addresses with a password: URLs and data sources."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.secret_urls import RULE_ID
from goforensics.clues.secrets import FIX, drafts
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Each key once, with every place that it is in."""
    return drafts(subject, RULE_ID)


RULE = Rule(
    id=RULE_ID,
    title="An address with a password is in the file",
    severity="high",
    why=("The file tells where the door is and how it opens."),
    fix=FIX,
    limits=(
        "Templates, words such as password or secret, passwords of less than four characters, and those that "
        "equal the user's name are passed over. The user's name is not shown."
    ),
    check=check,
)
