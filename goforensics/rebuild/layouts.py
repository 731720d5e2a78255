"""Which layout a file has: by its container, and by who linked it."""

from __future__ import annotations

from collections.abc import Mapping

from goforensics.analysis.identity import EXTERNAL
from goforensics.containers.image import Image
from goforensics.rebuild import guess
from goforensics.rebuild.contents import Contents

Span = tuple[int, int]


def span(image: Image, contents: Contents, names: Mapping[str, str], *, inflate: bool) -> Span:
    """(bytes in the rebuilt file, by how much that may be off at the most).

    `names` says what source files are called now and after -trimpath, for .debug_line where it stays; without `inflate`
    no debug data is inflated.  Declined where there is no rule for the file.
    """
    if image.format == "elf":
        return _elf_span(image, contents, names, inflate)
    # Not at the top: LIEF, which these two need, takes 0.3 s to import.
    from goforensics.rebuild import macho, pe

    layout = pe if image.format == "pe" else macho
    debug = guess.debug_sizes(image, contents, names if inflate else None)
    size = layout.size(image, contents, debug)
    least, most = layout.bounds(image, contents, debug)
    return size, max(size - least, most - size)


def _elf_span(image: Image, contents: Contents, names: Mapping[str, str], inflate: bool) -> Span:
    from goforensics.rebuild import elf, elf_external

    if EXTERNAL & {s.name for s in image.sections}:
        return elf_external.span(image, contents, names=names, inflate=inflate)
    return elf.span(image, contents, names=names, inflate=inflate)
