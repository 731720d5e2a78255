"""cgo/static-nss: a static binary whose C library still loads shared ones."""

from __future__ import annotations

from goforensics.clues import requirements
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, NotApplicableError, Rule
from goforensics.rules.subject import Subject
from goforensics.sections.search import find_all

# glibc's nss/nss_module.c (before 2.34 nss/nsswitch.c) puts a module's file name together from this; its C library
# alone has the converters' directory (iconv/gconv_conf.c).  musl has neither.
MODULE, GLIBC = b"libnss_", b"gconv"


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """One draft for a static binary that holds glibc's name service switch."""
    told = requirements.linux(subject)
    if not told.static:
        raise NotApplicableError("dynamically linked: its C library is the system's")
    packages = requirements.brings_c(subject)
    if not packages:
        return []
    data = subject.image.data
    at, glibc = next(find_all(data, MODULE), None), next(find_all(data, GLIBC), None)
    if at is None or glibc is None:
        return []
    hits = [Hit("libnss_, the beginning of a module's file name", "rodata", at, len(MODULE))]
    callers = {name: place for name, place in packages.items() if name != "runtime/cgo"}
    return [Draft("static, but glibc loads modules for names", [*hits, *requirements.package_hits(callers)], "libnss")]


RULE = Rule(
    id="cgo/static-nss",
    title="Statically linked glibc looks names up with shared modules",
    severity="medium",
    why="getaddrinfo and getpwnam of a static glibc open libnss_*.so at run time, of exactly the glibc that it was "
    "built with.  Where that is not there, as on scratch, users are not found; where it is another one, it may crash.",
    fix="-tags netgo,osusergo beside -extldflags=-static, or link against musl",
    limits="Tells that glibc's name service switch is in the file, not that it is ever called.",
    check=check,
)
