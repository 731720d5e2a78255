"""The policy file: what is wrong in it is said with its line, and costs only itself."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from goforensics import policyfile, policytoml
from goforensics.audit import explain
from goforensics.audit.template import template
from goforensics.cli import main
from goforensics.policy import BuildRules, Policy, Profile, SizeRules
from goforensics.policyfile import parse
from goforensics.rules import catalogue

TODAY = datetime.date(2026, 6, 1)
RULE = catalogue.rules()[0].id
FAMILY = f"{RULE.partition('/')[0]}/*"


def said(text: str) -> list[str]:
    """The messages for a policy."""
    return [str(problem) for problem in parse(text, "p.toml", TODAY).problems]


def test_everything_that_a_policy_may_say() -> None:
    text = f"""
profile = "container"
fail-on = "high"
targets = ["scratch", "debian:12", "glibc:2.31"]
severity = {{ "{FAMILY}" = "off", "{RULE}" = "critical" }}
build.require = ["-trimpath"]
build.min-go = "1.25.3"
size = {{ max = "40MiB", delta = 1_000, delta-percent = 5, reclaimable = 0.25 }}
[internal.patterns]
"a b" = "CORP-[0-9]+"
[[allow]]
rule = "{RULE}"
reason = "until then"
expires = 2026-06-01
"""
    read = parse(text, "p.toml", TODAY)
    assert read.problems == ()
    policy = read.policy
    assert (policy.profile, policy.fail_on, policy.targets[1]) == ("container", "high", "debian:12")
    assert policy.severity == {FAMILY: "off", RULE: "critical"}
    assert policy.build == BuildRules(require=("-trimpath",), min_go="1.25.3")
    assert policy.size == SizeRules(max=40 << 20, delta=1000, delta_percent=5.0, reclaimable=0.25)
    assert policy.internal.patterns == {"a b": "CORP-[0-9]+"}
    assert policy.allow[0].expires == TODAY


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("\nfail_on = 'low'", 2, ("'fail_on'", "did you mean 'fail-on'?")),
        ("[size]\n\nmaxx = 1", 3, ("'size.maxx'", "'max'")),
        ("[sizes]\nmax = 1", 1, ("'sizes'", "'size'")),
        ("zzzzzz = 1", 1, ("the top has profile",)),
        ("profile = 'relase'", 1, ("profile must be one of release, container, debug", "'relase'")),
        ("fail-on = 3", 1, ("must be one of low, medium, high, critical", "a whole number: 3")),
        ("[build]\nvcs = 'yes'", 2, ("build.vcs must be true or false", "text: 'yes'")),
        ("[build]\nrequire = '-trimpath'", 2, ("build.require must be a list",)),
        ("[build]\nrequire = [\n'a',\n5]", 2, ("build.require[1] must be text",)),
        ("build = 1", 1, ("build must be a table",)),
        ("[[size]]\nmax = 1", 1, ("size must be a table, and is a list",)),
        ("[size]\nmax = 'many'", 2, ("size.max", "'many'")),
        ("[size]\nmax = true", 2, ("size.max must be a whole number or text",)),
        ("[size]\nreclaimable = 1.5", 2, ("no share",)),
        ("[size]\ndelta-percent = nan", 2, ("no percentage",)),
        ("[build]\nmin-go = 'go1.25'", 2, ("no Go release",)),
        ("[build]\ncommit = 'main'", 2, ("no revision",)),
        ("targets = ['debain:12']", 1, ("targets[0]", "debian:12")),
        ("[secrets.patterns]\na = '('", 2, ("secrets.patterns.a", "RE2")),
        (f"[severity]\n'{RULE[:-1]}' = 'low'", 2, (RULE,)),
        (f"[severity]\n'{RULE}' = 'loud'", 2, ("one of low, medium, high, critical, off",)),
        ("allow = 3", 1, ("allow must be a list",)),
        ("allow = [3]", 1, ("allow[0] must be a table",)),
        (f"[[allow]]\nrule = '{RULE}'", 1, ("allow[0] has no 'reason'",)),
        (f"[[allow]]\nrule = '{RULE}'\nreason = ' '", 3, ("needs a reason",)),
        (f"[[allow]]\nrule = '{RULE}'\nreason = 'x'\nexpires = 2026-05-31", 4, ("expired on 2026-05-31",)),
        (f"[[allow]]\nrule = '{RULE}'\nreason = 'x'\nexpires = 'soon'", 4, ("must be a date",)),
        (f"[[allow]]\nrule = '{RULE}'\nreason = 'x'\nexpires = 2026-05-31T00:00:00", 4, ("must be a date",)),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(text: str, line: int, words: tuple[str, ...]) -> None:
    messages = said(text)
    assert len(messages) == 1
    assert messages[0].startswith(f"p.toml:{line}: ")
    assert "\n" not in messages[0]
    for word in words:
        assert word in messages[0]


def test_the_rest_of_it_applies() -> None:
    text = f"""
fail-on = "high"
targts = []
[build]
require = ["-trimpath", 5]
vcs = "yes"
version = true
[[allow]]
rule = "{RULE}"
reason = "half an allowance might allow too much"
mtach = "one thing"
[[allow]]
rule = "{FAMILY}"
reason = "whole"
"""
    read = parse(text, "p.toml", TODAY)
    assert len(read.problems) == 4
    assert read.policy.fail_on == "high"
    assert read.policy.build == BuildRules(require=("-trimpath",), version=True)
    assert [each.rule for each in read.policy.allow] == [FAMILY]


@pytest.mark.parametrize("text", ["a = ", "[x", "a = 1\na = 2", "\0", "a = [" * 5000])
def test_what_is_no_toml(text: str) -> None:
    read = parse(text, "p.toml", TODAY)
    assert len(read.problems) == 1
    assert "no valid TOML" in str(read.problems[0])
    assert read.policy == Policy()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\xff\xff")
    for name, words in (("missing", "No such file"), ("", "a directory"), ("binary", "not UTF-8")):
        read = policyfile.load(str(tmp_path / name))
        assert [words in str(problem) for problem in read.problems] == [True]
        assert read.policy == Policy()


def test_it_is_found_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    outside = policyfile.find(tmp_path.parent)
    assert policyfile.load(None).path == (str(outside) if outside else None)
    (tmp_path / policyfile.NAME).write_text("profile = 'debug'")
    assert policyfile.load(None).policy.profile == "debug"
    (tmp_path / "a" / policyfile.NAME).write_text("profile = 'container'")
    assert policyfile.load(None).policy.profile == "container"


def test_lines_of_keys() -> None:
    text = """# c [x]
profile = "x=[#"  # [ [
a = [
  "x", # ]
  "b = 3",
]
s = '''
k = 1
[no]
'''
"quoted.key" . b = 4
[[allow]]
[allow.sub]
z = 1
[[allow]]
t = {x = 1,
}
u = 1
"""
    lines = policytoml.key_lines(text)
    expected: dict[policytoml.Path, int] = {
        ("profile",): 2,
        ("a",): 3,
        ("s",): 7,
        ("quoted.key",): 11,
        ("quoted.key", "b"): 11,
        ("allow",): 12,
    }
    expected |= {("allow", 0): 12, ("allow", 0, "sub"): 13, ("allow", 0, "sub", "z"): 14, ("allow", 1): 15}
    expected |= {("allow", 1, "t"): 16, ("allow", 1, "u"): 18}
    assert lines == expected
    assert policytoml.line_of(lines, ("a", 1)) == 3
    assert policytoml.line_of(lines, ("none",)) is None


@pytest.mark.parametrize("profile", ["release", "container", "debug"])
def test_a_new_policy_changes_nothing_but_the_profile(profile: Profile) -> None:
    read = parse(template(profile).text, "p.toml", TODAY)
    assert read.problems == ()
    assert read.policy == Policy(profile=profile)


def test_a_new_policy_has_every_key_with_its_meaning() -> None:
    """What is commented out makes sense, too, once it counts."""
    lines = template("release").text.splitlines()
    taken = [line[2:] if line.startswith("# ") and ("=" in line or "[[" in line) else line for line in lines]
    taken = [line for line in taken if not line.startswith("#")]
    read = parse("\n".join(taken), "p.toml", TODAY)
    assert [str(problem) for problem in read.problems if "there is no rule" not in str(problem)] == []
    assert {row.key for row in explain.policy(read).values if row.source == "default"} == set()


def test_sources_of_values() -> None:
    rows = {row.key: row for row in explain.policy(parse("[build]\nrequire = ['-race']", "p.toml", TODAY)).values}
    assert rows["build.require"].value == '["-race"]'
    assert rows["build.require"].source == "p.toml:2"
    assert rows["build.forbid"].source == "default"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    caught = capsys.readouterr()
    return code, caught.out, caught.err


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "policy", "init", "--profile", "container") == (0, "", "")
    code, out, err = run(capsys, "policy", "init")
    assert (code, out) == (2, "")
    assert "--force" in err
    assert run(capsys, "policy", "init", "--force")[0] == 0
    assert policyfile.load(None).policy == Policy()
    assert run(capsys, "policy", "check")[0] == 0
    (tmp_path / policyfile.NAME).write_text(f"x = 1\ny = 2\n[severity]\n'{RULE}' = 'off'\n")
    code, out, err = run(capsys, "policy", "check")
    assert (code, out.count("unknown key")) == (2, 2)
    code, out, err = run(capsys, "policy", "explain", RULE)
    assert code == 3
    assert "off by the policy" in out
    assert "policy check" in err
    code, out, err = run(capsys, "policy", "explain", RULE[:-1])
    assert (code, out) == (2, "")
    assert RULE in err
    assert run(capsys, "policy")[0] == 2
    code, out, err = run(capsys, "policy", "explain")
    assert all(rule.id in out for rule in catalogue.rules())
