"""What can be had back: by a rebuild, by a tool on the finished file, or only by compressing it."""

from __future__ import annotations

from collections.abc import Iterator

from goforensics.analysis import mapping
from goforensics.binary import Binary
from goforensics.containers.image import Image
from goforensics.errors import FormatError, UsageError
from goforensics.rebuild import postlink, predict, strip
from goforensics.rebuild.contents import Declined
from goforensics.rebuild.predict import DWARF, SYMBOLS
from goforensics.rebuild.reclaim import record
from goforensics.report import Compressible, Reclaim, Reclaimable
from goforensics.sections import pclntab

STRIP_MODES: tuple[tuple[strip.Mode, tuple[str, ...]], ...] = (("-s", (*DWARF, *SYMBOLS)), ("-g", DWARF))
CONTENT_ID = "the match of the build ID with the file's content"


def document(binary: Binary) -> Reclaim:
    """Every way there is.  Raises NotGoError as `mapping.must_be_go` does, UsageError for a universal file."""
    if binary.slices:
        raise UsageError("a universal file is several executables: take one out with lipo -thin, and ask for that")
    mapping.must_be_go(binary)
    size = len(binary.image.data)
    return Reclaim(
        path=binary.file.path,
        size=size,
        sha256=binary.file.sha256,
        rebuilds=[record(each, size) for each in predict.predictions(binary, predict.ROWS, inflate=True)],
        tools=list(_tools(binary.image)),
        compressible=compressible(binary),
        unread=mapping.unread(binary),
    )


def compressible(binary: Binary) -> Compressible | None:
    """What of the pclntab no build frees but compressing does; None without a pclntab."""
    table = binary.maybe(pclntab.PARSER)
    return Compressible(postlink.wiped(table).bytes, postlink.wiping_gains(table)) if table else None


def _tools(image: Image) -> Iterator[Reclaimable]:
    size = len(image.data)
    for mode, loses in STRIP_MODES:
        try:
            after = strip.size(image, mode)
        except (Declined, FormatError) as error:
            yield Reclaimable(f"strip {mode}", 0, size, False, size, [], declined=str(error))
        else:
            yield Reclaimable(f"strip {mode}", size - after, after, True, 0, [*loses, CONTENT_ID], freed=size - after)
    yield _recompressed(image)


def _recompressed(image: Image) -> Reclaimable:
    """The debug data at zlib's level 9, which a program that writes it anew would have."""
    name, size = "debug data recompressed (zlib 9)", len(image.data)
    found = postlink.recompressed(image)
    if not found.freed:
        return Reclaimable(name, 0, size, True, 0, [], note="there is none that would get smaller")
    if found.size_after is None:
        reason = "how this container's file would shrink is not worked out"
        return Reclaimable(name, 0, size, False, size, [], freed=found.freed, declined=reason)
    return Reclaimable(name, size - found.size_after, found.size_after, True, 0, [CONTENT_ID], freed=found.freed)
