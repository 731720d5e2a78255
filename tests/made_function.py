"""A program of a few functions with everything that the pclntab says of them, made from what a test wants it to say."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from fakes import FakeImage, segment

from goforensics.binary import Binary
from goforensics.containers.source import SourceFile
from goforensics.errors import FormatError
from goforensics.sections import functions, moduledata, pcheader, pclntab, pctables, symtab
from goforensics.sections.functions import Functions
from goforensics.sections.moduledata import ModuleData

TEXT, RODATA = 0x401000, 0x500000  # addresses
TABLE = 0x2000  # offset of the pclntab in the image
SLOTS = {"pcsp": 0, "pcfile": 1, "pcln": 2, "UnsafePoint": 3, "StackMapIndex": 4, "InlTreeIndex": 5, "PanicBounds": 7}
Order = Literal["<", ">"]
Steps = Sequence[tuple[int, int]]  # (up to this offset, value)
RECORD = 48  # bytes of a _func, none of which is looked at here but funcID


def varint(value: int) -> bytes:
    """binary.PutUvarint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def pctab(steps: Steps, quantum: int = 1) -> bytes:
    """A pc-value table."""
    raw, value, pc = b"", -1, 0
    for end, following in steps:
        delta = following - value
        raw += varint(delta << 1 if delta >= 0 else (-delta << 1) - 1) + varint((end - pc) // quantum)
        value, pc = following, end
    return raw + b"\0"


class Function:
    """A function: its code, how many bytes it is said to have, its tables, and its inline tree's (name, parent pc)."""

    def __init__(
        self,
        name: str,
        code: bytes,
        tables: Mapping[str, Steps] | None = None,
        tree: Sequence[tuple[str, int]] = (),
        size: int | None = None,
        func_id: int = 0,
    ) -> None:
        self.name, self.code, self.tables, self.tree = name, code, tables or {}, tree
        self.size = len(code) if size is None else size
        self.func_id = func_id


def program(
    made: Sequence[Function],
    *,
    files: Sequence[str] = ("/src/f.go", "/src/h.go"),
    goarch: str = "amd64",
    order: Order = "<",
    quantum: int = 1,
    rodata: bytes = b"",
    held: Sequence[bool] | None = None,
) -> Binary:
    """A Binary in which these functions follow one another; the file holds the code of those that are `held`."""
    names = [*(f.name for f in made), *(name for f in made for name, _ in f.tree)]
    name_at, funcnametab = _strings(names)
    file_at, filetab = _strings(files)
    cutab = struct.pack(f"{order}{len(files)}I", *(file_at[name] for name in files))
    body = bytes(8) + funcnametab
    starts = {"funcnametab": 8, "cutab": len(body) + -len(body) % 4}
    body = body.ljust(starts["cutab"], b"\0") + cutab
    starts["filetab"] = len(body)
    body += filetab
    starts["pctab"] = len(body)
    body += b"\0"
    uses = []
    for number, f in enumerate(made):
        for name, steps in f.tables.items():
            uses.append((number, SLOTS[name], len(body)))
            body += pctab(steps, quantum)
    starts["functab"] = len(body)
    records, trees = [], []
    for number, f in enumerate(made):
        body += bytes(-len(body) % 4)
        records.append(len(body))
        body += bytes(RECORD - 8) + bytes([f.func_id, 0, 0, 0]) + bytes(4)
        if f.tree:
            trees.append((number, len(body)))
            body += b"".join(bytes(4) + struct.pack(f"{order}iii", name_at[n], at, 1) for n, at in f.tree)
    header = pcheader.PcHeader("1.20", 0, TABLE, len(body), None, order, 8, quantum, len(made), len(files), 8, starts)
    owner, slot, at = np.array(uses, np.int64).reshape(-1, 3).T
    zero = np.zeros(len(made), np.int64)
    table = pclntab.Pclntab(
        header=header,
        data=memoryview(body),
        funcs=pclntab.Funcs(
            entry=zero.astype(np.uint64),
            size=np.array([f.size for f in made], np.uint64),
            record=np.array(records),
            length=zero + RECORD,
            name=np.array([8 + name_at[f.name] for f in made]),
            pcfile=zero,
            pcln=zero,
            cu=zero,
        ),
        tables=pctables.tables(memoryview(body), (starts["pctab"], starts["functab"]), owner, slot, at),
        funcdata=pclntab.FuncData(
            np.array([n for n, _ in trees], np.int64),
            np.full(len(trees), 3),
            np.array([at for _, at in trees], np.uint64),
        ),
        inside=(0, len(body)),
    )
    return _binary(made, table, body, goarch, order, rodata, held or [True] * len(made))


def _strings(texts: Sequence[str]) -> tuple[dict[str, int], bytes]:
    """Where each text is, and all of them."""
    at, raw = {}, b""
    for text in dict.fromkeys(texts):
        at[text] = len(raw)
        raw += text.encode() + b"\0"
    return at, raw


def _binary(
    made: Sequence[Function],
    table: pclntab.Pclntab,
    body: bytes,
    goarch: str,
    order: Order,
    rodata: bytes,
    held: Sequence[bool],
) -> Binary:
    code = b"".join(f.code for f in made)
    assert 0x40 + len(code) <= 0x1000
    data = (bytes(0x40) + code).ljust(0x1000, b"\0") + rodata.ljust(0x1000, b"\0") + body
    image = FakeImage(
        data,
        segments=[segment(0x40, len(code), TEXT, executable=True), segment(0x1000, 0x1000, RODATA)],
        order=order,
    )
    image.goarch = goarch
    binary = Binary(SourceFile("made", memoryview(data), len(data)), image)
    at = np.cumsum([0, *(len(f.code) for f in made)])[:-1]
    size = np.array([f.size for f in made])
    binary._read |= {
        pclntab.PARSER.name: table,
        functions.PARSER.name: Functions(
            address=(at + TEXT).astype(np.uint64),
            offset=np.where(held, at + 0x40, -1),
            size=size,
            code=size,
            text=(TEXT, TEXT + len(code)),
        ),
        moduledata.PARSER.name: ModuleData(0, 0, {}),
        symtab.PARSER.name: FormatError("no symbol table", structure="symtab", absent=True),
    }
    return binary
