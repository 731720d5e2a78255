"""The content hash that the go command leaves in the build ID: whether the file is as the build left it.

The last part of an ID is a hash of the whole file with the ID itself read as zeros.  Some bytes are written after the
hash is taken, and releases differ in which of them they leave out: the code signature since Go 1.16, the ID of the
host's linker (GNU's, Mach-O's UUID) since 1.24.  Every reading is tried: what is in the file decides, and no release.

Source of truth: Go's src/cmd/go/internal/work/buildid.go (updateBuildID), cmd/internal/buildid/{buildid,rewrite}.go.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import combinations

import msgspec

from goforensics.containers.image import Image
from goforensics.sections.search import find_all

Range = tuple[int, int]  # offsets in the image, the second exclusive
PART = "[A-Za-z0-9_-]{20}"
# actionID(binary)/actionID(main.a)/contentID(main.a)/contentID(binary), each 15 bytes of a SHA-256 in base64
ID = re.compile(f"{PART}/{PART}/{PART}/{PART}")
DIGEST = 15  # bytes of the hash that an ID has
NOTE_HEAD = 16  # bytes before GNU's ID in its section; the go command takes all behind them for the ID
CHECKSUM = 64  # its offset in a PE optional header


class Verdict(msgspec.Struct, frozen=True):
    """What the hash says of a file."""

    recorded: str  # the content ID in the file
    computed: tuple[str, ...]  # of the bytes as they are, one for each reading until one was right
    state: str  # "same": as built; "signed": as built but for an Authenticode signature; "changed"


def is_content_id(build_id: str) -> bool:
    """Whether an ID is one that the go command made and finished: of four parts, the last no copy of the first.

    The linker is given the action ID in the place of the content ID, and it stays there if nobody hashes the file.
    """
    return ID.fullmatch(build_id) is not None and build_id[:20] != build_id[-20:]


def verify(image: Image, build_id: str) -> Verdict:
    """Hash the image, which must have an ID that `is_content_id`; at most four passes over its bytes."""
    recorded = build_id.rsplit("/", 1)[1]
    marks = [(at, at + len(build_id)) for at in find_all(image.data, build_id.encode())]
    excluded = _written_later(image)
    computed: list[str] = []
    for count in range(len(excluded), -1, -1):
        for some in combinations(excluded, count):
            computed.append(content_id([image.data], [*marks, *some]))
            if computed[-1] == recorded:
                return Verdict(recorded, tuple(computed), "same")
    unsigned = _unsigned(image)
    if unsigned is not None and content_id(unsigned, marks) == recorded:
        return Verdict(recorded, tuple(computed), "signed")
    return Verdict(recorded, tuple(computed), "changed")


def content_id(parts: Sequence[memoryview], zeros: Sequence[Range]) -> str:
    """The content ID of `parts`, one after the other, with the ranges `zeros` read as zeros."""
    digest, at = hashlib.sha256(), 0
    holes = sorted(zeros)
    for part in parts:
        end, here = at + len(part), at
        for low, high in holes:
            low, high = max(low, here), min(high, end)
            if low < high:
                digest.update(part[here - at : low - at])
                digest.update(bytes(high - low))
                here = high
        digest.update(part[here - at :])
        at = end
    return base64.urlsafe_b64encode(digest.digest()[:DIGEST]).decode()


def _written_later(image: Image) -> list[Range]:
    """What a release may have left out: GNU's build ID; a code signature, a UUID."""
    return [(low, high) for low, high in _host_ranges(image) if 0 <= low < high <= len(image.data)]


def _host_ranges(image: Image) -> Iterator[Range]:
    if image.format == "elf":
        note = image.section(".note.gnu.build-id")
        if note is not None:
            yield note.offset + NOTE_HEAD, note.offset + note.file_size
    elif image.format == "macho":
        from goforensics.containers.macho import LC_UUID, MachoImage

        assert isinstance(image, MachoImage)
        at, size = image.linkedit().get("code signature", (0, 0))
        yield at, at + size
        yield from ((at + 8, at + size) for command, at, size in image.load_commands if command == LC_UUID)


def _unsigned(image: Image) -> list[memoryview] | None:
    """The parts of a PE file before it was signed: without checksum, certificates and the entry that names them.

    None if it is not signed.  Go's linker writes no checksum.
    """
    if image.format != "pe":
        return None
    from goforensics.containers.pe import CERTIFICATES, PeImage

    assert isinstance(image, PeImage)
    at, size = image.certificates()
    entry = image.directory_offset(CERTIFICATES)
    if not size or at + size != len(image.data) or entry + 8 > at:
        return None
    checksum = image.optional_header + CHECKSUM
    data = image.data
    return [
        data[:checksum],
        memoryview(bytes(4)),
        data[checksum + 4 : entry],
        memoryview(bytes(8)),
        data[entry + 8 : at],
    ]
