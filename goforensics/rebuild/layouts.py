"""Which layout a file has: by its container, and by who linked it."""

from __future__ import annotations

from collections.abc import Mapping

from goforensics.analysis.identity import EXTERNAL
from goforensics.containers.image import Image
from goforensics.rebuild import elf, elf_external, guess, macho, pe
from goforensics.rebuild.contents import Contents

Span = tuple[int, int]


def span(image: Image, contents: Contents, names: Mapping[str, str], *, inflate: bool) -> Span:
    """(bytes in the rebuilt file, by how much that may be off at the most).

    `names` says what source files are called now and after -trimpath, for .debug_line where it stays; without `inflate`
    no debug data is inflated.  Declined where there is no rule for the file.
    """
    if image.format == "elf" and EXTERNAL & {s.name for s in image.sections}:
        return elf_external.span(image, contents, names=names, inflate=inflate)
    if image.format == "elf":
        return elf.span(image, contents, names=names, inflate=inflate)
    layout = pe if image.format == "pe" else macho
    debug = guess.debug_sizes(image, contents, names if inflate else None)
    size = layout.size(image, contents, debug)
    least, most = layout.bounds(image, contents, debug)
    return size, max(size - least, most - size)
