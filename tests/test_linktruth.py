"""linktruth: what the patched linker dumps, against the executable's own symbol table and bytes."""

from __future__ import annotations

import functools

import builds
import linktruth
import numpy as np
import oracle
import pytest
from elftools.elf.elffile import ELFFile

pytestmark = pytest.mark.builds


@functools.cache
def hello() -> linktruth.Truth:
    return linktruth.truth(builds.Build("hello", "1.27"))


def section(name: str) -> tuple[int, bytes]:
    """Return a section's address and content."""
    with hello().path.open("rb") as file:
        found = ELFFile(file).get_section_by_name(name)
        assert found is not None
        return found["sh_addr"], found.data()


def test_text_agrees_with_the_symbol_table() -> None:
    """The symbol table tells two symbols of a name apart by their ABI, which the loader keeps elsewhere."""
    found = hello()
    want = {(name.removesuffix(".abi0"), at, size) for name, at, size, _ in oracle.symbols(found.path)}
    text = np.flatnonzero((found.section == ".text") & (found.size > 0))
    assert len(text) > 1000
    dumped = {(found.name[i], int(found.address[i]), int(found.size[i])) for i in text}
    start, code = section(".text")
    assert dumped == {(name, at, size) for name, at, size in want if 0 <= at - start < len(code) and size > 0}


def test_symbols_do_not_overlap_and_lie_in_their_sections() -> None:
    found = hello()
    real = ~found.container & (found.size > 0)
    start, size = found.address[real].astype(np.int64), found.size[real]
    assert (start[1:] >= (start + size)[:-1]).all()
    with found.path.open("rb") as file:
        sections = {s.name: (s["sh_addr"], s["sh_addr"] + s["sh_size"]) for s in ELFFile(file).iter_sections()}
    low, high = np.array([sections[str(name)] for name in found.section[real]]).T
    assert (start >= low).all()
    assert (start + size <= high).all()


def test_relocated_words_hold_the_targets() -> None:
    """Every absolute word in .data and .rodata is what its relocation says: so source, target and addend are right."""
    found = hello()
    images = {name: section(name) for name in (".data", ".rodata", ".go.type")}
    absolute = found.reloc_type == found.reloc_types.index("R_ADDR")
    chosen = absolute & (found.target >= 0) & np.isin(found.section[found.source], list(images))
    assert chosen.sum() > 5000
    for i in np.flatnonzero(chosen):
        base, data = images[str(found.section[found.source[i]])]
        at = int(found.address[found.source[i]]) + int(found.offset[i]) - base
        word = int.from_bytes(data[at : at + 8], "little")
        assert word == int(found.address[found.target[i]]) + int(found.addend[i])
