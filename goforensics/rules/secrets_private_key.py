"""Private keys in PEM."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues.secret_keys import KEY
from goforensics.clues.secrets import FIX, drafts
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Rule
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Each key once, with every place that it is in."""
    return drafts(subject, KEY)


RULE = Rule(
    id=KEY,
    title="A private key is in the file",
    severity="critical",
    why=("Whoever has the file can be the server, the signer or the service account that the key stands for."),
    fix=FIX,
    limits=(
        "Only PEM blocks whose content decodes to the structure of a key; a header alone, as in crypto/x509, is "
        "none, and the TESTING KEY blocks of net/http/internal/testcert are public and no PRIVATE KEY blocks. "
        "Keys in DER are not seen. Encrypted keys count as medium."
    ),
    check=check,
)
