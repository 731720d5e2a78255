"""Private modules, by the policy's patterns: in the build information, the file table and the names of functions."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

import numpy as np

from goforensics.clues.grouping import Found
from goforensics.clues.names import by_name, path_pattern
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, NotApplicableError, Rule
from goforensics.rules.subject import Subject
from goforensics.sections import pclntab

VERSION = re.compile(r"@[^/]*")


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """One finding per module or, where no module is recorded, per package."""
    if not policy.internal.modules:
        raise NotApplicableError("the policy names no internal modules")
    return by_name(_modules(subject, [path_pattern(each) for each in policy.internal.modules]), "the internal module")


def _modules(subject: Subject, patterns: list[re.Pattern[str]]) -> Iterator[Found]:
    names: list[str] = []
    for name, place in _recorded(subject):
        if any(pattern.fullmatch(name) for pattern in patterns):
            names.append(name)
            yield name, place
    for name, place in _in_tables(subject, patterns):
        module = next((known for known in names if name == known or name.startswith(f"{known}/")), name)
        yield module, place


def _recorded(subject: Subject) -> Iterator[Found]:
    """The paths of modules and of what replaces them."""
    info = subject.info
    for module in (info.mod.main, *info.mod.modules) if info else ():
        for each in (module, module.replace if module else None):
            if each is not None:
                at = bytes(subject.image.data[each.offset : each.offset + each.size]).find(each.path.encode())
                place = each.offset + max(at, 0)
                yield each.path, Hit(each.path, "buildinfo", place, len(each.path.encode()))


def _in_tables(subject: Subject, patterns: list[re.Pattern[str]]) -> Iterator[Found]:
    """Per package the name of its first function, and the names of its files."""
    table, packages = subject.binary.maybe(pclntab.PARSER), subject.owners.packages
    if table is None or packages is None:
        return
    mine = {code: name for code, name in enumerate(packages.names) if any(p.fullmatch(name) for p in patterns)}
    for code, name in mine.items():
        rows = np.flatnonzero(packages.codes == code)
        if len(rows):
            at = table.offset + int(table.funcs.name[rows[0]])
            yield name, Hit(f"{name} ({len(rows):,} functions)", "pclntab", at, len(name.encode()))
    names = set(mine.values())
    for path, start in zip(table.files, table.file_offsets.tolist(), strict=True):
        found = _package(path, names)
        if found:
            yield found, Hit(path, "filetab", table.offset + start, len(path.encode()))


def _package(path: str, names: Container[str]) -> str | None:
    """Which of the packages `names` a file is of, whatever its directory is below."""
    directory = VERSION.sub("", path.replace("\\", "/").rpartition("/")[0])
    starts = (0, *(found.end() for found in re.finditer("/", directory)))
    return next((directory[at:] for at in starts if directory[at:] in names), None)


RULE = Rule(
    id="internal/module",
    title="A private module's name is in the file",
    severity="medium",
    why="Names of private modules tell where the house keeps its source, and invite others to register them.",
    fix=(
        "Give the module a path that may be seen. The linker always writes import paths into the file: -trimpath "
        "and -s -w leave them in."
    ),
    limits="Function names count once per package. What an obfuscator renamed is not recognised.",
    check=check,
)
