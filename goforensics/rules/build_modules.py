"""Does the file say which modules are in it?"""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.clues import recorded
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections.buildinfo import ModInfo

OUTSIDE = "_/"  # what cmd/go puts before the directory of a package outside of module and GOPATH


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding if there is no build information, or code of modules that it does not list."""
    info = subject.info
    if info is None:
        if any(row.structure == "buildinfo" for row in subject.binary.problems()):
            raise UnknownError("the build information cannot be read")
        gone = recorded.absent("no build information")
        yield Draft("no build information: nothing says which modules, versions and settings are in it", [gone], "none")
        return
    strange = sorted(p for p in subject.packages if _foreign(p) and not _listed(p, info.mod))
    if strange:
        title = (
            f"{len(strange)} packages of no recorded module" if len(strange) > 1 else "a package of no recorded module"
        )
        yield Draft(title, [hit for p in strange if (hit := _hit(subject, p))], "packages")
    elif info.mod.problems:
        raise UnknownError(f"the build information cannot be read in full: {info.mod.problems[0]}")
    elif not subject.packages:
        raise UnknownError("no function table: which packages are in it cannot be told")


def _foreign(package: str) -> bool:
    """Not of the standard library, and not main, whose path the linker does not keep."""
    first, slash, _ = package.partition("/")
    return package.startswith(OUTSIDE) or ("." in first and bool(slash))


def _listed(package: str, mod: ModInfo) -> bool:
    modules = (*([mod.main] if mod.main else ()), *mod.modules)
    return any(package == m.path or package.startswith(f"{m.path}/") for m in modules)


def _hit(subject: Subject, package: str) -> Hit | None:
    found = recorded.linked(subject, package)
    return found and Hit(package, found.where, found.offset, found.length)


RULE = Rule(
    id="build/modules",
    title="Modules are not recorded",
    severity="medium",
    why="Vulnerability and SBOM tools read the list of modules in the file: what is not on it they do not see, and "
    "they report nothing, which looks like nothing found.",
    fix="build with go build in module mode (GO111MODULE=on), and leave .go.buildinfo in the file",
    limits="Packages whose first path element has no dot cannot be told from the standard library's.",
    check=check,
)
