"""buildid: the build IDs that Go's and GNU's linkers write.

Source of truth: Go's src/cmd/internal/buildid/{buildid,note}.go (readers), cmd/link/internal/ld/elf.go (the notes),
cmd/link/internal/ld/data.go (textbuildid, the prefix of the text where there are no notes).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import msgspec

from goforensics.bytemap import Claims, Level
from goforensics.containers.image import Image
from goforensics.errors import FormatError, require
from goforensics.sections.protocol import Parser, Source
from goforensics.sections.quoted import unquote
from goforensics.sections.search import find_all, held, text

GO_NOTE = ".note.go.buildid"
GNU_NOTE = ".note.gnu.build-id"
OWNERS = {GO_NOTE: (b"Go\0\0", 4), GNU_NOTE: (b"GNU\0", 3)}
PREFIX, END = b'\xff Go build ID: "', b'"\n \xff'
NEAR = 64 << 10  # bytes of the text that may hold the prefix: C start-up code can come before it
LONGEST = 4096  # bytes of an ID; Go's own have 83, -buildid sets any text


class Stamp(msgspec.Struct, frozen=True):
    """One ID; offsets in the image.  `[start, end)` is the whole note, or the text's prefix with its two marks."""

    id: str  # Go's as text, GNU's in hexadecimal digits
    start: int
    end: int
    offset: int  # of the ID's own bytes
    size: int
    structure: str


class BuildId(msgspec.Struct, frozen=True):
    """The build IDs; at least one is there.  `-buildid=` leaves out Go's, a release before Go 1.24 GNU's."""

    go: Stamp | None
    gnu: Stamp | None
    problems: tuple[str, ...] = ()


def decode(source: Source) -> BuildId:
    """Find both IDs.  FormatError, absent if there is neither; broken if a note's section does not hold one."""
    image = source.image
    errors: list[FormatError] = []
    go, gnu = (_tried(find, image, errors) for find in (find_go, find_gnu))
    if go is None and gnu is None:
        raise errors[0] if errors else FormatError("no build ID", structure="build ID", absent=True)
    return BuildId(go, gnu, tuple(str(error) for error in errors))


def _tried(find: Callable[[Image], Stamp | None], image: Image, errors: list[FormatError]) -> Stamp | None:
    try:
        return find(image)
    except FormatError as error:
        errors.append(error)
        return None


def find_go(image: Image) -> Stamp | None:
    """Go's ID, from its note or from the text.  FormatError if the note's section does not hold it."""
    return find_note(image, GO_NOTE) or find_prefix(image)


def find_gnu(image: Image) -> Stamp | None:
    """GNU's ID.  FormatError if the note's section does not hold it."""
    return find_note(image, GNU_NOTE)


def find_note(image: Image, name: str) -> Stamp | None:
    """The note in the section `name`; in a file without section headers, in the first place that looks like one."""
    if image.format != "elf":
        return None
    section = image.section(name)
    if section is not None:
        return read_note(image, section.offset, name)
    if image.sections:
        return None  # an embedded executable has notes, too
    owner, kind = OWNERS[name]
    for at in find_all(image.data, struct.pack(image.order + "I", kind) + owner):
        try:
            return read_note(image, at - 8, name)
        except FormatError:
            continue
    return None


def read_note(image: Image, offset: int, name: str) -> Stamp:
    """The note at an offset: three u4 (name's size, ID's size, type), name and ID, each padded to 4.

    FormatError unless it is the note that `name` stands for, with an ID that such a note can have.
    """
    owner, kind = OWNERS[name]
    name_size, size, found = struct.unpack(image.order + "III", image.bytes_at(offset, 12, name))
    require(offset % 4 == 0 and name_size == len(owner) and found == kind, "another note", name, offset)
    require(bytes(image.bytes_at(offset + 12, 4, name)) == owner, "another owner's note", name, offset + 12)
    require(0 < size <= LONGEST, f"an ID of {size} bytes", name, offset + 4)
    raw = bytes(image.bytes_at(offset + 16, size, name))
    if name == GO_NOTE:
        require(raw.isascii() and raw.decode("ascii").isprintable(), "an ID that is no text", name, offset + 16)
    end = min(offset + 16 + size + -size % 4, len(image.data))
    return Stamp(raw.decode("ascii") if name == GO_NOTE else raw.hex(), offset, end, offset + 16, size, name)


def find_prefix(image: Image) -> Stamp | None:
    """The ID at the beginning of the text: PE, Mach-O, and ELF's of the first releases."""
    section = image.section(".text", "__TEXT,__text")
    code = next((s for s in held(image) if s.executable), None)
    where = section or code
    if where is None:
        return None
    near = bytes(image.data[where.offset : where.offset + min(where.file_size, NEAR)])
    start = near.find(PREFIX)
    stop = near.find(END, start + len(PREFIX)) if start >= 0 else -1
    if stop < 0:
        return None
    try:
        found = text(unquote(near[start + len(PREFIX) - 1 : stop + 1]))
    except ValueError:
        return None
    at, size = start + len(PREFIX), stop - start - len(PREFIX)
    base = where.offset
    return Stamp(found, base + start, base + stop + len(END), base + at, size, "go:buildid")


def claims(source: Source, ids: BuildId) -> Iterator[Claims]:
    """The notes, or the text's prefix."""
    stamps = [stamp for stamp in (ids.go, ids.gnu) if stamp is not None]
    names = [stamp.structure for stamp in stamps]
    yield Claims.of(
        "buildid", Level.TABLE, [(s.start, s.end) for s in stamps], structure=names, kind="metadata", origin="metadata"
    )


PARSER = Parser("buildid", decode, claims)
