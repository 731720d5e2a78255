"""What two builds recorded differently: settings, versions, modules, and which parts of the build ID."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.report import Build, File, Module
from goforensics.report_compare import Difference, Part

PARTS = ("action", "main action", "main content", "content")


def differences(before: tuple[File, Build], after: tuple[File, Build]) -> list[Difference]:
    """Everything that is not the same, in the order of what matters most."""
    (file, build), (other_file, other) = before, after
    same = [
        Difference("go version", "", build.go_version, other.go_version),
        Difference("experiments", "", _listed(build.experiments), _listed(other.experiments)),
        Difference("target", "", _target(file), _target(other_file)),
        Difference("main package", "", build.path, other.path),
        Difference("linking", "build mode", file.build_mode, other_file.build_mode),
        Difference("linking", "link mode", file.link_mode, other_file.link_mode),
    ]
    found = [row for row in same if row.before != row.after]
    return [*found, *_settings(build, other), *_modules(build, other)]


def _listed(names: list[str]) -> str | None:
    return ", ".join(names) or None


def _target(file: File) -> str:
    return "/".join(filter(None, (file.goos, file.goarch)))


def _settings(build: Build, other: Build) -> Iterator[Difference]:
    for key in sorted(build.settings.keys() | other.settings.keys()):
        one, two = build.settings.get(key), other.settings.get(key)
        if one != two:
            yield Difference("setting", key, one, two)


def _modules(build: Build, other: Build) -> Iterator[Difference]:
    mine, theirs = _versions(build), _versions(other)
    for path in sorted(mine.keys() | theirs.keys()):
        if mine.get(path) != theirs.get(path):
            yield Difference("module", path, mine.get(path), theirs.get(path))


def _versions(build: Build) -> dict[str, str]:
    return {module.path: _version(module) for module in [*([build.main] if build.main else []), *build.modules]}


def _version(module: Module) -> str:
    """The version, with what a `replace` directive put in its place."""
    version, swap = module.version or "", module.replace
    return f"{version} => {swap.path} {swap.version or ''}".strip() if swap else version


def build_id(before: str | None, after: str | None) -> list[Part]:
    """The parts of both build IDs, in Go's order; one line with both where they have no such parts."""
    one, other = ((text or "").split("/") for text in (before, after))
    if len(one) == len(other) == len(PARTS):
        return [Part(*row) for row in zip(PARTS, one, other, strict=True)]
    return [Part("id", before, after)] if before or after else []
