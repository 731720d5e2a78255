"""The rules on internal names; their specimens are held against them with all the others."""

from __future__ import annotations

import re

import pytest
import specimens_internal
from specimens import RELEASES, Program, build

from goforensics.binary import open as open_binary
from goforensics.clues import linker_values
from goforensics.clues.names import host_pattern, path_pattern
from goforensics.policy import InternalRules, Policy
from goforensics.rules import internal_host, internal_module, internal_pattern, internal_user
from goforensics.rules.protocol import NotApplicableError, UnknownError
from goforensics.rules.subject import Subject


def subject(value: str = "unset", go: str = "1.27") -> Subject:
    return Subject(open_binary(build(specimens_internal.set_to(value), go)))


@pytest.mark.builds
@pytest.mark.parametrize("rule", [internal_host.RULE, internal_module.RULE, internal_pattern.RULE], ids=lambda r: r.id)
def test_a_policy_without_names_asks_nothing(rule) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NotApplicableError):
        list(rule.check(subject(), Policy()))


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("*.corp.example", "ci.corp.example", True),
        ("*.corp.example", "a.b.CORP.example", True),
        ("*.corp.example", "corp.example", False),
        ("*.corp.example", "ci.corp-example", False),  # a dot is a dot
        ("db*.corp.example", "db12.corp.example", True),
        ("ci.corp.example", "ci.corp.example", True),
    ],
)
def test_hosts(pattern: str, host: str, expected: bool) -> None:
    assert bool(re.fullmatch(host_pattern(pattern), host.encode())) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("git.corp.example/*", "git.corp.example/team/app", True),
        ("git.corp.example/*", "git.corp.example", True),
        ("git.corp.example/*", "git.corp.example.org/team", False),
        ("*.corp.example/team/*", "git.corp.example/team/app/v2", True),
        ("git.corp.example/team", "git.corp.example/team/app", False),
    ],
)
def test_modules(pattern: str, path: str, expected: bool) -> None:
    assert bool(path_pattern(pattern).fullmatch(path)) is expected


@pytest.mark.builds
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice@buildhost", ["alice@buildhost"]),
        ("built by alice@laptop.local today", ["alice@laptop.local"]),
        ("support@example.com", []),  # a mail address is meant to be read
        ("git@github.com:team/app.git", []),
        ("example.com/tool@latest", []),
        ("app:secret@tcp(db:3306)/", []),
    ],
)
def test_users(text: str, expected: list[str]) -> None:
    program = Program((("main.go", specimens_internal.MAIN),), ("-trimpath", f"-ldflags=-X 'main.value={text}'"))
    found = list(internal_user.RULE.check(Subject(open_binary(build(program, "1.27"))), Policy()))
    assert [draft.key for draft in found] == expected


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_a_host_ends_where_its_string_ends(go: str) -> None:
    """Literals of one size lie end to end: a match that runs on into the next one is looked for anew in both."""
    hosts = [f"{letter * 4}.corp.example" for letter in "abcdef"]
    listed = ", ".join(f'"{host}"' for host in hosts)
    body = "func main() { println(all[len(os.Args)]) }"
    source = f'package main\n\nimport "os"\n\nvar all = []string{{{listed}}}\n\n{body}\n'
    path = build(Program((("main.go", source),), ("-trimpath", "-ldflags=-s -w")), go)
    policy = Policy(internal=InternalRules(hosts=("*.corp.example",)))
    assert sorted(draft.key for draft in internal_host.RULE.check(Subject(open_binary(path)), policy)) == hosts


@pytest.mark.builds
def test_modules_are_found_where_they_are_named() -> None:
    """In the build information, in the names of functions and, untrimmed or not, in the file table."""
    private = specimens_internal.private("git.corp.example/team")
    found = Subject(open_binary(build(private, "1.27")))
    (draft,) = internal_module.RULE.check(found, Policy(internal=specimens_internal.RULES))
    assert draft.key == "git.corp.example/team/inner"
    assert {hit.where for hit in draft.hits} >= {"buildinfo", "pclntab"}
    for hit in draft.hits:
        assert hit.offset is not None
        assert b"git.corp.example/team/inner" in bytes(found.image.data[hit.offset : hit.offset + hit.length])


@pytest.mark.builds
def test_a_pattern_that_is_none() -> None:
    policy = Policy(internal=InternalRules(patterns={"broken": "("}))
    with pytest.raises(UnknownError, match=r"missing \)"):
        list(internal_pattern.RULE.check(subject(), policy))


@pytest.mark.parametrize(
    ("ldflags", "expected"),
    [
        ("-s -w -X main.a=1 -X=main.b=2", [("main.a", "1"), ("main.b", "2")]),
        ("-X 'main.a=x y' --X \"main.b=it's\"", [("main.a", "x y"), ("main.b", "it's")]),
        ("-X main.a=k=v", [("main.a", "k=v")]),
        ("-X", []),
        ("-extldflags -X", []),
    ],
)
def test_the_linker_s_flags(ldflags: str, expected: list[tuple[str, str]]) -> None:
    assert list(linker_values.flags(ldflags)) == expected


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.18", *RELEASES])
@pytest.mark.parametrize("flags", [(), ("-trimpath",), ("-trimpath", "-buildmode=pie"), ("-buildmode=pie",)])
def test_what_x_set_is_known_without_the_flag(go: str, flags: tuple[str, ...]) -> None:
    """The linker lays such a string apart from the compiler's constants; nothing else lies there so."""
    program = Program(
        (("go.mod", "module x\n\ngo 1.18\n"), ("main.go", specimens_internal.MAIN)),
        (*flags, "-ldflags=-s -w -X main.value=planted-text"),
    )
    found = linker_values.values(Subject(open_binary(build(program, go))))
    mine = [value for value in found if value.text == "planted-text"]
    assert len(mine) == 1
    assert mine[0].places[-1][2] == "rodata"
    # GODEBUG's default, which cmd/go sets with -X too, and its own directory
    assert all("=0" in value.text or value.text.startswith("/") for value in found if value not in mine)
