"""The go command that would build a file again without what flags can mend."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from goforensics.audit.findings import counts
from goforensics.report import Build
from goforensics.report_audit import SEVERITIES, Finding, Severity

# Settings that are part of the environment, and those that are flags; the others say what was, not what to ask for.
ENVIRONMENT = re.compile("CGO_ENABLED|GO(OS|ARCH|EXPERIMENT|FIPS140|AMD64|386|ARM|ARM64|MIPS|MIPS64|PPC64|RISCV64)")
FLAGS = ("-buildmode", "-tags", "-trimpath")
LINKER = ("-s", "-w")
LDFLAGS, TAGS, CGO = "-ldflags", "-tags", "CGO_ENABLED"
PURE = ("netgo", "osusergo")  # tags that say nothing where there is no cgo
FILES = "command-line-arguments"  # the path of what was built from a list of files
SWITCHES = ("-trimpath", "-race", "-msan", "-asan", "-cover", "-a")


def chosen(findings: Iterable[Finding], fail_on: Severity | None) -> list[Finding]:
    """Those to mend: what fails the audit or, without `fail_on`, everything that is not allowed."""
    if fail_on is None:
        return [each for each in findings if each.allowed is None]
    least = SEVERITIES.index(fail_on)
    return [each for each in findings if counts(each) and SEVERITIES.index(each.severity) >= least]


def remedy(findings: Iterable[Finding], build: Build) -> str:
    """The command line that builds it as it was built but for what flags mend; "" if they can mend nothing.

    Where two findings want different things the first has its way.  Only what is recorded can be repeated.  Values of
    -X are not: they may be what must not be shown.
    """
    flags = list(dict.fromkeys(flag for each in findings for flag in each.mends))
    if not flags:
        return ""
    settings = build.settings
    wanted = _wanted(flags)
    words = [f"{key}={value}" for key, value in sorted((settings | wanted).items()) if ENVIRONMENT.fullmatch(key)]
    words += ["go", "build", *_flags(settings, wanted, flags)]
    linker = _several(flags, LDFLAGS, [flag for flag in LINKER if flag in settings.get(LDFLAGS, "").split()])
    words += [f"{LDFLAGS}={' '.join(linker)}"] if linker else []
    return " ".join(map(shlex.quote, [*words, *_package(build.path)]))


def _package(path: str | None) -> Iterator[str]:
    """What is built; a name that go build would take for a flag is left out."""
    if path is not None and not path.startswith("-"):
        yield "." if path == FILES else path


def _wanted(flags: Iterable[str]) -> dict[str, str]:
    """Each flag's value, "true" for one that has none; of those that are lists nothing."""
    out: dict[str, str] = {}
    for flag in flags:
        key, equals, value = flag.partition("=")
        if key not in (LDFLAGS, TAGS):
            out.setdefault(key, value if equals else "true")
    return out


def _flags(settings: dict[str, str], wanted: dict[str, str], flags: Iterable[str]) -> Iterator[str]:
    """Those of go build, what is recorded first."""
    tags = _several(flags, TAGS, [tag for tag in settings.get(TAGS, "").split(",") if tag])
    if wanted.get(CGO) == "0":
        tags = [tag for tag in tags if tag not in PURE or tag in settings.get(TAGS, "")]
    recorded = {key: value for key, value in settings.items() if key in FLAGS and value != "exe"}
    for key, value in sorted((recorded | wanted | {TAGS: ",".join(tags)}).items()):
        if key.startswith("-") and value not in ("", "false"):
            yield key if value == "true" and key in SWITCHES else f"{key}={value}"


def _several(flags: Iterable[str], name: str, known: list[str]) -> list[str]:
    """The elements of a flag that is a list, each once."""
    more = [flag.partition("=")[2] for flag in flags if flag.partition("=")[0] == name]
    return list(dict.fromkeys([*known, *(each for text in more for each in re.split(r"[,\s]+", text) if each)]))
