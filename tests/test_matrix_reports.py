"""What `matrix` recommends, and how its rows look in every format, whatever they are called."""

from __future__ import annotations

import gzip
import re
import sys
import types
from typing import Any

import pytest

from goforensics.matrix import compressed
from goforensics.matrix.recommend import recommend
from goforensics.renderers import render
from goforensics.renderers.matrix_tables import predicted, saving, shell
from goforensics.report_compare import Rung
from goforensics.report_matrix import (
    BuildMatrix,
    MatrixPrediction,
    MatrixRow,
    Measured,
    Reproducible,
    Startup,
)

TOOLS = ("go tool nm", "gdb source lines", "panic traces file:line")


def row(name: str, size: int, works: str = "yyy", paths: int = 0, same: bool | None = True, **more: Any) -> MatrixRow:
    """A measured row; `works` has a letter per tool: y, n or l."""
    answers: dict[str, Any] = {"y": "yes", "n": "no", "l": "limited"}
    measured = Measured(
        size=size,
        sha256="00",
        saved=10_000 - size,
        gzip_size=size // 2,
        symbols=3,
        dwarf_bytes=0,
        ladder=[Rung(tool, answers[w], "for a reason") for tool, w in zip(TOOLS, works, strict=True)],
        linking="static",
        leaked_paths=paths,
        leaked_bytes=0,
        build_id=more.pop("build_id", True),
        panic_traces=works[2] != "n",
    )
    known: dict[str, Any] = {"flags": [name], "env": {}, "trims_only": True, **more}
    return MatrixRow(name=name, measured=measured, reproducible=Reproducible(same), **known)


DEFAULT = row("default", 10_000, paths=9, same=False)


def _chosen(*rows: MatrixRow) -> str:
    found = recommend([DEFAULT, *rows], "default", {r.name: ["go", r.name] for r in (DEFAULT, *rows)})
    assert found is not None
    return found.row


def test_the_smallest_that_grants_all_wishes() -> None:
    assert _chosen(row("a", 5000), row("b", 6000), row("c", 4000, paths=1), row("d", 3000, same=False)) == "a"
    assert _chosen(row("a", 5000), row("b", 4000, works="yyn")) == "a"
    assert _chosen(row("a", 5000), row("b", 2000, trims_only=False)) == "a"


def test_next_to_nothing_is_not_worth_a_tool() -> None:
    assert _chosen(row("a", 5000, works="nny"), row("b", 4996, works="nny", build_id=False)) == "a"
    assert _chosen(row("a", 5000, works="nny"), row("b", 4990, works="nny", build_id=False)) == "b"


def test_what_it_costs_and_what_it_cannot_do_is_told() -> None:
    found = recommend([DEFAULT, row("a", 5000, "nnl", same=None, build_id=False)], "default", {"a": ["go"]})
    assert found is not None
    assert found.loses == ["go tool nm", "gdb source lines", "the Go build ID"]
    assert found.limits == ["panic traces file:line: for a reason"]
    assert found.misses == ["no candidate was shown to be reproducible"]
    assert "50.0 % less than the default build" in found.why[0]


def test_nothing_to_recommend() -> None:
    failed = MatrixRow(name="a", flags=[], env={}, trims_only=True, error="x")
    assert recommend([failed], "default", {}) is None


@pytest.mark.parametrize(
    ("prediction", "shown"),
    [
        (MatrixPrediction(declined="so"), "none"),
        (MatrixPrediction(100, True, 0, 0, True), "0 (exact)"),
        (MatrixPrediction(1100, False, 200, 112, True), "+112 (± 200)"),
        (MatrixPrediction(1100, True, 0, -1000, False), "MISSED -1,000 (exact)"),
    ],
)
def test_predictions_in_a_cell(prediction: MatrixPrediction, shown: str) -> None:
    assert predicted(prediction) == shown


def test_savings_in_a_cell() -> None:
    sizes = {10_000: "0 %", 9_999: "~0 %", 9_000: "-10.0 %", 11_000: "+10.0 %"}
    assert {size: saving(r.measured) for size in sizes if (r := row("a", size)).measured} == sizes


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["go", "build", "-ldflags=-s -w", "."], 'go build -ldflags="-s -w" .'),
        (["go", "build", "-tags=a,b"], "go build -tags=a,b"),
        (["go", "-ldflags=-X a=$b"], "go '-ldflags=-X a=$b'"),
        (["it's"], "'it'\\''s'"),
    ],
)
def test_a_line_for_a_shell(words: list[str], line: str) -> None:
    assert shell(words) == line


HOSTILE = ("\x1b[31m", "\u202e", "a|b", "<img src=x>", "`x` ``y``", "[a](http://b)", "@all", "=1+1", "x\ny", "\udcff")


def hostile(text: str) -> BuildMatrix:
    rows = [
        row(text, 10, notes=[text], startup=Startup(0, reason=text), flags=[text], env={text: text}),
        MatrixRow(name=f"{text}2", flags=[text], env={}, trims_only=False, error=text),
        row("default", 10_000, prediction=MatrixPrediction(declined=text)),
    ]
    return BuildMatrix(
        package=text,
        directory=text,
        go=text,
        go_version=text,
        goos=text,
        goarch=text,
        environment={"GOFLAGS": text},
        runs=1,
        rows=rows,
        default="default",
        recommended=recommend(rows, "default", {r.name: [text, r.name] for r in rows}),
        notes=[text],
    )


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("format_", ["text", "markdown_matrix", "csv_matrix"])
def test_names_act_nowhere(text: str, format_: str) -> None:
    out = "".join(render(hostile(text), format_))
    assert all(line.isprintable() for line in out.split("\n"))
    if format_ == "markdown_matrix":
        table = [line for line in out.splitlines() if line.startswith("| ")]
        assert max(line.replace("\\|", "").count("|") for line in table) == table[0].count("|")
        bare = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", out)  # without code spans, where nothing acts
        bare = re.sub(r"\\.", "", bare)  # and without what is escaped
        assert not [markup for markup in ("<img", "@all", "](", "://", "`x") if markup in bare]
    if format_ == "csv_matrix":
        assert not any(cell.startswith("=") for line in out.splitlines() for cell in line.split(","))


def test_the_answer_comes_first() -> None:
    out = "".join(render(hostile("app"), "text"))
    assert out.splitlines()[2].startswith("✓ Use       app")
    assert out.index("✗ Failed    app2: app") < out.index("Sizes")


# Compressed sizes.


def test_gzip_is_gzip() -> None:
    data = bytes(range(256)) * 9000  # more than one piece
    assert compressed.gzip_size(data) == len(gzip.compress(data, 6, mtime=0))


def test_zstd_where_the_library_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    library: Any = types.ModuleType("zstandard")
    asked = []

    class Compressor:
        def __init__(self, **options: Any) -> None:
            asked.append(options)

        def compress(self, data: bytes) -> bytes:
            return data[:7]

    library.ZstdCompressor = Compressor
    monkeypatch.setitem(sys.modules, "zstandard", library)
    assert compressed.has_zstd()
    assert compressed.zstd_size(b"x" * 99) == 7
    assert asked == [{"level": 3, "write_checksum": True}]


def test_zstd_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert not compressed.has_zstd()
    assert compressed.zstd_size(b"x") is None
    assert "zstd: not installed" in "".join(render(hostile("app"), "text"))
