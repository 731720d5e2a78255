"""Shapes of private keys and of signed tokens, which are decoded before they are believed."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from goforensics.clues.secret_shapes import Match, Shape, Text, alone, redacted

KEY, JWT = "secrets/private-key", "secrets/jwt"
LARGEST = 1 << 15  # bytes of a key's block; RSA of 16,384 bits has 13,000
BLOCK = re.compile(
    rb"-----BEGIN ((?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----((?:[^-]|-(?!-)){64,%d})-----END \1-----" % LARGEST
)
HEADER = re.compile(rb"^\s*(?:[A-Za-z-]+: [^\n]*\n)+", re.MULTILINE)  # RFC 1421's, and those of a PGP block
BREAK = re.compile(rb"\\r|\\n|\s")  # as JSON and .env write a line's end, and as it is
CHECK = re.compile(rb"=[A-Za-z0-9+/]{4}$")  # CRC-24 of a PGP block
TOKEN = re.compile(rb"(eyJ[0-9A-Za-z_-]{10,4000})\.([0-9A-Za-z_-]{4,16000})\.([0-9A-Za-z_-]{20,2000})")
SAMPLE = "1234567890"  # the subject of the token that jwt.io shows


def _private_key(text: Text) -> Match | None:
    found = BLOCK.match(text.data, text.at)
    if found is None:
        return None
    label = found[1].decode()
    body, encrypted = _body(found[2])
    if body is None or not (
        _der(body) or _openssh(label, body) or _pgp(label, body) or (encrypted and len(body) > 100)
    ):
        return None
    account = b'"service_account"' in text.data
    shown = redacted(f"-----BEGIN {label}-----", len(found[0]))
    locked = encrypted or "ENCRYPTED" in label
    name = "encrypted private key" if locked else "Google service account's private key" if account else "private key"
    return Match(name, shown, *found.span(), "medium" if locked else None)


def _body(raw: bytes) -> tuple[bytes | None, bool]:
    """The block's content decoded, and whether its header says that it is encrypted; None if it is no base 64."""
    plain = raw.replace(b"\\r", b"").replace(b"\\n", b"\n")
    header = HEADER.match(plain)
    if header:
        plain = plain[header.end() :]
    packed = CHECK.sub(b"", BREAK.sub(b"", plain))
    try:
        return base64.b64decode(packed, validate=True), bool(header and b"ENCRYPTED" in header[0])
    except (binascii.Error, ValueError):
        return None, False


def _der(raw: bytes) -> bool:
    """An ASN.1 SEQUENCE that is as long as it says."""
    if len(raw) < 16 or raw[0] != 0x30:
        return False
    if raw[1] < 0x80:
        return raw[1] == len(raw) - 2
    count = raw[1] & 0x7F
    return 1 <= count <= 3 and int.from_bytes(raw[2 : 2 + count], "big") == len(raw) - 2 - count


def _openssh(label: str, raw: bytes) -> bool:
    return label == "OPENSSH PRIVATE KEY" and raw.startswith(b"openssh-key-v1\0")


def _pgp(label: str, raw: bytes) -> bool:
    """A secret-key packet, tag 5, of either format: RFC 4880, section 4.2."""
    return label.startswith("PGP") and len(raw) > 100 and raw[0] >> 2 in (0b100101, 0b110001)


def _jwt(text: Text) -> Match | None:
    found = TOKEN.match(text.data, text.at)
    if found is None or not alone(text.data, *found.span()):
        return None
    header, payload = _object(found[1]), _object(found[2])
    algorithm = header.get("alg") if header else None
    if not isinstance(algorithm, str) or algorithm.lower() == "none" or not payload or payload.get("sub") == SAMPLE:
        return None
    return Match("JSON Web Token", redacted("eyJ", len(found[0])), *found.span())


def _object(part: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


SHAPES = (
    Shape(KEY, rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY", _private_key),
    Shape(JWT, rb"eyJ[0-9A-Za-z_-]{10}", _jwt),
)
