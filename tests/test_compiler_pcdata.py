"""Tables of finished, stripped binaries against what the compiler printed; and that this comparison can tell."""

from __future__ import annotations

from pathlib import Path

import asmlisting
import builds
import compilerpcdata
import numpy as np
import pytest
from asmlisting import Written

import goforensics.binary
from goforensics.sections import inltree, pclntab
from goforensics.sections.pctables import SLOTS

AT = "/go/src/m/m.go"
LISTING = f"""\
m.f STEXT dupok size=48 align=0x0 args=0x8 locals=0x20 funcid=0x0
\t0x0000 00000 ({AT}:7)\tTEXT\tm.f(SB), DUPOK|ABIInternal, $32-8
\t0x0000 00000 ({AT}:7)\tCMPQ\tSP, 16(R14)
\t0x0004 00004 ({AT}:7)\tPCDATA\t$0, $-2
\t0x0004 00004 ({AT}:7)\tJLS\t40
\t0x0006 00006 ({AT}:7)\tPCDATA\t$0, $-1
\t0x0006 00006 ({AT}:7)\tFUNCDATA\t$0, gclocals·g(SB)
\t0x0006 00006 ({AT}:7)\tPCDATA\t$3, $1
\t0x0006 00006 ({AT}:8)\tMOVD.W\tAX, (SP)
\t0x000a 00010 ({AT}:8)\tPCDATA\t$1, $-1
\t0x000a 00010 (/go/src/n/n.go:3[/go/src/n/n.y:90])\tMOVQ\tAX, BX
\t0x000e 00014 ({AT}:9)\tNOP
\t0x000e 00014 (<unknown line number>)\tXORL\tAX, AX
\t0x0010 00016 ({AT}:9)\tPCDATA\t$1, $0
\t0x0010 00016 ({AT}:9)\tPCDATA\t$1, $2
\t0x0010 00016 ({AT}:9)\tCALL\tm.g(SB)
\t0x0015 00021 ({AT}:9)\tRET
\t0x0000 49 3b 66 10 76 20 00 00 00 00 48 89 c3 00 31 c0  I;f.v ....H...1.
\t0x0010 e8 00 00 00 00 c3                                ......
\trel 17+4 t=R_CALL m.g+0
gclocals·g SRODATA dupok size=10
\t0x0000 01 00 00 00 02 00 00 00                          ........
"""
PCTAB = """\
funcpctab m.f [valfunc=pctoinline]
     0     -1 00000 (/go/src/m/m.go:7)\tTEXT\tm.f(SB), ABIInternal, $32-8
wrote 4 bytes to 0xc0000000
 02 0a 01 00
-- inlining tree for m.f:
0 | -1 | n.g[interface { F() (int, error) }] (/go/src/m/m.go:8:2) pc=6
1 | 0 | n.h.func1#Mdc2UkSlDTM=# (/go/src/n/n.go:3:1) pc=10
--
funcpctab m.g [valfunc=pctoinline]
wrote 4 bytes to 0xc0000000
 00 06 00 00
"""


def test_the_tables_of_a_listing() -> None:
    function, content = asmlisting.symbols(LISTING)
    assert asmlisting.pcdata(function) == {
        0: [(-1, 4), (-2, 6), (-1, 48)],
        1: [(-1, 16), (2, 48)],  # of two at one place the later
        3: [(-1, 6), (1, 48)],
    }
    assert asmlisting.positions(function, "line") == [(7, 6), (8, 10), (3, 16), (9, 48)]
    assert asmlisting.positions(function, "file") == [(AT, 10), ("/go/src/n/n.go", 16), (AT, 48)]
    assert asmlisting.funcdata(function) == {0: content.name}
    assert content.content == bytes([1, 0, 0, 0, 2, 0, 0, 0, 0, 0])  # what was not printed is zero
    assert (function.is_dupok, function.is_wrapper, content.is_function) == (True, False, False)


def test_only_relocated_bytes_of_code_may_differ() -> None:
    function, _ = asmlisting.symbols(LISTING)
    code = bytearray(function.content)
    code[17:21] = b"\x12\x34\x56\x78"
    assert compilerpcdata.is_linked(function, bytes(code))
    assert not compilerpcdata.is_linked(function, bytes(code[:-1]))
    code[0] ^= 1
    assert not compilerpcdata.is_linked(function, bytes(code))


def test_what_the_compiler_wrote() -> None:
    tree = (("n.g[interface { F() (int, error) }]", 6), ("n.h.func1", 10))
    assert list(asmlisting.written(PCTAB)) == [
        Written("m.f", bytes([2, 10, 1, 0]), tree),
        Written("m.g", bytes([0, 6, 0, 0])),
    ]


QUICK = [(build.goarch, build, patterns) for build, patterns in compilerpcdata.combinations("quick")]


@pytest.mark.builds
@pytest.mark.parametrize(("build", "patterns"), [row[1:] for row in QUICK], ids=[row[0] for row in QUICK])
def test_the_compiler_and_the_binary_agree(build: builds.Build, patterns: tuple[str, ...]) -> None:
    report = compilerpcdata.compared(build, patterns, 250)
    assert report.differences == []
    assert report.compared["functions"] == 250
    tables = {*compilerpcdata.PCDATA, *SLOTS} - set(compilerpcdata.PCTAB)
    bytes_of = {f"{table} bytes" for table in ("FUNCDATA", *compilerpcdata.PCTAB)}
    assert all(report.compared[name] > 100 for name in tables | bytes_of | {"inline nodes"}), report.compared


@pytest.mark.builds
@pytest.mark.parametrize("slot", ["pcsp", "pcfile", "pcln", "UnsafePoint", "StackMapIndex", "InlTreeIndex"])
def test_a_single_wrong_byte_is_seen(slot: str, tmp_path: Path) -> None:
    """In the largest table of each sort, a pc that is one off."""
    _, build, patterns = QUICK[0]
    binary = goforensics.binary.open(builds.executable(build))
    table = binary.read(pclntab.PARSER)
    number = SLOTS.index(slot) if slot in SLOTS else len(SLOTS) + compilerpcdata.PCDATA.index(slot)
    trees = binary.read(inltree.PARSER)
    listed = {name for name in table.names if name.startswith("runtime.")}
    owner = [i for i in table.tables.owner[table.tables.slot == number].tolist() if table.names[i] in listed]
    uses = table.tables
    rows = np.flatnonzero((uses.slot == number) & np.isin(uses.owner, owner) & (trees.count[uses.owner] > 0))
    chosen = max(uses.table[rows].tolist(), key=lambda at: int(uses.size[at]))
    data = bytearray(binary.image.data)
    data[table.offset + int(uses.end[chosen]) - 2] ^= 1  # the last byte of the last pc delta
    broken = tmp_path / "broken"
    broken.write_bytes(data)
    report = compilerpcdata.compared(build, patterns, 0, broken)
    assert any(slot in line for line in report.differences)
