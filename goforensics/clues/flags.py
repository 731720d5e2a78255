"""Is a flag of the policy in force in a file?  Flags as `go version -m` shows them, or as they stand in GOFLAGS.

An answer that rests on the record counts only where the go command would have recorded the flag; where it would not,
the file itself answers (no symbol table: -s) or nobody does.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from goforensics.clues import recorded, trimming
from goforensics.rules.protocol import Hit, UnknownError
from goforensics.rules.subject import Subject

State = Literal["present", "absent", "unknown", "elsewhere"]  # elsewhere: a setting of another architecture
INSTRUMENTS: dict[str, recorded.Instrument] = {name: name for name in recorded.MARKS}
# The setting that each architecture has: cmd/go's cfg.GetArchEnv.
ARCHES = {
    "GOAMD64": {"amd64"}, "GO386": {"386"}, "GOARM": {"arm"}, "GOARM64": {"arm64"}, "GOMIPS": {"mips", "mipsle"},
    "GOMIPS64": {"mips64", "mips64le"}, "GOPPC64": {"ppc64", "ppc64le"}, "GORISCV64": {"riscv64"}, "GOWASM": {"wasm"},
}  # fmt: skip
LISTS = {"-tags", "GOEXPERIMENT"}  # order and company do not matter
TOOLS = {"-gcflags", "-asmflags", "-gccgoflags"}
DEFAULTS = {"GOEXPERIMENT": "", "GOFIPS140": "off", "-tags": "", "-compiler": "gc", "-pgo": "off"}  # if not recorded
CGO_FLAGS = {"CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS"}
OFF = {"-N", "-l"}  # the compiler's: no optimizations, no inlining
STRIPS = {"-s": "symbols", "-w": "debug data"}
ENVIRONMENT = re.compile(r"[A-Z][A-Z0-9_]*=")


class Answer(msgspec.Struct, frozen=True):
    """What the file says of one flag."""

    flag: str
    state: State
    hit: Hit  # what is there; or, without a place, what is not
    reason: str = ""  # of "unknown"


def answers(subject: Subject, flags: Iterable[str]) -> list[Answer]:
    """An answer per flag; GOFLAGS and -ldflags are the flags that they consist of."""
    return [_answer(subject, flag) for flag in single(flags)]


def single(flags: Iterable[str]) -> list[str]:
    """Flags one by one, each once and with its dash: those of GOFLAGS and of -ldflags by themselves."""
    return list(dict.fromkeys(each for text in flags for each in _single(text)))


def _single(text: str) -> Iterator[str]:
    text = text.strip()
    if text.startswith("GOFLAGS="):
        for flag in _split(text.removeprefix("GOFLAGS=")):
            yield from _single(flag)
    elif text.startswith("-ldflags="):
        for flag in linker_flags(text.removeprefix("-ldflags=")):
            yield flag if flag in STRIPS else f"-ldflags={flag}"
    elif text:
        yield text if text[0] == "-" or text[0].isupper() or text.startswith("vcs") else f"-{text}"


def mends(flag: str) -> tuple[str, ...]:
    """A flag in its single form as go build takes it; nothing for a setting that go build makes by itself."""
    if flag in STRIPS:
        return (f"-ldflags={flag}",)
    return (flag,) if flag.startswith("-") or ENVIRONMENT.match(flag) else ()


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that does not end
        return text.split()


def linker_flags(text: str) -> list[str]:
    """The linker's flags, each with its value, in one spelling: "-X=main.a=b", "-s"."""
    found: list[str] = []
    for word in _split(text):
        if word.startswith("-") or not found:
            found.append("-" + word.removeprefix("-").removeprefix("-") if word.startswith("-") else word)
        else:
            found[-1] += f"={word}"
    return [flag.removesuffix("=true").removesuffix("=1") if flag[:3] in ("-s=", "-w=") else flag for flag in found]


def _answer(subject: Subject, flag: str) -> Answer:
    try:
        hit, there = _look(subject, flag)
    except UnknownError as error:
        return Answer(flag, "unknown", recorded.absent(f"{flag} is not recorded"), str(error))
    if there is None:
        return Answer(flag, "elsewhere", hit)
    return Answer(flag, "present" if there else "absent", hit)


def _look(subject: Subject, flag: str) -> tuple[Hit, bool | None]:
    """What there is, and whether it is the flag; None if the flag makes no sense for the file."""
    if flag in STRIPS:
        return _strips(subject, flag)
    key, _, value = flag.partition("=")
    if ENVIRONMENT.match(flag) and not ARCHES.get(key, {subject.file.goarch}) & {subject.file.goarch}:
        return recorded.absent(f"{key} is of another architecture"), None
    if key == "-ldflags":
        return _linker(subject, value)
    if key in INSTRUMENTS:
        found = recorded.instrument(subject, INSTRUMENTS[key])
        return found or recorded.absent(f"{key} is not recorded"), (found is not None) == (value in ("", "true", "1"))
    told = recorded.setting(subject, key)
    have = told.text.partition("=")[2] if told else _unrecorded(subject, key)
    return told or recorded.absent(f"{key}={have}" if have else f"{key} is not recorded"), _met(key, value, have)


def _met(key: str, wanted: str, have: str) -> bool:
    if key in LISTS:
        return set(re.split(r"[,\s]+", wanted.strip())) <= set(re.split(r"[,\s]+", have))
    if key in TOOLS:
        return _tool(wanted)[0] == _tool(have)[0] and _tool(wanted)[1] <= _tool(have)[1]
    if key == "-pgo" and wanted == "auto":
        return have != "off"
    if key.startswith("-") and wanted in ("", "true", "1"):
        return have == "true"
    return wanted == have


def _tool(text: str) -> tuple[str, frozenset[str]]:
    """The packages that a tool's flags are for, and the flags: "all=-N -l"."""
    pattern, equals, flags = text.partition("=")
    if text.startswith("-") or not equals:
        pattern, flags = "", text
    return pattern, frozenset(_split(flags))


def _strips(subject: Subject, flag: str) -> tuple[Hit, bool]:
    """By the record or, if that has no such flag, by the file: what is not there has been left out, or taken out."""
    told = recorded.setting(subject, "-ldflags")
    if told and flag in linker_flags(told.text.removeprefix("-ldflags=")):
        return told, True
    there = recorded.symbols(subject) if flag == "-s" else bool(recorded.debug_sections(subject))
    return recorded.absent(f"{'it has' if there else 'no'} {STRIPS[flag]}", "header"), not there


def _linker(subject: Subject, flag: str) -> tuple[Hit, bool]:
    told = recorded.setting(subject, "-ldflags")
    if told:
        return told, flag in linker_flags(told.text.removeprefix("-ldflags="))
    mode = flag.removeprefix("-linkmode=")
    if mode != flag and subject.file.link_mode:
        return recorded.absent(f"linked in mode {subject.file.link_mode}", "header"), mode == subject.file.link_mode
    if subject.settings.get("-trimpath") == "true":
        raise UnknownError(
            f"with -trimpath the go command does not record -ldflags, so {flag} may have been among them"
        )
    recorded.complete(subject)
    return recorded.absent("no -ldflags are recorded"), False


def _unrecorded(subject: Subject, key: str) -> str:
    """The value of a setting that is not recorded.  UnknownError if that tells nothing."""
    if key == "-trimpath":
        return "true" if _trimmed(subject) else ""
    if key == "-buildmode" and subject.file.build_mode:
        return subject.file.build_mode
    if key == "CGO_ENABLED" and subject.links.cgo:
        return "1"
    if key in ("GOOS", "GOARCH"):
        return (subject.file.goos if key == "GOOS" else subject.file.goarch) or ""
    if key in TOOLS or key in DEFAULTS:
        recorded.complete(subject)
        return DEFAULTS.get(key, "")
    if key in CGO_FLAGS and subject.settings.get("-trimpath") != "true":
        recorded.complete(subject)
        return ""
    recorded.info(subject)
    raise UnknownError(f"the go command did not record {key}")


def _trimmed(subject: Subject) -> bool:
    return not trimming.untrimmed(subject)
