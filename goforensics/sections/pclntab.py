"""pclntab: the linker's table of every function, its file and its lines, each byte of it in one part.

Source of truth: Go's src/runtime/symtab.go (functab, the use of every table), src/runtime/runtime2.go (_func) and
cmd/link/internal/ld/pcln.go (the writer); for Go 1.2 to 1.15, pcln.go of those releases.
"""

from __future__ import annotations

from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Image, Problem
from goforensics.errors import FormatError, require
from goforensics.sections import moduledata, pcheader, pctables
from goforensics.sections.arrays import Offsets, inside_another, spread, string_ends, strings
from goforensics.sections.moduledata import ModuleData
from goforensics.sections.pcheader import PcHeader
from goforensics.sections.pctables import PcTables
from goforensics.sections.protocol import Parser, Source

STRUCTURE = "pclntab"
EMPTY = 4  # offset of two zero bytes in every header: the name of a function whose name is lost
NO_FILE = 0xFFFFFFFF


class Funcs(msgspec.Struct, frozen=True):
    """The _func of every function in address order, as parallel arrays (n,)."""

    entry: NDArray[np.uint64]  # bytes after runtime.text; in layouts 1.2 and 1.16 the address
    size: NDArray[np.uint64]  # bytes to the next entry, padding included
    record: Offsets  # offset of the _func in the pclntab
    length: Offsets  # bytes of the _func with its pcdata and funcdata
    name: Offsets  # offset of the name in the pclntab
    pcfile: Offsets  # offset of the table, 0 for none
    pcln: Offsets
    cu: Offsets  # first index into the cutab, or into the filetab of layout 1.2


class FuncData(msgspec.Struct, frozen=True):
    """Every use of function data: `value` is an offset from moduledata.gofunc, in layouts 1.2 and 1.16 an address."""

    owner: Offsets  # (u,) function
    kind: NDArray[np.int64]  # (u,) FUNCDATA index
    value: NDArray[np.uint64]  # (u,)


class Pclntab(msgspec.Struct, frozen=True, dict=True):
    """The whole table.  Every offset is bytes from its start, `offset` that of the start in the image."""

    header: PcHeader
    data: memoryview
    funcs: Funcs
    tables: PcTables
    funcdata: FuncData
    inside: tuple[int, int] | None  # where 1.26 keeps function data and findfunctab: offsets of the two

    @property
    def offset(self) -> int:
        """Of the pclntab in the image."""
        return self.header.offset

    @cached_property
    def names(self) -> list[str]:
        """(n,) every function's name."""
        return strings(self.data, self.funcs.name)

    @cached_property
    def file_offsets(self) -> Offsets:
        """(f,) offsets of the files' names, in the table's order."""
        header = self.header
        if header.layout == "1.2":
            start = header.tables["filetab"]
            count = min(header.files + 1, (len(self.data) - start) // 4)
            at = np.frombuffer(self.data, f"{header.order}u4", count, start)[1:].astype(np.int64)
            return at[(at > 0) & (at < len(self.data))]
        start, end = header.tables["filetab"], header.tables["pctab"]
        stops = np.flatnonzero(np.frombuffer(self.data[start:end], np.uint8) == 0)[: header.files] + start
        return np.r_[start, stops[:-1] + 1] if len(stops) else stops

    @cached_property
    def files(self) -> list[str]:
        """(f,) names of the source files."""
        return strings(self.data, self.file_offsets)

    @cached_property
    def entry_file(self) -> Offsets:
        """(n,) offset of the name of the file that each function begins in, 0 where it has none."""
        number = pctables.first_values(self.data, self.funcs.pcfile)
        header, size = self.header, len(self.data)
        table = header.tables["filetab" if header.layout == "1.2" else "cutab"]
        at = table + 4 * (self.funcs.cu + number)
        there = (number >= 0) & (at + 4 <= size)
        word = np.zeros(len(at), np.int64)
        word[there] = _gather(self.data, at[there], header.order)
        lost = ~there | (word == NO_FILE)
        found = word if header.layout == "1.2" else word + header.tables["filetab"]
        return np.where(lost | (found >= size), 0, found)

    @cached_property
    def entry_line(self) -> Offsets:
        """(n,) line of each function's first instruction, -1 where there is none."""
        return pctables.first_values(self.data, self.funcs.pcln)


def decode(source: Source) -> Pclntab:
    """Decode every function's record and the extent of every table.

    Raises FormatError if there is no pclntab or its functab is cut off.  Records that lie outside the table or run
    into one another lose their lists and are noted as a problem of the image.
    """
    image, header = source.image, source.read(pcheader.PARSER)
    try:
        module: ModuleData | None = source.read(moduledata.PARSER)
    except FormatError:
        module = None
    size = _size(image, header, module)
    data = image.bytes_at(header.offset, size, STRUCTURE)
    return _Decoder(image, header, data, module).pclntab()


def _size(image: Image, header: PcHeader, module: ModuleData | None) -> int:
    """To the end of the section of that name; found by structure, as far as moduledata says, else to the last _func."""
    if header.section is not None:
        return header.limit
    start = image.address_of(header.offset) or 0
    if module is None:
        return header.limit
    end = module.fields.get("epclntab") or module.fields["pclntable"] + module.fields["pclntable.len"]
    size = end - start
    return size if header.tables["functab"] < size <= header.limit else header.limit


class _Decoder:
    """The state of one decoding: which word of a record holds what depends on the layout."""

    def __init__(self, image: Image, header: PcHeader, data: memoryview, module: ModuleData | None) -> None:
        self.image, self.header, self.data, self.module = image, header, data, module
        self.pointer, self.fixed = header.pointer, header.func_size
        self.words = np.frombuffer(data, f"{header.order}u4", len(data) // 4)

    def pclntab(self) -> Pclntab:
        """The table, every record of it that can be read."""
        entry, record, size = self._functab()
        good = (record % 4 == 0) & (record >= self.header.header_size) & (record + self.fixed <= len(self.data))
        self._note(int(np.count_nonzero(~good)), "functions whose record lies outside the table")
        entry, record, size = entry[good], record[good], size[good]
        npcdata, nfuncdata = self._counts(record)
        funcs = self._funcs(entry, record, size, npcdata, nfuncdata)
        tables = self._tables(funcs, npcdata)
        self._note(tables.unended, "pc-value tables without an end")
        return Pclntab(
            header=self.header,
            data=self.data,
            funcs=funcs,
            tables=tables,
            funcdata=self._funcdata(record, npcdata, nfuncdata),
            inside=self._inside(),
        )

    def _note(self, count: int, what: str) -> None:
        if count:
            self.image.problems.append(Problem(STRUCTURE, self.header.offset, f"{count} {what}"))

    def _functab(self) -> tuple[NDArray[np.uint64], Offsets, NDArray[np.uint64]]:
        """(entry, record, size) per function."""
        start, count = self.header.tables["functab"], self.header.functions
        end = start + (2 * count + 1) * self.header.entry_size
        require(end <= len(self.data), f"{count} functions do not fit", STRUCTURE, self.header.offset + start)
        if self.header.wide_functab:
            words = self._relocated(start, 2 * count + 1)
        else:
            words = np.frombuffer(self.data[start:end], f"{self.header.order}u4").astype(np.uint64)
        base = 0 if self.header.layout == "1.2" else start
        entry, following = words[0:-1:2], words[2::2]
        self._note(int(np.count_nonzero(following < entry)), "functions that begin after the next one")
        size = np.where(following > entry, following - entry, np.uint64(0))
        record = (words[1::2] & np.uint64(0x7FFFFFFF)).astype(np.int64) + base
        return entry, record, size

    def _relocated(self, start: int, count: int) -> NDArray[np.uint64]:
        """Pointer-sized words of the table as the loader leaves them."""
        address = self.image.address_of(self.header.offset + start)
        if address is None:
            raw = self.data[start : start + count * self.pointer]
            return np.frombuffer(raw, self.image.word).astype(np.uint64)
        return self.image.words(address, count, STRUCTURE)

    def _field(self, record: Offsets, number: int) -> Offsets:
        """The 32-bit field `number` of each _func; field 0 follows the entry."""
        return self.words[(record + self.header.entry_size) // 4 + number].astype(np.int64)

    def _counts(self, record: Offsets) -> tuple[Offsets, Offsets]:
        """npcdata and nfuncdata of each _func, none where they would run into the next record."""
        npcdata = self._field(record, 6)
        last = np.frombuffer(self.data, np.uint8)[record[:, None] + np.arange(self.fixed - 4, self.fixed)]
        nfuncdata = last[:, 3].astype(np.int64)
        if self.header.order == "<" and not nfuncdata.any():  # up to Go 1.10 the count was an int32 of its own
            nfuncdata = last[:, 0].astype(np.int64)
        order = np.argsort(record, kind="stable")
        following = np.empty(len(record), np.int64)
        following[order] = np.r_[record[order][1:], len(self.data)]
        fits = record + self._length(npcdata, nfuncdata) <= following
        self._note(int(np.count_nonzero(~fits)), "records that run into the next one")
        return np.where(fits, npcdata, 0), np.where(fits, nfuncdata, 0)

    def _length(self, npcdata: Offsets, nfuncdata: Offsets) -> Offsets:
        """Bytes of a _func with its lists; wide tables align the pointers to funcdata."""
        lists = self.fixed + 4 * npcdata
        if not self.header.wide_functab:
            return lists + 4 * nfuncdata
        aligned = -(-lists // self.pointer) * self.pointer
        return np.where(nfuncdata > 0, aligned + self.pointer * nfuncdata, lists)

    def _funcs(
        self, entry: NDArray[np.uint64], record: Offsets, size: NDArray[np.uint64], npcdata: Offsets, nfuncdata: Offsets
    ) -> Funcs:
        tables = self.header.tables
        name = self._field(record, 0) + tables.get("funcnametab", 0)
        lost = name >= len(self.data)
        self._note(int(np.count_nonzero(lost)), "functions whose name lies outside the table")
        name = np.where(lost, EMPTY, name)
        self._note(_parts_of_others(self.data, name), "names of functions that are a part of another's")
        cu = self._field(record, 7) if self.header.layout != "1.2" else np.zeros(len(record), np.int64)
        return Funcs(
            entry=entry,
            size=size,
            record=record,
            length=self._length(npcdata, nfuncdata),
            name=name,
            pcfile=self._table_at(self._field(record, 4)),
            pcln=self._table_at(self._field(record, 5)),
            cu=np.where(cu == NO_FILE, -1, cu),
        )

    def _table_at(self, value: Offsets) -> Offsets:
        """Offset in the pclntab of the table a field names; 0 for none or for one outside."""
        at = value + self.header.tables.get("pctab", 0)
        return np.where((value > 0) & (at < len(self.data)), at, 0)

    def _tables(self, funcs: Funcs, npcdata: Offsets) -> PcTables:
        record = funcs.record
        owner, place = spread(npcdata)
        pcdata = self.words[(record[owner] + self.fixed) // 4 + place].astype(np.int64)
        fixed = np.concatenate([self._field(record, 3), self._field(record, 4), self._field(record, 5)])
        count = len(record)
        tables = self.header.tables
        return pctables.tables(
            self.data,
            (tables.get("pctab", 0), tables["functab"] if "pctab" in tables else len(self.data)),
            np.r_[np.tile(np.arange(count), 3), owner],
            np.r_[np.repeat(np.arange(3), count), place + 3],
            self._table_at(np.r_[fixed, pcdata]),
        )

    def _funcdata(self, record: Offsets, npcdata: Offsets, nfuncdata: Offsets) -> FuncData:
        owner, kind = spread(nfuncdata)
        start = record + self.fixed + 4 * npcdata
        if not self.header.wide_functab:
            value = self.words[start[owner] // 4 + kind].astype(np.uint64)
            used = value != NO_FILE
            return FuncData(owner[used], kind[used], value[used])
        start = -(-start // self.pointer) * self.pointer
        words = self._relocated(0, len(self.data) // self.pointer)
        value = words[start[owner] // self.pointer + kind]
        return FuncData(owner[value > 0], kind[value > 0], value[value > 0])

    def _inside(self) -> tuple[int, int] | None:
        """Offsets of the function data and of findfunctab where they lie in the table (1.26)."""
        module, address = self.module, self.image.address_of(self.header.offset)
        if self.header.layout != "1.26" or module is None or address is None:
            return None
        first, second = (module.fields.get(name, 0) - address for name in ("gofunc", "findfunctab"))
        return (first, second) if self.header.tables["functab"] < first <= second <= len(self.data) else None


def _parts_of_others(data: memoryview, name: Offsets) -> int:
    """How many of the names at these offsets begin inside another one; no linker writes such."""
    distinct = np.unique(name)
    return int(np.count_nonzero(inside_another(string_ends(data, distinct))))


def _gather(data: memoryview, at: Offsets, order: str) -> Offsets:
    """(n,) 32-bit words at any offsets inside `data`."""
    raw = np.frombuffer(data, np.uint8)[at[:, None] + np.arange(4)]
    return np.ascontiguousarray(raw).view(f"{order}u4")[:, 0].astype(np.int64)


PARSER = Parser("pclntab", decode)
