"""Shapes of addresses with a password in them: URLs, and what database drivers are given to connect."""

from __future__ import annotations

import re

from goforensics.clues.secret_shapes import Match, Shape, Text, redacted, stand_in

RULE_ID = "secrets/url"
CALM = rb"[^\x00-\x20\x7f-\xff/\"'`<>@\\]"  # of a name or a password; a slash must be escaped in both
URL = re.compile(rb"://(%s{0,64}?):(%s{1,128})@([A-Za-z0-9\[%%$][A-Za-z0-9.:_\]-]*)" % (CALM, CALM))
SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{1,30}$")
NETWORK = re.compile(rb"@(?:tcp|unix)\(([^()\x00-\x20]{1,255})\)/")
CREDENTIALS = re.compile(rb"([0-9A-Za-z_.-]{1,32}):([^\x00-\x20\x7f-\xff@/:\"'`]{1,64})$")
PAIR = re.compile(rb"(?i)\b(host|hostaddr|user|dbname|port|sslmode|server|data source|database|user id|uid)\s*=")
PASSWORD = re.compile(rb"(?i)password=('[^']{4,64}'|[^\s;,'\"&]{4,64})")
LEAST = 4  # characters of a password: documentation has shorter ones


def _url(text: Text) -> Match | None:
    """scheme://user:password@host.  The scheme is what stands before."""
    found = URL.match(text.data, text.at)
    scheme = SCHEME.search(text.data[max(text.at - 31, 0) : text.at])
    if found is None or scheme is None:
        return None
    user, password, host = found.groups()
    if len(password) < LEAST or stand_in(password) or password == user or _template(user) or _template(host):
        return None
    name = scheme[0].decode()
    shown = f"{name}://…:{redacted('', len(password))}@{host.decode('ascii', 'replace')}"
    kind = (
        "URL with a password" if name.startswith(("http", "ws", "ftp", "git", "ssh")) else "data source with a password"
    )
    return Match(kind, shown, text.at - len(scheme[0]), found.end())


def _template(part: bytes) -> bool:
    return bool(re.search(rb"[%$<{][a-z{(]", part))


def _mysql(text: Text) -> Match | None:
    """user:password@tcp(host)/name, as Go's MySQL driver has it."""
    network = NETWORK.match(text.data, text.at)
    before = CREDENTIALS.search(text.data[max(text.at - 100, 0) : text.at])
    if network is None or before is None:
        return None
    user, password = before.groups()
    if len(password) < LEAST or stand_in(password) or password == user:
        return None
    shown = f"…:{redacted('', len(password))}@{network[0].decode('ascii', 'replace')}"
    start = text.at - len(before[0])
    return Match("data source with a password", shown, start, network.end())


def _pairs(text: Text) -> Match | None:
    """host=… user=… password=…, as libpq has it, or Server=…;Password=…."""
    found = PASSWORD.match(text.data, text.at)
    near = text.data[max(text.at - 256, 0) : text.at + 256]
    if found is None or len({name.lower() for name in PAIR.findall(near)}) < 2:
        return None
    value = found[1].strip(b"'")
    if stand_in(value):
        return None
    start = found.start(1) + found[1].index(value)
    return Match("data source with a password", redacted("password=", len(value)), start, start + len(value))


SHAPES = (
    Shape(RULE_ID, rb"://%s{0,64}:%s{1,128}@" % (CALM, CALM), _url),
    Shape(RULE_ID, rb"@(?:tcp|unix)\(", _mysql),
    Shape(RULE_ID, rb"[Pp](?:ASSWORD|assword)=", _pairs),
)
