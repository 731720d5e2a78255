"""What inlining costs in real builds against the source, sums and the debug data."""

from __future__ import annotations

from typing import Any

import builds
import numpy as np
import toolchains
from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile

import goforensics.binary
from goforensics.analysis import callees as gathered
from goforensics.analysis.inlining import Copies
from goforensics.binary import Binary

COPIES = {"main.leaf": 8, "main.outer": 2}  # that testdata/src/inlined says it has
# Before Go 1.21 the compiler lost some of DWARF's inlined calls, or named them another way; before 1.16 it left out of
# a copy's code what is inlined into it.
DEBUG_DATA = [go for go in toolchains.minors() if toolchains.at_least(go, "1.21")]


def opened(build: builds.Build) -> Binary:
    """The executable of a build."""
    return goforensics.binary.open(builds.executable(build))


def counted(copies: Copies) -> dict[str, int]:
    """Copies by function."""
    found = gathered.callees(copies)
    return dict(zip(found.names, found.copies.tolist(), strict=True))


def unequal(copies: Copies) -> int:
    """Functions whose code is not what is charged to them and to the copies in them."""
    each = np.bincount(copies.nodes.owner, copies.code, len(copies.size)).astype(np.int64)
    return int(((copies.own < 0) | (copies.own + each != copies.size)).sum())


def copies_and_code(copies: Copies) -> dict[str, tuple[int, int]]:
    """By function how many copies there are, and their code with what is inlined into them."""
    found = gathered.callees(copies)
    code = gathered.lines(copies, found).cumulative_code
    return dict(zip(found.names, zip(found.copies.tolist(), code.tolist(), strict=True), strict=True))


def _origin(die: DIE) -> int:
    """Offset of the entry for the function that an inlined one is a copy of."""
    attribute = die.attributes["DW_AT_abstract_origin"]
    relative = attribute.form != "DW_FORM_ref_addr"
    return int(attribute.value + (die.cu.cu_offset if relative else 0))


def _length(die: DIE, ranges: Any) -> int:
    """Bytes of code that an entry covers; `ranges` are those of the file, of which pyelftools types little."""
    attributes = die.attributes
    if "DW_AT_high_pc" in attributes:
        low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
        return int(high.value - (low if high.form == "DW_FORM_addr" else 0))
    if "DW_AT_ranges" not in attributes:
        return 0
    entries = ranges.get_range_list_at_offset(attributes["DW_AT_ranges"].value, cu=die.cu)
    return sum(int(each.end_offset - each.begin_offset) for each in entries if hasattr(each, "end_offset"))


def debug_copies(build: builds.Build) -> dict[str, tuple[int, int]]:
    """By function how many copies the debug data has, and the bytes that they cover."""
    names, found = {}, []
    with builds.executable(build).open("rb") as stream:
        dwarf = ELFFile(stream).get_dwarf_info()
        for unit in dwarf.iter_CUs():
            for die in unit.iter_DIEs():
                if die.tag == "DW_TAG_inlined_subroutine":
                    found.append((_origin(die), _length(die, dwarf.range_lists())))
                elif die.tag == "DW_TAG_subprogram" and "DW_AT_inline" in die.attributes:
                    names[die.offset] = die.attributes["DW_AT_name"].value.decode()
    sums: dict[str, tuple[int, int]] = {}
    for origin, length in found:
        copies, covered = sums.get(names[origin], (0, 0))
        sums[names[origin]] = (copies + 1, covered + length)
    return sums
