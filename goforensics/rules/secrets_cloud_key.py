"""Keys of cloud providers: AWS, Google Cloud, Azure storage."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.secret_tokens import CLOUD
from goforensics.clues.secrets import FIX, drafts
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Each key once, with every place that it is in."""
    return drafts(subject, CLOUD)


RULE = Rule(
    id=CLOUD,
    title="A cloud provider's key is in the file",
    severity="critical",
    why=(
        "Whoever has the file can act, and spend, as the account: strings stay in the file through -s, -w and "
        "-trimpath. An AWS key ID alone opens nothing but names the account, and counts as medium."
    ),
    fix=FIX,
    limits=(
        "AWS secrets are recognised beside their key ID in one string only; Google API keys have no checksum, and"
        " some are meant to be public. Keys that are encoded, compressed or put together at run time are not "
        "seen. The example keys of documentation and the storage emulator's are passed over."
    ),
    check=check,
)
