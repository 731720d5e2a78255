"""One function as a document: its instructions, with lines, inline stacks, transitions and names beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

import goforensics.report_disasm as report
from goforensics.analysis import causes, coderefs, instructions, onefunction, referents
from goforensics.analysis.coderefs import References
from goforensics.analysis.instructions import Instruction
from goforensics.analysis.referents import Referent
from goforensics.analysis.transitions import Table, Transitions
from goforensics.binary import Binary
from goforensics.errors import UsageError
from goforensics.report import TransitionCause, Unread
from goforensics.sections import functions
from goforensics.sections.arrays import Offsets

SOURCE = ("pcfile", "pcln")  # tables that are shown as file and line


def document(binary: Binary, wanted: str, goarch: str | None = None, *, raw: bool = False) -> report.Disassembly:
    """Disassemble the function that `wanted` names, of the slice for `goarch` of a universal file.

    `raw` adds each instruction's bytes.  UsageError if there is no such function or slice; FormatError if there is no
    table of functions, or nothing says where the code is.
    """
    chosen = _slice(binary, goarch)
    return _Function(chosen, onefunction.find(chosen, wanted)).document(_slice_notes(binary, chosen, goarch), raw)


def _slice(binary: Binary, goarch: str | None) -> Binary:
    slices = binary.slices or (binary,)
    if goarch is None:
        return slices[0]
    chosen = next((s for s in slices if s.image.goarch == goarch), None)
    if chosen is None:
        raise UsageError(f"the file is for {', '.join(str(s.image.goarch) for s in slices)}, not for {goarch}")
    return chosen


def _slice_notes(binary: Binary, chosen: Binary, goarch: str | None) -> list[str]:
    others = [str(s.image.goarch) for s in binary.slices if s is not chosen]
    if goarch is not None or not others:
        return []
    return [f"the first of {len(others) + 1} slices, {chosen.image.goarch}; --arch {others[0]} shows another"]


class _Function:
    """What is read of one function, once."""

    def __init__(self, binary: Binary, index: int) -> None:
        self.binary, self.index = binary, index
        placed = binary.read(functions.PARSER)
        self.address, self.size = int(placed.address[index]), int(placed.size[index])
        self.place = int(placed.offset[index])
        self.tables = Transitions(binary, index)
        self.code: Sequence[Instruction] = causes.decoded(binary, self.tables)
        self.code_size = causes.code_size(binary, self.tables)
        self.refs = self._references()
        self.names = self._names()

    def document(self, notes: list[str], raw: bool) -> report.Disassembly:
        """Everything."""
        image = self.binary.image
        offsets = np.array([i.address - self.address for i in self.code], np.int64)
        return report.Disassembly(
            path=self.binary.file.path,
            function=self.tables.name,
            goarch=image.goarch,
            address=self.address,
            offset=image.base + self.place if self.place >= 0 else None,
            size=self.size,
            padding=self.size - self.code_size if self.place >= 0 else 0,
            notes=[*notes, *self._notes()],
            instructions=list(self._instructions(offsets, raw)),
            inlined=self._inlined(offsets),
            tables=[_table(table) for table in self.tables.tables],
            misplaced=list(self._misplaced(offsets)),
            why=[TransitionCause(c.table, c.cause, c.transitions, c.bytes) for c in self._causes()],
            unread=[Unread(p.structure, p.offset, p.reason) for p in self.binary.problems()],
        )

    def _notes(self) -> Iterator[str]:
        """What is missing, and why."""
        goarch = self.binary.image.goarch
        if goarch not in instructions.SUPPORTED:
            yield f"Capstone cannot disassemble {goarch}: the tables alone"
        elif self.place < 0:
            yield "the file does not hold the function's code: the tables alone"
        elif self.code_size > causes.MOST_CODE:
            yield f"the first {causes.MOST_CODE:,} of {self.code_size:,} bytes of code"
        broken = sum(i.group == "data" for i in self.code)
        if broken:
            yield f"{broken:,} rows are data, or instructions that Capstone does not know"

    def _references(self) -> References:
        code = self.binary.image.data[self.place : self.place + sum(i.size for i in self.code)] if self.code else b""
        return coderefs.references(self.binary.image, memoryview(code), self.code)

    def _names(self) -> dict[int, Referent]:
        called = [i.target for i in self.code if i.target is not None]
        return referents.referents(
            self.binary, np.array([*self.refs.target.values(), *called], np.uint64), self.refs.length
        )

    def _causes(self) -> tuple[causes.Cause, ...]:
        names = {at: found.name for at, found in self.names.items() if found.kind == "function"}
        return causes.causes(causes.Boundaries(self.code, names, self.tables, self.address))

    def _instructions(self, offsets: Offsets, raw: bool) -> Iterator[report.Instruction]:
        changes = self._changes()
        data, base = self.binary.image.data, self.place - self.address
        rows = zip(self.code, self.tables.lines(offsets), self.tables.nodes(offsets).tolist(), strict=True)
        for index, (one, (file, line), node) in enumerate(rows):
            at = one.address + base
            yield report.Instruction(
                address=one.address,
                offset=one.address - self.address,
                size=one.size,
                mnemonic=one.mnemonic,
                operands=one.operands,
                kind=one.group,
                file=file,
                line=line if file is not None else None,
                inlined=node,
                transitions=changes.get(one.address - self.address, []),
                reference=self._reference(index, one),
                bytes=bytes(data[at : at + one.size]).hex() if raw else None,
            )

    def _changes(self) -> dict[int, list[report.Transition]]:
        """By offset what changes there, but for the source lines; a first value of -1 is what no table says, too."""
        found: dict[int, list[report.Transition]] = {}
        for table in self.tables.tables:
            if table.name not in SOURCE:
                for at, value in zip(table.start.tolist(), table.value.tolist(), strict=True):
                    if at or value != -1:
                        found.setdefault(at, []).append(report.Transition(table.name, value))
        return found

    def _reference(self, index: int, one: Instruction) -> report.Reference | None:
        at = self.refs.target.get(index, one.target)
        if at is None:
            return None
        found = self.names.get(at)
        if found is None:
            return report.Reference(at, "unknown", "")
        return report.Reference(at, found.kind, found.name, found.text)

    def _misplaced(self, offsets: Offsets) -> Iterator[report.Misplaced]:
        """Transitions on no instruction; none where nothing was disassembled, or behind what was."""
        reach = int(offsets[-1]) + self.code[-1].size if len(self.code) else 0
        whole = reach == self.code_size
        for table in self.tables.tables:
            lost = ~np.isin(table.start, offsets) & (whole | (table.start < reach)) & bool(len(self.code))
            for at, value in zip(table.start[lost].tolist(), table.value[lost].tolist(), strict=True):
                yield report.Misplaced(table.name, at, value)

    def _inlined(self, offsets: Offsets) -> list[report.InlinedCall]:
        """The nodes that instructions belong to, and those around them."""
        table = self.tables["InlTreeIndex"]
        nodes = self.tables.nodes(offsets) if len(offsets) or table is None else table.value
        todo = list(set(nodes.tolist()))
        calls: dict[int, report.InlinedCall] = {}
        while todo:
            node = todo.pop()
            found = self.tables.inlined(node)
            if found is None or node in calls:
                continue
            todo.append(found.parent)
            line = found.line if found.file is not None else None
            calls[node] = report.InlinedCall(node, found.function, found.parent, found.file, line, found.wrapper)
        return [calls[node] for node in sorted(calls)]


def _table(table: Table) -> report.PcTable:
    return report.PcTable(table.name, table.size, table.users, table.start.tolist(), table.value.tolist(), table.end)
