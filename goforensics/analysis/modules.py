"""Which module each package belongs to, and what kind of code that makes it.

With build information: the longest module path that begins the package's.  Without: what the file table says
(`…/pkg/mod/host/mod@v1.2.3/…`, or `host/mod@v1.2.3/…` when trimmed), else the usual shape of a host's paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from goforensics.report import Kind

STD = "std"
GENERATED = "(generated)"  # code that the toolchain makes for types of no package, or for itself
C = "(C)"  # the package of what a C compiler made
RUNTIME = re.compile(
    r"(?:runtime|internal/runtime|internal/(?:abi|bytealg|chacha8rand|cpu|goarch|goexperiment|goos))(?:/|$)"
)
VERSIONED = re.compile(r"(?:.*/pkg/mod/)?(?P<module>[^@]+\.[^@]+)@v[^/]*(?:/.*)?$")
ESCAPED = re.compile("!([a-z])")  # the module cache writes capitals so
SHORT_HOSTS = {"gopkg.in": 2, "google.golang.org": 2, "go.uber.org": 2, "k8s.io": 2, "go.etcd.io": 2}


class Home(msgspec.Struct, frozen=True):
    """Where a package lives."""

    module: str  # a module's path, "std", or "" for none
    kind: Kind


class Modules:
    """Looks packages up; `main` and `dependencies` are module paths from the build information."""

    def __init__(
        self, main: str | None, dependencies: Iterable[str], directories: Mapping[str, str], recorded: bool
    ) -> None:
        self._directories = directories
        self._recorded = recorded
        self._main = main or (None if recorded else _root(directories))
        known: dict[str, Kind] = dict.fromkeys(dependencies, "dependency")
        if self._main:
            known[self._main] = "main"
        self._known = sorted(known.items(), key=lambda item: -len(item[0]))

    def home(self, package: str) -> Home:
        """The module of a package, "main" included."""
        if package == C:
            return Home(C, "c")
        if not package:
            return Home(GENERATED, "runtime")
        if package == "main" or package.startswith("main."):
            return Home(self._main or "(main module)", "main")
        for module, kind in self._known:
            if package == module or package.startswith(module + "/"):
                return Home(module, kind)
        if "." not in package.split("/", 1)[0]:
            return self._undotted(package)
        return Home(self._guess(package), "dependency")

    def _undotted(self, package: str) -> Home:
        """Paths whose first element has no dot are the standard library's."""
        if self._recorded and self._main is None and package == "command-line-arguments":
            return Home(package, "main")
        return Home(STD, "runtime" if RUNTIME.match(package) else "std")

    def _guess(self, package: str) -> str:
        found = VERSIONED.match(self._directories.get(package, ""))
        if found:
            return ESCAPED.sub(lambda m: m[1].upper(), found["module"])
        parts = package.split("/")
        return "/".join(parts[: SHORT_HOSTS.get(parts[0], 3)])


def _root(directories: Mapping[str, str]) -> str | None:
    """The main module's path, from a package whose files lie below the directory that main's lie in or under.

    `/src/esbuild/internal/ast` holds example.com/esbuild/internal/ast and main is in `/src/esbuild/cmd/esbuild`: what
    the two paths share at their ends is inside the module, so the module is example.com/esbuild.
    """
    main = directories.get("main")
    if main is None:
        return None
    found = set()
    for package, directory in directories.items():
        module, root = _unshared(package, directory)
        if "." in module.split("/", 1)[0] and "@" not in root and (main + "/").startswith(root + "/") and root:
            found.add(module)
        if directory == package and (main + "/").startswith(_prefix(package) + "/"):
            found.add(_prefix(package))
    return min(found, key=lambda module: (module.count("/"), module), default=None)


def _prefix(package: str) -> str:
    """What a trimmed path's module most likely is: host, owner and name."""
    parts = package.split("/")
    return "/".join(parts[: SHORT_HOSTS.get(parts[0], 3)]) if "." in parts[0] else "\0"


def _unshared(package: str, directory: str) -> tuple[str, str]:
    """What is left of the two paths once the elements that they share at the end are gone."""
    left, right = package.split("/"), directory.split("/")
    while left and right and left[-1] == right[-1]:
        left.pop()
        right.pop()
    return "/".join(left), "/".join(right)
