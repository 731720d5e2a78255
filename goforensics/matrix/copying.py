"""A second directory with the same sources, to see whether a build depends on where they are."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from goforensics.errors import GoForensicsError
from goforensics.matrix.gocommand import Go, Package, complaint

REPOSITORIES = {".git", ".hg", ".svn", ".bzr", ".fslckout", "_FOSSIL_"}
MOST_BYTES, MOST_FILES = 2 << 30, 200_000


class NoCopyError(GoForensicsError):
    """The sources cannot be built elsewhere; the reason is for people."""


class Copy(msgspec.Struct, frozen=True):
    """Where the copied sources are, and which directories both builds share since they are named by absolute paths."""

    directory: Path  # where the go command runs
    env: dict[str, str]
    shared: tuple[str, ...] = ()


def copy(go: Go, package: Package, target: Path) -> Copy:
    """Copy the module, or the workspace's modules, and local replacements of it into the directory `target`.

    Places relative to one another stay, so relative paths in go.mod and go.work hold.  Repositories are left out.
    Raises NoCopyError with the reason if that cannot be done, OSError if a file cannot be read or written.
    """
    work, module = (_place(package.settings.get(name, "")) for name in ("GOWORK", "GOMOD"))
    if module is None and work is None:
        raise NoCopyError("the package is in no module")
    roots, shared = _roots(go, work, module)
    if not any(package.directory.is_relative_to(root) for root in roots):
        raise NoCopyError(f"its sources are in {package.directory}, outside of the main module")
    within = [root for root in roots if not any(root != other and root.is_relative_to(other) for other in roots)]
    loose = [work, work.with_name("go.work.sum")] if work else []
    common = Path(os.path.commonpath([*within, *(file.parent for file in loose)]))
    _small_enough(within)
    for root in within:
        _copy_tree(root, target / root.relative_to(common))
    _copy_files(loose, common, target)
    if not go.directory.is_relative_to(common):
        raise NoCopyError(f"the package is named from {go.directory}, outside of the main module")
    env = {"GOWORK": str(target / work.relative_to(common))} if work else {}
    return Copy(target / go.directory.relative_to(common), env, tuple(shared))


def _place(value: str) -> Path | None:
    """A file that `go env` names; none is "", "off" or the null device."""
    path = Path(value)
    return path.resolve() if path.is_absolute() and path.is_file() else None


def _roots(go: Go, work: Path | None, module: Path | None) -> tuple[list[Path], list[str]]:
    """The directories with sources to copy, and those with absolute names, which stay."""
    if work is None:
        assert module is not None
        places = [*_replaced(go, ["mod", "edit", "-json", str(module)], module.parent)]
        roots = [module.parent]
    else:
        document = _edited(go, ["work", "edit", "-json", str(work)])
        uses = [(use.get("DiskPath") or "", work.parent) for use in document.get("Use") or []]
        modules = [(base / path).resolve() for path, base in uses]
        places = [*uses, *_local(document, work.parent)]
        for directory in modules:
            places += _replaced(go, ["mod", "edit", "-json", str(directory / "go.mod")], directory)
        # vendor, of a workspace that has one, lies beside go.work.
        roots = [work.parent / "vendor"] if (work.parent / "vendor").is_dir() else []
    relative = [(base / path).resolve() for path, base in places if not Path(path).is_absolute()]
    absolute = [path for path, _ in places if Path(path).is_absolute()]
    roots = list(dict.fromkeys([*(root.resolve() for root in roots), *relative]))
    for root in roots:
        if not root.is_dir():
            raise NoCopyError(f"{root} is no directory")
    return roots, [path for path in absolute if not any(Path(path).is_relative_to(root) for root in roots)]


def _replaced(go: Go, arguments: Sequence[str], base: Path) -> list[tuple[str, Path]]:
    return _local(_edited(go, arguments), base)


def _local(document: dict[str, Any], base: Path) -> list[tuple[str, Path]]:
    """Directories that stand in for modules, as written, and what they are relative to."""
    news = [(entry.get("New") or {}) for entry in document.get("Replace") or []]
    return [(new["Path"], base) for new in news if new.get("Path") and not new.get("Version")]


def _edited(go: Go, arguments: Sequence[str]) -> dict[str, Any]:
    """go.mod or go.work as the go command reads it; with -json it prints and changes nothing."""
    done = go.run(list(arguments))
    try:
        document = json.loads(done.stdout) if not done.code else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NoCopyError(f"go {' '.join(arguments[:2])}: {complaint(done)}")
    return document


def _small_enough(roots: Sequence[Path]) -> None:
    size = 0
    for number, path in enumerate(_files(roots), 1):
        size += path.stat().st_size
        if number > MOST_FILES or size > MOST_BYTES:
            raise NoCopyError(f"the module has more than {MOST_FILES:,} files or {MOST_BYTES:,} bytes to copy")


def _files(roots: Sequence[Path]) -> Iterator[Path]:
    for root in roots:
        for folder, directories, names in os.walk(root):
            directories[:] = [name for name in directories if name not in REPOSITORIES]
            yield from (path for path in (Path(folder, name) for name in names) if path.is_file())


def _copy_tree(root: Path, target: Path) -> None:
    """Ordinary files, and what symbolic links to them hold; neither repositories nor sockets and the like."""
    for path in _files([root]):
        place = target / path.relative_to(root)
        if path.name not in REPOSITORIES:  # .git of a submodule or a worktree is a file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def _copy_files(files: Sequence[Path], common: Path, target: Path) -> None:
    for file in files:
        if file.is_file():
            place = target / file.relative_to(common)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place)
