"""32-bit arm, where the linker packs the tables of every release: the layout is told by more than their alignment."""

from __future__ import annotations

import pytest
from builds import Build, executable

import goforensics
from goforensics import binary
from goforensics.sections import functions, pcheader, pclntab, symtab

pytestmark = pytest.mark.builds


@pytest.mark.parametrize(
    ("minor", "layout"), [("1.16", "1.16"), ("1.18", "1.18"), ("1.22", "1.20"), ("1.25", "1.20"), ("1.27", "1.26")]
)
def test_layout_and_functions(minor: str, layout: str) -> None:
    path = executable(Build("hello", minor, goarch="arm"))
    opened = binary.open(path)
    header = opened.read(pcheader.PARSER)
    assert header.layout == layout
    assert not header.magic_overwritten
    symbols = opened.read(symtab.PARSER)
    named = dict(zip(symbols.names(), symbols.value.tolist(), strict=True))
    placed = zip(opened.read(pclntab.PARSER).names, opened.read(functions.PARSER).address.tolist(), strict=True)
    known = [(name, address) for name, address in placed if name in named]
    assert len(known) > 1000
    assert all(named[name] == address for name, address in known if address != named.get("runtime.etext"))
    report = goforensics.inspect(path)
    assert (report.disputes, report.unread) == ([], [])
