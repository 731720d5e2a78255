"""The build rules: on specimens, and on made files that say of their build what the test has them say."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import builds
import pytest
import specimens_build
from made_elf import ALLOC, EXECUTE, WRITE, Made, image
from specimens import RELEASES, Program, Specimen, build

import goforensics.rules
from goforensics.analysis import identity
from goforensics.binary import open as open_binary
from goforensics.clues import flags, recorded
from goforensics.errors import UsageError
from goforensics.policy import BuildRules, Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections import buildinfo, pclntab

START, STOP = bytes(range(16)), bytes(range(16, 32))  # as long as cmd/go's sentinels
RELEASE = "go1.25.5"
MODULE = "path\texample.com/app\nmod\texample.com/app\tv1.2.3\th1:abc=\n"
DEVEL = "path\texample.com/app\nmod\texample.com/app\t(devel)\t\n"
SETTINGS = "build\t-buildmode=exe\nbuild\t-compiler=gc\nbuild\tCGO_ENABLED=0\nbuild\tGOARCH=amd64\nbuild\tGOOS=linux\n"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
STAMP = f"build\tvcs=git\nbuild\tvcs.revision={COMMIT}\nbuild\tvcs.modified=false\n"


def rule(name: str) -> Rule:
    module = importlib.import_module(f"goforensics.rules.build_{name.replace('-', '_')}")
    found: Rule = module.RULE
    return found


def made(folder: Path, mod: str, version: str = RELEASE, *more: Made) -> Subject:
    """A file whose build information is `mod`, with no function table."""
    framed = START + mod.encode() + STOP
    blob = (buildinfo.MAGIC + bytes([8, 2])).ljust(buildinfo.HEADER, b"\0")
    for text in (version.encode(), framed):
        size, prefix = len(text), b""
        while size >= 0x80:
            prefix, size = prefix + bytes([size & 0x7F | 0x80]), size >> 7
        blob += prefix + bytes([size]) + text
    code = Made(".text", b"\xc3" * 16, ALLOC | EXECUTE, 16)
    data = Made(buildinfo.NAME, blob, ALLOC | WRITE, 16)
    path = folder / "made"
    path.write_bytes(image([[code], [data]], more))
    return Subject(open_binary(path))


def found(name: str, subject: Subject, **rules: object) -> list[Draft]:
    return list(rule(name).check(subject, Policy(build=BuildRules(**rules))))  # type: ignore[arg-type]


def heard(name: str, subject: Subject, policy: Policy | None = None) -> tuple[list[Draft], str]:
    """What a rule finds, and why it cannot tell the rest."""
    drafts: list[Draft] = []
    try:
        for draft in rule(name).check(subject, policy or Policy()):
            drafts.append(draft)
    except UnknownError as error:
        return drafts, str(error)
    return drafts, ""


def titles(name: str, subject: Subject, **rules: object) -> str:
    return "; ".join(draft.title for draft in found(name, subject, **rules))


def state(subject: Subject, flag: str) -> list[str]:
    return [answer.state for answer in flags.answers(subject, [flag])]


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("specimen", specimens_build.SPECIMENS, ids=lambda s: f"{s.rule}:{s.name}".replace(" ", "-"))
def test_specimens(specimen: Specimen, go: str) -> None:
    if (specimen.bad.cgo or specimen.good.cgo) and not shutil.which("gcc"):
        pytest.skip("no C compiler")
    policy = specimens_build.POLICIES.get(specimen.rule, Policy())
    check = rule(specimen.rule.partition("/")[2]).check
    bad = build(specimen.bad, go)
    drafts = list(check(Subject(open_binary(bad)), policy))
    assert drafts
    raw = bad.read_bytes()
    for hit in (hit for draft in drafts for hit in draft.hits if hit.offset is not None):
        assert hit.length > 0
        assert hit.offset is not None
        assert hit.offset + hit.length <= len(raw)
    places = [raw[h.offset : h.offset + h.length] for d in drafts for h in d.hits if h.offset is not None]
    assert not specimen.planted or any(specimen.planted.encode() in place for place in places)
    assert not specimen.owner or any(draft.owner == specimen.owner for draft in drafts)
    assert list(check(Subject(open_binary(build(specimen.good, go))), policy)) == []


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_the_commit_is_git_s(go: str) -> None:
    settings = identity.build(open_binary(build(specimens_build.STAMPED, go))).settings
    assert settings["vcs.revision"] == specimens_build.commit(specimens_build.STAMPED)


@pytest.mark.parametrize(
    ("settings", "flag", "expected"),
    [
        ("-tags=a,netgo,b", "-tags=b,netgo", "present"),
        ("-tags=netgo", "-tags=netgo,b", "absent"),
        ("-tags=netgoo", "-tags=netgo", "absent"),
        ("", "-tags=netgo", "absent"),
        ('-ldflags="-w -s -X main.a=b"', "-s", "present"),
        ('-ldflags="-w -s -X main.a=b"', "-ldflags=-X=main.a=b", "present"),
        ('-ldflags="-w --s"', "-ldflags=-X=main.a=b", "absent"),
        ("-trimpath=true", "-ldflags=-X=main.a=b", "unknown"),
        ("-trimpath=true", "-trimpath", "present"),
        ("", "-trimpath", "absent"),
        ('-gcflags="all=-N -l"', "-gcflags=all=-l", "present"),
        ('-gcflags="all=-N -l"', "-gcflags=-l", "absent"),
        ("GOAMD64=v3", "GOAMD64=v3", "present"),
        ("GOAMD64=v1", "GOAMD64=v3", "absent"),
        ("", "GOAMD64=v3", "unknown"),
        ("", "GOARM64=v8.0", "elsewhere"),
        ("GOEXPERIMENT=a,b", "GOEXPERIMENT=b", "present"),
        ("", "-mod=readonly", "unknown"),
        ("", "-buildmode=exe", "present"),
        ("", "-buildmode=pie", "absent"),
        ("", "CGO_ENABLED=0", "present"),
        ("", "CGO_ENABLED=1", "absent"),
        ("-race=true", "-race", "present"),
        ("", "-race", "absent"),
        ("", "-cover", "unknown"),  # no function table here, and Go 1.21 would not have recorded it
        ("", "GOPROXY=off", "unknown"),
    ],
)
def test_flags(tmp_path: Path, settings: str, flag: str, expected: str) -> None:
    line = f"build\t{settings}\n" if settings else ""
    assert state(made(tmp_path, MODULE + SETTINGS + line), flag) == [expected]


def test_goflags_are_the_flags_in_it(tmp_path: Path) -> None:
    subject = made(tmp_path, MODULE + SETTINGS + "build\t-trimpath=true\n")
    answers = flags.answers(subject, ["GOFLAGS=-trimpath -mod=vendor '-tags=a b'"])
    assert [(a.flag, a.state) for a in answers] == [
        ("-trimpath", "present"), ("-mod=vendor", "unknown"), ("-tags=a b", "absent"),
    ]  # fmt: skip


@pytest.mark.parametrize("mod", ["", MODULE, "path\tx\nstrange line\nbuild\tbroken\n"])
def test_nothing_recorded_is_unknown_and_never_clean(tmp_path: Path, mod: str) -> None:
    subject = made(tmp_path, mod)
    for flag in ("-tags=netgo", "CGO_ENABLED=0", "GOAMD64=v1", "-trimpath", "-gcflags=-N", "-ldflags=-X=a.b=c"):
        assert state(subject, flag) == ["unknown"]
        with pytest.raises(UnknownError):
            found("require", subject, require=(flag,))
        with pytest.raises(UnknownError):
            found("forbid", subject, forbid=(flag,))
    for name in ("instrumented", "unoptimized", "trimpath", "testing", "debug-endpoints"):
        with pytest.raises(UnknownError):
            found(name, subject)


def test_the_file_itself_answers_for_s_and_w(tmp_path: Path) -> None:
    trimmed = MODULE + SETTINGS + "build\t-trimpath=true\n"
    bare = made(tmp_path, trimmed)
    assert state(bare, "-ldflags=-s -w") == ["present", "present"]
    debug = made(tmp_path, trimmed, RELEASE, Made(".debug_info", b"\1\2\3"))  # debug data that cannot be read is there
    assert state(debug, "-ldflags=-s -w") == ["present", "absent"]


def test_what_is_found_stands_beside_what_is_unknown(tmp_path: Path) -> None:
    policy = Policy(build=BuildRules(require=("-mod=vendor", "-race")))
    drafts, reason = heard("require", made(tmp_path, MODULE + SETTINGS), policy)
    assert [draft.key for draft in drafts] == ["-race"]
    assert "-mod=vendor" in reason


@pytest.mark.parametrize("name", ["require", "forbid", "go-version", "commit", "hosts"])
def test_what_the_policy_does_not_ask(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotApplicableError):
        found(name, made(tmp_path, MODULE + SETTINGS))


@pytest.mark.parametrize(
    ("version", "minimum", "old"),
    [
        ("go1.25.5", "1.25", False),
        ("go1.25.5", "1.25.5", False),
        ("go1.25.5", "go1.25.6", True),
        ("go1.25rc1", "1.25", True),
        ("go1.9.7", "1.21", True),
        ("go1.26.8-X:nogreenteagc", "1.26.8", False),
        ("go1.20.3 X:nocoverageredesign", "1.21", True),
        ("go1.24.1 (Red Hat 1.24.1-1.el9)", "1.24.1", False),
    ],
)
def test_minimum_go(tmp_path: Path, version: str, minimum: str, old: bool) -> None:
    subject = made(tmp_path, MODULE, version)
    drafts = found("go-version", subject, min_go=minimum)
    assert bool(drafts) == old
    for draft in drafts:
        hit = draft.hits[0]
        assert hit.offset is not None
        assert version.startswith(bytes(subject.image.data[hit.offset : hit.offset + hit.length]).decode())


def test_versions_that_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(UnknownError, match="no release"):
        found("go-version", made(tmp_path, MODULE, "devel go1.26-0123456789 Thu Jan 1 00:00:00 2026"), min_go="1.25")
    with pytest.raises(UsageError):
        found("go-version", made(tmp_path, MODULE), min_go="latest")


@pytest.mark.parametrize(
    ("mod", "version", "cause"),
    [
        ("path\tcommand-line-arguments\n" + SETTINGS, RELEASE, "list of files"),
        ("path\texample.com/app\n" + SETTINGS, RELEASE, "outside of a module"),
        (DEVEL, "go1.17.1", "go1.17.1 does not write one"),
        (DEVEL, RELEASE, "not built by the go command"),
        (DEVEL + SETTINGS, RELEASE, "-buildvcs=false"),
        (MODULE.replace("h1:abc=", "") + SETTINGS, RELEASE, "a dependency without a repository"),
    ],
)
def test_the_cause_of_a_missing_stamp(tmp_path: Path, mod: str, version: str, cause: str) -> None:
    subject = made(tmp_path, mod, version)
    assert cause in titles("vcs", subject)
    assert [draft.severity for draft in found("vcs", subject)] == ["low"]
    assert [draft.severity for draft in found("vcs", subject, vcs=True)] == ["medium"]


def test_stamps(tmp_path: Path) -> None:
    stamped = made(tmp_path, DEVEL + SETTINGS + STAMP)
    assert not found("vcs", stamped)
    assert not found("modified", stamped)
    assert not found("commit", stamped, commit=COMMIT[:9].upper())
    assert COMMIT in titles("commit", stamped, commit="abcdef1")
    with pytest.raises(NotApplicableError, match="module cache"):
        found("vcs", made(tmp_path, MODULE + SETTINGS))
    with pytest.raises(NotApplicableError):
        found("vcs", stamped, vcs=False)
    with pytest.raises(NotApplicableError):
        list(rule("vcs").check(stamped, Policy(profile="debug")))
    with pytest.raises(UnknownError):
        found("modified", made(tmp_path, DEVEL + SETTINGS))


def test_a_version_made_of_a_commit(tmp_path: Path) -> None:
    version = f"v5.1.1-0.20260101000000-{COMMIT[:12]}+incompatible.dirty"
    subject = made(tmp_path, f"path\texample.com/app/v5\nmod\texample.com/app/v5\t{version}\t\n{SETTINGS}")
    assert not found("version", subject)
    assert version in titles("modified", subject)
    assert not found("commit", subject, commit=COMMIT[:12])
    assert found("commit", subject, commit="f" * 12)
    with pytest.raises(UnknownError, match="first 12 digits"):
        found("commit", subject, commit=COMMIT)
    with pytest.raises(UnknownError, match="no commit"):
        found("commit", made(tmp_path, DEVEL + SETTINGS), commit=COMMIT)


def test_a_main_module_without_version(tmp_path: Path) -> None:
    assert "(devel)" in titles("version", made(tmp_path, DEVEL + SETTINGS))
    assert "no version is recorded" in titles("version", made(tmp_path, "mod\ta.b/c\t\t\n" + SETTINGS))
    assert not found("version", made(tmp_path, MODULE.replace("v1.2.3", "v1.2.3+dirty") + SETTINGS))
    with pytest.raises(NotApplicableError):
        list(rule("version").check(made(tmp_path, DEVEL), Policy(profile="container")))
    assert [d.severity for d in found("version", made(tmp_path, DEVEL + SETTINGS), version=True)] == ["medium"]


@pytest.mark.parametrize("path", ["./x", "../x", "/home/a/x", "C:\\x", "C:/x", ".", "\\\\host\\x"])
def test_replaced_by_a_directory(tmp_path: Path, path: str) -> None:
    subject = made(tmp_path, f"{MODULE}dep\ta.b/c\tv1.0.0\n=>\t{path}\t(devel)\t\n{SETTINGS}")
    (draft,) = found("replace", subject)
    assert path in draft.title
    assert draft.key == "a.b/c => directory"  # whose path is another one on another machine
    assert draft.severity is None
    with pytest.raises(NotApplicableError):
        found("replace", subject, replace=True)


@pytest.mark.parametrize(
    ("path", "hosts", "fine"),
    [
        ("github.com/a/b", ("github.com",), True),
        ("github.com.evil.example/a", ("github.com",), False),
        ("git.corp.example/a", ("*.corp.example",), True),
        ("corp.example/a", ("*.corp.example",), False),
        ("github.com/us/b", ("github.com/us/*",), True),
        ("github.com/them/b", ("github.com/us/*",), False),
        ("GitHub.com/a", ("github.com",), True),
        ("a.b/c", ("[a].b",), False),
    ],
)
def test_hosts(tmp_path: Path, path: str, hosts: tuple[str, ...], fine: bool) -> None:
    subject = made(tmp_path, f"{MODULE}dep\t{path}\tv1.0.0\th1:x=\n{SETTINGS}")
    assert bool(found("hosts", subject, hosts=hosts)) != fine


@pytest.mark.parametrize("flag", sorted(recorded.MARKS))
def test_instrumented_builds_by_their_settings(tmp_path: Path, flag: str) -> None:
    drafts, reason = heard("instrumented", made(tmp_path, f"{MODULE}{SETTINGS}build\t{flag}=true\n"))
    assert [draft.key for draft in drafts] == [flag]
    assert ("-cover" in reason) == (flag != "-cover")  # Go 1.21 would not have recorded it, and there are no functions


def _without_settings(path: Path, folder: Path) -> Subject:
    """The same file with the module information blanked: what is linked in has to tell."""
    binary = open_binary(path)
    info, raw = binary.read(buildinfo.PARSER), bytearray(path.read_bytes())
    raw[info.mod_offset : info.mod_offset + info.mod_size] = b"\n" * info.mod_size
    (folder / "blank").write_bytes(raw)
    return Subject(open_binary(folder / "blank"))


SANITIZED = [s for s in specimens_build.SPECIMENS if s.rule == "build/instrumented"]


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("specimen", SANITIZED, ids=lambda s: s.name.replace(" ", "-"))
def test_instrumented_builds_by_what_they_link_in(specimen: Specimen, go: str, tmp_path: Path) -> None:
    if specimen.bad.cgo and not shutil.which("gcc"):
        pytest.skip("no C compiler")
    flag = specimen.bad.flags[0]
    good = _without_settings(build(specimen.good, go), tmp_path)
    for other in sorted(recorded.MARKS):
        if other != "-cover":  # no mark is among what every program has
            assert not recorded.named(good, recorded.MARKS[other])
    drafts, _ = heard("instrumented", _without_settings(build(specimen.bad, go), tmp_path))
    assert [draft.key for draft in drafts] == [flag]


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_debug_data_tells_of_builds_for_the_debugger(go: str, tmp_path: Path) -> None:
    bad = next(s for s in specimens_build.SPECIMENS if s.rule == "build/unoptimized").bad
    (draft,) = rule("unoptimized").check(_without_settings(build(bad, go), tmp_path), Policy())
    assert "-N" in draft.hits[0].text
    assert not found("unoptimized", _without_settings(build(specimens_build.PLAIN, go), tmp_path))


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_trimming_shows_without_settings(go: str, tmp_path: Path) -> None:
    assert found("trimpath", _without_settings(build(specimens_build.PLAIN, go), tmp_path))
    assert not found("trimpath", _without_settings(build(specimens_build.TRIMMED, go), tmp_path))


@pytest.mark.builds
def test_the_users_of_testing_are_named() -> None:
    source = 'package main\n\nimport "testing"\n\nfunc main() { println(testing.AllocsPerRun(1, func() {})) }\n'
    (draft,) = found("testing", Subject(open_binary(build(Program((("main.go", source),)), "1.27"))))
    assert draft.severity == "medium"
    assert "called by main" in [hit.text for hit in draft.hits]
    imported = next(s for s in specimens_build.SPECIMENS if s.rule == "build/testing").bad
    assert [d.severity for d in found("testing", Subject(open_binary(build(imported, "1.27"))))] == ["low"]


@pytest.mark.builds
def test_no_build_information_at_all(tmp_path: Path) -> None:
    path = builds.executable(builds.Build("hello", "1.27"))
    raw = path.read_bytes()
    (tmp_path / "bare").write_bytes(raw.replace(buildinfo.MAGIC, bytes(len(buildinfo.MAGIC))))
    subject = Subject(open_binary(tmp_path / "bare"))
    assert subject.binary.maybe(pclntab.PARSER) is not None
    assert "no build information" in titles("modules", subject)
    for name in ("vcs", "modified", "version", "replace"):
        with pytest.raises(UnknownError, match="no build information"):
            found(name, subject)


def test_every_rule_explains_itself() -> None:
    folder = Path(goforensics.rules.__file__).parent
    for path in sorted([*folder.glob("build_*.py"), *folder.glob("size_*.py")]):
        each: Rule = importlib.import_module(f"goforensics.rules.{path.stem}").RULE
        assert each.id == path.stem.replace("_", "/", 1).replace("_", "-")
        assert all((each.title, each.why, each.fix, each.limits))


@pytest.mark.builds
@pytest.mark.parametrize("go", RELEASES)
def test_a_build_of_one_file_is_named_as_the_cause(go: str) -> None:
    """A4: `go build main.go` in a clean repository has no main module and no stamp, and the rules say why."""
    files = Program(specimens_build.MAIN, repository="clean", package="main.go")
    subject = Subject(open_binary(build(files, go)))
    for name in ("vcs", "version"):
        assert "list of files (go build main.go)" in titles(name, subject)
        assert "go build ." in found(name, subject)[0].fix
    package = Program(specimens_build.MAIN, repository="clean")
    assert found("vcs", Subject(open_binary(build(package, go)))) == []
