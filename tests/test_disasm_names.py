"""Disassembly of real builds: references against the linker, causes, other systems, broken files, the command."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import builds
import linktruth
import mutants
import numpy as np
import pytest
import test_macho as macho
from disasm_samples import ARCHES, NEWEST, build, documents, sample, stripped

import goforensics
from goforensics.analysis import causes, disasm, referents
from goforensics.analysis.instructions import Instruction
from goforensics.analysis.transitions import Transitions
from goforensics.binary import Binary
from goforensics.cli import main
from goforensics.errors import GoForensicsError, UsageError
from goforensics.renderers import render
from goforensics.report_disasm import Instruction as DocumentRow
from goforensics.sections import pclntab

pytestmark = pytest.mark.builds


# What the linker writes into code is only now and then an address: the others are of thread-local storage, or marks.
ADDRESSES = re.compile(r"R_(PCREL|CALL\w*|GOTPCREL|ADDRARM64|ADDR|ARM64_\w+|RISCV_\w+|ADDRPOWER\w*)$")


@pytest.mark.parametrize("goarch", ["amd64", "arm64"])
@pytest.mark.parametrize(("program", "go"), [("hello", "1.22"), ("hello", "1.27"), ("app", "1.27")])
def test_references_are_the_linkers(program: str, go: str, goarch: str) -> None:
    """Every address that the linker put into the sampled functions, and no other; strings to the byte."""
    truth = linktruth.truth(builds.Build(program, go, goarch=goarch, flags=linktruth.STRIPPED))
    binary = goforensics.open(truth.path)
    wanted = written(truth)
    lost, wrong, invented, texts = [], [], [], 0
    for document in documents(binary):
        spans = [row.address for row in document.instructions]
        expected = {at for at in wanted if spans[0] <= at < spans[-1] + document.instructions[-1].size}
        for row in document.instructions:
            here = [at for at in expected if row.address <= at < row.address + row.size]
            found = row.reference
            if found is None:
                lost += [f"{document.function} {row.address:#x} {row.mnemonic} {row.operands}" for _ in here]
            elif here and found.address != wanted[here[0]][0] + behind(goarch, row, here[0]):
                wrong.append(f"{document.function} {row.address:#x}: {found.address:#x} {wanted[here[0]]}")
            elif not here and not document.address <= found.address < document.address + document.size:
                invented.append(f"{document.function} {row.address:#x}: {found}")
            elif here and found.kind == "string":
                name, size = wanted[here[0]][1:]
                if not name.startswith(("go:string.", "go.string.")):
                    assert size == 8, name  # the linker puts a short string into another symbol of the same content
                    continue
                texts += 1
                if size != len((found.text or "").encode()):
                    wrong.append(f"{document.function} {row.address:#x}: {found} {name}")
    assert (lost, wrong, invented) == ([], [], [])
    assert texts > 50


def behind(goarch: str, row: DocumentRow, at: int) -> int:
    """Bytes of the instruction behind the four of the address at `at`: amd64 counts from its end."""
    return row.address + row.size - at - 4 if goarch == "amd64" else 0


def written(truth: linktruth.Truth) -> dict[int, tuple[int, str, int]]:
    """By the address in code where it begins: the address that the linker put there, its symbol's name and size."""
    kinds = np.array([bool(ADDRESSES.match(name)) for name in truth.reloc_types])
    code = truth.section[truth.source] == ".text"
    rows = np.flatnonzero(code & (truth.target >= 0) & (truth.reloc_size > 0) & kinds[truth.reloc_type])
    found = {}
    for row in rows.tolist():
        target = int(truth.target[row])
        at = int(truth.address[truth.source[row]]) + int(truth.offset[row])
        value = int(truth.address[target]) + int(truth.addend[row])
        found[at] = (value, truth.name[target], int(truth.size[target]))
    return found


def by_cause(found: Sequence[causes.Cause]) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for row in found:
        counted[row.table, row.cause] += row.transitions
    return counted


@pytest.mark.parametrize("goarch", ARCHES)
def test_causes_account_for_every_transition_and_byte(goarch: str) -> None:
    binary = stripped(goarch)
    everything: Counter[tuple[str, str]] = Counter()
    for index in sample(binary):
        tables, found = Transitions(binary, index), causes.why(binary, index)
        for table in tables.tables:
            rows = [row for row in found if row.table == table.name]
            assert sum(row.transitions for row in rows) == len(table.start)
            assert sum(row.bytes or 0 for row in rows) == table.size
        everything += by_cause(found)
    total = sum(n for (_, cause), n in everything.items() if cause != "entry")
    vague = sum(n for (_, cause), n in everything.items() if cause in ("other", "not known"))
    assert vague <= total // 50, everything


def test_causes_go_with_the_flags_that_take_them_away() -> None:
    """What is laid to bounds checks is what -B takes away; what is laid to inlining is what -l does."""
    counted = []
    for flags in ((), ("-gcflags=all=-B",), ("-gcflags=all=-l",)):
        binary = goforensics.open(builds.executable(builds.Build("hello", NEWEST, flags=flags)))
        found: Counter[str] = Counter()
        for index in sample(binary, 600):
            for row in causes.why(binary, index):
                found[row.cause] += row.transitions
        counted.append(found)
    plain, unchecked, alone = counted
    assert plain["bounds check"] > 100
    assert unchecked["bounds check"] < plain["bounds check"] // 20  # what is left is written in assembly
    assert plain["inlined body begins"] > 1000
    assert alone["inlined body begins"] == 0


def test_an_architecture_that_capstone_does_not_know_has_its_tables() -> None:
    document = disasm.document(stripped("loong64"), "main.main")
    assert document.instructions == []
    assert any("loong64" in note for note in document.notes)
    assert {"pcsp", "pcfile", "pcln"} <= {table.name for table in document.tables}
    assert all(row.bytes for row in document.why)


def instructions(binary: Binary, name: str) -> list[Instruction]:
    return causes.decoded(binary, Transitions(binary, binary.read(pclntab.PARSER).names.index(name)))


@pytest.mark.parametrize("goarch", ARCHES)
def test_calls_jumps_and_returns_are_told(goarch: str) -> None:
    """main.main of hello calls fmt.Println's kin, checks its stack with a jump, and returns."""
    code = instructions(stripped(goarch), "main.main")
    groups = Counter(one.group for one in code)
    assert groups["call"] >= 2
    assert groups["jump"] >= 1
    assert groups["return"] == 1
    called = np.array([one.target for one in code if one.group == "call" and one.target is not None], np.uint64)
    names = {found.name for found in referents.function_names(stripped(goarch), called).values()}
    assert len(names) > 1
    assert any(name.startswith("fmt.Fprint") for name in names)


LIMIT = 10.0  # seconds for one function of a broken file


def test_mutants(tmp_path: Path) -> None:
    """Broken copies: a document, or an error of our own, soon."""
    whole = build("amd64", NEWEST)
    path, wrong, shown = tmp_path / "mutant", [], 0
    every = list(enumerate(mutants.mutants(whole.read_bytes())))
    for number, (kind, data) in random.Random(5).sample(every, min(150, len(every))):
        path.write_bytes(data)
        begun = time.perf_counter()
        try:
            for wanted in ("main.main", "fmt.Fprintln", "runtime.mallocgc"):
                document = disasm.document(goforensics.open(path), wanted)
                shown += sum(1 for _ in render(document, "text"))
        except GoForensicsError as error:
            if "\n" in str(error):
                wrong.append(f"{number} {kind}: more than one line")
        except Exception as error:
            wrong.append(f"{number} {kind}: {type(error).__name__}: {error}")
        if (seconds := time.perf_counter() - begun) > LIMIT:
            wrong.append(f"{number} {kind}: {seconds:.1f} s")
    assert wrong == []
    assert shown > 100


def universal(tmp_path: Path) -> Path:
    """A file with a slice for amd64 and one for arm64."""
    slices = [builds.executable(builds.Build("hello", NEWEST, "darwin", arch)) for arch in ("amd64", "arm64")]
    path = tmp_path / "universal"
    path.write_bytes(macho.fat(*(slice_.read_bytes() for slice_ in slices)))
    return path


def test_a_slice_of_a_universal_file(tmp_path: Path) -> None:
    binary = goforensics.open(universal(tmp_path))
    first = disasm.document(binary, "main.main")
    assert first.goarch == "amd64"
    assert any("--arch arm64" in note for note in first.notes)
    other = disasm.document(binary, "main.main", "arm64")
    assert (other.goarch, other.notes) == ("arm64", [])
    thin = goforensics.open(builds.executable(builds.Build("hello", NEWEST, "darwin", "arm64")))
    alone = disasm.document(thin, "main.main")
    assert other.instructions == alone.instructions
    assert other.offset == binary.slices[1].image.base + (alone.offset or 0)
    with pytest.raises(UsageError, match="amd64, arm64, not for 386"):
        disasm.document(binary, "main.main", "386")


@pytest.mark.parametrize(("goos", "goarch"), [("windows", "amd64"), ("darwin", "arm64")])
def test_other_systems(goos: str, goarch: str) -> None:
    document = disasm.document(
        goforensics.open(builds.executable(builds.Build("hello", NEWEST, goos, goarch))), "main.main"
    )
    named = {row.reference.name for row in document.instructions if row.reference}
    assert {"runtime.morestack_noctxt", "fmt.Fprintln", "type:string"} <= named
    assert any(name.startswith("go:itab.*os.File,io.Writer") for name in named)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(stripped("amd64").file.path)
    assert main(["disasm", path, "main.main"]) == 0
    assert "fmt.Fprintln" in capsys.readouterr().out
    assert main(["disasm", path, "main.main", "--bytes", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "goforensics.disasm/1"
    assert all(len(row["bytes"]) == 2 * row["size"] for row in document["instructions"])
    for wrong in (["nothing.here"], ["init"], ["0x1"], ["main.main", "--arch", "arm"]):
        assert main(["disasm", path, *wrong]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
    assert main(["disasm", f"{path}.not-there", "main.main"]) == 2
