"""cgo/libraries: libraries that a system does not come with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.analysis import linking
from goforensics.clues import requirements
from goforensics.errors import FormatError
from goforensics.policy import Policy
from goforensics.report_audit import Severity
from goforensics.rules.protocol import Draft, Hit, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections.search import find_all

# Windows' own DLLs that Go's syscall packages and C programs import; api-ms-win-* and ext-ms-* are its API sets.
NAMES = (
    "advapi32 avrt bcrypt bcryptprimitives cfgmgr32 comctl32 comdlg32 credui crypt32 cryptbase cryptui d2d1 "
    "d3d10 d3d11 d3d12 d3d9 d3dcompiler_47 dbghelp ddraw dinput8 dnsapi dsound dwmapi dwrite dxgi dxva2 "
    "fwpuclnt gdi32 gdiplus glu32 hid imagehlp imm32 iphlpapi kernel32 kernelbase ktmw32 mf mfplat mfreadwrite "
    "mpr msacm32 msi msimg32 mstcpip msvcrt mswsock ncrypt netapi32 newdev normaliz ntdll ntdsapi odbc32 ole32 "
    "oleacc oleaut32 opengl32 pdh powrprof propsys psapi rasapi32 rpcrt4 rstrtmgr samcli secur32 sensapi "
    "setupapi sfc shcore shell32 shlwapi sspicli tbs tdh ucrtbase urlmon user32 userenv usp10 uxtheme version "
    "virtdisk wevtapi winhttp wininet winmm winscard winspool.drv wintrust wlanapi wldap32 ws2_32 wsock32 "
    "wtsapi32 xinput1_4 xinput9_1_0 xmllite"
)
WINDOWS = frozenset(NAMES.split())
API_SET = re.compile(r"(?:api|ext)-ms-")
MACOS = re.compile(r"/usr/lib/|/System/")


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """One draft for each library."""
    finders = {"elf": _linux, "pe": _windows, "macho": _macos}
    return list(finders[subject.image.format](subject))


def _linux(subject: Subject) -> Iterator[Draft]:
    for name, at in linking.foreign(requirements.linux(subject)):
        yield _draft(name, [Hit(name, "dynamic:NEEDED", at, len(name.encode()))])


def _draft(name: str, hits: list[Hit], severity: Severity | None = None) -> Draft:
    return Draft(f"needs {name}, which systems do not come with", hits, name, severity=severity)


def _needed(subject: Subject) -> tuple[str, ...]:
    try:
        return subject.image.dynamic().needed
    except FormatError as error:
        raise UnknownError(f"the imports cannot be read: {error}") from None


def _windows(subject: Subject) -> Iterator[Draft]:
    for name in sorted(set(_needed(subject)), key=str.lower):
        base = name.lower().removesuffix(".dll")
        if base not in WINDOWS and not API_SET.match(base):
            yield _draft(name, [_place(subject, name, "import table")])


def _macos(subject: Subject) -> Iterator[Draft]:
    if subject.image.goos not in ("darwin", "ios"):
        raise NotApplicableError("not for macOS or iOS")
    for name in sorted(set(_needed(subject))):
        if not MACOS.match(name):
            fixed: Severity | None = "medium" if name.startswith("/") else None
            yield _draft(name, [_place(subject, name, "load commands")], fixed)


def _place(subject: Subject, name: str, where: str) -> Hit:
    """The first place of a name that is followed by a NUL."""
    raw = name.encode("utf-8", "surrogateescape") + b"\0"
    at = next(find_all(subject.image.data, raw), None)
    return Hit(name, where, at, len(raw) - 1 if at is not None else 0)


RULE = Rule(
    id="cgo/libraries",
    title="Needs libraries that systems do not come with",
    severity="low",
    why="A library that is neither of the C library nor of the system has to be installed beside the binary, in a "
    "version that fits, and it is what runs: its faults and its updates are those of whoever ships it.",
    fix="link it statically, or ship it and say so",
    limits="Sees libraries that the loader is told of, not those that the program opens itself (dlopen, LoadLibrary).",
    check=check,
)
