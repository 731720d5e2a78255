"""cgo/target: whether the binary can start where the policy says that it must."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.analysis import linking, targets
from goforensics.analysis.linking import Linking
from goforensics.analysis.targets import Target, dotted
from goforensics.clues import requirements
from goforensics.policy import Policy
from goforensics.report_audit import Severity
from goforensics.rules.protocol import Draft, Hit, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject

CALLED = {"glibc": "glibc", "musl": "musl", "none": "no C library", "other": "another loader"}


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One draft for each thing that a target lacks.  UsageError for a target whose name means nothing."""
    if not policy.targets:
        raise NotApplicableError("the policy names no targets")
    told = requirements.linux(subject)
    for target in map(targets.parse, policy.targets):
        yield from _against(subject, told, target)


def _against(subject: Subject, told: Linking, target: Target) -> Iterator[Draft]:
    arch = subject.image.goarch
    if target.arch not in (None, arch):
        hits = [Hit(f"machine {arch}", "header", 18, 2)]  # e_machine
        yield Draft(f"{target.name}: the file is for {arch}", hits, f"{target.name} architecture", fix="set GOARCH")
        return
    if told.static:
        return
    if told.libc != target.libc:
        yield _mismatch(subject, told, target)
        return
    loader = told.interpreter
    if loader is not None and not linking.loader_is_there(loader[0], arch, target.libc):
        title = f"{target.name}: the image has no loader {loader[0]}"
        yield _draft(subject, told, target, title, "loader", [requirements.text_hit(loader, "interpreter")])
    yield from _libraries(subject, told, target)
    yield from _versions(subject, told, target)


def _mismatch(subject: Subject, told: Linking, target: Target) -> Draft:
    if target.libc == "none":
        title = f"{target.name}: dynamically linked, and the image has no loader and no C library"
    else:
        title = f"{target.name}: linked against {CALLED[told.libc]}, and the image has {CALLED[target.libc]}"
    return _draft(subject, told, target, title, "libc", requirements.loader_hits(told))


def _draft(
    subject: Subject,
    told: Linking,
    target: Target,
    title: str,
    kind: str,
    hits: list[Hit],
    severity: Severity | None = None,
) -> Draft:
    packages = requirements.brings_c(subject)
    found = [*hits, *requirements.package_hits(packages)]
    fix, flags = requirements.mend(told, packages)
    return Draft(title, found, f"{target.name} {kind}", severity=severity, fix=fix, mends=flags)


def _libraries(subject: Subject, told: Linking, target: Target) -> Iterator[Draft]:
    """A base image has the C library's own; what else it may have, a file cannot tell."""
    missing = list(linking.foreign(told))
    if target.gcc is None and not target.bare:
        missing += [place for place in told.needed if place[0] in linking.GCC_LIBRARIES]
    for place in missing:
        title = f"{target.name}: needs {place[0]}, which the image may not have"
        hits = [requirements.text_hit(place, "dynamic:NEEDED")]
        yield _draft(subject, told, target, title, f"library {place[0]}", hits, "medium")


def _versions(subject: Subject, told: Linking, target: Target) -> Iterator[Draft]:
    """musl's symbols have no versions, and it passes over those of glibc."""
    if target.libc != "glibc":
        return
    have = target.glibc or ()
    newer = told.asks("GLIBC", have)
    if newer:
        floor, need = newer[0]
        title = f"{target.name}: needs glibc {dotted(floor)}, and the image has {dotted(have)}"
        yield _draft(subject, told, target, title, "glibc", requirements.symbol_hits(told, need))
    yield from _gcc(subject, told, target)
    odd = [n for n in told.versions if n.version.startswith("GLIBC_") and linking.numbered(n.version) is None]
    if odd and not newer and not all(n.weak for n in odd):
        raise UnknownError(f"{odd[0].version} of {odd[0].library} belongs to no release of glibc that can be told")


def _gcc(subject: Subject, told: Linking, target: Target) -> Iterator[Draft]:
    if target.gcc is None:
        return
    for family, library in (("GLIBCXX", "libstdc++"), ("GCC", "libgcc_s")):
        for version, need in told.asks(family)[:1]:
            least = linking.gcc_of((family, version))
            if least > target.gcc:
                have = f"the image has GCC {dotted(target.gcc)}'s"
                title = f"{target.name}: needs {library} of GCC {dotted(least)} ({need.version}), and {have}"
                yield _draft(subject, told, target, title, library, requirements.symbol_hits(told, need))


RULE = Rule(
    id="cgo/target",
    title="Cannot start on a target",
    severity="high",
    why="A binary that is dynamically linked starts only where its loader, its libraries and the symbol versions that "
    "it asks for are: it dies on scratch, on Alpine, on an older distribution, with 'not found' for an existing file.",
    fix="build with CGO_ENABLED=0, link statically, or build on the oldest system that it must run on",
    limits="Judges by the base image's C library and GCC runtime; libraries that are added to an image, those opened "
    "by dlopen and what the kernel or the processor lacks are not seen.  musl has no symbol versions.",
    check=check,
)
