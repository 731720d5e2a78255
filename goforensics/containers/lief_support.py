"""LIEF, asked for no more than headers: it takes a quarter of a second to import, so only PE and Mach-O pay for it."""

from __future__ import annotations

import warnings
from typing import Any

import lief

from goforensics.errors import FormatError

lief.logging.disable()  # it prints what it dislikes in a file; a report lists that itself


def parse_pe(data: memoryview) -> Any:
    """LIEF's PE binary.  FormatError if it can make nothing of the bytes."""
    config = lief.PE.ParserConfig()
    for name in ("signature", "exports", "rsrc", "reloc", "exceptions", "arm64x_binary"):
        setattr(config, f"parse_{name}", False)
    return _parsed(lief.PE.parse, data, config, "PE headers")


def parse_macho(data: memoryview) -> Any:
    """LIEF's Mach-O binary of one slice.  FormatError if it can make nothing of the bytes."""
    found = _parsed(lief.MachO.parse, data, lief.MachO.ParserConfig.quick, "Mach-O headers")
    if not len(found):
        raise FormatError("no Mach-O image", structure="Mach-O headers")
    return found.at(0)


def number(record: Any, name: str) -> int:
    """A field that LIEF gives as an enumeration, as its number; 0 for a value that LIEF's enumeration does not have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = getattr(record, name)
            return int(getattr(value, "value", value))
        except (ValueError, TypeError, AttributeError):
            return 0


def text(record: Any, name: str) -> str:
    """A field that LIEF decodes as UTF-8; what it cannot decode is named as such."""
    try:
        return str(getattr(record, name))
    except UnicodeDecodeError as error:
        return bytes(error.object).decode("utf-8", "backslashreplace")


def _parsed(parse: Any, data: memoryview, config: Any, structure: str) -> Any:
    try:
        found = parse(bytes(data), config)
    except Exception as error:  # LIEF's bindings raise whatever C++ threw
        raise FormatError(f"cannot be parsed ({type(error).__name__})", structure=structure) from None
    if found is None:
        raise FormatError("cannot be parsed", structure=structure)
    return found
