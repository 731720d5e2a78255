"""The go command that would build a file again without what flags can mend."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from goforensics.report import Build
from goforensics.report_audit import Finding
from goforensics.rules.catalogue import matches

# Settings that are part of the environment, and those that are flags; the others say what was, not what to ask for.
ENVIRONMENT = re.compile("CGO_ENABLED|GO(OS|ARCH|EXPERIMENT|FIPS140|AMD64|386|ARM|ARM64|MIPS|MIPS64|PPC64|RISCV64)")
FLAGS = ("-buildmode", "-buildvcs", "-tags", "-trimpath")
LINKER = ("-s", "-w")
LDFLAGS = "-ldflags"
# What asks for what: rules, what their finding's fix says where that helps, and the setting.
MENDS = (
    ("paths/*", "go build -trimpath", "-trimpath", "true"),
    ("build/trimpath", "go build -trimpath", "-trimpath", "true"),
    ("build/vcs", "-buildvcs=true", "-buildvcs", "true"),
    ("cgo/*", "CGO_ENABLED=0", "CGO_ENABLED", "0"),
    ("hardening/pie", "-buildmode=pie", "-buildmode", "pie"),
    ("size/debug-data", "-s -w", LDFLAGS, "-s -w"),
)
TAGS = re.compile(r"-tags ((?:netgo|osusergo|,)+)")
LEFT_OUT = ("build/instrumented", "build/unoptimized")  # mended by flags that the command line does not repeat


def remedy(findings: Iterable[Finding], build: Build) -> str:
    """The command line that builds it as it was built but for what flags can mend; "" if they can mend nothing.

    Only what is recorded can be repeated.  Values of -X are not: they may be what must not be shown.
    """
    rows = [each for each in findings if each.allowed is None]
    wanted = dict(pair for each in rows for pair in _mends(each))
    tags = [tag for each in rows for tag in _tags(each)] if wanted.get("CGO_ENABLED") != "0" else []
    if not wanted and not tags and not any(each.rule in LEFT_OUT for each in rows):
        return ""
    settings = build.settings | wanted
    linker = [flag for flag in LINKER if flag in f"{build.settings.get(LDFLAGS, '')} {wanted.get(LDFLAGS, '')}".split()]
    settings["-tags"] = ",".join(dict.fromkeys([*filter(None, settings.get("-tags", "").split(",")), *tags]))
    words = [f"{key}={settings[key]}" for key in sorted(settings) if ENVIRONMENT.fullmatch(key)]
    words += ["go", "build", *(_flag(key, settings[key]) for key in FLAGS if _says_something(settings.get(key)))]
    words += [f"{LDFLAGS}={' '.join(linker)}"] if linker else []
    return " ".join(map(shlex.quote, [*words, *([build.path] if build.path else [])]))


def _mends(found: Finding) -> Iterator[tuple[str, str]]:
    """The settings that a finding asks for."""
    for rule, said, key, value in MENDS:
        if matches(found.rule, rule) and said in found.fix:
            yield key, value


def _tags(found: Finding) -> list[str]:
    """The build tags that it asks for."""
    match = TAGS.search(found.fix) if found.rule == "cgo/resolver" else None
    return [tag for tag in match[1].split(",") if tag] if match else []


def _says_something(value: str | None) -> bool:
    return value not in (None, "", "exe", "false")


def _flag(key: str, value: str) -> str:
    return key if value == "true" and key == "-trimpath" else f"{key}={value}"
