"""Programs with a secret planted, and the same programs without it.

No secret here is one.  They are made as they are needed, by lot and with the right checksums, so that no text in this
file looks like one.
"""

from __future__ import annotations

import base64
import json
import random
import string
import struct
import zlib

from specimens import Program, Specimen

from goforensics.clues.secret_tokens import base36, base62
from goforensics.policy import Policy, SecretRules

ALNUM = string.ascii_letters + string.digits
MAIN = """package main

import "fmt"

var value = "unset"

func main() { fmt.Println(value) }
"""
EMBEDS = """package main

import (
	"embed"
	"fmt"
	"os"
)

//go:embed all:data
var files embed.FS

func main() {
	text, err := files.ReadFile("data/" + os.Args[1])
	fmt.Println(len(text), err)
}
"""


def lot(size: int, letters: str = ALNUM, seed: int = 1) -> str:
    """`size` characters by lot, the same ones each time."""
    return "".join(random.Random(f"{seed} {size} {letters}").choices(letters, k=size))


def checksummed(prefix: str, seed: int = 1) -> str:
    """A token of GitHub or npm."""
    body = lot(30, seed=seed)
    return prefix + body + base62(zlib.crc32(body.encode()), 6)


def routable(payload: str) -> str:
    """A token of GitLab, with its payload's length and checksum."""
    token = f"glpat-{payload}.{base36(len(payload), 2)}"
    return token + base36(zlib.crc32(token.encode()), 7)


def der(size: int) -> bytes:
    """An ASN.1 SEQUENCE of `size` bytes."""
    return b"\x30\x82" + struct.pack(">H", size) + random.Random(size).randbytes(size)


def pem(label: str, content: bytes, headers: str = "") -> str:
    """A block as encoding/pem writes it."""
    text = base64.b64encode(content).decode()
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{headers}{lines}\n-----END {label}-----\n"


def packed(value: object) -> str:
    """JSON in base 64 as JSON Web Tokens have it."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def macaroon() -> str:
    """A token of PyPI: version 2, place, identifier, and a signature by lot."""
    identifier = json.dumps({"version": 1, "permissions": "user"}).encode()
    raw = b"\2\1\x08pypi.org\2" + bytes([len(identifier)]) + identifier + b"\0\0\6\x20" + random.Random(3).randbytes(32)
    return "pypi-" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


GITHUB = checksummed("ghp" + "_")
AWS_ID, AWS_SECRET = "AK" + "IA" + lot(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), lot(40, ALNUM + "+/")
GOOGLE = "AI" + "za" + lot(35, ALNUM + "_-")[:-1] + "Q"
AZURE = lot(86, ALNUM + "+/") + "=="
SLACK = f"xox{'b'}-{lot(12, string.digits)}-{lot(13, string.digits)}-{lot(24)}"
JWT = f"{packed({'alg': 'HS256', 'typ': 'JWT'})}.{packed({'iss': 'tests', 'sub': 'nobody'})}.{lot(43)}"
PASSWORD = lot(18, seed=5)


def set_to(value: str, variable: str = "main.value") -> Program:
    """A program with one value of -X, which -trimpath hides from the build information alone."""
    main = MAIN.replace("value", variable.partition(".")[2])
    return Program((("main.go", main),), ("-trimpath", f"-ldflags=-X '{variable}={value}'"))


def embeds(text: str, name: str = "settings.txt") -> Program:
    """A program that embeds a folder of two files."""
    return Program(
        (("main.go", EMBEDS), (f"data/{name}", text), ("data/about.txt", lot(3000))), ("-trimpath", "-ldflags=-s -w")
    )


GOOD = set_to("nothing-to-see-here")


def value(rule: str, name: str, secret: str, around: str = "{}") -> Specimen:
    """A secret in a value of -X; `around` is the text that it is in."""
    return Specimen(f"secrets/{rule}", name, set_to(around.format(secret)), GOOD, secret, "main")


def file(rule: str, name: str, secret: str, good: str, around: str = "{}", called: str = "settings.txt") -> Specimen:
    """A secret in an embedded file, and another text in its place."""
    return Specimen(f"secrets/{rule}", name, embeds(around.format(secret), called), embeds(good, called), secret)


KEY_LABEL = "RSA PRIV" + "ATE KEY"
ACCOUNT_KEY = json.dumps(pem(KEY_LABEL[4:], der(1190)).rstrip())[1:-1]
ACCOUNT = '{{"type": "service_account", "private_key": "{}\\n"}}'
# The variable's name is in the symbol table.
NAMED = set_to(PASSWORD, "main.apiToken")
POLICIES = {"secrets/pattern": Policy(secrets=SecretRules(patterns={"house token": r"hs_[0-9a-f]{24}"}))}
SPECIMENS: tuple[Specimen, ...] = (
    value("cloud-key", "AWS", AWS_ID, "{} " + AWS_SECRET),
    value("cloud-key", "Google", GOOGLE),
    file(
        "cloud-key",
        "Azure storage",
        AZURE,
        "AccountKey=;",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};",
    ),
    value("source-host", "GitHub", GITHUB),
    value("source-host", "GitHub, fine-grained", "github" + "_pat_" + lot(22) + "_" + lot(59)),
    value("source-host", "GitLab", "gl" + "pat-" + lot(20)),
    value("source-host", "GitLab, routable", routable(lot(44))),
    file(
        "source-host",
        "npm",
        checksummed("npm" + "_"),
        "npm_" + lot(36),
        "//registry.npmjs.org/:_authToken={}\n",
        ".npmrc",
    ),
    value("source-host", "PyPI", macaroon()),
    value("service", "Slack", SLACK),
    value(
        "service",
        "Slack webhook",
        f"hooks.slack.com/services/T{lot(9, 'ABC123')}/B{lot(9, 'ABC123')}/{lot(24)}",
        "https://{}",
    ),
    value("service", "Stripe", "sk" + "_live_" + lot(24)),
    value("service", "SendGrid", f"SG.{lot(22)}.{lot(43)}"),
    value("service", "Twilio", lot(32, "0123456789abcdef"), "AC" + lot(32, "0123456789abcdef", 2) + " {}"),
    file("private-key", "RSA", pem(KEY_LABEL, der(1190)).rstrip(), pem("CERTIFICATE", der(1190)), called="server.pem"),
    file("private-key", "service account", ACCOUNT_KEY, '{"type": "service_account"}', ACCOUNT, "account.json"),
    value("jwt", "-X", JWT),
    value("url", "-X", f"https://deploy:{PASSWORD}@git.example.com", "{}/team/project.git"),
    file(
        "url",
        "environment file",
        f"postgres://app:{PASSWORD}@db.example.com",
        "D=postgres://db.example.com/app\n",
        "D={}/app\n",
        ".env",
    ),
    value("url", "MySQL", f"app:{PASSWORD}@tcp(db.example.com:3306)/"),
    value("url", "libpq", PASSWORD, "host=db.example.com user=app password={} dbname=app"),
    Specimen("secrets/value", "variable", NAMED, set_to("changeme", "main.apiToken"), PASSWORD, "main"),
    Specimen("secrets/value", "text", set_to(f"user=app;password={PASSWORD}"), GOOD, PASSWORD, "main"),
    file("value", "environment file", PASSWORD, "API_KEY=changeme\n", "# settings\nAPI_KEY={}\nPORT=8080\n", ".env"),
    value("pattern", "-X", "hs_" + lot(24, "0123456789abcdef")),
)
