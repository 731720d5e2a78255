"""The rules on secrets: what is one, what is none, where it ends, and that none is ever told."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import specimens_secrets as made
from builds import FAKE_TOKEN, executable, zoo_builds
from specimens import RELEASES, Program, Specimen, build

from goforensics import patterns
from goforensics.binary import open as open_binary
from goforensics.clues.secret_shapes import Match, Text, stand_in
from goforensics.clues.secrets import SHAPES
from goforensics.policy import Policy, SecretRules
from goforensics.rules import secrets_pattern
from goforensics.rules.catalogue import rules
from goforensics.rules.protocol import Draft, NotApplicableError, UnknownError
from goforensics.rules.subject import Subject

SECRETS = [rule for rule in rules() if rule.id.startswith("secrets/") and rule.id != "secrets/pattern"]
PASSWORD = "FAKE-PASSWORD-FOR-TESTS"
PIECE = 6  # characters in a row of a secret that nothing may show
# What of a secret is the same in all of its sort, or is no secret: a prefix, a host, the lines around a key.
KNOWN = re.compile(
    r"^\w+://[^:]+:|@.*$|^-----BEGIN [A-Z ]+-----|-----END [A-Z ]+-----$|^hooks\.slack\.com/services/"
    r"|^(?:github_pat|sk_live)_|^glpat-|^pypi-"
)


def verified(text: str, *, exact: bool = True) -> list[tuple[str, Match]]:
    """(rule, match) of everything in a string."""
    raw = text.encode()
    found = []
    for shape in SHAPES:
        for hit in re.finditer(shape.anchor, raw):
            match = shape.verify(Text(raw, hit.start(), exact))
            if match:
                found.append((shape.rule, match))
    return found


def found(path: Path) -> list[tuple[str, Draft]]:
    subject = Subject(open_binary(path))
    return [(rule.id, draft) for rule in SECRETS for draft in rule.check(subject, Policy())]


def held(path: Path, drafts: list[tuple[str, Draft]]) -> set[tuple[str, str]]:
    """(rule, bytes at the place) of every place."""
    raw = path.read_bytes()
    return {(rule, raw[hit.offset : (hit.offset or 0) + hit.length].decode()) for rule, d in drafts for hit in d.hits}


TOKENS = [
    ("secrets/source-host", made.GITHUB),
    ("secrets/source-host", made.checksummed("npm" + "_")),
    ("secrets/source-host", made.routable(made.lot(44))),
    ("secrets/source-host", made.macaroon()),
    ("secrets/cloud-key", made.AWS_ID),
    ("secrets/cloud-key", made.GOOGLE),
    ("secrets/service", made.SLACK),
    ("secrets/jwt", made.JWT),
    ("secrets/url", f"https://deploy:{made.PASSWORD}@git.example.com"),
    ("secrets/private-key", made.pem(made.KEY_LABEL, made.der(600)).rstrip()),
    ("secrets/private-key", made.pem("OPENSSH PRIV" + "ATE KEY", b"openssh-key-v1\0" + made.der(300)).rstrip()),
    ("secrets/private-key", made.pem("EC PRIV" + "ATE KEY", made.der(100), "Proc-Type: 4,ENCRYPTED\n\n").rstrip()),
]


@pytest.mark.parametrize(("rule", "secret"), TOKENS, ids=range(len(TOKENS)))
def test_a_secret_alone_and_among_words(rule: str, secret: str) -> None:
    for around in ("{}", "token={}", "a {} b", '"{}"\n'):
        text = around.format(secret)
        ((which, match),) = verified(text)
        assert which == rule
        assert text[match.start : match.end] == secret


@pytest.mark.parametrize(
    "text",
    [
        # documentation
        "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
        "https://user:password@example.com https://user:pass@host http://admin:admin@localhost",
        "postgres://%s:%s@%s/%s postgres://${USER}:${PASSWORD}@${HOST}/app",
        "user:password@tcp(127.0.0.1:3306)/test root:root@tcp(db)/",
        "host=localhost user=app password=secret dbname=app",
        "host=%s user=%s password=%s",
        "//example.com:8080/a@b",
        "xoxb-123456789012-1234567890123-xxxxxxxxxxxxxxxxxxxxxxxx",
        "sk_test_xxxxxxxxxxxxxxxxxxxxxxxx",
        "SG.xxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        # no checksum, no structure
        "ghp_" + made.lot(36),
        "npm_" + made.lot(36),
        made.routable(made.lot(44))[:-1] + "!",
        "pypi-AgE" + made.lot(100),
        "AC" + made.lot(32, "0123456789abcdef"),
        # crypto/x509 and net/http know how keys begin and end; net/http/internal/testcert's is public, and says so
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----",
        made.pem("RSA TESTING KEY", made.der(600)),
        made.pem(made.KEY_LABEL, made.der(600)[:-1]),
        made.pem(made.KEY_LABEL, made.der(600)).replace("\n", "\n!", 2),
        # unsigned, of jwt.io, no JSON
        f"{made.packed({'alg': 'none'})}.{made.packed({'iss': 'x'})}.{made.lot(43)}",
        f"{made.packed({'alg': 'HS256'})}.{made.packed({'sub': '1234567890', 'name': 'John Doe'})}.{made.lot(43)}",
        f"eyJ{made.lot(30)}.eyJ{made.lot(30)}.{made.lot(43)}",
        # parts of longer words
        "x" + made.AWS_ID,
        made.AWS_ID + "B",
    ],
)
def test_what_is_no_secret(text: str) -> None:
    assert verified(text) == []


@pytest.mark.parametrize("at", [5, 20, 39])
def test_a_checksum_is_checked(at: int) -> None:
    """One character changed, and nothing is left."""
    for token in (made.GITHUB, made.checksummed("npm" + "_")):
        other = "A" if token[at] != "A" else "B"
        assert verified(token) != []
        assert verified(token[:at] + other + token[at + 1 :]) == []


def test_github_s_own_example_has_the_right_checksum() -> None:
    """The token that GitHub's documentation shows; it was revoked before it was printed."""
    assert [match.label for _, match in verified("ghp_" + "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ" + "0mLq17")] == [
        "GitHub personal access token"
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, True) for value in (b"password", b"changeme", b"${PASSWORD}", b"%s", b"xxxxxxxx", b"your-token")),
        *((value, False) for value in (PASSWORD.encode(), b"Tr0ub4dor&3", made.PASSWORD.encode())),
    ],
)
def test_stand_ins(value: bytes, expected: bool) -> None:
    assert stand_in(value) is expected


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_everything_planted_in_the_zoo_is_found(go: str) -> None:
    """The -X value, which -trimpath hides from the build information alone, and both lines of the embedded .env."""
    for each in zoo_builds(go)[:2]:
        path = executable(each)
        drafts = found(path)
        assert held(path, drafts) == {
            ("secrets/url", f"postgres://fake-user:{PASSWORD}@db.example.com"),
            ("secrets/value", FAKE_TOKEN),
            ("secrets/value", "FAKE-API-KEY-FOR-TESTS-0000"),
        }
        (token,) = [draft for _, draft in drafts if "main.token" in draft.title]
        trimmed = "-trimpath" in each.flags
        assert (
            [hit.where for hit in token.hits] == ["rodata"] if trimmed else ["buildinfo:-ldflags", "rodata", "rodata"]
        )


@pytest.mark.builds
@pytest.mark.parametrize("specimen", made.SPECIMENS, ids=lambda s: f"{s.rule}:{s.name}".replace(" ", "-"))
def test_no_secret_is_told(specimen: Specimen) -> None:
    """Neither a finding's texts nor its key hold a part of it, but for the prefix that says what it is."""
    subject = Subject(open_binary(build(specimen.bad, "1.27")))
    policy = made.POLICIES.get(specimen.rule, Policy())
    drafts = [draft for rule in [*SECRETS, secrets_pattern.RULE] for draft in checked(rule, subject, policy)]
    assert drafts
    shown = msgspec.json.encode(drafts).decode()
    lot = KNOWN.sub("", specimen.planted)
    pieces = {lot[i : i + PIECE] for i in range(len(lot) - PIECE + 1)}
    assert not [piece for piece in pieces if piece in shown]


def checked(rule, subject: Subject, policy: Policy) -> list[Draft]:  # type: ignore[no-untyped-def]
    try:
        return list(rule.check(subject, policy))
    except NotApplicableError:
        return []


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_a8_a_hit_is_the_bounded_string(go: str) -> None:
    """A8: strings have no terminators; among literals of its own size, and beside -X, a secret is exactly itself."""
    url = f"https://deploy:{made.PASSWORD}@git.example.com"
    secrets = [made.GITHUB, made.checksummed("ghp" + "_", 2), url]
    neighbours = [letter * size for size in sorted({len(text) for text in secrets}) for letter in "abcxyz"]
    listed = ", ".join(f'"{text}"' for text in [*neighbours, *secrets])
    source = made.MAIN.replace('import "fmt"', 'import "fmt"\nimport "os"').replace(
        "fmt.Println(value)", "fmt.Println(value, all[len(os.Args)])"
    )
    source += f"\nvar all = []string{{{listed}}}\n"
    third = made.checksummed("gho" + "_", 3)
    path = build(Program((("main.go", source),), ("-trimpath", f"-ldflags=-s -w -X main.value={third}")), go)
    assert held(path, found(path)) == {
        *(("secrets/source-host", text) for text in (made.GITHUB, made.checksummed("ghp" + "_", 2), third)),
        ("secrets/url", url),
    }


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_a7_a_secret_in_an_embedded_folder(go: str) -> None:
    """A7: 300,000 bytes by lot, a .env among them: the blob lies verbatim in the file, and so does the secret."""
    blob = made.lot(300_000, "".join(map(chr, range(32, 127))), 7)
    secret = f"postgres://app:{made.PASSWORD}@db.example.com"
    env = f"# settings\nDATABASE_URL={secret}/app\nAPI_KEY={made.lot(30)}\n"
    files = (("main.go", made.EMBEDS), ("data/blob.txt", blob), ("data/.env", env))
    path = build(Program(files, ("-trimpath", "-ldflags=-s -w")), go)
    raw = path.read_bytes()
    assert raw.count(blob.encode()) == 1
    drafts = found(path)
    assert held(path, drafts) == {("secrets/url", secret), ("secrets/value", made.lot(30))}
    assert {hit.offset for _, draft in drafts for hit in draft.hits} == {
        raw.find(secret.encode()),
        raw.find(made.lot(30).encode()),
    }


@pytest.mark.builds
def test_behind_the_end_of_the_executable(tmp_path: Path) -> None:
    """What was appended is searched like the rest, and says where it is."""
    path = tmp_path / "appended"
    path.write_bytes(build(made.GOOD, "1.27").read_bytes() + f"\n{made.GITHUB}\n".encode())
    ((rule, draft),) = found(path)
    assert rule == "secrets/source-host"
    assert [hit.where for hit in draft.hits] == ["outside of all sections"]
    assert held(path, [(rule, draft)]) == {(rule, made.GITHUB)}


@pytest.mark.builds
def test_a_pattern_of_the_policy_that_is_none() -> None:
    subject = Subject(open_binary(build(made.GOOD, "1.27")))
    with pytest.raises(UnknownError, match="pattern broken"):
        list(secrets_pattern.RULE.check(subject, Policy(secrets=SecretRules(patterns={"broken": "["}))))
    with pytest.raises(NotApplicableError):
        list(secrets_pattern.RULE.check(subject, Policy()))


@pytest.mark.parametrize("at", [0, patterns.STEP - 8, patterns.STEP - 1, patterns.STEP, 2 * patterns.STEP - 3])
def test_a_match_across_a_step(at: int) -> None:
    """The bytes are searched in steps; what begins in one and ends in the next is found once, whole."""
    data = bytearray(2 * patterns.STEP + 100)
    data[at : at + 20] = b"needle-0123456789abc"
    assert list(patterns.spans(memoryview(bytes(data)), [rb"needle-[0-9a-z]+"])) == [(at, 20)]


def test_there_is_an_end_to_matches() -> None:
    data = memoryview(b"needle " * (patterns.MOST + 1))
    with pytest.raises(patterns.TooManyError):
        list(patterns.spans(data, [b"needle"]))
