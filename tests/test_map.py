"""`goforensics map`: the same rows in every format, every byte once, and names that act nowhere."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import subprocess
import sys
from collections import Counter
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

import goforensics
from goforensics import cli
from goforensics.analysis import maprows
from goforensics.bytemap import COLUMNS, ByteMap, Claims, Level
from goforensics.errors import UsageError
from goforensics.renderers import View, file_renderer, render
from goforensics.renderers.plain import plain
from goforensics.report import ByteMapDocument, MapRow, Unread

GREETER = Path(__file__).resolve().parent.parent / "testdata" / "greeter"
HOSTILE = (
    "=cmd|'/c calc'!A1",
    "+1",
    "-1",
    "@SUM(A1)",
    "＝1",  # noqa: RUF001
    "\t=1",
    "\r=1",
    'a,"b"\r\n=2',
    "\x1b[31;1m\x1b]0;owned\x07",
    "\x9b31m",
    "\u202e\u2028\x00\x7f",
    "[red]x[/red]",
    "it's",
)


@pytest.fixture(scope="module")
def document() -> ByteMapDocument:
    return maprows.document(goforensics.open(GREETER))


def made_up(*names: str) -> ByteMapDocument:
    """A document with a row per name, which is in every column that can hold one."""
    rows = [
        MapRow(i, 1, name, name, name, name, name, name, "unknown", None, name, name) for i, name in enumerate(names)
    ]
    return ByteMapDocument(path="app", size=len(names), sha256="00", unread=[], rows=rows)


def as_csv(document: ByteMapDocument) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(render(document, "csv")), newline=""), strict=True))


def as_json(document: ByteMapDocument) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(render(document, "json")))
    return found


def as_parquet(document: ByteMapDocument, path: Path) -> list[tuple[Any, ...]]:
    import duckdb

    writer = file_renderer("parquet")
    assert writer is not None
    writer.write([document], path)
    with duckdb.connect() as database:
        return database.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()


def tuples(document: ByteMapDocument) -> list[tuple[Any, ...]]:
    return [msgspec.structs.astuple(row) for row in document.rows]


def test_the_rows_are_the_file(document: ByteMapDocument) -> None:
    rows = list(document.rows)
    assert rows[0].offset == 0
    assert all(one.offset + one.size == after.offset for one, after in pairwise(rows))
    assert rows[-1].offset + rows[-1].size == document.size == GREETER.stat().st_size
    assert all(row.size > 0 for row in rows)


def test_neighbours_differ(document: ByteMapDocument) -> None:
    said = [row[2:] for row in tuples(document)]
    assert all(one != after for one, after in pairwise(said))


def test_the_rows_are_the_maps(document: ByteMapDocument) -> None:
    bytemap = goforensics.bytemap_of(goforensics.open(GREETER))
    assert isinstance(bytemap, ByteMap)
    for row in document.rows[::97]:
        said = [text or ("unknown" if name == "origin" else None) for name, text in bytemap.owner(row.offset).items()]
        assert msgspec.structs.astuple(row)[2:] == tuple(said)
    packages: Counter[str] = Counter()
    for row in document.rows:
        packages[row.package or f"({row.origin})"] += row.size
    grouped: Counter[str] = Counter()
    for group in bytemap.group(("package",)):
        grouped[group.path[0]] += group.bytes
    assert packages == grouped


def test_the_members_are_the_columns() -> None:
    assert MapRow.__struct_fields__ == ("offset", "size", *(c.replace("users", "shared_by") for c in COLUMNS))


def test_rows_are_a_sequence() -> None:
    claims = [Claims.of(s, Level.ITEM, [r], package=p) for s, r, p in (("a", (1, 3), "x"), ("b", (3, 5), "x"))]
    rows = maprows.rows(ByteMap.build(8, claims))
    assert [(row.offset, row.size, row.package, row.origin) for row in rows] == [
        (0, 1, None, "unknown"),
        (1, 4, "x", "unknown"),
        (5, 3, None, "unknown"),
    ]
    assert (len(rows), rows[-1], rows[1:]) == (3, rows[2], [rows[1], rows[2]])
    with pytest.raises(IndexError):
        rows[3]


def test_the_formats_agree(document: ByteMapDocument, tmp_path: Path) -> None:
    rows = tuples(document)
    assert [tuple(row.values()) for row in as_json(document)["rows"]] == rows
    assert as_parquet(document, tmp_path / "map") == rows
    header, *lines = as_csv(document)
    assert tuple(header) == MapRow.__struct_fields__
    # A string in the program may hold what cannot be printed, which CSV has as its escape.
    assert lines == [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]


def test_json_keeps_to_its_schema(document: ByteMapDocument) -> None:
    text = resources.files("goforensics").joinpath("schemas/map-1.json").read_text(encoding="utf-8")
    validator = Draft202012Validator(json.loads(text))
    few = msgspec.structs.replace(document, rows=document.rows[:200], unread=[Unread("dwarf", 1, "cut short")])
    for each in (few, made_up(*HOSTILE, "\udcff"), made_up()):
        validator.validate(as_json(each))
    assert as_json(few)["schema"] == "goforensics.map/1"


def test_a_document_without_rows(tmp_path: Path) -> None:
    assert as_json(made_up())["rows"] == []
    assert as_csv(made_up()) == [list(MapRow.__struct_fields__)]
    assert as_parquet(made_up(), tmp_path / "none") == []


def test_names_are_exact_for_machines(tmp_path: Path) -> None:
    document = made_up(*HOSTILE)
    assert [row["symbol"] for row in as_json(document)["rows"]] == list(HOSTILE)
    assert as_parquet(document, tmp_path / "map") == tuples(document)


def test_a_byte_that_was_not_utf8(tmp_path: Path) -> None:
    document = made_up("x\udcff")
    assert as_json(document)["rows"][0]["symbol"] == "x\\udcff"
    assert as_parquet(document, tmp_path / "map")[0][2] == "x\\udcff"
    assert as_csv(document)[1][2] == "x\\xff"


def test_text_is_found_after_a_long_stretch_of_nothing(tmp_path: Path) -> None:
    rows = [MapRow(i, 1, None, None, None, None, None, None, "unknown", None, None, None) for i in range(70_000)]
    document = msgspec.structs.replace(made_up(), rows=[*rows, *made_up("late").rows])
    assert as_parquet(document, tmp_path / "map")[-1][-1] == "late"


def test_csv_acts_in_no_spreadsheet_and_on_no_terminal() -> None:
    text = "".join(render(made_up(*HOSTILE), "csv"))
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.count("\n") == len(HOSTILE) + 1
    cells = [cell for row in as_csv(made_up(*HOSTILE))[1:] for cell in row]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@＝"))]  # noqa: RUF001
    assert "'=cmd|'/c calc'!A1" in cells
    assert "it's" in cells


def test_text_is_short_and_harmless(document: ByteMapDocument) -> None:
    shown = "".join(render(document, "text", View(top=5)))
    assert "--format csv, json or parquet" in shown
    assert len(shown.splitlines()) == 12
    assert shown.splitlines()[-1].split() == ["total", f"{document.size:,}", "100.0", "%"]
    for name in HOSTILE:
        assert all(line.isprintable() for line in "".join(render(made_up(name), "text")).splitlines())


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_an_inspection_has_no_rows(format_: str, tmp_path: Path) -> None:
    from samples import sample

    writer = file_renderer(format_)
    with pytest.raises(UsageError, match="--format json"):
        writer.write([sample()], tmp_path / "x") if writer else list(render(sample(), format_))


# The command.


def test_csv_goes_to_standard_output(document: ByteMapDocument, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["map", str(GREETER)]) == 0
    assert capsys.readouterr().out == "".join(render(document, "csv"))


def test_parquet_is_a_file(document: ByteMapDocument, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import duckdb

    output = tmp_path / "app.parquet"
    assert cli.main(["map", str(GREETER), "--format", "parquet", "-o", str(output)]) == 0
    assert duckdb.execute(f"SELECT sum(size), count(*) FROM '{output}'").fetchall() == [
        (document.size, len(document.rows))
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["app.parquet"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [[], ["-o", "-"]])
def test_parquet_needs_a_file(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["map", str(GREETER), "--format", "parquet", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "name a file for it with -o OUT" in shown.err


def test_parquet_on_no_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["map", str(GREETER), "--format", "parquet", "-o", os.devnull]) == 2
    assert "no ordinary file" in capsys.readouterr().err


def test_parquet_without_duckdb(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.delitem(sys.modules, "goforensics.renderers.parquet_document", raising=False)
    assert cli.main(["map", str(GREETER), "--format", "parquet", "-o", str(tmp_path / "x")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("goforensics: Parquet needs DuckDB: pip install 'goforensics[parquet]'")
    assert shown.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, script = tmp_path / "app.parquet", tmp_path / "script"
    output.write_text("old")
    script.write_text("#!/bin/sh\n")
    assert cli.main(["map", str(script), "--format", "parquet", "-o", str(output)]) == 2
    assert capsys.readouterr().err.startswith(f"goforensics: {script}: ")
    assert output.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.parquet", "script"]


def test_a_partial_map_says_so(
    document: ByteMapDocument, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = msgspec.structs.replace(document, unread=[Unread("dwarf", 1, "cut short")])
    monkeypatch.setattr(maprows, "document", lambda binary: broken)
    assert cli.main(["map", str(GREETER), "--format", "json"]) == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out)["unread"] == [{"structure": "dwarf", "offset": 1, "reason": "cut short"}]
    assert shown.err == f"goforensics: {GREETER}: 1 structure could not be read; goforensics inspect says which\n"


def test_only_parquet_needs_duckdb() -> None:
    code = "import sys; from goforensics.cli import main; main(['map', sys.argv[1]]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(GREETER)], capture_output=True, text=True, check=True)
    assert not {"duckdb", "rich"} & set(done.stdout.splitlines()[-1].split())


def test_lief_is_for_other_containers_than_elf() -> None:
    code = "import sys; from goforensics.cli import main; main(['inspect', sys.argv[1]]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, GREETER], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "goforensics.rebuild.elf" in loaded
    assert not {"lief", "goforensics.rebuild.savings"} & loaded


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from goforensics.cli import main; main(['map', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Examples:" in done.stdout
    assert not {"numpy", "rich", "msgspec", "duckdb"} & set(done.stdout.splitlines()[-1].split())


@pytest.mark.builds
def test_a_universal_file_is_mapped_whole(tmp_path: Path) -> None:
    from builds import Build, executable

    parts = [executable(Build("hello", "1.26", goos="darwin", goarch=arch)).read_bytes() for arch in ("amd64", "arm64")]
    at, rows, body = 1 << 14, b"", b""
    for cpu, part in zip((0x01000007, 0x0100000C), parts, strict=True):
        rows += struct.pack(">5I", cpu, 0, at + len(body), len(part), 14)
        body += part + bytes(-len(part) % (1 << 14))
    path = tmp_path / "universal"
    path.write_bytes((struct.pack(">II", 0xCAFEBABE, 2) + rows).ljust(at, b"\0") + body)
    document = maprows.document(goforensics.open(path))
    assert sum(row.size for row in document.rows) == document.size == path.stat().st_size
    sections = {(row.section or "").split(":")[0] for row in document.rows if row.package == "fmt"}
    assert sections == {"amd64", "arm64"}
