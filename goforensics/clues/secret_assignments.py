"""Secrets that only a name tells: in an embedded environment file, and in values of -X."""

from __future__ import annotations

import re

from goforensics.clues.secret_shapes import Match, Shape, Text, redacted, stand_in

RULE_ID = "secrets/value"
LEAST = 8  # characters
LINE = re.compile(rb"(?:\s*(?:#[^\n]*)?|\s*(?:export +)?[A-Za-z_][A-Za-z0-9_.]*=[^\n]*)(?:\n|$)")
ASSIGNED = re.compile(rb"(?:export +)?([A-Za-z_][A-Za-z0-9_.]*)=[\"']?([^\s\"'#]+)")
NAME = re.compile(
    r"(?i)pass(?:word|wd|phrase)|secret|token|api_?key|private_?key|access_?key|auth_?key|encryption_?key|signing_?key"
    r"|credential"
)
# tokenURL, secretName, passwordFile: names of what leads to a secret
ABOUT = re.compile(
    r"(?i)(?:url|uri|endpoint|path|file|dir|name|id|ttl|type|kind|header|prefix|suffix|len|length|size|version|host"
    r"|addr|address|issuer|audience|expiry|timeout|policy|enabled|public_?key|format|algorithm)s?$"
)


def secret_name(name: str) -> bool:
    """Whether a variable called so holds a secret."""
    return bool(NAME.search(name)) and not ABOUT.search(name)


def secret_value(value: bytes) -> bool:
    """Whether it may be one: no sentence, no path, no address, no stand-in."""
    if len(value) < LEAST or re.search(rb"\s", value) or value.startswith((b"/", b"./", b"~", b"http:", b"https:")):
        return False
    return not stand_in(value) and not re.fullmatch(rb"[a-z]+|[A-Z]+|v?\d+(\.\d+)*|[a-z]+[-_.][a-z]+", value)


def _environment(text: Text) -> Match | None:
    """An assignment in a string whose every line is one, or a comment: a .env file."""
    if not text.exact or not text.whole or not _all_assigned(text.data):
        return None
    start = text.data.rfind(b"\n", 0, text.at) + 1
    found = ASSIGNED.match(text.data, start)
    if found is None or not found.start(1) <= text.at < found.end(1):
        return None
    name, value = found[1].decode("ascii", "replace"), found[2]
    if not secret_name(name) or not secret_value(value) or b"://" in value:
        return None
    label = f"value of {name} in an environment file"
    return Match(label, redacted("", len(value)), found.start(2), found.end(2))


def _all_assigned(data: bytes) -> bool:
    at = 0
    while at < len(data):
        found = LINE.match(data, at)
        if found is None or found.end() == at:
            return False
        at = found.end()
    return True


SHAPES = (
    Shape(
        RULE_ID,
        rb"(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?)[A-Z0-9_]{0,20}=",
        _environment,
    ),
)
