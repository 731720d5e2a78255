"""The result document of `goforensics disasm`: one function's instructions, and what the pclntab says of each.

As in `goforensics.report`: members are never renamed, sizes are bytes in the file, null is "the file does not say".
An offset of the function's is in bytes from its entry.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from goforensics.report import Document, TransitionCause, Unread

SCHEMA: Literal["goforensics.disasm/1"] = "goforensics.disasm/1"

InstructionKind = Literal["call", "jump", "return", "trap", "data", "other"]
ReferenceKind = Literal[
    "function", "function value", "symbol", "type", "itab", "string", "string header", "data", "unknown"
]


class Reference(Document, frozen=True):
    """What an instruction calls, jumps to, or takes the address of."""

    address: int
    kind: ReferenceKind
    name: str  # "" for a string without a symbol
    # Of a string, or of the one whose header lies there, or that a variable begins as. A "string" is as long as the
    # number that the code puts with its address, which is strong evidence and no proof.
    text: str | None = None


class Transition(Document, frozen=True):
    """From here on a table has this value."""

    table: str
    value: int


class Misplaced(Document, frozen=True):
    """A transition that falls on no instruction: into the middle of one, or behind the code."""

    table: str
    offset: int  # of the function's
    value: int


class Instruction(Document, frozen=True):
    """One instruction, or bytes that are none (`kind` "data").

    `transitions` are those of pcsp and of the PCDATA tables; pcfile and pcln are in `file` and `line`.
    """

    address: int
    offset: int  # of the function's
    size: int
    mnemonic: str
    operands: str
    kind: InstructionKind
    file: str | None
    line: int | None
    inlined: int  # node of the inline tree whose code it is, -1 for the function's own
    transitions: list[Transition]
    reference: Reference | None
    bytes: str | None = None  # hexadecimal, where asked for


class InlinedCall(Document, frozen=True):
    """A node of the inline tree: a function whose code is in this one's, and where it was called."""

    node: int
    function: str
    parent: int  # node whose code has the call, -1 for the function itself
    file: str | None
    line: int | None
    wrapper: bool  # stack traces leave it out


class PcTable(Document, frozen=True):
    """One pc-value table: at `offsets[i]` of the function the value becomes `values[i]`, until `end`."""

    name: str  # pcsp, pcfile, pcln, or PCDATA by Go's name
    size: int  # bytes in the file
    users: int  # functions that use these bytes
    offsets: list[int]
    values: list[int]
    end: int


class Disassembly(Document, frozen=True, kw_only=True):
    """One function."""

    schema: Literal["goforensics.disasm/1"] = SCHEMA
    path: str
    function: str
    goarch: str | None
    address: int
    offset: int | None  # of its code in the file; null where the file does not hold it
    size: int  # bytes to the next function
    padding: int  # of them filling at the end
    notes: list[str]  # what this document lacks, and why
    instructions: list[Instruction]
    inlined: list[InlinedCall]
    tables: list[PcTable]
    misplaced: list[Misplaced]
    why: list[TransitionCause]
    unread: list[Unread]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a Disassembly."""
    return msgspec.json.schema(Disassembly)
