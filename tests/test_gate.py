"""The gate: sums, limits and baselines on made sides, the command on real builds."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import builds
import msgspec
import pytest
import specimens_build
from jsonschema import Draft202012Validator
from specimens import build

from goforensics.analysis import gate
from goforensics.analysis.gate import Limits, Measured, OtherVersion, compare
from goforensics.binary import open as open_binary
from goforensics.cli import main
from goforensics.errors import UsageError
from goforensics.renderers import View, render
from goforensics.report_gate import Gate, Side

MODULE = "example.com/app"
LIMIT = 1000


def side(size: int, path: str = "app", module: str | None = MODULE, **fields: Any) -> Side:
    return Side(path, "0" * 64, size, module, MODULE, "linux", "amd64", "go1.27.3", **fields)


def measured(sizes: Mapping[Any, int], path: str = "app", module: str | None = MODULE, **fields: Any) -> Measured:
    return Measured(side(sum(sizes.values()), path, module, **fields), dict(sizes))


BEFORE = {(MODULE, "main"): 500, ("std", "fmt"): 2000, ("a.b/c", "a.b/c/x"): 700, ("(padding)", "(padding)"): 96}
AFTER = {(MODULE, "main"): 600, ("std", "fmt"): 2000, ("d.e/f", "d.e/f"): 1500, ("(padding)", "(padding)"): 96}


def both(limit: int = LIMIT, percent: str | None = None, per_module: bool = False) -> Gate:
    return compare(measured(BEFORE), measured(AFTER), Limits(limit, Decimal(percent) if percent else None, per_module))


def test_every_table_sums_to_the_difference() -> None:
    document = both()
    assert document.delta == sum(AFTER.values()) - sum(BEFORE.values())
    for table in document.tables:
        assert sum(row.delta for row in table.rows) == table.delta == document.delta
        assert sum(row.before for row in table.rows) + table.unchanged_bytes == sum(BEFORE.values())
        assert sum(row.after for row in table.rows) + table.unchanged_bytes == sum(AFTER.values())
    assert [(row.name, row.delta) for row in document.tables[0].rows] == [
        ("d.e/f", 1500),
        ("a.b/c", -700),
        (MODULE, 100),
    ]


def test_growth_of_exactly_the_limit_passes() -> None:
    growth = sum(AFTER.values()) - sum(BEFORE.values())
    assert both(growth).passed
    assert not both(growth - 1).passed
    share = Decimal(growth) * 100 / sum(BEFORE.values())
    assert both(growth, str(share.quantize(Decimal("0.0001")) + Decimal("0.0001"))).passed
    assert not both(growth, str(share.quantize(Decimal("0.0001")) - Decimal("0.0001"))).passed
    same = compare(measured(BEFORE), measured(BEFORE), Limits(0, Decimal(0), True))
    assert (same.passed, same.delta) == (True, 0)


def test_modules_have_the_same_limit() -> None:
    assert both(1499).passed
    document = both(1499, per_module=True)
    assert not document.passed
    assert [(b.name, b.growth) for b in document.budgets if not b.within] == [("d.e/f", 1500)]
    assert both(1500, per_module=True).passed


def test_a_baseline_stands_for_its_file() -> None:
    before, after = measured(BEFORE, "dir/app"), measured(AFTER)
    text = msgspec.json.encode(gate.baseline(before))
    read = gate.read_baseline("base.json", text)
    assert isinstance(read, Measured)
    direct, indirect = compare(before, after, Limits(LIMIT)), compare(read, after, Limits(LIMIT))
    assert indirect.tables == direct.tables
    assert indirect.before is not None
    assert indirect.before.baseline
    assert b"dir/" not in text


def _changed(**fields: object) -> bytes:
    return json.dumps(msgspec.to_builtins(gate.baseline(measured(BEFORE))) | fields).encode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no size baseline"),
        (b"{", "no size baseline"),
        (b"[]", "no size baseline"),
        (b"{}", "no size baseline"),
        (b"\xff", "no size baseline"),
        (b'{"schema":"goforensics.inspect/1"}', "goforensics.inspect/1"),
        (b'{"schema":' + b"[" * 100_000, "no size baseline"),
        (_changed(size=1), "do not add up"),
        (_changed(size="many"), "no size baseline"),
        (_changed(rows=[{"module": "a", "package": "b", "bytes": 1}] * 2, size=2), "do not add up"),
        (
            _changed(rows=[{"module": "a", "package": p, "bytes": n} for p, n in (("b", 3), ("c", -1))], size=2),
            "add up",
        ),
    ],
)
def test_what_is_no_baseline(text: bytes, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        gate.read_baseline("base.json", text)


def test_a_baseline_of_another_version() -> None:
    found = gate.read_baseline("base.json", b'{"schema":"goforensics.size-baseline/2","size":{}}')
    assert found == OtherVersion("goforensics.size-baseline/2")


def test_another_program() -> None:
    other = measured(AFTER, module="example.com/other")
    with pytest.raises(UsageError, match=r"example\.com/other"):
        compare(measured(BEFORE, baseline=True), other, Limits(LIMIT))
    assert "example.com/other" in compare(measured(BEFORE), other, Limits(LIMIT)).notes[0]
    for one, two in (("a.b/c", "a.b/c/v2"), ("gopkg.in/c.v2", "gopkg.in/c.v3"), ("a.b/c/v2", None)):
        document = compare(measured(BEFORE, module=one, baseline=True), measured(AFTER, module=two), Limits(LIMIT))
        assert document.notes == []


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("_/home/alice/src/dep", "_/dep"),
        ("/home/alice/x", "_/x"),
        ("_/C_/Users/alice/dep", "_/dep"),
        ("C:\\Users\\alice\\dep", "_/dep"),
        ("example.com/app/dep", "example.com/app/dep"),
        ("(padding)", "(padding)"),
        ("std", "std"),
    ],
)
def test_no_directory_of_the_machine(label: str, expected: str) -> None:
    assert gate.public(label) == expected


@pytest.mark.parametrize("text", ["\x1b[31m", "|x|", "<img src=x>", "[a](b)", "\u202e", "@you"])
@pytest.mark.parametrize("format_", ["text", "markdown_gate", "json"])
def test_text_from_a_file_is_harmless(text: str, format_: str) -> None:
    document = compare(
        measured({(text, text): 1}, text, text),
        measured({(text, text): 9, (text * 2, "p"): 1}, text, text + "x"),
        Limits(1, None, True),
    )
    shown = "".join(render(document, format_, View(width=200)))
    assert "\x1b" not in shown
    assert "\u202e" not in shown or format_ == "json"
    if format_ == "markdown_gate":
        assert not any(mark in shown.replace("<code>", "") for mark in ("<img", "[a](b)", "@you", "|x|"))


def _schema(name: str) -> Draft202012Validator:
    text = resources.files("goforensics").joinpath(f"schemas/{name}").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def test_documents_keep_to_their_schemas() -> None:
    _schema("gate-1.json").validate(json.loads("".join(render(both(10, "1.5", True), "json"))))
    _schema("size-baseline-1.json").validate(msgspec.to_builtins(gate.baseline(measured(BEFORE))))
    lonely = gate.alone(measured(AFTER), "why")
    _schema("gate-1.json").validate(msgspec.to_builtins(lonely))
    assert "why" in "".join(render(lonely, "text"))
    assert "why" in "".join(render(lonely, "markdown_gate"))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--against", "x", "--write-baseline", "y"],
        ["--against", "x", "--max-delta", "much"],
        ["--against", "x", "--max-delta", "-1"],
        ["--against", "x", "--max-delta-percent", "nan"],
        ["--against", "x", "--max-delta-percent", "-1"],
        ["--write-baseline", "y", "-o", "z"],
        ["--against", "/nowhere/x"],
        ["--against", "-"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "-", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def _hello(go: str, *flags: str) -> str:
    return str(builds.executable(builds.Build("hello", go, flags=flags)))


@pytest.mark.builds
@pytest.mark.parametrize("go", ["1.21", "1.25", "1.27"])
def test_the_command(go: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, large, base = _hello(go, builds.STRIP), _hello(go), str(tmp_path / "base.json")
    growth = Path(large).stat().st_size - Path(small).stat().st_size
    assert main(["gate", small, "--write-baseline", base]) == 0
    capsys.readouterr()
    for old in (small, base):
        assert main(["gate", large, "--against", old, "--max-delta", str(growth)]) == 0
        assert main(["gate", large, "--against", old, "--max-delta", str(growth - 1)]) == 1
        assert main(["gate", large, "--against", old, "--max-delta-percent", "1%"]) == 1
        assert main(["gate", small, "--against", old, "--max-delta", "0"]) == 0
        capsys.readouterr()
        assert main(["gate", large, "--against", old, "--format", "json"]) == 0
        document = msgspec.json.decode(capsys.readouterr().out, type=Gate)
        assert document.delta == growth
        assert all(sum(row.delta for row in table.rows) == growth for table in document.tables)
    for format_ in ("text", "markdown"):
        assert main(["gate", large, "--against", base, "--max-delta", "1KiB", "--format", format_]) == 1
        assert f"{growth - 1024:,} bytes over" in capsys.readouterr().out


@pytest.mark.builds
def test_the_default_budget_is_five_mebibytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large, grown = Path(_hello("1.27")), tmp_path / "grown"
    for growth, code in ((5 * 1024 * 1024, 0), (5 * 1024 * 1024 + 1, 1)):
        grown.write_bytes(large.read_bytes() + bytes(growth))
        assert main(["gate", str(grown), "--against", str(large)]) == code
        assert "5,242,880 bytes allowed" in capsys.readouterr().out


@pytest.mark.builds
def test_baselines_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new, base = _hello("1.27"), tmp_path / "base.json"
    found = msgspec.to_builtins(gate.baseline(gate.measure(open_binary(new))))
    for changed, code, message in (
        ({"schema": "goforensics.size-baseline/2"}, 3, "size-baseline/2"),
        ({"schema": "another/1"}, 2, "another/1"),
        ({"module": "example.com/other"}, 2, "example.com/other"),
    ):
        base.write_text(json.dumps(found | changed))
        assert main(["gate", new, "--against", str(base)]) == code
        assert message in capsys.readouterr().err
    base.write_text("{broken")
    assert main(["gate", new, "--against", str(base)]) == 2
    assert "no size baseline" in capsys.readouterr().err
    base.write_bytes(b"\x7fELF")
    assert main(["gate", new, "--against", str(base)]) == 2


@pytest.mark.builds
def test_a_baseline_has_no_directory_in_it(tmp_path: Path) -> None:
    path = build(specimens_build.GOPATH, "1.27")
    base = tmp_path / "base.json"
    assert main(["gate", str(path), "--write-baseline", str(base)]) == 0
    text = base.read_text()
    assert '"_/dep"' in text
    assert str(Path.home()) not in text
    assert str(path.parent) not in text


def test_the_command_says_what_it_does() -> None:
    command = importlib.import_module("goforensics.commands.gate").command
    assert "5MiB" in command.get_help(command.make_context("gate", ["x"], resilient_parsing=True))
