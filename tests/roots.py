"""Roots to run programs in: empty as scratch is, with this system's own glibc, with musl."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2")
GLIBC_LOADER, MUSL_LOADER = Path("/lib64/ld-linux-x86-64.so.2"), Path("/lib/ld-musl-x86_64.so.1")


@cache
def release() -> str:
    """This system as a target: debian:12."""
    told = platform.freedesktop_os_release()
    return f"{told.get('ID', 'unknown')}:{told.get('VERSION_ID', '0')}"


def scratch(directory: Path) -> Path:
    """Nothing at all."""
    directory.mkdir()
    return directory


def glibc(directory: Path) -> Path:
    """The loader and the libraries of this system's libc6, and no other library."""
    if not GLIBC_LOADER.exists():
        pytest.skip("no glibc here")
    _copy(GLIBC_LOADER, directory)
    for name in LIBRARIES:
        for folder in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"):
            if (Path(folder) / name).exists():
                _copy(Path(folder) / name, directory)
                break
    return directory


def musl(directory: Path) -> Path:
    """musl's loader, which is its C library, too."""
    if not MUSL_LOADER.exists() or not shutil.which("musl-gcc"):
        pytest.skip("no musl here: install musl-tools")
    _copy(MUSL_LOADER, directory)
    return directory


def _copy(source: Path, root: Path) -> None:
    target = root / str(source).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source.resolve(), target)


def starts(program: Path, root: Path) -> bool:
    """Whether a program runs in a root to its end and says so."""
    inside = root / "program"
    shutil.copy(program, inside)
    inside.chmod(0o755)
    become = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]
    result = subprocess.run(
        [*become, "chroot", str(root), "/program"], capture_output=True, text=True, check=False, timeout=60
    )
    denied = "Operation not permitted" in result.stderr and "chroot" in result.stderr
    if denied or (become and result.stderr.startswith("unshare:")):
        pytest.skip("neither root nor user namespaces")
    return result.returncode == 0 and result.stdout.startswith("started")
