"""How large a file is once gzip or zstd has packed it, as packages, images and downloads do."""

from __future__ import annotations

import importlib
import zlib
from typing import Any

from goforensics.report_matrix import GZIP_LEVEL, ZSTD_LEVEL

PIECE = 1 << 20
GZIP_WINDOW = 31  # zlib's word for "the largest window, in gzip's wrapping"


def gzip_size(data: bytes | memoryview) -> int:
    """Bytes of a gzip file at gzip(1)'s own level.  By zlib: gzip(1) and other packers differ by some in a thousand."""
    packer, size = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WINDOW), 0
    for start in range(0, len(data), PIECE):
        size += len(packer.compress(data[start : start + PIECE]))
    return size + len(packer.flush())


def zstd_size(data: bytes | memoryview) -> int | None:
    """Bytes of a zstd file at zstd(1)'s own level, its checksum included; None if zstandard is not installed."""
    library = _zstandard()
    return len(library.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compress(data)) if library else None


def has_zstd() -> bool:
    """The library zstandard is installed."""
    return _zstandard() is not None


def _zstandard() -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        return None
