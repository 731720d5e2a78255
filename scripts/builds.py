"""Builds of the programs in testdata/src, one per release, target and set of flags, cached by what went into them.

What cannot be built, so that nobody tries again:

* app before Go 1.18: its dependencies use generics. gRPC is held at the last release that Go 1.18 compiles.
* zoo before Go 1.16: it embeds files.
* cgo for another operating system or architecture: that needs a C compiler for it.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import toolchains

SOURCES = Path(__file__).resolve().parent.parent / "testdata" / "src"

# The first release that each program builds with.
FLOOR = {
    "hello": "1.13",
    "cgo": "1.13",
    "zoo": "1.16",
    "http": "1.16",
    "vendored": "1.16",
    "app": "1.18",
    "workspace": "1.18",
}

# What makes a program's vendor directory or workspace count, as flags and environment.
NEEDS: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "vendored": (("-mod=vendor",), ()),
    "workspace": ((), (("GOWORK", ""),)),
}

# The first release that knows a Linux architecture, among those that not every pinned release knows.
ARCH_FLOOR = {"riscv64": "1.15", "loong64": "1.20"}
ARCHES = (
    *("amd64", "386", "arm64", "arm", "ppc64", "ppc64le", "riscv64", "s390x"),
    *("mips", "mipsle", "mips64", "mips64le", "loong64"),
)
# darwin/arm64 came with Go 1.16, windows/arm64 with 1.17.
OS_TARGETS = (("windows", "amd64"), ("windows", "arm64"), ("darwin", "amd64"), ("darwin", "arm64"))
OS_FLOOR = {("darwin", "arm64"): "1.16", ("windows", "arm64"): "1.18"}

STRIP = "-ldflags=-s -w"
FAKE_TOKEN = "FAKE-TOKEN-FOR-TESTS-0000"
ZOO_FLAGS = (f"-ldflags=-X main.token={FAKE_TOKEN}",)
ZOO_CGO_FLAGS = (
    "-tags=leakc",
    f"-ldflags=-X main.token={FAKE_TOKEN} -linkmode=external -extldflags=-Wl,-rpath,/home/alice/secret/lib",
)
FLAG_SETS: tuple[tuple[str, ...], ...] = (
    (),
    ("-ldflags=-s",),
    ("-ldflags=-w",),
    (STRIP,),
    ("-trimpath",),
    ("-trimpath", STRIP),
    ("-buildmode=pie",),
    ("-buildmode=pie", STRIP),
)


class BuildError(RuntimeError):
    """A build that failed, with what the go command said."""


@dataclass(frozen=True)
class Build:
    """Everything that decides what an executable looks like, apart from the sources."""

    program: str
    go: str
    goos: str = "linux"
    goarch: str = "amd64"
    flags: tuple[str, ...] = ()
    cgo: bool = False
    env: tuple[tuple[str, str], ...] = ()

    def label(self) -> str:
        """Name the build for people: it is the cache folder's name, apart from the hash."""
        extra = (*self.flags, *(f"{name}={value}" for name, value in self.env))
        slugs = [re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")[:30] for text in extra]
        return "_".join([self.program, f"go{self.go}", self.goos, self.goarch, *["cgo"] * self.cgo, *slugs])


def go_command(minor: str) -> Path:
    """Return a pinned release's own go command."""
    return toolchains.goroot(minor) / "bin" / "go"


def _source_files(program: str) -> Iterator[Path]:
    yield from sorted(path for path in (SOURCES / program).rglob("*") if path.is_file())


@functools.cache
def source_hash(program: str) -> str:
    """Hash names and contents, so that an edited program is built again."""
    digest = hashlib.sha256()
    for path in _source_files(program):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def source_directory(program: str) -> Path:
    """Return the copy that is built: outside the checkout, or its place would be part of every executable."""
    final = toolchains.cache_root() / "src" / source_hash(program) / program
    if not final.is_dir():
        with toolchains.staging(final) as work:
            shutil.copytree(SOURCES / program, work, dirs_exist_ok=True)
    return final


def _key(build: Build) -> str:
    recipe = f"{build!r} {toolchains.PINNED[build.go]} {source_hash(build.program)}"
    return f"{build.label()}_{hashlib.sha256(recipe.encode()).hexdigest()[:10]}"


def _arguments(build: Build, output: Path) -> list[str]:
    arguments = [str(go_command(build.go)), "build", "-mod=readonly"]
    if toolchains.at_least(build.go, "1.18"):
        arguments.append("-buildvcs=false")
    return [*arguments, *build.flags, "-o", str(output), "."]


def _environment(build: Build) -> dict[str, str]:
    env = toolchains.go_env(build.go)
    env |= {"GOOS": build.goos, "GOARCH": build.goarch, "CGO_ENABLED": str(int(build.cgo))}
    return env | dict(build.env)


def _compile(build: Build, output: Path) -> None:
    result = subprocess.run(
        _arguments(build, output),
        cwd=source_directory(build.program),
        env=_environment(build),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise BuildError(f"{build.label()}:\n{result.stdout}{result.stderr}")


def cached_path(build: Build) -> Path:
    """Return where the executable is once built."""
    suffix = ".exe" if build.goos == "windows" else ""
    return toolchains.cache_root() / "builds" / _key(build) / f"{build.program}{suffix}"


def executable(build: Build) -> Path:
    """Return the executable, building it on first use."""
    final = cached_path(build)
    if not final.is_file():
        with toolchains.staging(final.parent) as work:
            _compile(build, work / final.name)
    return final


def linux_amd64_matrix() -> list[Build]:
    """List every set of flags of every program on every release that builds it."""
    builds: list[Build] = []
    for go in toolchains.minors():
        builds += [Build("hello", go, flags=flags) for flags in FLAG_SETS]
        builds += [Build("cgo", go, flags=flags, cgo=True) for flags in FLAG_SETS]
        if toolchains.at_least(go, FLOOR["zoo"]):
            builds += [*zoo_builds(go), *(Build("zoo", go, flags=flags) for flags in FLAG_SETS)]
        if toolchains.at_least(go, FLOOR["app"]):
            builds += [Build("app", go, flags=flags) for flags in FLAG_SETS]
    return builds


def needing(build: Build) -> Build:
    """Return the build with what its program needs added."""
    flags, env = NEEDS.get(build.program, ((), ()))
    return replace(build, flags=(*flags, *build.flags), env=(*env, *build.env))


def zoo_builds(go: str) -> list[Build]:
    """List the zoo with and without C, each plain and with what -trimpath can do about it."""
    pure = [Build("zoo", go, flags=(*ZOO_FLAGS, *extra)) for extra in ((), ("-trimpath",))]
    mixed = [Build("zoo", go, flags=(*ZOO_CGO_FLAGS, *extra), cgo=True) for extra in ((), ("-trimpath",))]
    return pure + mixed


def _supports_arch(go: str, goarch: str) -> bool:
    return toolchains.at_least(go, ARCH_FLOOR.get(goarch, "1.13"))


def arch_matrix(minors: Iterable[str] = ("1.22", "1.27")) -> list[Build]:
    """List hello on every Linux architecture that a release knows, with and without symbols."""
    pairs = [(go, goarch) for go in minors for goarch in ARCHES if _supports_arch(go, goarch)]
    return [Build("hello", go, goarch=goarch, flags=flags) for go, goarch in pairs for flags in ((), (STRIP,))]


def os_matrix(minors: Iterable[str] = ("1.22", "1.27")) -> list[Build]:
    """List hello for the other executable formats, with and without symbols."""
    pairs = [(go, target) for go in minors for target in OS_TARGETS]
    known = [(go, target) for go, target in pairs if toolchains.at_least(go, OS_FLOOR.get(target, "1.13"))]
    return [Build("hello", go, *target, flags=flags) for go, target in known for flags in ((), (STRIP,))]


def ci_slice() -> list[Build]:
    """List what shows most in least time: each release's plain hello, and the corners of the other matrices."""
    builds = [Build("hello", go, flags=flags) for go in toolchains.minors() for flags in ((), (STRIP,))]
    for go in ("1.22", "1.27"):
        builds += [Build("cgo", go, cgo=True), *zoo_builds(go), Build("hello", go, flags=("-buildmode=pie",))]
        builds += [Build("hello", go, goarch=goarch) for goarch in ("386", "arm64", "s390x")]
    return [*builds, *os_matrix(("1.27",)), Build("app", "1.27")]


def full_slice() -> list[Build]:
    """List every matrix, without the builds that two of them share."""
    return list(dict.fromkeys([*linux_amd64_matrix(), *arch_matrix(), *os_matrix()]))


SLICES = {"ci": ci_slice, "full": full_slice}


def stripped_headers(path: Path) -> Path:
    """Return a copy of an ELF file that has lost its section headers, as sstrip and packers leave it."""
    final = path.with_name(f"{path.name}.nosections")
    if not final.is_file():
        data = bytearray(path.read_bytes())
        _clear_section_headers(data)
        temporary = final.with_name(f".{final.name}.{os.getpid()}")
        temporary.write_bytes(data)
        temporary.chmod(0o755)
        temporary.replace(final)
    return final


def _clear_section_headers(data: bytearray) -> None:
    if data[:4] != b"\x7fELF":
        raise ValueError("not an ELF file")
    order = "<" if data[5] == 1 else ">"
    offset_format, offset_at, counts_at = ("I", 0x20, 0x30) if data[4] == 1 else ("Q", 0x28, 0x3C)
    struct.pack_into(f"{order}{offset_format}", data, offset_at, 0)
    struct.pack_into(f"{order}HH", data, counts_at, 0, 0)


def _prebuild(build: Build) -> str:
    """Build one and say how it went; a failure must not stop the others."""
    start = time.monotonic()
    try:
        path = executable(build)
    except (BuildError, toolchains.ToolchainError) as error:
        return f"FAILED {error}"
    return f"{time.monotonic() - start:6.1f}s {path.stat().st_size:>10} {path.parent.name}"


def main(arguments: list[str]) -> int:
    """Build a slice ahead of the tests, which would otherwise wait for each in turn."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--slice", choices=SLICES, default="ci")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    builds = SLICES[options.slice]()
    failures = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for number, line in enumerate(pool.map(_prebuild, builds), 1):
            failures += line.startswith("FAILED")
            print(f"[{number}/{len(builds)}] {line}", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
