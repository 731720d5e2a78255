"""Shapes of access tokens.  A format with a checksum is believed if it is right; others must look drawn by lot."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable

from goforensics.clues.secret_shapes import Match, Shape, Text, alone, made_up, redacted

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
AWS_SECRET = re.compile(rb"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
# Azurite and the older storage emulator have one account for everybody; its key is in their documentation.
AZURE_EMULATOR = b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
GITHUB = {b"p": "personal access", b"o": "OAuth", b"u": "user-to-server", b"s": "server-to-server", b"r": "refresh"}
ROUTABLE = re.compile(rb"glpat-[0-9A-Za-z_-]{27,300}\.(?:[0-9a-z]{2}\.)?[0-9a-z]{2}([0-9a-z]{7})")
SLACK = re.compile(
    rb"xoxb-[0-9]{10,13}-[0-9]{10,13}-[0-9A-Za-z]{24}"
    rb"|xox[ap]-[0-9]{10,13}-[0-9]{10,13}-[0-9]{10,13}-[0-9a-f]{32}"
    rb"|xapp-[0-9]-[A-Z0-9]{9,12}-[0-9]{11,14}-[0-9a-f]{64}"
)
SLACK_HOOK = re.compile(rb"hooks\.slack\.com/services/T[0-9A-Z]{8,11}/B[0-9A-Z]{8,11}/([0-9A-Za-z]{24})")
STRIPE = re.compile(rb"[rs]k_(live|test)_[0-9A-Za-z]{24,99}")
TWILIO_TOKEN = re.compile(rb"(?<![0-9A-Za-z])(?:[0-9a-f]{32}|[0-9A-Za-z]{32})(?![0-9A-Za-z])")
PYPI = re.compile(rb"pypi-([0-9A-Za-z_-]{85,1000})")


def base62(number: int, width: int) -> str:
    """A number in GitHub's digits."""
    return _digits(number, BASE62, width)


def base36(number: int, width: int) -> str:
    """A number in Ruby's digits."""
    return _digits(number, BASE36, width)


def _digits(number: int, digits: str, width: int) -> str:
    out = ""
    while number:
        number, digit = divmod(number, len(digits))
        out = digits[digit] + out
    return out.rjust(width, "0")


def checksummed(token: bytes) -> bool:
    """GitHub's and npm's check: the last six digits are the CRC-32 of those before, without the prefix.

    https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
    """
    body = token.rpartition(b"_")[2]
    return base62(zlib.crc32(body[:-6]), 6).encode() == body[-6:]


def _simple(pattern: bytes, label: str, prefix: int) -> Callable[[Text], Match | None]:
    """A token that its pattern says all about; its first `prefix` characters say what it is."""
    shape = re.compile(pattern)

    def verify(text: Text) -> Match | None:
        found = shape.match(text.data, text.at)
        if found is None or not alone(text.data, found.start(), found.end()) or made_up(found[0][prefix:]):
            return None
        return _match(label, found, prefix)

    return verify


def _match(label: str, found: re.Match[bytes], prefix: int) -> Match:
    shown = redacted(found[0][:prefix].decode("ascii", "replace"), len(found[0]))
    return Match(label, shown, found.start(), found.end())


def _github(text: Text) -> Match | None:
    token = text.data[text.at : text.at + 40]
    if len(token) < 40 or not checksummed(token):
        return None
    label = f"GitHub {GITHUB[token[2:3]]} token"
    return Match(label, redacted(token[:4].decode(), 40), text.at, text.at + 40)


def _npm(text: Text) -> Match | None:
    token = text.data[text.at : text.at + 40]
    if len(token) < 40 or not checksummed(token):
        return None
    return Match("npm access token", redacted("npm_", 40), text.at, text.at + 40)


def _gitlab(text: Text) -> Match | None:
    """Twenty characters, or a routable token: payload, its length, and the CRC-32 of all before in base 36."""
    routable = ROUTABLE.match(text.data, text.at)
    if routable:
        right = base36(zlib.crc32(routable[0][:-7]), 7).encode() == routable[1]
        return _match("GitLab personal access token", routable, 6) if right else None
    return _simple(rb"glpat-[0-9A-Za-z_-]{20}(?![0-9A-Za-z_.-])", "GitLab personal access token", 6)(text)


def _pypi(text: Text) -> Match | None:
    """A macaroon, version 2: the field 1 is its place, pypi.org."""
    found = PYPI.match(text.data, text.at)
    if found is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(found[1] + b"=" * (-len(found[1]) % 4))
    except (binascii.Error, ValueError):
        return None
    right = raw[:2] == b"\2\1" and raw[3 : 3 + raw[2]] in (b"pypi.org", b"test.pypi.org")
    return _match("PyPI token", found, 5) if right else None


def _aws(text: Text) -> Match | None:
    """An access key's ID; with a secret in the same string it opens the door."""
    key = re.compile(rb"A[KS]IA[A-Z2-7]{16}").match(text.data, text.at)
    if key is None or not alone(text.data, key.start(), key.end()) or made_up(key[0][4:]):
        return None
    secret = next((s for s in AWS_SECRET.finditer(text.data) if is_aws_secret(s[0])), None)
    shown = redacted(key[0][:4].decode(), 20)
    if secret is None:
        return Match("AWS access key ID", shown, key.start(), key.end(), "medium")
    return Match("AWS access key with its secret", shown, key.start(), key.end(), also=(secret.span(),))


def is_aws_secret(value: bytes) -> bool:
    """Forty characters of base 64, of every sort, that are no hash in hexadecimal."""
    sorts = (rb"[A-Z]", rb"[a-z]", rb"[0-9]")
    return (
        AWS_SECRET.fullmatch(value) is not None
        and all(re.search(sort, value) for sort in sorts)
        and not made_up(value)
        and len(set(value)) > 16
    )


def _azure(text: Text) -> Match | None:
    found = re.compile(rb"AccountKey=([A-Za-z0-9+/]{86}==)").match(text.data, text.at)
    if found is None or found[1] == AZURE_EMULATOR or made_up(found[1]):
        return None
    return Match("Azure storage account key", redacted("AccountKey=", 88), found.start(1), found.end(1))


def _slack_hook(text: Text) -> Match | None:
    found = SLACK_HOOK.match(text.data, text.at)
    if found is None or made_up(found[1]):
        return None
    return Match("Slack webhook", redacted("hooks.slack.com/services/", len(found[0])), *found.span())


def _slack(text: Text) -> Match | None:
    found = SLACK.match(text.data, text.at)
    if found is None or not alone(text.data, *found.span()) or made_up(found[0].rpartition(b"-")[2]):
        return None
    return _match("Slack token", found, 5)


def _stripe(text: Text) -> Match | None:
    found = STRIPE.match(text.data, text.at)
    if found is None or not alone(text.data, *found.span()) or made_up(found[0][8:]):
        return None
    label, severity = ("Stripe secret key", None) if found[1] == b"live" else ("Stripe key for tests", "low")
    return Match(label, redacted(found[0][:8].decode(), len(found[0])), *found.span(), severity)  # type: ignore[arg-type]


def _twilio(text: Text) -> Match | None:
    """A key's or an account's name, which is no secret, with a secret in the same string."""
    found = re.compile(rb"(?:AC|SK)[0-9a-f]{32}").match(text.data, text.at)
    if found is None or not alone(text.data, *found.span()):
        return None
    others = (s for s in TWILIO_TOKEN.finditer(text.data) if not found.start() <= s.start() < found.end())
    secret = next((s for s in others if not made_up(s[0]) and re.search(rb"[0-9]", s[0])), None)
    if secret is None:
        return None
    return Match(
        "Twilio key with its secret", redacted(found[0][:2].decode(), 34), *secret.span(), also=(found.span(),)
    )


CLOUD, HOST, SERVICE = "secrets/cloud-key", "secrets/source-host", "secrets/service"
SHAPES = (
    Shape(CLOUD, rb"A[KS]IA[A-Z2-7]{16}", _aws),
    Shape(CLOUD, rb"AIza[0-9A-Za-z_-]{35}", _simple(rb"AIza[0-9A-Za-z_-]{35}(?![-])", "Google API key", 4)),
    Shape(CLOUD, rb"AccountKey=[A-Za-z0-9+/]{86}==", _azure),
    Shape(HOST, rb"gh[pousr]_[0-9A-Za-z]{36}", _github),
    Shape(
        HOST,
        rb"github_pat_[0-9A-Za-z]{22}_",
        _simple(rb"github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}", "GitHub fine-grained token", 11),
    ),
    Shape(HOST, rb"glpat-[0-9A-Za-z_-]{20}", _gitlab),
    Shape(HOST, rb"npm_[0-9A-Za-z]{36}", _npm),
    Shape(HOST, rb"pypi-AgE[0-9A-Za-z_-]{20}", _pypi),
    Shape(SERVICE, rb"xox[abp]-[0-9]{10}|xapp-[0-9]-[A-Z0-9]{9}", _slack),
    Shape(SERVICE, rb"hooks\.slack\.com/services/T", _slack_hook),
    Shape(SERVICE, rb"[rs]k_(?:live|test)_[0-9A-Za-z]{24}", _stripe),
    Shape(
        SERVICE,
        rb"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}",
        _simple(rb"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}", "SendGrid key", 3),
    ),
    Shape(SERVICE, rb"(?:AC|SK)[0-9a-f]{32}", _twilio),
)
