"""From a file's bytes to its images, by content."""

from __future__ import annotations

from goforensics.containers.image import Image
from goforensics.containers.recognise import recognise


def images(data: memoryview) -> list[Image]:
    """The images in a file: one, or one per slice of a universal Mach-O file.

    Raises NotGoError, with what the file is and what can be done, for everything else.
    Each container's library is imported only here, on the path that needs it: LIEF takes a quarter of a second.
    """
    kind = recognise(data)
    if kind == "elf":
        from goforensics.containers.elf import ElfImage

        return [ElfImage(data)]
    if kind == "pe":
        from goforensics.containers.pe import PeImage

        return [PeImage(data)]
    from goforensics.containers.macho import macho_images

    return list(macho_images(data))
