"""Disassembly of real builds, against other disassemblers, Go's runtime, its tools and the linker."""

from __future__ import annotations

import disasm_checks
import numpy as np
import pytest
from disasm_samples import ARCHES, RELEASES, build, documents, stripped

from goforensics.analysis import onefunction
from goforensics.analysis.transitions import Frame, Transitions
from goforensics.report_disasm import Disassembly

pytestmark = pytest.mark.builds


@pytest.mark.parametrize("goarch", ARCHES)
def test_instructions_are_those_of_other_disassemblers(goarch: str) -> None:
    """Addresses and sizes without exception; mnemonics wherever both tools know the instruction."""
    if disasm_checks.other_tool(goarch) is None:
        pytest.skip("objdump and llvm-objdump are needed")
    found = disasm_checks.instructions(build(goarch), goarch)
    assert found.places == []
    assert found.names == {}
    assert found.compared > 10_000
    assert found.unknown < found.compared // 20


@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("goarch", ARCHES)
def test_transitions_fall_on_instructions(goarch: str, go: str) -> None:
    """All of them, but for lines of assembly that are prefixes: LOCK and REP, behind which the line changes."""
    found = disasm_checks.boundaries(stripped(goarch, go))
    assert found.wrong == []
    assert found.transitions > 3000


@pytest.mark.parametrize("go", RELEASES)
def test_lines_and_inline_stacks_are_those_of_the_runtime(go: str) -> None:
    found = disasm_checks.runtime_stacks(go)
    assert found.wrong == {}
    assert found.nested > 500


def documented(document: Disassembly, one: int) -> list[Frame]:
    """The stack that the document tells of its instruction number `one`."""
    row, calls = document.instructions[one], {call.node: call for call in document.inlined}
    file, line, node, frames = row.file, row.line, row.inlined, []
    while node >= 0:
        call = calls[node]
        frames.append(Frame(call.function, file, line or 0, call.wrapper))
        file, line, node = call.file, call.line, call.parent
    return [*frames, Frame(document.function, file, line or 0)]


def test_the_document_tells_the_same_stacks() -> None:
    binary = stripped("amd64")
    seen = 0
    for document in documents(binary):
        index = onefunction.find(binary, f"{document.address:#x}")
        offsets = np.array([row.offset for row in document.instructions], np.int64)
        stacks = Transitions(binary, index).stacks(offsets)
        for number, stack in enumerate(stacks):
            want = [(f.function, f.file, f.line) for f in stack.frames]
            assert [(f.function, f.file, f.line) for f in documented(document, number)] == want
            seen += len(want) > 1
    assert seen > 1000


@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("goarch", ["amd64", "arm64"])
def test_lines_are_those_of_addr2line(goarch: str, go: str) -> None:
    found = disasm_checks.tool_lines(build(goarch, go), go)
    assert found.wrong == {}
    assert found.compared > 10_000
