"""The local go command: where it is, what it says of its settings and of the package, and its builds."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from goforensics.errors import GoForensicsError, UsageError
from goforensics.matrix.flagsets import FlagSet
from goforensics.matrix.processes import Done, Processes

BUILD_LIMIT = 3600.0  # seconds; a go command that waits for something will not wait for ever
SHAPING = (  # settings that decide what a build gives
    *("GOFLAGS", "GOTOOLCHAIN", "GOEXPERIMENT", "GOWORK", "CGO_ENABLED", "CC", "CXX", "GO_EXTLINK_ENABLED"),
    *("CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS", "GOFIPS140"),
    *("GOAMD64", "GOARM64", "GOARM", "GO386", "GOMIPS", "GOMIPS64", "GOPPC64", "GORISCV64"),
)
USUAL = {"CGO_CFLAGS": "-O2 -g", "CGO_CXXFLAGS": "-O2 -g", "CGO_LDFLAGS": "-O2 -g", "GOFIPS140": "off"}
VARIED = ("-ldflags", "-trimpath", "-buildmode", "-gcflags", "-tags")
CHATTER = ("# ", "go: downloading ", "go: finding ")
LISTED = "{{.ImportPath}}\n{{.Name}}\n{{.Dir}}"
RELEASE = re.compile(r"go1\.(\d+)")


class Go(msgspec.Struct, frozen=True):
    """A go command, and the directory that it is to run in."""

    path: str
    directory: Path
    processes: Processes
    temporary: Path | None = None  # where it works; it leaves things behind when it is interrupted

    def run(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = BUILD_LIMIT,
    ) -> Done:
        """Run one go command in the user's environment and `env`.  Raises GoForensicsError if it cannot be started."""
        where = cwd or self.directory
        # PWD tells the go command what the user calls the directory, which it then records.
        whole = {**os.environ, "PWD": str(where), **({"GOTMPDIR": str(self.temporary)} if self.temporary else {})}
        try:
            return self.processes.run([self.path, *arguments], where, {**whole, **(env or {})}, timeout=timeout)
        except OSError as error:
            raise GoForensicsError(f"{self.path} cannot be started: {error.strerror}") from None


class Package(msgspec.Struct, frozen=True):
    """What is built: `argument` is its name for the go command when that runs in `Go.directory`."""

    argument: str
    path: str  # import path
    directory: Path  # of its files
    settings: Mapping[str, str]  # go env


def find(package: str, processes: Processes) -> tuple[Go, str]:
    """The go command on PATH, and the package's name in the directory it runs in.

    A directory is built from within, so that its own module, workspace and toolchain hold.  Raises GoForensicsError
    if there is no go command.
    """
    path = shutil.which("go")
    if path is None:
        raise GoForensicsError("there is no go command on PATH; install Go (https://go.dev/dl) or add its bin to PATH")
    if package.startswith("-") or "\0" in package:
        raise UsageError(f"{package!r} is no package")
    given = Path(package)
    if given.is_dir():
        return Go(str(Path(path).absolute()), given.resolve(), processes), "."
    if given.suffix == ".go" and given.is_file():
        return Go(str(Path(path).absolute()), given.parent.resolve(), processes), given.name
    return Go(str(Path(path).absolute()), Path.cwd(), processes), package


def describe(go: Go, argument: str) -> Package:
    """What the go command says of the package.  Raises GoForensicsError, with its own words, if it is no command's."""
    settings = _settings(go)
    done = go.run(["list", "-find", "-f", LISTED, *_mod(settings, go.directory), argument])
    if done.code:
        raise GoForensicsError(f"go list {argument}: {complaint(done)}")
    lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
    if len(lines) != 3:
        raise UsageError(f"{argument} names {len(lines) // 3} packages; name the one to build")
    path, name, directory = lines
    if name != "main":
        raise UsageError(f"{path} is package {name}, which gives no executable; name a package main")
    return Package(argument, path, Path(directory), settings)


def _settings(go: Go) -> dict[str, str]:
    done = go.run(["env", "-json"])
    try:
        raw = json.loads(done.stdout) if not done.code else None
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raise GoForensicsError(f"go env: {complaint(done)}")
    settings = {str(name): str(value) for name, value in raw.items()}
    if not settings.get("GOVERSION"):  # before Go 1.16
        words = go.run(["version"]).stdout.decode("utf-8", "replace").split()
        settings["GOVERSION"] = words[2] if len(words) > 2 else ""
    return settings


def shaping(settings: Mapping[str, str]) -> dict[str, str]:
    """The user's settings that say something about a build, for the report."""
    given = {name: settings.get(name, os.environ.get(name, "")).strip() for name in SHAPING}
    return {name: value for name, value in given.items() if value and USUAL.get(name) != value}


def overlaps(settings: Mapping[str, str]) -> list[str]:
    """Flags in GOFLAGS that the table varies: every row has them that does not say otherwise."""
    try:
        words = shlex.split(settings.get("GOFLAGS", ""))
    except ValueError:
        words = settings.get("GOFLAGS", "").split()
    return [name for name in VARIED if any("-" + word.lstrip("-").partition("=")[0] == name for word in words)]


def build(
    go: Go, package: Package, flags: FlagSet, output: Path, extra: Sequence[str] = (), cwd: Path | None = None
) -> str | None:
    """Build into the file `output`; None if all went well, else the go command's first line of complaint.

    The package's own directory is not written to: go.mod stays as it is, whatever the release would do to it.
    """
    arguments = command(package, flags, output, [*_mod(package.settings, go.directory), *extra])[1:]
    done = go.run(arguments, dict(flags.env), cwd)
    if done.timed_out:
        return f"gave up after {BUILD_LIMIT:,.0f} seconds"
    if done.code:
        return complaint(done)
    return None if output.is_file() else "the go command wrote no file"


def command(package: Package, flags: FlagSet, output: str | Path, extra: Sequence[str] = ()) -> list[str]:
    """The words of the go command; the row's flags come last, for the last one holds."""
    return ["go", "build", *extra, *flags.arguments, "-o", str(output), package.argument]


def complaint(done: Done) -> str:
    """The first line with something to say."""
    text = (done.stderr + b"\n" + done.stdout).decode("utf-8", "surrogateescape")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(CHATTER)] or lines
    return said[0] if said else f"the go command failed with exit code {done.code} and said nothing"


def _mod(settings: Mapping[str, str], directory: Path) -> list[str]:
    """-mod=readonly where the go command would otherwise write to go.mod: -mod=mod in GOFLAGS, or before Go 1.16."""
    release = RELEASE.match(settings.get("GOVERSION", ""))
    old = release is not None and int(release[1]) < 16
    root = Path(settings.get("GOMOD") or os.devnull).parent
    if "-mod=mod" in settings.get("GOFLAGS", "") or (old and (root / "go.mod").is_file() and not _vendored(root)):
        return ["-mod=readonly"]
    return []


def _vendored(root: Path) -> bool:
    return (root / "vendor" / "modules.txt").is_file()
