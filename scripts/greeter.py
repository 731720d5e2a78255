"""Rebuild testdata/greeter, the executable that the README's first command reads, or check that it is up to date.

The paths that an ordinary build leaves in an executable are what there is to see in it, so it is built where an
imaginary alice would have built it. That needs write access to /home and /usr/local, and everything made there is
removed again. Run it in a container or as root:

    python scripts/greeter.py [--check]
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import toolchains

TESTDATA = Path(__file__).resolve().parent.parent / "testdata"
GREETER = TESTDATA / "greeter"
MINOR = "1.26"
HOME = Path("/home/alice")
WORKDIR = HOME / "src" / "greeter"
GOROOT = Path(f"/usr/local/go{MINOR}")


class GreeterError(RuntimeError):
    """A rebuild that was refused or went wrong."""


@contextlib.contextmanager
def _alices_machine() -> Iterator[None]:
    """Lay out alice's directories, refusing to touch a machine where one of them is somebody's."""
    for place in (HOME, GOROOT):
        if place.exists():
            raise GreeterError(f"{place} exists already")
    try:
        shutil.copytree(toolchains.goroot(MINOR), GOROOT)
        shutil.copytree(TESTDATA / "src" / "greeter", WORKDIR)
        yield
    finally:
        for place in (HOME, GOROOT):
            shutil.rmtree(place, ignore_errors=True)


def _environment() -> dict[str, str]:
    env = toolchains.go_env(MINOR)
    env |= {
        "GOROOT": str(GOROOT),
        "GOPATH": str(HOME / "go"),
        "GOMODCACHE": str(HOME / "go" / "pkg" / "mod"),
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": "amd64",
        # Else the module cache is read-only and could not be removed by anyone but root.
        "GOFLAGS": "-modcacherw",
    }
    return env


def _build(output: Path) -> None:
    command = [str(GOROOT / "bin" / "go"), "build", "-buildvcs=false", "-o", str(output), "."]
    result = subprocess.run(command, cwd=WORKDIR, env=_environment(), capture_output=True, text=True, check=False)
    if result.returncode:
        raise GreeterError(result.stderr)


def _reject_foreign_paths(data: bytes) -> None:
    """Refuse a build that names where it was really made instead of alice's directories."""
    foreign = (TESTDATA.parent, toolchains.cache_root(), Path.home())
    found = [str(place) for place in foreign if str(place).encode() + b"/" in data]
    if found:
        raise GreeterError(f"the executable names {', '.join(found)}")


def rebuild() -> bytes:
    """Return the executable as it comes out today; the same bytes come out wherever that happens."""
    with tempfile.TemporaryDirectory() as scratch, _alices_machine():
        output = Path(scratch) / "greeter"
        _build(output)
        data = output.read_bytes()
    _reject_foreign_paths(data)
    return data


def main(arguments: list[str]) -> int:
    """Write the executable, or with --check compare it with the committed one."""
    try:
        data = rebuild()
    except GreeterError as error:
        print(error, file=sys.stderr)
        return 2
    if "--check" in arguments:
        same = GREETER.is_file() and GREETER.read_bytes() == data
        print(f"{GREETER}: {'up to date' if same else 'differs from a rebuild'}")
        return int(not same)
    GREETER.write_bytes(data)
    GREETER.chmod(0o755)
    print(f"{GREETER}: {len(data)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
