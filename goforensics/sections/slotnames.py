"""What Go calls the pc-value tables, whose numbers have meant other things in other releases.

Source of truth: Go's src/internal/abi/symtab.go, before 1.23 src/cmd/internal/objabi/funcdata.go (the indices).
"""

from __future__ import annotations

from collections.abc import Iterable

from goforensics.errors import FormatError
from goforensics.sections import inltree, pclntab
from goforensics.sections.pctables import SLOTS
from goforensics.sections.protocol import Source

CURRENT = ("UnsafePoint", "StackMapIndex", "InlTreeIndex", "ArgLiveIndex", "PanicBounds")
REGISTERS = ("RegMapIndex", "StackMapIndex", "InlTreeIndex")  # Go 1.13 and 1.14
FIRST = ("StackMapIndex", "InlTreeIndex", "RegMapIndex")  # Go 1.12
REGISTER_MAPS = 2  # FUNCDATA_RegPointerMaps, as Go 1.13 to 1.15 number it


def pcdata_names(source: Source) -> tuple[str, ...]:
    """Names of the PCDATA indices that are known, from index 0 on.  FormatError if there is no pclntab.

    In layout 1.2 the function data tells: index 0 was the map of registers as long as functions had such maps.
    """
    table = source.read(pclntab.PARSER)
    if table.header.layout != "1.2":
        return CURRENT
    try:
        trees = source.read(inltree.PARSER)
    except FormatError:
        return ()
    if trees.funcdata == inltree.EARLIER[1][0]:
        return FIRST
    return REGISTERS if (table.funcdata.kind == REGISTER_MAPS).any() else CURRENT[: len(REGISTERS)]


def slot_names(source: Source, slots: Iterable[int]) -> dict[int, str]:
    """What each slot, an index into SLOTS or 3 + k, is called: "pcln", "InlTreeIndex", "PCDATA 7"."""
    known = (*SLOTS, *pcdata_names(source))
    return {slot: known[slot] if slot < len(known) else f"PCDATA {slot - len(SLOTS)}" for slot in slots}
