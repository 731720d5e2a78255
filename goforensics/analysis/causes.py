"""Why a function is heavy in the pclntab: what makes the transitions of its tables, from the instructions around them.

Each transition has one cause, the first of these that applies:

* "entry": the value that the table begins with, and its end mark;
* "stack growth": it is at the check of the stack in front, or at the call of runtime.morestack behind;
* "bounds check", "panic": it is where the code begins that leads to runtime.panicIndex and its kin, or to another
  panic that the compiler put there;
* then by table: pcsp "return", "jump", "stack pointer"; UnsafePoint "write barrier", "unsafe point"; StackMapIndex
  "call"; RegMapIndex (up to Go 1.15) "call", "live registers"; InlTreeIndex "inlined body begins", "inlined body
  ends"; ArgLiveIndex "argument liveness"; pcfile and pcln the two of inlined bodies, "other file" and "new line";
* "other", and "not known" where the code cannot be decoded, or is more than is decoded.

Source of truth: Go's src/cmd/compile/internal/ssagen/ssa.go and src/cmd/internal/obj/*/obj*.go (what is emitted).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec
import numpy as np

from goforensics.analysis import instructions, referents
from goforensics.analysis.instructions import Instruction
from goforensics.analysis.transitions import MOST_FRAMES, Table, Transitions
from goforensics.sections import functions
from goforensics.sections.protocol import Source

GROWTH = "runtime.morestack"
BARRIER = re.compile(r"runtime\.(?:gcWriteBarrier|wbZero|wbMove|gcWriteBarrier\d)")
BOUNDS = re.compile(r"runtime\.(?:go)?[pP]anic(?:Bounds|Index|Slice|Extend)")
PANIC = re.compile(r"runtime\.(?:panic\w+|sigpanic\w*|goPanic\w*)")
MOST_CODE = 1 << 19  # bytes of one function that are decoded
PROLOGUE = 24  # instructions of the check of the stack, at most
STACK = re.compile(r"\b(?:[re]?sp|x?r?1|x2|r15|r13)\b|\$sp")
PUSHES = re.compile(r"push|pop|leave|enter|call|bl|stm|ldm")


class Cause(msgspec.Struct, frozen=True):
    """The transitions of one table that have one cause."""

    table: str
    cause: str
    transitions: int
    bytes: int | None  # in the file; None where the table is not written as Go writes it


class Boundaries:
    """One function's instructions, as far as they tell what a transition is for."""

    def __init__(self, code: Sequence[Instruction], names: Mapping[int, str], tables: Transitions, entry: int) -> None:
        self.code, self.names, self.tables, self.entry = code, names, tables, entry
        self.index = {i.address - entry: n for n, i in enumerate(code)}
        self.end = code[-1].address + code[-1].size - entry if code else 0  # of what is decoded

    def cause(self, table: Table, step: int) -> str:
        """What makes the transition with which a step (not the first) begins."""
        at = self.index.get(int(table.start[step]))
        if at is None:
            return "other" if int(table.start[step]) < self.end else "not known"
        if at in self._growth or (table.name == "UnsafePoint" and at - 1 in self._growth):
            return "stack growth"
        if at in self._cold:
            return self._cold[at]
        return self._by_table(table, step, at)

    def _by_table(self, table: Table, step: int, at: int) -> str:
        match table.name:
            case "pcsp":
                return self._stack_pointer(at)
            case "UnsafePoint":
                return self._unsafe(table, step)
            case "StackMapIndex":
                return "call" if self._calls(table, step) else "other"
            case "RegMapIndex":
                return "call" if self._calls(table, step) else "live registers"
            case "InlTreeIndex":
                return self._inlined(at) or "other"
            case "pcfile" | "pcln":
                return self._inlined(at) or ("other file" if table.name == "pcfile" else "new line")
            case "ArgLiveIndex":
                return "argument liveness"
        return "bounds check" if table.name == "PanicBounds" else "other"

    def _stack_pointer(self, at: int) -> str:
        before = self.code[at - 1]
        if before.group in ("return", "jump", "trap"):
            return "return" if before.group == "return" else "jump"
        moved = STACK.search(before.operands) or PUSHES.match(before.mnemonic)
        return "stack pointer" if moved else "other"

    def _inlined(self, at: int) -> str:
        """Whether the code of an inlined function begins or ends before an instruction; "" if neither."""
        before, after = self._nodes[at - 1], self._nodes[at]
        if before == after:
            return ""
        return "inlined body ends" if self._within(before, after) else "inlined body begins"

    def _within(self, node: int, outer: int) -> bool:
        """Whether `outer` is what a node was inlined into, itself inlined or not."""
        seen: set[int] = set()
        while node >= 0 and node not in seen and node != outer and len(seen) < MOST_FRAMES:
            seen.add(node)
            found = self.tables.inlined(node)
            node = found.parent if found is not None else -1
        return node == outer

    def _calls(self, table: Table, step: int) -> bool:
        """Whether there is a call in what the step covers or right before it."""
        first, last = self._covered(table, step)
        return any(i.group == "call" for i in self.code[max(first - 1, 0) : last])

    def _covered(self, table: Table, step: int) -> tuple[int, int]:
        """The instructions [first, last) of a step."""
        stop = int(table.start[step + 1]) if step + 1 < len(table.start) else table.end
        first = self.index[int(table.start[step])]
        return first, first + int(np.searchsorted(self._offsets[first:], stop))

    @cached_property
    def _offsets(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([i.address - self.entry for i in self.code], np.int64)

    @cached_property
    def _nodes(self) -> list[int]:
        """The inline tree's node of each instruction."""
        found: list[int] = self.tables.nodes(self._offsets).tolist()
        return found

    def _unsafe(self, table: Table, step: int) -> str:
        """What is unsafe is a step of its own: this one, or the one that ends here."""
        unsafe = step if table.value[step] != -1 else step - 1
        return "write barrier" if unsafe in self._barriers else "unsafe point"

    @cached_property
    def _barriers(self) -> frozenset[int]:
        """Steps of UnsafePoint with a call of the write barrier, or with jumps to or from such a step."""
        table = self.tables["UnsafePoint"]
        if table is None:
            return frozenset()
        spans = {}
        for step in np.flatnonzero(table.value != -1).tolist():
            if int(table.start[step]) in self.index:
                spans[step] = self._covered(table, step)
        direct = {step for step, span in spans.items() if self._has_barrier(*span)}
        owner = {n: step for step, span in spans.items() for n in range(*span)}
        joined = set(direct)
        for n, instruction in enumerate(self.code):
            target = self.index.get((instruction.target or 0) - self.entry) if instruction.group == "jump" else None
            pair = {owner.get(n), owner.get(-1 if target is None else target)} - {None}
            if pair & direct:
                joined |= {step for step in pair if step is not None}
        return frozenset(joined)

    def _has_barrier(self, first: int, last: int) -> bool:
        return any(BARRIER.match(self._callee(n)) for n in range(first, last))

    def _callee(self, at: int) -> str:
        """The name of the function that an instruction calls; "" if it does not, or does not say."""
        instruction = self.code[at]
        return self.names.get(instruction.target or -1, "") if instruction.group == "call" else ""

    @cached_property
    def _growth(self) -> frozenset[int]:
        """Instructions of the check of the stack and of what is done if it is too small."""
        found: set[int] = set()
        for at in range(len(self.code)):
            if self._callee(at).startswith(GROWTH):
                first = self._block(at)
                behind = range(at, min(at + PROLOGUE, len(self.code)))
                stop = next((n + 1 for n in behind if self.code[n].group == "jump"), at + 1)
                found |= set(range(first, stop))
        checks = [
            n
            for n, instruction in enumerate(self.code[:PROLOGUE])
            if instruction.group == "jump" and self.index.get((instruction.target or 0) - self.entry) in found
        ]
        return frozenset(found | set(range(max(checks, default=-1) + 1)))

    @cached_property
    def _cold(self) -> dict[int, str]:
        """Instructions of the blocks that end in a call of a panic, and which kind."""
        found: dict[int, str] = {}
        for at in range(len(self.code)):
            name = self._callee(at)
            kind = "bounds check" if BOUNDS.match(name) else "panic" if PANIC.match(name) else ""
            if kind:
                found |= dict.fromkeys(range(self._block(at), at + 1), kind)
        return found

    def _block(self, at: int) -> int:
        """The first instruction of the straight run that ends at `at`."""
        first = at
        while first > 0 and self.code[first - 1].group == "other" and first not in self._entered:
            first -= 1
        return first

    @cached_property
    def _entered(self) -> frozenset[int]:
        """Instructions that jumps lead to."""
        targets = (self.index.get(i.target - self.entry) for i in self.code if i.group == "jump" and i.target)
        return frozenset(n for n in targets if n is not None)


def causes(boundaries: Boundaries) -> tuple[Cause, ...]:
    """The transitions of each table by cause, in the tables' order, the most frequent cause first."""
    found: list[Cause] = []
    for table in boundaries.tables.tables:
        number: Counter[str] = Counter()
        size: Counter[str] = Counter()
        for step in range(len(table.start)):
            cause = boundaries.cause(table, step) if step else "entry"
            number[cause] += 1
            size[cause] += int(table.bytes[step])
        size["entry"] += 1  # the mark at the end
        known = int(table.bytes.sum()) > 0
        found += [Cause(table.name, c, n, size[c] if known else None) for c, n in number.most_common()]
    return tuple(found)


def why(source: Source, function: int) -> tuple[Cause, ...]:
    """The same of one function, by its index in the pclntab: everything is read that is needed for it.

    FormatError if there is no pclntab or nothing says where the code is.
    """
    tables = Transitions(source, function)
    code = decoded(source, tables)
    targets = np.array([i.target for i in code if i.group == "call" and i.target is not None], np.uint64)
    names = {at: found.name for at, found in referents.function_names(source, targets).items()}
    entry = int(source.read(functions.PARSER).address[function])
    return causes(Boundaries(code, names, tables, entry))


def code_size(source: Source, tables: Transitions) -> int:
    """Bytes of the function's code without padding: what its tables speak about, else what its content shows."""
    placed = source.read(functions.PARSER)
    size = int(placed.size[tables.function])
    return tables.end if 0 < tables.end <= size else int(placed.code[tables.function])


def decoded(source: Source, tables: Transitions) -> list[Instruction]:
    """The instructions of one function, padding excluded; none where the file or the decoder has not got them."""
    placed, image, function = source.read(functions.PARSER), source.image, tables.function
    offset, size = int(placed.offset[function]), min(code_size(source, tables), MOST_CODE)
    if offset < 0 or image.goarch not in instructions.SUPPORTED:
        return []
    code = image.data[offset : offset + size]
    return instructions.decode(image.goarch, image.order, code, int(placed.address[function]))
