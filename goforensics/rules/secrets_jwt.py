"""JSON Web Tokens."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.secret_keys import JWT
from goforensics.clues.secrets import FIX, drafts
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Each key once, with every place that it is in."""
    return drafts(subject, JWT)


RULE = Rule(
    id=JWT,
    title="A signed token is in the file",
    severity="medium",
    why=("A JSON Web Token is a password until it expires, and many that are built in never do."),
    fix=FIX,
    limits=(
        "The signature and the time of expiry are not checked; tokens without a signature and the example of "
        "jwt.io are passed over."
    ),
    check=check,
)
