"""What makes transitions, from bytes made here."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from made_function import TEXT, Function, program
from test_disasm import call, example

from goforensics.analysis import causes
from goforensics.analysis.transitions import Transitions


def test_causes() -> None:
    found = {(row.table, row.cause): row.transitions for row in causes.why(example(), 0)}
    assert found["UnsafePoint", "stack growth"] == 4
    assert found["StackMapIndex", "call"] == 1
    assert found["StackMapIndex", "bounds check"] == 1
    assert found["StackMapIndex", "stack growth"] == 1
    assert found["InlTreeIndex", "inlined body begins"] == 1
    assert found["InlTreeIndex", "inlined body ends"] == 1
    assert found["PanicBounds", "bounds check"] == 1
    assert found["pcln", "new line"] == 1
    assert found["pcln", "inlined body begins"] == 1
    assert found["pcsp", "stack pointer"] == 2
    assert not any(cause in ("other", "not known") for _, cause in found)


def test_behind_what_is_decoded_causes_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [row for row in causes.why(example(), 0) if row.table == "pcln"]
    monkeypatch.setattr(causes, "MOST_CODE", 8)
    cut = {row.cause: row.transitions for row in causes.why(example(), 0) if row.table == "pcln"}
    assert sum(cut.values()) == sum(row.transitions for row in whole)
    assert cut["not known"] > 0
    assert "other" not in cut


def test_registers_that_live_elsewhere_than_at_calls() -> None:
    code = b"\x90\x90\x90" + call(3, TEXT + 16) + b"\xc3"
    steps = [(1, -1), (2, 0), (8, 1), (9, -1)]
    made = [
        Function("main.f", code.ljust(16, b"\xcc"), {"UnsafePoint": steps}),
        Function("main.g", b"\xc3".ljust(16, b"\xcc")),
    ]
    binary = program(made)
    tables = Transitions(binary, 0)
    table = msgspec.structs.replace(tables.tables[-1], name="RegMapIndex")
    found = causes.Boundaries(causes.decoded(binary, tables), {}, tables, TEXT)
    assert [found.cause(table, step) for step in range(1, len(table.start))] == ["live registers", "call", "call"]


def test_a_write_barrier_is_told_from_other_unsafe_code() -> None:
    """cmp; jne to the call; the call behind the return jumps back: the second stretch is the first one's."""
    barrier = TEXT + 32
    code = b"\x85\xc0\x75\x02\x90\xc3" + call(6, barrier) + b"\xeb\xf7"  # 11 jmp 4
    steps = [(2, -1), (5, -2), (6, -1), (11, -2), (len(code), -1)]
    made = [
        Function("main.f", code.ljust(32, b"\xcc"), {"UnsafePoint": steps}),
        Function("runtime.gcWriteBarrier2", b"\xc3".ljust(16, b"\xcc")),
    ]
    counted = Counter({row.cause: row.transitions for row in causes.why(program(made), 0)})
    assert counted == {"entry": 1, "write barrier": 4}
    alone = [Function("main.f", code.ljust(32, b"\xcc"), {"UnsafePoint": steps}), Function("main.g", b"\xc3" * 16)]
    assert {row.cause for row in causes.why(program(alone), 0)} == {"entry", "unsafe point"}
