"""What -trimpath makes of the names of source files.

cmd/go tells the compiler, per package, to write the package's directory as `module@version/…`, or as its import path
where the module has no version.  Source of truth: Go's cmd/go/internal/work/gc.go ((*Action).trimpath),
cmd/internal/objabi/line.go (ApplyRewrites).  A directory is known by the files that functions of its packages begin in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from posixpath import dirname

import msgspec
import numpy as np

from goforensics.analysis.packages import package_of
from goforensics.rebuild.contents import Declined
from goforensics.sections.arrays import Offsets, strings
from goforensics.sections.buildinfo import ModInfo, Module
from goforensics.sections.pclntab import Pclntab

ABSOLUTE = re.compile(r"/|[A-Za-z]:[/\\]|\\\\")
RUNTIME = "runtime/proc.go"  # a file that every program has
CAPITAL = re.compile("[A-Z]")  # the module cache writes them as "!" and the small letter
COMMAND_LINE = "command-line-arguments"  # the import path of files named on the command line
LOCAL = "(devel)"  # the version that is recorded for a module without one


class Rule(msgspec.Struct, frozen=True):
    """Files in `directory` (ends in a slash) are named below `name`, "" or with a slash at its end."""

    directory: str
    name: str
    deep: bool = True  # files in directories below it, too


def is_trimmed(files: Iterable[str]) -> bool:
    """The standard library's files are named by import path."""
    return RUNTIME in files


def goroot(files: Iterable[str]) -> str:
    """GOROOT as the files of the runtime tell it; "" if they do not."""
    end = f"/src/{RUNTIME}"
    return next((name.removesuffix(end) for name in files if name.endswith(end)), "")


def renamed(table: Pclntab, info: ModInfo) -> list[str]:
    """(f,) what -trimpath makes of each file's name.  Declined where a module's directory cannot be told."""
    files = table.files
    rules = list(_rules(table, info))
    places = {rule.directory: rule for rule in reversed(rules)}
    names = [_apply(name, places) for name in files]
    left = sum(old == new and bool(ABSOLUTE.match(old)) for old, new in zip(files, names, strict=True))
    unknown = _unplaced(info, rules) if left else []
    if unknown:
        raise Declined(f"where the module {unknown[0]} lies cannot be told")
    if len(set(names)) < len(set(files)):
        raise Declined("two source files would get one name")
    return names


def _apply(name: str, places: Mapping[str, Rule]) -> str:
    """By the rule of the innermost directory that has one."""
    own = at = name.rfind("/")
    while at >= 0:
        rule = places.get(name[: at + 1])
        if rule is not None and (rule.deep or at == own):
            return rule.name + name[at + 1 :]
        at = name.rfind("/", 0, at)
    return name


def _rules(table: Pclntab, info: ModInfo) -> Iterator[Rule]:
    root = goroot(table.files)
    if root:
        yield Rule(f"{root}/src/", "")
    own = [name for name in table.files if ABSOLUTE.match(name) and not (root and name.startswith(f"{root}/"))]
    places = _Places(table)
    for module in info.modules:
        if _is_local(module):
            yield from (Rule(directory, _name(module)) for directory in places.root(module.path))
        else:
            yield from (Rule(directory, _name(module)) for directory in _fetched(own, module))
    yield from _main(places, info)


def _is_local(module: Module) -> bool:
    """Its files are not in the module cache: another module of a workspace, or replaced by a directory."""
    return (module.replace or module).version in (LOCAL, "")


def _name(module: Module) -> str:
    version = "" if module.version in (LOCAL, "") else f"@{module.version}"
    return f"{module.path}{version}/"


def _fetched(files: list[str], module: Module) -> set[str]:
    """Where a module lies below GOMODCACHE, of which one program may have seen several, or in a vendor directory."""
    held = module.replace or module
    folders = f"/{_escaped(held.path)}@{_escaped(held.version)}/", f"/vendor/{module.path}/"
    return {name[: name.find(folder)] + folder for folder in folders for name in files if folder in name}


def _escaped(path: str) -> str:
    """As the module cache writes it: golang.org/x/mod/module.EscapePath."""
    return CAPITAL.sub(lambda m: "!" + m[0].lower(), path)


def _main(places: _Places, info: ModInfo) -> Iterator[Rule]:
    """The main module's directory, or where its only package lies; in GOPATH mode the directory that holds all."""
    module = info.main
    if module is None:
        yield from _gopath(places, info.path)
        return
    name = _name(module) if module.sum else f"{module.path}/"  # "go install path@version" fetches the main module
    inside = info.path.removeprefix(module.path) if (info.path + "/").startswith(module.path + "/") else None
    found = places.root(module.path) | (set() if inside is None else places.main(inside))
    if len(found) > 1:
        raise Declined("the main module's packages do not agree on where it lies")
    yield from (Rule(directory, name) for directory in found)
    if info.path == COMMAND_LINE:
        yield from (Rule(directory, f"{COMMAND_LINE}/", deep=False) for directory in places.main(""))


def _gopath(places: _Places, path: str) -> Iterator[Rule]:
    for directory in places.main(f"/{path}") if path else ():
        yield Rule(directory, "")


def _unplaced(info: ModInfo, rules: list[Rule]) -> list[str]:
    """Modules of which nothing but a function's file tells where they lie, and none does."""
    names = {rule.name for rule in rules}
    local = [(m.path, _name(m)) for m in info.modules if _is_local(m)]
    main = [(info.main.path, f"{info.main.path}/")] if info.main and not info.main.sum else []
    return [path for path, name in (*local, *main) if not names & {name, f"{COMMAND_LINE}/"}]


class _Places:
    """Where packages lie, by the files that their functions begin in."""

    def __init__(self, table: Pclntab) -> None:
        self.table = table
        if "funcnametab" not in table.header.tables:
            raise Declined("the table of functions is that of Go 1.15 or before")
        start, end = table.header.tables["funcnametab"], table.header.tables["cutab"]
        self.names, self.start = b"\0" + bytes(table.data[start:end]), start - 1

    def main(self, inside: str) -> set[str]:
        """The root of what holds package main, which lies in the directory `inside` ("" or "/…") of it."""
        functions = self._functions(b"main.main\0")
        if not len(functions):  # a library has a package main without the function
            functions = self._functions(b"main.")
        return self._roots(functions, lambda _: inside)

    def root(self, module: str) -> set[str]:
        """The directories that hold the packages whose path begins with a module's."""
        head, _, last = module.rpartition("/")
        symbol = (f"{head}/" if head else "") + last.replace(".", "%2e")
        functions = self._functions(*{f"{module}/".encode(), f"{symbol}.".encode()})
        return self._roots(functions, lambda package: package[len(module) :])

    def _functions(self, *prefixes: bytes) -> Offsets:
        """Indices of the functions whose names begin with one of `prefixes`."""
        patterns = [re.compile(re.escape(b"\0" + prefix)) for prefix in prefixes]
        offsets = [found.start() + 1 for pattern in patterns for found in pattern.finditer(self.names)]
        wanted = np.array(offsets, np.int64) + self.start
        return np.flatnonzero(np.isin(self.table.funcs.name, wanted))

    def _roots(self, functions: Offsets, inside: Callable[[str], str]) -> set[str]:
        """The directory that most of the functions agree on, a slash at its end; none for none."""
        names = strings(self.table.data, self.table.funcs.name[functions])
        files = strings(self.table.data, self.table.entry_file[functions])
        votes: Counter[str] = Counter()
        for symbol, file in zip(names, files, strict=True):
            directory, below = dirname(file), inside(package_of(symbol))
            if ABSOLUTE.match(directory) and directory.endswith(below):
                votes[directory[: len(directory) - len(below)] + "/"] += 1
        return {root for root, _ in votes.most_common(1)}
