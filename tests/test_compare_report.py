"""The comparison as a person, a pull request, a spreadsheet and a program see it; and the command."""

from __future__ import annotations

import csv
import io
import json
import re
from importlib import resources
from pathlib import Path

import msgspec
import pytest
from builds import Build, executable
from jsonschema import Draft202012Validator

from goforensics.cli import main
from goforensics.renderers import View, render
from goforensics.report import Stripped, Unread
from goforensics.report_compare import (
    ChangedRow,
    Code,
    Compared,
    Comparison,
    Difference,
    Pair,
    Part,
    Rung,
    Table,
    Why,
)

HOSTILE = "a|b`c<img src=x>&amp;[l](http://x)@octocat #1\x1b[31m\n\u202e**b**\\|:+1:"
BUILDS = Build("hello", "1.27"), Build("hello", "1.27", flags=("-ldflags=-s",))


def sample(name: str = "app") -> Comparison:
    """Two files whose difference is in every kind of row; `name` is in every text that can come from a file."""
    rows = [
        ChangedRow(f"{name}.new", [f"{name}.new"], "added", 0, 300, 300),
        ChangedRow(f"{name}.old", [f"{name}.old"], "removed", 120, 0, -120),
        ChangedRow(f"{name}.to", [f"{name}.to"], "renamed", 50, 50, 0, [f"{name}.from"], [f"{name}: same code"]),
        ChangedRow(f"{name}.f", [f"{name}.f"], "changed", 30, 50, 20),
    ]
    table = Table("function", ["symbol"], rows, 2, 800, 1000, 1200, 200)
    rungs = (
        [Rung("go tool nm", "yes", "there"), Rung("delve", "limited", "half")],
        [
            Rung("go tool nm", "no", "no symbol table"),
            Rung("delve", "limited", "half"),
        ],
    )
    files = [
        Compared(f"{name}-{i}", size, size - 1000, "ab" * 32, "elf", "linux", "amd64", "go1.27", "exe", "internal",
                 Stripped(False, False), 9, list(rungs[i]), [Unread("dwarf", 16, name)])
        for i, size in enumerate((1000, 1200))
    ]  # fmt: skip
    pair = Pair(
        before=files[0].path,
        after=files[1].path,
        size_before=1000,
        size_after=1200,
        delta=200,
        verdict="code",
        conclusion="code differs: 1 changed",
        code=Code(2, 1, 0, 1, 1, 1, 40),
        build_id=[Part("action", "x", "y"), Part("content", "z", "z")],
        differences=[Difference("setting", name, None, name)],
        why=[Why("every exported method is now kept for reflection", [f"{name}: calls"])],
        tables=[table],
    )
    return Comparison(files=files, pairs=[pair])


def shown(document: Comparison, format_: str, top: int = 15, width: int = 100) -> str:
    return "".join(render(document, format_, View(top=top, width=width)))


@pytest.mark.parametrize("top", [1, 2, 15])
def test_the_lines_of_a_table_add_up(top: int) -> None:
    lines = shown(sample(), "text", top=top).partition("By function")[2].partition("What can")[0].splitlines()
    figures = [re.findall(r"(?<= )[+-]?[\d,]+(?=  |$)", line + "  ")[-3:] for line in lines[2:] if line.strip()]
    numbers = [[int(figure.replace(",", "")) for figure in row] for row in figures if len(row) == 3]
    *rows, total = numbers
    assert total == [1000, 1200, 200]
    assert [sum(column) for column in zip(*rows, strict=True)] == total


def test_the_answer_comes_first() -> None:
    lines = shown(sample(), "text", width=100).splitlines()
    assert lines[0].split() == ["app-0", "1,000", "bytes", "base"]
    assert lines[1].split() == ["app-1", "1,200", "bytes", "+200", "+20.0", "%"]
    assert lines[2].strip() == "code differs: 1 changed"


def test_text_from_files_never_acts() -> None:
    text = shown(sample(HOSTILE), "text", width=200)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert text.count("\n\n") == shown(sample("z" * 8), "text", width=200).count("\n\n")


def test_nothing_from_a_file_is_markdown() -> None:
    found, harmless = shown(sample(HOSTILE), "markdown"), shown(sample("zz"), "markdown")
    bare = re.sub(r"<code>(?:[\w .,/\-…]|&#\d+;)*</code>", "<code></code>", found)
    assert bare == re.sub(r"<code>[^<]*</code>", "<code></code>", harmless)
    assert "&#124;" in found  # it is there, as text


def test_markdown_tables_have_as_many_cells_as_columns() -> None:
    for block in re.split(r"\n\n+", shown(sample(HOSTILE), "markdown")):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, block


def test_csv_adds_up_and_is_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(shown(sample("=1+1"), "csv"))))
    assert sum(int(row["before"]) for row in rows) == 1000
    assert sum(int(row["after"]) for row in rows) == 1200
    assert sum(int(row["delta"]) for row in rows) == 200
    assert all(not (value or "").startswith("=") for row in rows for value in row.values())
    renamed = next(row for row in rows if row["change"] == "renamed")
    assert (renamed["was"], renamed["evidence"]) == ("'=1+1.from", "'=1+1: same code")


def test_json_keeps_to_the_shipped_schema() -> None:
    schema = json.loads(resources.files("goforensics").joinpath("schemas/compare-1.json").read_text(encoding="utf-8"))
    document = json.loads(shown(sample(HOSTILE), "json"))
    Draft202012Validator(schema).validate(document)
    assert msgspec.convert(document, Comparison) == sample(HOSTILE)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x"], "at least two"),
        (["-", "-"], "only once"),
        (["x", "y", "--by", "colour"], "no column 'colour'"),
        (["x", "y", "--filter", "nothing"], "COLUMN=VALUE"),
        (["x", "y", "--view", "mine"], "mine"),
    ],
)
def test_wrong_questions_are_told_at_once(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--help"]) == 0
    assert "goforensics compare app-1.4 app-1.5" in capsys.readouterr().out


@pytest.mark.builds
def test_an_unreadable_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, empty = str(executable(BUILDS[0])), tmp_path / "text"
    empty.write_text("no program")
    for bad in (str(empty), str(tmp_path / "missing")):
        assert main(["compare", good, bad]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith(f"goforensics: {bad}: ")
        assert output.err.count("\n") == 1


@pytest.mark.builds
@pytest.mark.parametrize("sort", ["delta", "size", "name"])
def test_rows_come_in_the_order_asked_for(sort: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(executable(build)) for build in BUILDS]
    assert main(["compare", *paths, "--by", "section", "--sort", sort, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["pairs"][0]["tables"][0]["rows"]
    key = {"delta": lambda r: -abs(r["delta"]), "size": lambda r: -max(r["before"], r["after"])}
    order = [key[sort](row) if sort in key else row["path"] for row in rows]
    assert order == sorted(order)
    assert len(rows) > 3


@pytest.mark.builds
def test_a_damaged_file_is_a_partial_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = executable(BUILDS[1])
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff Go buildinf:")
    data[at + 33] = 0xFF  # a length that runs on
    data[at + 34 : at + 45] = b"\xff" * 11
    other = tmp_path / "damaged"
    other.write_bytes(data)
    assert main(["compare", str(path), str(other), "--by", "section"]) == 3
    assert "Could not be read" in capsys.readouterr().out
