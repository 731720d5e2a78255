"""`goforensics pcdata`: documents that add up, rows in the order asked for, three formats, hostile input."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import get_args

import builds
import msgspec
import mutants
import pytest
from jsonschema import Draft202012Validator
from test_macho import fat

import goforensics.binary
from goforensics.analysis import levers
from goforensics.analysis.pcreport import Asked
from goforensics.analysis.pcreport import pcdata as document_of
from goforensics.errors import GoForensicsError, UsageError
from goforensics.rebuild import savings
from goforensics.renderers import View, render
from goforensics.report import TransitionCause
from goforensics.report_pcdata import (
    By,
    CalleeRow,
    CalleeSums,
    FunctionRow,
    LeverRow,
    PartBytes,
    PartTotal,
    Pcdata,
    PcdataImage,
    Remainder,
    Sums,
)

GREETER = Path(__file__).resolve().parent.parent / "testdata" / "greeter"


def shown(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "goforensics", "pcdata", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("by", ["function", "inlined"])
@pytest.mark.parametrize("top", [None, 3])
def test_documents_sum_and_keep_to_the_schema(by: str, top: int | None) -> None:
    text = resources.files("goforensics").joinpath("schemas/pcdata-1.json").read_text(encoding="utf-8")
    asked = Asked(by=by, package="runtime/...", top=top, why=2, levers=True)  # type: ignore[arg-type]
    document = document_of(goforensics.binary.open(GREETER), asked)
    Draft202012Validator(json.loads(text)).validate(json.loads("".join(render(document, "json"))))
    image = document.images[0]
    if by == "inlined":
        sums = (image.callees_left_out, image.callees_filtered_out)
        code = sum(row.code_bytes for row in image.callees) + sum(each.code_bytes for each in sums)
        assert image.own_code_bytes is not None
        assert code + image.own_code_bytes == image.code_bytes
        assert top is None or len(image.callees) == top
        return
    sums_of = (image.left_out, image.filtered_out)
    rows = sum(row.pclntab_bytes for row in image.functions) + sum(each.pclntab_bytes for each in sums_of)
    assert rows + sum(part.bytes for part in image.remainder) == image.size
    assert (
        sum(p.own + p.shared for p in image.parts if p.in_pclntab) + sum(p.bytes for p in image.remainder) == image.size
    )
    assert image.filtered_out.functions > 0
    for row in image.functions:
        inside = [row.parts[p.name] for p in image.parts if p.in_pclntab and p.name in row.parts]
        assert row.pclntab_bytes == row.own + row.apportioned == sum(p.own + p.apportioned for p in inside)
        assert row.package.startswith("runtime")
        assert row.transitions == sum(part.transitions or 0 for part in row.parts.values())


@pytest.mark.parametrize("by", ["function", "inlined"])
@pytest.mark.parametrize("sort", ["pcdata", "pcln", "total", "density"])
def test_rows_come_in_the_order_asked_for(by: str, sort: str) -> None:
    image = document_of(goforensics.binary.open(GREETER), Asked(by=by, sort=sort)).images[0]  # type: ignore[arg-type]

    def key(row: FunctionRow | CalleeRow) -> float:
        if isinstance(row, FunctionRow):
            return {"pcdata": row.pcdata_bytes, "pcln": row.line_bytes, "total": row.pclntab_bytes}.get(
                sort, row.density or 0
            )
        tables = row.total_bytes - row.code_bytes
        density = tables / row.code_bytes if row.code_bytes else 0
        return {"pcdata": row.index_bytes, "pcln": row.line_bytes, "total": row.total_bytes}.get(sort, density)

    keys = [key(row) for row in (image.functions or image.callees)]
    assert len(keys) > 100
    assert keys == sorted(keys, reverse=True)


def test_a_filter_by_name_is_a_search() -> None:
    image = document_of(goforensics.binary.open(GREETER), Asked(function=r"^main\.")).images[0]
    assert {row.function for row in image.functions} >= {"main.main"}
    assert all(row.function.startswith("main.") for row in image.functions)


@pytest.mark.parametrize("expression", ["(", "*", "(((a{100}){100}){100})", r"(?=x)", r"(a)\1", "a" * 2000, "\udc80"])
def test_wrong_expressions_are_usage_errors(expression: str) -> None:
    with pytest.raises(UsageError) as caught:
        document_of(goforensics.binary.open(GREETER), Asked(function=expression))
    assert "\n" not in str(caught.value)


def test_a_catastrophic_expression_ends_soon() -> None:
    begun = time.thread_time()
    image = document_of(goforensics.binary.open(GREETER), Asked(function="(.*)*(.*)*(.*)*(.*)*x{50}$")).images[0]
    assert time.thread_time() - begun < 5
    assert not image.functions


def test_the_command_tells_wrong_usage_in_one_line() -> None:
    result = shown(str(GREETER), "--function", "(")
    assert (result.returncode, result.stdout) == (2, "")
    assert "RE2" in result.stderr
    assert "Traceback" not in result.stderr


def test_text_adds_up_and_ends_with_the_total() -> None:
    document = document_of(goforensics.binary.open(GREETER), Asked(top=4, package="runtime"))
    lines = "".join(render(document, "text", View(top=4, width=160))).splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["function", "PCDATA"])
    end = next(i for i, line in enumerate(lines) if line.split()[:1] == ["total"])
    column = lines[start].index("  all ") + len("  all")
    figures = [int(line[:column].split()[-1].replace(",", "")) for line in lines[start + 1 : end + 1]]
    assert figures[-1] == document.images[0].size == sum(figures[:-1])
    assert sum("filtered out" in line for line in lines) == 1
    short = "".join(render(document, "text", View(top=2, width=160)))
    assert f"({document.images[0].left_out.functions + 2:,} others)" in short


@pytest.mark.parametrize("by", ["function", "inlined"])
def test_csv_has_every_row(by: str) -> None:
    document = document_of(goforensics.binary.open(GREETER), Asked(by=by))  # type: ignore[arg-type]
    head, *rows = csv.reader(io.StringIO("".join(render(document, "csv")), newline=""), strict=True)
    image = document.images[0]
    assert len(rows) == len(image.functions) + len(image.callees) > 100
    assert {len(row) for row in rows} == {len(head)}
    first = dict(zip(head, rows[0], strict=True))
    if by == "function":
        part = image.functions[0].parts["pcln"]
        assert int(first["pcln:own"]) == part.own
        assert int(first["pcln:transitions"]) == part.transitions
    else:
        assert int(first["copies"]) == image.callees[0].copies


@pytest.mark.builds
def test_slices_have_an_image_each(tmp_path: Path) -> None:
    slices = [builds.executable(builds.Build("hello", "1.27", "darwin", arch)) for arch in ("amd64", "arm64")]
    (tmp_path / "fat").write_bytes(fat(*(path.read_bytes() for path in slices)))
    found = document_of(goforensics.binary.open(tmp_path / "fat"), Asked(top=1))
    assert [image.goarch for image in found.images] == ["amd64", "arm64"]
    for image, path in zip(found.images, slices, strict=True):
        alone = document_of(goforensics.binary.open(path), Asked(top=1)).images[0]
        assert (image.parts, image.remainder, image.functions) == (alone.parts, alone.remainder, alone.functions)
        assert image.offset > alone.offset
    assert "".join(render(found, "text")).count("Functions, by") == 2


def test_causes_are_told_of_the_first_rows_and_count_every_transition() -> None:
    document = document_of(goforensics.binary.open(GREETER), Asked(why=4))
    first, others = document.images[0].functions[:4], document.images[0].functions[4:]
    assert len(others) > 100
    assert all(row.why is None for row in others)
    for row in first:
        assert row.why is not None
        changes: Counter[str] = Counter()
        for each in row.why:
            changes[each.table] += each.transitions * (each.cause != "entry")
        said = {name: part.transitions for name, part in row.parts.items() if part.transitions}
        assert +changes == said
        assert changes.total() == row.transitions
    text = "".join(render(document, "text", View(top=5, width=160)))
    assert [line.split()[0] for line in text.splitlines() if " transitions: " in line] == [
        f"{row.transitions:,}" for row in first
    ]


def test_the_most_frequent_causes_come_first_in_text() -> None:
    why = [
        *(TransitionCause("pcsp", cause, 1, None) for cause in ("entry", "return", "stack growth", "jump")),
        *(TransitionCause("pcln", f"inlined body {what}", 2, 8) for what in ("begins", "ends")),
        TransitionCause("pcln", "new line", 3, 9),
    ]
    assert with_why(why) == "10 transitions: inlined bodies 40 %, new lines 30 %, returns 10 %, stack growth 10 %"
    assert with_why([TransitionCause("pcsp", "entry", 1, None)]) == "no transitions"
    unknown = [TransitionCause("pcln", cause, 1, None) for cause in ("entry", "not known")]
    assert with_why(unknown) == "1 transition, of causes not known: the code is not decoded"


def with_why(why: list[TransitionCause]) -> str:
    """What the text says beneath a function."""
    document = made_up("name")
    image = document.images[0]
    row = msgspec.structs.replace(image.functions[0], why=why)
    document = msgspec.structs.replace(document, images=[msgspec.structs.replace(image, functions=[row])])
    return next(
        line.strip()
        for line in "".join(render(document, "text", View(width=160))).splitlines()
        if " transition" in line
    )


@pytest.mark.parametrize("by", ["function", "inlined"])
def test_levers_are_those_of_the_file(by: By) -> None:
    binary = goforensics.binary.open(GREETER)
    image = document_of(binary, Asked(by=by, top=3, levers=True)).images[0]
    found = levers.levers(binary)
    assert image.levers is not None
    assert [(row.name, tuple(row.flags), row.pclntab_bytes, row.bound) for row in image.levers] == [
        (each.name, each.flags, each.pclntab_bytes, each.bound) for each in found
    ]
    assert {each.flags for each in found} == set(levers.PRICE)
    assert image.compressible == savings.document(binary).compressible


def test_text_says_what_flags_change_and_how_to_measure_it() -> None:
    binary = goforensics.binary.open(GREETER)
    text = "".join(render(document_of(binary, Asked(top=3, levers=True)), "text", View(top=3, width=160)))
    section = text[text.index("What flags would change") :]
    for each in levers.levers(binary):
        assert f"{each.pclntab_bytes:+,}" in section
        assert (f"± {each.bound:,}" in section) != each.exact
        assert section.count(f" {' '.join(each.flags)} ") == 1
    assert all(price in section for price in levers.PRICE.values())
    assert "goforensics matrix PACKAGE --levers" in section
    assert "Only compressible" in section


def test_a_lever_without_an_estimate_says_so() -> None:
    document = made_up("name")
    row = LeverRow("trees", ["-x"], -4, 0, True, "trees", "speed")
    document = msgspec.structs.replace(document, images=[msgspec.structs.replace(document.images[0], levers=[row])])
    text = "".join(render(document, "text", View(width=160)))
    assert "exact" in text
    assert "not estimated" in text
    none = msgspec.structs.replace(document, images=[msgspec.structs.replace(document.images[0], levers=[])])
    assert "nothing: the file has none" in "".join(render(none, "text", View(width=160)))


@pytest.mark.parametrize(
    "arguments", [("--why", "--by", "inlined"), ("--why", "--format", "csv"), ("--levers", "--format", "csv")]
)
def test_options_that_exclude_each_other(arguments: tuple[str, ...]) -> None:
    result = shown(str(GREETER), *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("option", "loaded"), [((), "[]"), (("--why",), "['capstone']")])
def test_code_is_decoded_only_for_those_who_ask(option: tuple[str, ...], loaded: str) -> None:
    arguments = ["pcdata", str(GREETER), "--output", os.devnull, *option]
    program = (
        f"import sys; from goforensics.cli import main; main({arguments!r})\n"
        "print([name for name in ('capstone', 'lief') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == loaded


NASTY = ("\x1b[31m", "\u202e", "[red]x[/red]", "=1+1", "\x00\x07\r")


def made_up(text: str) -> Pcdata:
    """Both listings, with a text wherever a file's could be."""
    function = FunctionRow(text, text, None, 0, 9, 9, 0, 0, 4, 5, 3, None, 2, {text: PartBytes(9, 0, 0, 2)})
    callee = CalleeRow(text, text, 3, 1, 1, 1, 0, 10, 48, 2, 3, 1, 63, 20, 80, None, None)
    image = PcdataImage(
        goarch=text,
        offset=0,
        image_size=100,
        section=text,
        layout="1.26",
        table_offset=1,
        size=10,
        code_bytes=10,
        parts=[PartTotal(text, "line", True, 9, 0), PartTotal("outside", "function data", False, 3, 0)],
        remainder=[Remainder(text, 1)],
        functions=[function],
        left_out=Sums(1, 0, 0, 0, 0),
        filtered_out=Sums(2, 0, 0, 0, 0),
        callees=[callee],
        callees_left_out=CalleeSums(1),
        callees_filtered_out=CalleeSums(2),
        own_code_bytes=0,
        unread=[],
    )
    return Pcdata(path=text, size=100, sha256="", by="function", sort="total", images=[image, image])


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("by", ["function", "inlined"])
@pytest.mark.parametrize("format_", ["text", "csv"])
def test_nothing_hostile_gets_through(text: str, by: str, format_: str) -> None:
    document = made_up(text)
    document = msgspec.structs.replace(document, by=by)
    out = "".join(render(document, format_, View(width=200)))
    assert not {"\x1b", "\u202e", "\x00", "\x07", "\r"} & set(out)
    if format_ == "text":
        assert "[red]x[/red]" in out or text != "[red]x[/red]"
    else:
        cells = [cell for row in csv.reader(io.StringIO(out)) for cell in row]
        assert not any(cell.startswith("=") for cell in cells)


@pytest.mark.builds
def test_mutants_are_errors_or_add_up(tmp_path: Path) -> None:
    path, wrong, read = tmp_path / "mutant", [], 0
    build = builds.Build("hello", "1.27")
    for number, (kind, data) in enumerate(mutants.mutants(builds.executable(build).read_bytes(), seed=3)):
        path.write_bytes(data)
        for by in get_args(By):
            begun = time.perf_counter()
            try:
                asked = Asked(by=by, top=5, why=2, levers=number % 8 == 0)  # these compress the table, which takes time
                image = document_of(goforensics.binary.open(path), asked).images[0]
            except GoForensicsError:
                continue
            finally:
                if time.perf_counter() - begun > 10:
                    wrong.append(f"{number} {kind}: slow")
            read += 1
            rows = [*image.functions, image.left_out, *image.remainder]
            size = sum(getattr(row, "bytes", getattr(row, "pclntab_bytes", 0)) for row in rows)
            code = sum(row.code_bytes for row in image.callees) + image.callees_left_out.code_bytes
            if by == "function" and size != image.size:
                wrong.append(f"{number} {kind}: {size} of {image.size}")
            if image.own_code_bytes is not None and code + image.own_code_bytes != image.code_bytes:
                wrong.append(f"{number} {kind}: code {code}")
    assert wrong == []
    assert read > 40
