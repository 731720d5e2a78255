"""Keys of services: Slack, Stripe, SendGrid, Twilio."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.secret_tokens import SERVICE
from goforensics.clues.secrets import FIX, drafts
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Each key once, with every place that it is in."""
    return drafts(subject, SERVICE)


RULE = Rule(
    id=SERVICE,
    title="A service's key is in the file",
    severity="high",
    why=("It sends messages, mail or money in your name, whoever has the file."),
    fix=FIX,
    limits=(
        "These formats have no checksum: what does not look drawn by lot is passed over. Stripe's keys for tests "
        "count as low. Twilio's secrets are recognised beside the key's name only."
    ),
    check=check,
)
