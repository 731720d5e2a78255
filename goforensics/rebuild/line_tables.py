"""What debug sections come to when -trimpath takes the paths out of them and DWARF stays: an estimate with a bound.

The names in .debug_line are replaced and both versions are compressed alike; the file's own size is scaled by their
ratio, for Go's compressor and zlib's do not make the same of the same bytes.  In the other sections addresses change,
as what lies before the code and data grows or shrinks, which moves their compressed sizes by a few bytes.

Source of truth: Go's cmd/link/internal/ld/dwarf.go (writelines, compressSyms).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping

from goforensics.containers.image import Image, Section
from goforensics.errors import FormatError
from goforensics.rebuild.contents import Declined
from goforensics.sections import compression, dwarf

LINE = ".debug_line"
SCRIPTS = ".debug_gdb_scripts"
STRINGS = (".debug_str", ".debug_line_str")
GO_LEVEL, GNU_LEVEL = 1, 6  # cmd/link compresses for speed, GNU ld at zlib's default
LINE_FLOOR, LINE_SHARE = 256, 200
"""What the estimate of .debug_line may be off: one byte in so many, and no less than the floor.  Over hello, app and
the cgo program of Go 1.18 to 1.27 it was one in 660 at the most; GNU ld's, which is zlib's own, 15 bytes."""
GNU_DOUBT = 128
HEADERS = {"zlib": {64: 24, 32: 12}, "zdebug": {64: 12, 32: 12}}  # bytes before the compressed stream
MOST = 2000  # prefixes that are replaced; a program has as many as modules with source


def compressed(image: Image, names: Mapping[str, str], *, external: bool = False) -> dict[str, tuple[int, int]]:
    """(bytes in the file after -trimpath, by how much that may be off) of each debug section, by its name now.

    `names` says what source files are called now and then; `external`, that the system's linker compresses.  Sections
    that are not compressed have a bound of 0.  Inflates .debug_line; Declined if it cannot be.
    """
    found = moved(image)
    for section in (s for s in image.sections if s.name in found):
        if dwarf.canonical(section) == LINE:
            found[section.name] = _line(image, section, names, GNU_LEVEL if external else GO_LEVEL)
        elif paths := paths_in(image, section):
            found[section.name] = section.file_size, found[section.name][1] + paths
    return found


def paths_in(image: Image, section: Section) -> int:
    """Bytes of absolute paths in a section of strings, where C compilers put them, compressed or not; else 0."""
    if dwarf.canonical(section) not in STRINGS or not section.file_size:
        return 0
    try:
        found = re.findall(rb"(?:^|\0)(/[^\0]*)", bytes(compression.content(image, section)))
    except FormatError:
        return section.file_size
    return min(section.file_size, sum(map(len, found)))


def moved(image: Image) -> dict[str, tuple[int, int]]:
    """(bytes in the file, by how much that may be off) of each debug section when addresses change, by its name.

    The debugger's scripts are left out: what they lose is known exactly.
    """
    wanted = [s for s in image.sections if dwarf.canonical(s) not in (None, SCRIPTS) and s.file_size]
    return {s.name: (s.file_size, _doubt(s.file_size) if s.compression else 0) for s in wanted}


def _doubt(size: int) -> int:
    """What a section in which addresses alone change may be off.

    Small ones hold few addresses.  Most seen: 231 of 313,934 bytes in hello, 111 in app, which is larger.
    """
    return min(256 + size // 10_000, max(24, size // 500))


def _line(image: Image, section: Section, names: Mapping[str, str], level: int) -> tuple[int, int]:
    try:
        old = bytes(compression.content(image, section))
    except FormatError as error:
        raise Declined(f"{section.name} cannot be read: {error.reason}") from None
    new = without_paths(old, names)
    if not section.compression:
        return len(new), 0
    head = HEADERS.get(section.compression, {}).get(image.bits)
    if head is None:
        raise Declined(f"{section.name} is compressed in a way that cannot be repeated")
    before, after = (len(zlib.compress(content, level)) for content in (old, new))
    size = head + round((section.file_size - head) * after / before)
    return size, GNU_DOUBT if level == GNU_LEVEL else max(LINE_FLOOR, size // LINE_SHARE)


def without_paths(content: bytes, names: Mapping[str, str]) -> bytes:
    """A line section with the directories in its names replaced as they are in `names`.

    A name begins after a byte that is no character; unit lengths stay what they were.
    """
    rules = dict(_prefixes(names))
    if not rules:
        return content
    pattern = b"|".join(re.escape(old) for old in sorted(rules, key=len, reverse=True)[:MOST])
    return re.sub(rb"(?<![ -~])(?:" + pattern + rb")", lambda found: rules[found[0]], content)


def _prefixes(names: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
    """(directory now, directory then) for each name that changes: what is left without their common end."""
    for old, new in names.items():
        if old == new:
            continue
        first, second = old.split("/"), new.split("/")
        while first and second and first[-1] == second[-1]:
            first.pop()
            second.pop()
        before, after = "/".join(first), "/".join(second)
        if before:
            yield f"{before}/".encode(), f"{after}/".encode() if after else b""
