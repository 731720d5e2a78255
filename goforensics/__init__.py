"""Binary forensics for Go executables.

`open(path)` gives a Binary, whose structures are read when asked for; `inspect(path)` gives the whole account;
`bytemap_of(binary)` gives the ByteMap: who owns every byte, to be grouped by any columns.  All of them are imported
when first used, so that `goforensics --version` does not wait for NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goforensics.api import Binary, ByteMap, Inspection, bytemap_of, inspect, open

__version__ = "0.1.0"
__all__ = ["Binary", "ByteMap", "Inspection", "bytemap_of", "inspect", "open", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from goforensics import api

    return getattr(api, name)
