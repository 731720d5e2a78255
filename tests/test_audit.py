"""`goforensics audit` on real executables: the engine, the command line, many files, broken ones."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import builds
import mutants
import pytest
import toolchains
from audits import Checking, made_rule

from goforensics import binary, cli
from goforensics.audit import engine, findings
from goforensics.audit.examine import Question, Task, examine
from goforensics.audit.walk import Candidate
from goforensics.cli import main
from goforensics.errors import FormatError, GoForensicsError, NotGoError, UsageError
from goforensics.policy import Allowance, Policy
from goforensics.report_audit import Audit
from goforensics.rules.catalogue import rules
from goforensics.rules.protocol import Draft, Hit, NotApplicableError, UnknownError
from goforensics.rules.subject import Subject

pytestmark = pytest.mark.builds
HELLO = builds.Build("hello", "1.27")
TRIMMED = builds.Build("hello", "1.27", flags=("-trimpath", builds.STRIP))
NEEDLE = b"main.main"
TODAY = datetime.date(2026, 6, 1)
LIMIT = 20.0  # seconds for one file
MANY = 200


@pytest.fixture(scope="module")
def hello() -> Path:
    return builds.executable(HELLO)


def needle(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """Finds a name in the function table."""
    at = bytes(subject.image.data).index(NEEDLE)
    yield Draft("a name", [Hit(NEEDLE.decode(), "funcnametab", at, len(NEEDLE))], "name")


def raising(error: Exception, first: bool = False) -> Checking:
    def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
        if first:
            yield from needle(subject, policy)
        raise error

    return check


def held(path: Path, check: Checking, policy: Policy | None = None, **more: Any) -> Audit:
    made = [made_rule("a/b", "high", check), made_rule("a/c")]
    return engine.audit(binary.open(path), policy or Policy(), rules=made, today=TODAY, **more)


def test_a_finding_has_its_place(hello: Path) -> None:
    document = held(hello, needle)
    (finding,) = document.findings
    (place,) = finding.evidence
    assert place.offset is not None
    assert hello.read_bytes()[place.offset :].startswith(NEEDLE)
    assert (place.section, place.owner, finding.owner) == (".gopclntab", "main", "main")
    assert (document.ship, finding.severity, finding.count) == (False, "high", 1)
    assert [(check.rule, check.state) for check in document.checks] == [("a/b", "found"), ("a/c", "passed")]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UnknownError("who knows"), "unknown"),
        (NotApplicableError("no sense"), "not-applicable"),
        (FormatError("broken", structure="x"), "failed"),
        (KeyError("y"), "failed"),
        (RecursionError(), "failed"),
        (MemoryError(), "failed"),
    ],
)
def test_what_becomes_of_a_rule(error: Exception, state: str, hello: Path) -> None:
    document = held(hello, raising(error))
    assert [(check.rule, check.state) for check in document.checks] == [("a/b", state), ("a/c", "passed")]
    assert engine.partial(document) == (state == "failed")
    assert document.checks[0].reason
    assert document.ship
    late = held(hello, raising(error, first=True))
    assert len(late.findings) == 1, "what was found until then stands"
    assert late.checks[0].state == ("failed" if state == "failed" else "found")
    assert late.checks[0].reason == document.checks[0].reason


def test_findings_and_evidence_are_capped(hello: Path) -> None:
    def many(subject: Subject, policy: Policy) -> Iterator[Draft]:
        for i in range(engine.MOST_FINDINGS + 5):
            yield Draft("t" * 5000, [Hit("x" * 5000, "rodata", j) for j in range(30)], str(i))

    document = held(hello, many)
    assert len(document.findings) == engine.MOST_FINDINGS
    assert "only the first" in document.checks[0].reason
    first = document.findings[0]
    assert (len(first.evidence), first.count) == (findings.MOST_EVIDENCE, 30)
    assert max(len(first.title), len(first.evidence[0].text)) <= findings.MOST_TEXT + 1


def test_offsets_outside_of_the_file_are_none(hello: Path) -> None:
    size = hello.stat().st_size
    document = held(hello, lambda s, p: [Draft("t", [Hit(str(i), "rodata", i) for i in (-1, size, size - 1)], "k")])
    assert [place.offset for place in document.findings[0].evidence] == [None, None, size - 1]


def test_allowances_and_baseline(hello: Path) -> None:
    mark = held(hello, needle).findings[0].fingerprint
    known = held(hello, needle, baseline={mark})
    assert known.ship
    assert known.findings[0].known
    allowed = held(hello, needle, Policy(allow=(Allowance(rule="a/*", reason="why", expires=TODAY),)))
    assert allowed.ship
    assert allowed.findings[0].allowed == "why"
    over = TODAY - datetime.timedelta(days=1)
    assert not held(hello, needle, Policy(allow=(Allowance(rule="a/*", reason="why", expires=over),))).ship


def test_a_universal_file_is_one_file(tmp_path: Path) -> None:
    """Places are at the file's offsets, one fingerprint is one finding."""
    thin = [
        builds.executable(builds.Build("hello", "1.27", "darwin", arch)).read_bytes() for arch in ("amd64", "arm64")
    ]
    path = tmp_path / "universal"
    path.write_bytes(_fat(thin))
    document = held(path, needle)
    (finding,) = document.findings
    assert (finding.count, document.file.format, len(document.file.slices)) == (2, "macho-fat", 2)
    data = path.read_bytes()
    assert all(data[place.offset :].startswith(NEEDLE) for place in finding.evidence if place.offset is not None)
    assert len({place.offset for place in finding.evidence}) == 2


def _fat(thin: list[bytes]) -> bytes:
    """A universal file of an amd64 and an arm64 slice, as <mach-o/fat.h> lays it out."""
    align, out = 14, bytearray()
    header = (0xCAFEBABE).to_bytes(4, "big") + len(thin).to_bytes(4, "big")
    at = 1 << align
    for cpu, data in zip((0x01000007, 0x0100000C), thin, strict=True):
        header += b"".join(n.to_bytes(4, "big") for n in (cpu, 3, at, len(data), align))
        out += bytes(at - (1 << align) - len(out)) + data
        at += -(-len(data) >> align) << align
    return header.ljust(1 << align, b"\0") + bytes(out)


def test_wrong_names_of_rules(hello: Path) -> None:
    with pytest.raises(UsageError, match="there is no rule"):
        engine.audit(binary.open(hello), Policy(), only=["build/nonsense"])


# The command line.


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["audit", *map(str, arguments)])
    caught = capsys.readouterr()
    return code, caught.out, caught.err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where no policy of somebody's is found."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "goforensics.toml").write_text("")
    return tmp_path


ONE = ("--only", "build/trimpath")  # a rule that both builds answer for certain


def test_exit_codes(folder: Path, capsys: pytest.CaptureFixture[str], hello: Path) -> None:
    trimmed = builds.executable(TRIMMED)
    (folder / "text").write_text("text")
    code, out, err = run(capsys, trimmed, *ONE)
    assert (code, err) == (0, "")
    assert "✓ ship" in out
    assert run(capsys, hello, *ONE)[0] == 1
    assert run(capsys, hello, *ONE, "--fail-on", "critical")[0] == 0
    assert run(capsys, hello, "--only", "build/nonsense")[0] == 2
    assert run(capsys, folder / "text", *ONE)[0] == 2
    assert run(capsys, folder / "missing", *ONE)[0] == 2
    code, out, err = run(capsys, trimmed, folder / "text", *ONE)
    assert code == 3
    assert f"{folder / 'text'}: a text file" in err
    assert "could not be audited" in out
    assert run(capsys, folder, *ONE)[0] == 2, "no executable at all is no reason to ship"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fail-onn = 'low'", "goforensics.toml:1: unknown key 'fail-onn'; did you mean 'fail-on'?"),
        ("fail-on = 7", "goforensics.toml:1: fail-on must be one of"),
        ("[[allow]]\nrule = 'build/*'\nreason = 'once'\nexpires = 2020-01-01", "goforensics.toml:4: the allowance"),
        ("fail-on =", "goforensics.toml: no valid TOML"),
    ],
)
def test_a_wrong_policy_costs_only_itself(
    text: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str], hello: Path
) -> None:
    (folder / "goforensics.toml").write_text(text)
    code, out, err = run(capsys, hello, builds.executable(TRIMMED), *ONE, "--format", "json")
    assert code == 3
    assert words in err
    assert err.count("\n") == 1
    first, second, summary = json.loads(out)
    assert [first["ship"], second["ship"], summary["ship"]] == [False, True, False]
    assert all(words in document["notes"][0] for document in (first, second, summary))


def test_a_missing_policy(folder: Path, capsys: pytest.CaptureFixture[str], hello: Path) -> None:
    code, out, err = run(capsys, hello, *ONE, "--policy", folder / "missing.toml")
    assert code == 3
    assert err == f"goforensics: {folder}/missing.toml: No such file or directory\n"
    assert "do not ship" in out


def test_a_baseline(folder: Path, capsys: pytest.CaptureFixture[str], hello: Path) -> None:
    path = folder / "known.json"
    code, out, err = run(capsys, hello, *ONE, "--write-baseline", path)
    assert (code, err) == (0, "")
    assert "in the baseline" in out
    assert run(capsys, hello, *ONE)[0] == 1
    assert run(capsys, hello, *ONE, "--baseline", path)[0] == 0
    path.write_text(path.read_text().replace("baseline/1", "baseline/9"))
    code, out, err = run(capsys, hello, *ONE, "--baseline", path)
    assert code == 3
    assert "goforensics.audit-baseline/9" in err
    assert "do not ship" in out
    assert run(capsys, hello, *ONE, "--baseline", folder / "missing")[0] == 3


def test_an_unreadable_file_among_good_ones(folder: Path, capsys: pytest.CaptureFixture[str], hello: Path) -> None:
    builds_folder = folder / "bin"
    builds_folder.mkdir()
    shutil.copy(builds.executable(TRIMMED), builds_folder / "a")
    (builds_folder / "b").write_bytes(hello.read_bytes()[:3000])
    shutil.copy(sys.executable, builds_folder / "c")
    (builds_folder / "d").write_text("text")
    shutil.copy(builds.executable(TRIMMED), builds_folder / "e")
    code, out, err = run(capsys, builds_folder, *ONE, "--format", "json", "--jobs", "2")
    assert code == 3
    assert err.count("\n") == 1
    assert err.startswith(f"goforensics: {builds_folder / 'b'}: ")
    first, second, summary = json.loads(out)
    assert [Path(document["file"]["path"]).name for document in (first, second)] == ["a", "e"]
    assert [Path(each["path"]).name for each in summary["failed"]] == ["b"]
    assert (summary["passed_over"], summary["ship"]) == (2, False)


def test_fix_prints_a_command(folder: Path, capsys: pytest.CaptureFixture[str], hello: Path) -> None:
    before = hello.read_bytes()
    asked = (hello, "--only", "size/debug-data", "--format", "json")
    for fix in (("--fix", "--fail-on", "low"), ("--fix-all",)):
        _, out, _ = run(capsys, *asked, *fix)
        assert "-ldflags=-s -w" in json.loads(out)["remedy"]
    _, out, _ = run(capsys, *asked, "--fix")
    assert json.loads(out)["remedy"] == ""
    assert hello.read_bytes() == before


def test_the_command_of_fix_mends(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run as it is printed, in the sources' directory, it leaves nothing that flags mend."""
    for name in ("main.go", "go.mod"):
        shutil.copy(builds.SOURCES / "hello" / name, folder)
    goroot = toolchains.goroot("1.27")
    env = toolchains.go_env("1.27") | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    env["PATH"] = f"{goroot / 'bin'}:/usr/bin:/bin"
    asked = (folder / "hello", "--skip", "build/vcs", "--skip", "cgo/floor", "--fix-all", "--format", "json")
    line, before = "go build", list[str]()
    for _ in range(2):
        subprocess.run(["sh", "-c", line], cwd=folder, env=env, check=True, capture_output=True)
        _, out, _ = run(capsys, *asked)
        line, found = json.loads(out)["remedy"], [each["rule"] for each in json.loads(out)["findings"] if each["mends"]]
        before, after = before or found, found
    assert {"build/trimpath", "size/debug-data", "hardening/pie"} <= set(before)
    assert (after, line) == ([], "")


def test_an_interrupted_audit_ends_at_once_and_says_one_line(folder: Path, hello: Path) -> None:
    many = folder / "bin"
    many.mkdir()
    copy = shutil.copy(hello, folder / "copy")
    for i in range(MANY):
        os.link(copy, many / f"{i:03d}")
    root = str(Path(engine.__file__).resolve().parents[2])
    line = [sys.executable, "-m", "goforensics", "audit", str(many), "--format", "json", "--jobs", "2"]
    with subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)  # the first file's document: the workers are busy
        os.killpg(process.pid, signal.SIGINT)
        begun = time.perf_counter()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"goforensics: interrupted\n")
    assert time.perf_counter() - begun < LIMIT


def test_two_hundred_files(folder: Path, hello: Path) -> None:
    """All of them, in order, by as many processes as there are processors, from a process of its own."""
    many = folder / "bin"
    many.mkdir()
    copy = shutil.copy(hello, folder / "copy")
    for i in range(MANY):
        os.link(copy, many / f"{i:03d}")
    line = [sys.executable, "-m", "goforensics", "audit", str(many), *ONE, "--format", "json"]
    root = str(Path(engine.__file__).resolve().parents[2])
    done = subprocess.run(
        line, capture_output=True, cwd=folder, env={**os.environ, "PYTHONPATH": root}, timeout=600, check=False
    )
    *documents, summary = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, b"")
    assert [Path(document["file"]["path"]).name for document in documents] == [f"{i:03d}" for i in range(MANY)]
    assert len(summary["files"]) == MANY


def test_progress_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], hello: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one file its rules, of several files how many are done."""
    told: list[tuple[str, str, int, int]] = []

    @contextlib.contextmanager
    def recorded(title: str) -> Iterator[Any]:
        yield lambda step, done, total: told.append((title, step, done, total))

    monkeypatch.setattr(cli, "progress", recorded)
    run(capsys, hello, *ONE)
    assert {title for title, *_ in told} == {str(hello)}
    assert {step for _, step, *_ in told} == {rule.id for rule in rules()}
    told.clear()
    run(capsys, hello, hello, hello, *ONE)
    assert [each[2:] for each in told] == [(1, 3), (2, 3), (3, 3)]


# Broken files.


@pytest.mark.parametrize("build", [HELLO, builds.Build("cgo", "1.22", cgo=True)], ids=builds.Build.label)
def test_mutants(build: builds.Build, tmp_path: Path) -> None:
    path, wrong = tmp_path / "mutant", []
    for number, (kind, data) in enumerate(mutants.mutants(builds.executable(build).read_bytes())):
        path.write_bytes(data)
        begun = time.perf_counter()
        answer = examine(Task(Candidate(str(path), named=True), Question(Policy())))
        seconds = time.perf_counter() - begun
        if isinstance(answer, Audit):
            wrong += [
                f"{number} {kind}: {check.rule}: {check.reason}"
                for check in answer.checks
                if check.reason.startswith("internal error")
            ]
        elif not isinstance(answer, GoForensicsError) or "\n" in str(answer):
            wrong.append(f"{number} {kind}: {answer!r}")
        if seconds > LIMIT:
            wrong.append(f"{number} {kind}: {seconds:.1f} s")
    assert wrong == []


def test_a_packed_file_is_not_passed_over(tmp_path: Path, hello: Path) -> None:
    data = bytearray(hello.read_bytes())
    data[0xF0:0xF4] = b"UPX!"
    (tmp_path / "packed").write_bytes(data)
    answer = examine(Task(Candidate(str(tmp_path / "packed"), named=False), Question(Policy())))
    assert isinstance(answer, NotGoError)
    assert "UPX" in str(answer)
