"""One function's document and text, from bytes made here: transitions, stacks, names, causes, and hostile input."""

from __future__ import annotations

import json
import random
import struct
import time
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from made_function import RODATA, TEXT, Function, Order, program

from goforensics import report_disasm
from goforensics.analysis import causes, disasm, instructions, onefunction, stringlengths
from goforensics.analysis.causes import GROWTH
from goforensics.analysis.instructions import Instruction
from goforensics.analysis.transitions import MOST_BYTES, Frame, Transitions
from goforensics.binary import Binary
from goforensics.errors import UsageError
from goforensics.renderers import View, render
from goforensics.report_disasm import Disassembly

G, MORESTACK, PANIC = TEXT + 48, TEXT + 64, TEXT + 80


def call(at: int, target: int) -> bytes:
    """CALL, whose distance counts from its end."""
    return b"\xe8" + struct.pack("<i", target - (TEXT + at + 5))


# main.f checks its stack, calls main.g, has main.h inlined, checks a bound, and asks for more stack at its end.
CODE = (
    b"\x49\x3b\x66\x10"  # 0 cmp rsp, [r14 + 16]
    + b"\x76\x13"  # 4 jbe 25
    + b"\x55"  # 6 push rbp
    + call(7, G)
    + b"\x90"  # 12 nop, main.h's
    + b"\x48\x39\xc1"  # 13 cmp rcx, rax
    + b"\x73\x02"  # 16 jae 20
    + b"\x5d\xc3"  # 18 pop rbp; ret
    + call(20, PANIC)
    + call(25, MORESTACK)
    + b"\xeb\xe0"  # 30 jmp 0
    + b"\xcc" * 16
)
END = 32
TABLES: dict[str, Sequence[tuple[int, int]]] = {
    "pcsp": [(7, 0), (19, 8), (20, 0), (25, 8), (END, 0)],
    "pcfile": [(12, 0), (13, 1), (END, 0)],
    "pcln": [(7, 10), (12, 11), (13, 3), (20, 12), (25, 11), (END, 10)],
    "UnsafePoint": [(4, -1), (6, -2), (25, -1), (30, -2), (END, -1)],
    "StackMapIndex": [(7, -1), (20, 0), (25, 1), (END, -1)],
    "InlTreeIndex": [(12, -1), (13, 0), (END, -1)],
    "PanicBounds": [(20, -1), (25, 0), (END, -1)],
}
OTHERS = [
    Function("main.g", b"\xc3".ljust(16, b"\xcc")),
    Function("runtime.morestack_noctxt", b"\xc3".ljust(16, b"\xcc")),
    Function("runtime.panicIndex", b"\xc3".ljust(16, b"\xcc")),
]


def example(**changes: Sequence[tuple[int, int]]) -> Binary:
    return program([Function("main.f", CODE, TABLES | changes, [("main.h", 7)]), *OTHERS])


def text(document: Disassembly) -> str:
    return "".join(render(document, "text", View()))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("quantum", [1, 2, 4])
def test_tables_are_what_was_written(order: Order, quantum: int) -> None:
    steps = {name: [(end * quantum, value) for end, value in table] for name, table in TABLES.items()}
    made = Function("main.f", bytes(END * quantum), steps, [("main.h", 7 * quantum)])
    found = Transitions(program([made], order=order, quantum=quantum), 0)
    assert [table.name for table in found.tables] == list(TABLES)
    for table in found.tables:
        starts = [0, *(end for end, _ in steps[table.name])]
        assert table.start.tolist() == starts[:-1]
        assert table.value.tolist() == [value for _, value in steps[table.name]]
        assert table.end == starts[-1]
        assert int(table.bytes.sum()) + 1 == table.size
        for pc in range(table.end):
            want = next(value for end, value in steps[table.name] if pc < end)
            assert table.at(np.array([pc]))[0] == want
        assert table.at(np.array([-1, table.end])).tolist() == [-1, -1]


def test_lines_and_stacks() -> None:
    found = Transitions(example(), 0)
    lines = found.lines(np.array([0, 7, 12, END]))
    assert lines == [("/src/f.go", 10), ("/src/f.go", 11), ("/src/h.go", 3), (None, 0)]
    plain, inlined = found.stacks(np.array([0, 12]))
    assert plain.frames == (Frame("main.f", "/src/f.go", 10),)
    assert inlined.frames == (Frame("main.h", "/src/h.go", 3), Frame("main.f", "/src/f.go", 11))
    assert not inlined.broken


@pytest.mark.parametrize("tree", [[("a", 12)], [("a", 13), ("b", 12)], [("a", 13), ("b", 14), ("c", 12)]])
def test_a_tree_that_leads_back_to_itself_ends(tree: list[tuple[str, int]]) -> None:
    index = [(12, -1), *((13 + n, n) for n in range(len(tree))), (END, -1)]
    binary = program([Function("main.f", CODE, {**TABLES, "InlTreeIndex": index}, tree), *OTHERS])
    stack = Transitions(binary, 0).stacks(np.array([12]))[0]
    assert stack.broken
    assert [frame.function for frame in stack.frames] == [*(name for name, _ in tree), "main.f"]
    assert len(disasm.document(binary, "main.f").inlined) == len(tree)
    assert "inlined at" in text(disasm.document(binary, "main.f"))


def test_a_node_outside_of_the_file_ends_the_stack() -> None:
    binary = example(InlTreeIndex=[(12, -1), (13, 1 << 20), (END, -1)])
    stack = Transitions(binary, 0).stacks(np.array([12]))[0]
    assert stack.broken
    assert [frame.function for frame in stack.frames] == ["main.f"]
    assert text(disasm.document(binary, "main.f"))


def test_the_document() -> None:
    document = disasm.document(example(), "main.f", raw=True)
    assert (document.address, document.offset, document.size, document.padding) == (TEXT, 0x40, 48, 16)
    rows = {row.offset: row for row in document.instructions}
    assert bytes.fromhex("".join(row.bytes or "" for row in document.instructions)) == CODE[:END]
    assert [(t.table, t.value) for t in rows[7].transitions] == [("pcsp", 8), ("StackMapIndex", 0)]
    assert [(t.table, t.value) for t in rows[4].transitions] == [("UnsafePoint", -2)]
    reference = rows[7].reference
    assert reference is not None
    assert (reference.kind, reference.name, reference.address) == ("function", "main.g", G)
    assert (rows[12].file, rows[12].line, rows[12].inlined) == ("/src/h.go", 3, 0)
    assert [row.kind for row in document.instructions].count("call") == 3
    assert document.misplaced == []
    for table in document.tables:
        assert sum(row.transitions for row in document.why if row.table == table.name) == len(table.offsets)
        assert sum(row.bytes or 0 for row in document.why if row.table == table.name) == table.size


def test_the_document_keeps_to_its_schema() -> None:
    schema = report_disasm.json_schema()
    Draft202012Validator(schema).validate(json.loads(msgspec.json.encode(disasm.document(example(), "main.f"))))


def test_text() -> None:
    shown = text(disasm.document(example(), "main.f")).splitlines()
    assert shown[0] == "main.f"
    assert any("push rbp" in line and "UnsafePoint -> -1" in line for line in shown)
    assert any("call 0x401030" in line and "main.g" in line and "StackMapIndex -> 0" in line for line in shown)
    at = shown.index("/src/h.go:3  main.h")
    assert shown[at + 1] == "  inlined at /src/f.go:11  main.f"
    assert any("padding, 16 bytes" in line for line in shown)
    assert any(line.split() == ["bounds", "check", "1", "2"] for line in shown)


def test_a_transition_in_the_middle_of_an_instruction_is_told() -> None:
    document = disasm.document(example(StackMapIndex=[(9, -1), (END, 0)]), "main.f")
    assert [(row.table, row.offset, row.value) for row in document.misplaced] == [("StackMapIndex", 9, 0)]
    shown = text(document)
    assert "! inside: StackMapIndex -> 0 at +0x9" in shown
    assert "Transitions on no instruction" in shown


def test_bytes_that_are_no_instruction_are_data() -> None:
    code = b"\x90\x06\x90" + b"\x06" * 20 + b"\xc3"  # 06 is PUSH ES, which amd64 has not got
    document = disasm.document(program([Function("main.f", code, {"pcsp": [(len(code), 0)]})]), "main.f")
    assert [row.kind for row in document.instructions] == ["other", "data", "other", *["data"] * 20, "return"]
    assert document.instructions[1].operands == "0x06"
    assert "17 more rows of the same" in text(document)
    assert any("21 rows are data" in note for note in document.notes)


def test_an_unknown_machine_shows_the_tables() -> None:
    document = disasm.document(program([Function("main.f", CODE, TABLES)], goarch="loong64"), "main.f")
    assert document.instructions == []
    assert document.misplaced == []
    shown = text(document)
    assert "Capstone cannot disassemble loong64" in shown
    assert "+0x4 -> -2" in shown
    assert {row.cause for row in document.why} == {"entry", "not known"}


def test_code_outside_of_the_file() -> None:
    made = Function("main.f", b"", TABLES, size=1 << 40)
    document = disasm.document(program([made, *OTHERS], held=[False, True, True, True]), "main.f")
    assert document.offset is None
    assert document.instructions == []
    assert any("does not hold" in note for note in document.notes)
    assert "not in the file" in text(document)


def test_a_size_past_the_end_of_the_file() -> None:
    document = disasm.document(program([Function("main.f", CODE, TABLES, size=1 << 40), *OTHERS]), "main.f")
    assert sum(row.size for row in document.instructions) == END
    assert text(document)


def test_a_table_past_the_end_of_the_function_is_told() -> None:
    document = disasm.document(example(pcln=[(9, 1), (1 << 30, 2), ((1 << 30) + 1, 3)]), "main.f")
    assert {row.offset for row in document.misplaced} == {9, 1 << 30}


def test_functions_over_one_another_and_the_shortest_is_found() -> None:
    made = [Function("main.long", b"", size=64), Function("main.short", CODE, TABLES), *OTHERS]
    binary = program(made)
    assert onefunction.find(binary, hex(TEXT + 4)) == 1
    assert onefunction.find(binary, hex(TEXT + 48)) in (0, 2)
    assert disasm.document(binary, "main.long").function == "main.long"


def test_find() -> None:
    names = ["main.f", "example.com/x.(*T).f", "example.com/y.only", "main.g", "main.g"]
    binary = program([Function(name, b"\xc3" * 16) for name in names])
    assert onefunction.find(binary, "main.f") == 0
    assert onefunction.find(binary, "(*T).f") == 1
    assert onefunction.find(binary, "y.only") == onefunction.find(binary, "only") == 2
    assert onefunction.find(binary, f"0X{TEXT + 17:x}") == 1
    for wanted, said in (
        ("f", "2 functions: main.f, example.com/x.(*T).f;"),
        ("main.g", f"main.g at {TEXT + 48:#x}, main.g at {TEXT + 64:#x};"),
        ("nly", "example.com/y.only have it in their name"),
        ("absent", "no function is called 'absent'"),
        ("", "no function is called ''"),
        ("0x1", f"Go's code is at {TEXT:#x}"),
        ("0x" + "f" * 40, "no function is at"),
    ):
        with pytest.raises(UsageError) as caught:
            onefunction.find(binary, wanted)
        assert said in str(caught.value)


def test_at_most_ten_candidates_are_named() -> None:
    binary = program([Function(f"p{n}.f", b"\xc3" * 16) for n in range(25)])
    with pytest.raises(UsageError) as caught:
        onefunction.find(binary, "f")
    assert "25 functions" in str(caught.value)
    assert str(caught.value).count(".f") == onefunction.MOST
    assert "15 more" in str(caught.value)


def test_an_architecture_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="for amd64, not for arm64"):
        disasm.document(example(), "main.f", "arm64")


EVIL = "\x1b[31m[bold]evil[/bold]\u202e\n\r"


def test_names_of_the_file_are_harmless() -> None:
    binary = program(
        [Function(f"main.f{EVIL}", CODE, TABLES, [(f"main.h{EVIL}", 7)]), *OTHERS],
        files=(f"/src/f{EVIL}", f"/src/h{EVIL}"),
    )
    shown = text(disasm.document(binary, hex(TEXT)))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\r" not in shown
    assert "[bold]evil[/bold]" in shown
    with pytest.raises(UsageError):
        onefunction.find(binary, "evil")


def test_strings_and_headers() -> None:
    """lea rax, text; mov ebx, 5; call; lea rcx, header."""
    header, words = RODATA + 64, b'ab"\x09z...'
    content = words.ljust(64, b"\0") + struct.pack("<QQ", RODATA, 3).ljust(64, b"\0")
    code = b"\x48\x8d\x05" + struct.pack("<i", RODATA - (TEXT + 7)) + b"\xbb\x05\0\0\0" + call(12, TEXT + 48)
    code += b"\x48\x8d\x0d" + struct.pack("<i", header - (TEXT + 24)) + b"\xc3"
    made = [Function("main.f", code.ljust(48, b"\xcc"), {"pcsp": [(len(code), 0)]}), Function("main.g", b"\xc3" * 16)]
    document = disasm.document(program(made, rodata=content), "main.f")
    references = [row.reference for row in document.instructions if row.reference]
    assert [(r.kind, r.text) for r in references] == [
        ("string", 'ab"\tz'),
        ("function", None),
        ("string header", 'ab"'),
    ]
    shown = text(document)
    assert r'"ab\"\tz"' in shown
    assert r'&"ab\""' in shown


def lengths(goarch: str, *rows: tuple[str, str], target: dict[int, int]) -> dict[int, int]:
    group = {"call": "call", "jmp": "jump", "je": "jump", "ret": "return", "bl": "call"}
    made = [
        Instruction(n, 1, mnemonic, operands, group.get(mnemonic, "other"))  # type: ignore[arg-type]
        for n, (mnemonic, operands) in enumerate(rows)
    ]
    return stringlengths.lengths(goarch, made, target)


LEA = ("lea", "rax, [rip + 0x10]")


def test_lengths_of_strings() -> None:
    at = {0: 0x1000}
    assert lengths("amd64", LEA, ("mov", "ebx, 5"), ("call", "0x1"), target=at) == {0x1000: 5}
    assert lengths("amd64", LEA, ("mov", "ebx, 5"), ("ret", ""), target=at) == {0x1000: 5}
    assert lengths("amd64", LEA, ("mov", "ecx, 5"), ("call", "0x1"), target=at) == {}
    assert lengths("amd64", LEA, ("mov", "ebx, 5"), ("add", "rbx, rdx"), ("call", "0x1"), target=at) == {}
    assert lengths("amd64", LEA, ("mov", "ebx, 5"), ("cpuid", ""), ("call", "0x1"), target=at) == {}
    pair = (("mov", "qword ptr [rsp + 8], rax"), ("mov", "qword ptr [rsp + 0x10], 7"))
    assert lengths("amd64", LEA, *pair, target=at) == {0x1000: 7}
    assert lengths("amd64", LEA, *reversed(pair), target=at) == {0x1000: 7}
    assert lengths("amd64", LEA, pair[0], ("add", "rsp, 8"), pair[1], target=at) == {}
    small = (("lea", "eax, [0x1000]"), ("mov", "dword ptr [esp], eax"), ("mov", "dword ptr [esp + 4], 7"))
    assert lengths("386", *small, target=at) == {0x1000: 7}
    wide = (("adrp", "x5, #0x1000"), ("add", "x5, x5, #0"), ("mov", "x6, #3"), ("stp", "x5, x6, [sp, #0x40]"))
    assert lengths("arm64", *wide, target=at) == {0x1000: 3}
    two = (LEA, ("mov", "ebx, 5"), ("call", "0x1"), LEA, ("mov", "ebx, 6"), ("call", "0x1"))
    assert lengths("amd64", *two, target={0: 0x1000, 3: 0x1000}) == {}


@pytest.mark.parametrize("goarch", sorted(instructions.SUPPORTED))
def test_any_bytes_are_decoded_to_the_last(goarch: str) -> None:
    """Random bytes, of every length: instructions follow one another and cover all of them."""
    chance = random.Random(goarch)
    for size in (*range(1, 24), 4095, 20_000):
        code = chance.randbytes(size)
        for order in "<>":
            at = 0x1000
            for one in instructions.decode(goarch, order, memoryview(code), at):
                assert one.address == at
                assert one.size > 0
                at += one.size
            assert at == 0x1000 + size


def test_words_that_arm_loads_are_data() -> None:
    """ldr r0, [pc]; b over it; the word; bx lr."""
    words = (0xE59F0000, 0xEA000000, 0xE1A00000, 0xE12FFF1E)
    found = instructions.decode("arm", "<", memoryview(struct.pack("<4I", *words)), 0x1000)
    assert [one.group for one in found] == ["other", "jump", "data", "return"]


def test_a_constant_amid_s390x_code_does_not_shift_what_follows() -> None:
    """larl %r10, +18; lg; j over eight bytes, which begin as an instruction of six would; br %r14."""
    raw = bytes.fromhex("c0a000000008 e3aa00000004 a7f40006") + b"\xff" * 6 + b"\xff\xf8" + b"\x07\xfe"
    found = instructions.decode("s390x", ">", memoryview(raw), 0x1000)
    assert [(one.mnemonic, one.size) for one in found][-2:] == [(".byte", 8), ("br", 2)]


def test_much_code_takes_no_more_time_than_its_size() -> None:
    """Nothing of it is an instruction, and only the limit is decoded."""
    code = memoryview(b"\x06" * causes.MOST_CODE)
    begun = time.perf_counter()
    assert len(instructions.decode("amd64", "<", code, 0)) == len(code)
    assert time.perf_counter() - begun < 60


def test_a_table_that_is_too_long_is_told_and_left_out() -> None:
    steps = [(n + 1, n % 2) for n in range(MOST_BYTES // 2 + 10)]
    document = disasm.document(example(StackMapIndex=steps), "main.f")
    assert "StackMapIndex" not in {table.name for table in document.tables}
    assert any(row.structure == "pctab" and "1 of them too long" in row.reason for row in document.unread)


def test_code_of_nothing_but_calls_for_more_stack_is_soon_done() -> None:
    """As hostile as calls get: every instruction is one of them, and so is every boundary."""
    count = 700
    code = b"".join(call(5 * n, TEXT + 5 * count) for n in range(count))
    steps = [(5 * (n + 1), n % 3) for n in range(count)]
    made = [Function("main.f", code, {"UnsafePoint": steps, "pcln": steps}), Function(GROWTH, b"\xc3" * 16)]
    begun = time.perf_counter()
    found = causes.why(program(made), 0)
    assert time.perf_counter() - begun < 5
    assert {row.cause for row in found} == {"entry", "stack growth"}
