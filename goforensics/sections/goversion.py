"""goversion: which Go release linked the file, where there is no build information to say so.

Source of truth: Go's src/runtime/proc.go (buildVersion, a string variable that cmd/link sets with -X) and
cmd/internal/obj/dwarf.go (the producer, "Go cmd/compile go1.26.8").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import NO_RELOCATIONS, Image, Words
from goforensics.errors import FormatError
from goforensics.sections import dwarf, symtab
from goforensics.sections.protocol import Parser, Source
from goforensics.sections.search import file_ranges, find_all, held, text

NAME = "runtime.buildVersion"
STARTS = (b"go1.", b"devel ")
RELEASE = re.compile(rb"go1\.\d+(?:\.\d+)?(?:(?:rc|beta)\d+)?(?:[ -][^\x00-\x1f]*)?")
DEVELOPMENT = re.compile(rb"devel (?:go1\.\d+-|\+)[0-9a-f]{7,40}[^\x00-\x1f]*")
EXPERIMENTS = re.compile(r"(.*?)[ -]X:(.*)", re.DOTALL)
PRODUCER = re.compile(r"Go cmd/compile ((?:go1\.|devel )[^;]*)")
MOST = 100_000  # texts, and words that point at one, that are looked at; a Go program of 24 MB has 900 and 1
LONGEST = 256  # bytes of a version: experiments are listed in it


class GoVersion(msgspec.Struct, frozen=True):
    """A release, and which structure says so: "symbol", "data" (a string header that looks like it) or "dwarf"."""

    raw: str
    version: str  # without the experiments
    experiments: tuple[str, ...]
    source: str
    offset: int  # of the text in the image; 0 where it is in compressed bytes
    others: tuple[str, ...] = ()  # versions that other string headers hold, where nothing tells which is the file's


def split_version(raw: str) -> tuple[str, tuple[str, ...]]:
    """A version and the experiments set for it: "go1.26.8-X:a,b" since Go 1.26, "go1.20 X:a,b" before."""
    found = EXPERIMENTS.fullmatch(raw)
    if found is None:
        return raw, ()
    return found[1], tuple(name for name in found[2].split(",") if name)


def decode(source: Source) -> GoVersion:
    """Ask the symbol, the data words and the DWARF producer, in this order; FormatError (absent) if none knows."""
    ways: tuple[Callable[[Source], GoVersion | None], ...] = (by_symbol, lambda s: by_data(s.image), by_dwarf)
    found = next((version for way in ways if (version := way(source))), None)
    if found is None:
        raise FormatError("no Go version", structure=NAME, absent=True)
    return found


def by_symbol(source: Source) -> GoVersion | None:
    """The string that the symbol runtime.buildVersion names."""
    image = source.image
    try:
        symbols = source.read(symtab.PARSER)
        at = next((int(symbols.value[i]) for i in symbols.find(NAME)), None)
        header = None if at is None else image.words(at, 2, NAME)
    except FormatError:
        return None
    found = None if at is None or header is None else _text(image, at, *header.tolist())
    return _version("symbol", found) if found else None


def by_data(image: Image) -> GoVersion | None:
    """The newest release that some string header in memory holds, preferring headers with no such neighbour.

    A program that knows of many releases keeps them in tables; runtime.buildVersion stands alone.
    """
    texts = np.array(list(islice(_starts(image), MOST)), np.int64)
    found = [f for header in _headers(image, _addresses(image, texts)) if (f := _text(image, *header))]
    if not found:
        return None
    places, step = {f[2] for f in found}, 2 * image.pointer_size
    alone = [f for f in found if not {f[2] - step, f[2] + step} & places]
    ranked = sorted(set(alone or found), key=lambda f: (release(f[0]), f[0]))
    others = tuple(dict.fromkeys(f[0] for f in ranked if f[0] != ranked[-1][0]))
    return _version("data", ranked[-1], others)


def by_dwarf(source: Source) -> GoVersion | None:
    """The release that compiled the first Go unit."""
    try:
        units = source.read(dwarf.PARSER).units
    except FormatError:
        return None
    found = next((m for u in units if u.is_go and (m := PRODUCER.match(u.producer or ""))), None)
    return None if found is None else _version("dwarf", (found[1].strip(), 0, 0))


def release(version: str) -> tuple[int, ...]:
    """A key that sorts versions by release; a pre-release comes before its release, what is no release first."""
    found = re.match(r"go1\.(\d+)(?:\.(\d+))?(rc|beta)?(\d+)?", version)
    if found is None:
        return ()
    stage = {"beta": 0, "rc": 1, None: 2}[found[3]]
    return int(found[1]), int(found[2] or 0), stage, int(found[4] or 0)


def _starts(image: Image) -> Iterator[int]:
    """Offsets in loaded bytes at which a version may begin."""
    for start, end in file_ranges(held(image)):
        for needle in STARTS:
            yield from (start + at for at in find_all(image.data[start:end], needle))


Found = tuple[str, int, int]  # the text, its offset, the address of its string header


def _version(source: str, found: Found, others: tuple[str, ...] = ()) -> GoVersion:
    raw, offset, _ = found
    return GoVersion(raw, *split_version(raw), source, offset, others)


def _addresses(image: Image, offsets: NDArray[np.int64]) -> Words:
    """(m,) increasing: where the bytes at `offsets` (n,) are loaded, those left out that are not."""
    where = [np.empty(0, np.uint64)]
    for s in held(image):
        mine = offsets[(offsets >= s.offset) & (offsets < s.offset + s.file_size)]
        where.append((mine - s.offset).astype(np.uint64) + np.uint64(s.address))
    return np.unique(np.concatenate(where))


def _headers(image: Image, targets: Words) -> Iterator[tuple[int, int, int]]:
    """Address, pointer and length of every string header in memory that points at one of `targets`."""
    if not len(targets):
        return
    for place in _pointers(image, targets)[:MOST]:
        try:
            pointer, length = image.words(place, 2, NAME).tolist()
        except FormatError:
            continue
        yield place, pointer, length


def _pointers(image: Image, targets: Words) -> list[int]:
    """Addresses of the aligned words in data segments, and of relocated words, that hold one of `targets`."""
    try:
        fixed = image.relocations()
    except FormatError:
        fixed = NO_RELOCATIONS
    found = set(fixed.addresses[np.isin(fixed.values, targets)].tolist())
    size = image.pointer_size
    left = 2 * len(image.data)  # segments may overlap, and hostile ones do so thousands of times
    for s in held(image):
        left -= s.file_size if s.writable else 0
        if not s.writable or s.executable or left < 0:
            continue
        skip = -s.address % size
        count = max(0, s.file_size - skip) // size
        words = np.frombuffer(image.data, image.word, count, s.offset + skip) if count else np.empty(0, image.word)
        near = np.flatnonzero((words >= targets[0]) & (words <= targets[-1]))
        hits = near[np.isin(words[near].astype(np.uint64), targets)]
        found.update(s.address + skip + hit * size for hit in hits.tolist())
    return sorted(found)


def _text(image: Image, place: int, pointer: int, length: int) -> Found | None:
    """The text of a string header, if it is a version from its first byte to its last."""
    at = image.offset_of(pointer)
    if at is None or not 4 < length <= LONGEST:
        return None
    raw = bytes(image.data[at : at + length])
    matches = RELEASE.fullmatch(raw) or DEVELOPMENT.fullmatch(raw)
    return (text(raw), at, place) if matches and len(raw) == length else None


PARSER = Parser("go version", decode)
