"""Specimens: small programs with one thing planted that an audit must find, and the same programs with it mended.

A program is a few files as text, a set of flags and the state of a repository around it; each is built once per
release and kept in the cache, in a folder named by its content.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import toolchains

RELEASES = ("1.21", "1.25", "1.27")
GO_MOD = "module example.com/specimen\n\ngo 1.21\n"
COMMIT = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "commit", "-q", "-m", "first")
DATE = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Program:
    """What is built: `files` has (path, text) pairs, go.mod among them unless GO_MOD will do."""

    files: tuple[tuple[str, str], ...]
    flags: tuple[str, ...] = ()
    cgo: bool = False
    env: tuple[tuple[str, str], ...] = ()
    repository: Literal["none", "clean", "dirty"] = "none"
    package: str = "."
    goos: str = "linux"
    goarch: str = "amd64"


@dataclass(frozen=True)
class Specimen:
    """One planted fault.  `rule` must find it in `bad`, with a place whose bytes hold `planted`, and not in `good`."""

    rule: str
    name: str
    bad: Program
    good: Program
    planted: str = ""  # "" for a fault that lies in no bytes
    owner: str = ""  # the package or module that it must be laid to; "" for any


def build(program: Program, go: str) -> Path:
    """The executable, built on first use.  RuntimeError with what was said if it does not build."""
    digest = hashlib.sha256(f"{program!r} {toolchains.PINNED[go]}".encode()).hexdigest()[:16]
    final = toolchains.cache_root() / "builds" / f"specimen_{digest}" / "specimen"
    if not final.is_file():
        with toolchains.staging(final.parent) as work:
            _compile(program, go, _sources(program, digest), work / final.name)
    return final


def _sources(program: Program, digest: str) -> Path:
    """The files laid out, outside of the checkout, whose place and repository would else be part of the build."""
    final = toolchains.cache_root() / "src" / f"specimen_{digest}"
    if not final.is_dir():
        with toolchains.staging(final) as work:
            for name, text in (("go.mod", GO_MOD), *program.files):
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                (work / name).write_text(text)
            if program.repository != "none":
                _repository(work, dirty=program.repository == "dirty")
    return final


def _repository(directory: Path, *, dirty: bool) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE}
    for arguments in (("init", "-q"), ("add", "."), COMMIT):
        subprocess.run(["git", *arguments], cwd=directory, env=env, check=True, capture_output=True)
    if dirty:
        (directory / "dirty.txt").write_text("not committed\n")


def _compile(program: Program, go: str, directory: Path, output: Path) -> None:
    vcs = "false" if program.repository == "none" else "true"
    command = [str(toolchains.goroot(go) / "bin" / "go"), "build", f"-buildvcs={vcs}", *program.flags]
    env = toolchains.go_env(go) | {"GOOS": program.goos, "GOARCH": program.goarch, "CGO_ENABLED": str(int(program.cgo))}
    env |= {"GOFLAGS": ""} | dict(program.env)
    result = subprocess.run(
        [*command, "-o", str(output), program.package],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{result.stdout}{result.stderr}")
