"""The text report: what it says, and that no text from a file gets through to the terminal."""

from __future__ import annotations

import re
import time

import msgspec
import pytest
from rich.cells import cell_len
from samples import hostile, sample

from goforensics.errors import UsageError
from goforensics.renderers import View, render, render_all
from goforensics.renderers.plain import plain
from goforensics.renderers.text_tables import shortened
from goforensics.report import (
    DisputeRow,
    DynamicInfo,
    Inspection,
    LeakGroup,
    Leaks,
    SizeRow,
    Sizes,
    Slice,
    Stripped,
    UnknownRange,
    Unread,
)

HOSTILE = {
    "ansi": "\x1b[31;1m\x1b]0;owned\x07",
    "c1": "\x9b31m\x90",
    "markup": "[red]bold[/red][link=file:///etc/passwd]x[/link]:warning:",
    "lines": "\r\n\x0b\x0c\x85\u2028\u2029",
    "bidi": "\u202e\u2066\u200f\u061c",
    "invisible": "\u200b\ufeff\u00ad\x00\x7f\U000e0041",
    "surrogates": "\udcff\ud800",
    "backspace": "\x08\x08\x08",
}
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def show(document: Inspection, **view: int | bool) -> str:
    return "".join(render(document, "text", View(**view)))  # type: ignore[arg-type]


def full(text: str = "") -> Inspection:
    """The sample with every optional part."""
    document = msgspec.structs.replace(
        sample(),
        unread=[Unread("dwarf", 0x123, "abbreviation 9 is not declared")],
        disputes=[DisputeRow(0x1000, 64, ["pclntab", "symtab"])],
        unknown=[UnknownRange(0x2000, 32, ".rodata", "section"), UnknownRange(0x3000, 8, None, None)],
        unknown_bytes=8,
        section_only_bytes=32,
        sizes=msgspec.structs.replace(sample().sizes, view="apportioned", filter=["kind=code"], filtered_out=99),
    )
    return hostile(document, text) if text else document


@pytest.mark.parametrize("width", [60, 100, 160])
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_hostile_gets_through(name: str, width: int, color: bool) -> None:
    ours = full("z" * len(HOSTILE[name]))
    shown = show(full(HOSTILE[name]), width=width, color=color)
    bare = ANSI.sub("", shown) if color else shown
    assert all(c.isprintable() or c == "\n" for c in bare)
    # Its colours are ours and no more: the same codes as for a harmless name.
    assert set(ANSI.findall(shown)) == set(ANSI.findall(show(ours, width=width, color=color)))
    assert shown.count("\n\n") == show(ours, width=width).count("\n\n")
    shown.encode()


def test_markup_is_shown_as_it_is() -> None:
    assert "[red]bold[/red]" in show(hostile(sample(), "[red]bold[/red]"), width=160)


@pytest.mark.parametrize("width", [60, 100, 160])
def test_no_line_is_too_wide(width: int) -> None:
    for document in (full(), full("名前" * 20), full("x" * 500)):
        assert max(map(cell_len, show(document, width=width).splitlines())) <= width


def test_no_line_ends_in_spaces() -> None:
    assert not [line for line in show(full()).splitlines() if line != line.rstrip()]


def test_no_escape_codes_without_colour() -> None:
    assert "\x1b" not in show(full())
    assert "\x1b[" in show(full(), color=True)


def test_colour_changes_no_text() -> None:
    bare = ANSI.sub("", show(full(), color=True)).splitlines()
    assert [line.rstrip() for line in bare] == show(full()).splitlines()


def test_ascii_output_is_ascii() -> None:
    assert show(full(), ascii=True).isascii()


def test_the_environment_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = show(full())
    for name, value in {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "COLUMNS": "40", "JUPYTER_COLUMNS": "40"}.items():
        monkeypatch.setenv(name, value)
    assert show(full()) == before


@pytest.mark.parametrize(
    ("name", "room", "expected"),
    [
        ("github.com/a/b.(*T).Method", 26, "github.com/a/b.(*T).Method"),
        ("github.com/a/b.(*T).Method", 25, "…/b.(*T).Method"),
        ("github.com/a/b.F[go.shape.struct { x/y.Z }]", 9, "…/b.F[go.shape.struct { x/y.Z }]"),  # no directory of its
        ("type..eq.struct { a/b.C }", 9, "type..eq.struct { a/b.C }"),
        ("main.main", 1, "main.main"),
    ],
)
def test_a_long_name_loses_the_directories_of_its_path(name: str, room: int, expected: str) -> None:
    assert shortened(name, room) == expected


def test_the_answer_comes_first() -> None:
    lines = show(sample(), width=160).splitlines()
    assert lines[0] == "./bin/app"
    assert lines[1] == "36,123,456 bytes · ELF 64-bit linux/amd64 · go1.26.6"
    assert lines[2] == "example.com/shop/app@(devel) · exe · internal linking · not stripped"
    head = "\n".join(lines[3:8])
    assert "-s -w frees 8,420,000 ± 4,096 bytes, 23.3 % of the file" in head
    assert '→ go build -ldflags="-s -w"' in head
    assert "2,412 paths of the build machine" in head
    assert "→ go build -trimpath; drop -rpath from the linker flags" in head
    assert "CGO_ENABLED=0, if no C is needed" in head
    assert "libc.so.6 ≥ GLIBC_2.34" in show(sample(), width=200)


def test_a_clean_file_has_good_marks_only() -> None:
    document = msgspec.structs.replace(
        sample(),
        file=msgspec.structs.replace(sample().file, stripped=Stripped(True, True)),
        leaks=Leaks(0, 0, []),
        dynamic=DynamicInfo(None, [], [], [], {}, False, 0),
    )
    marks = [line[0] for line in show(document).split("\n\n")[0].splitlines()[3:]]
    assert marks == ["✓", "✓", "✓"]


def test_trimpath_is_not_advised_twice() -> None:
    build = msgspec.structs.replace(sample().build, settings={"-trimpath": "true"})
    leaks = Leaks(1, 9, [LeakGroup("/home/a", "home", 1, 9, ["rodata"], [])])
    shown = show(msgspec.structs.replace(sample(), build=build, leaks=leaks))
    assert "go build -trimpath" not in shown
    assert "built with -trimpath already; look in rodata" in shown


def test_trouble_is_in_the_verdicts_and_explained_at_the_end() -> None:
    shown = show(full())
    assert "1 structure could not be read: dwarf" in shown
    assert "1 range (64 bytes) claimed by two structures" in shown
    assert shown.splitlines()[-1].split() == ["dwarf", "at", "0x123:", *["abbreviation", "9", "is", "not", "declared"]]


@pytest.mark.parametrize(
    ("source", "path", "told"),
    [
        ("dwarf", None, "no build information; the Go version is from DWARF"),
        (None, None, "no build information: "),
        ("buildinfo", "command-line-arguments", "no list of modules"),
        ("buildinfo", "cmd/go", ""),
    ],
)
def test_a_missing_list_of_modules_is_told(source: str | None, path: str | None, told: str) -> None:
    build = msgspec.structs.replace(sample().build, main=None, modules=[], version_source=source, path=path)
    shown = show(msgspec.structs.replace(sample(), build=build), width=200)
    assert told in shown
    assert ("SBOM" in shown) == bool(told)


def test_packages_stand_below_their_module() -> None:
    paths = [["example.com/m", "example.com/m/p"], ["std", "runtime"], ["(debug)", "(debug)"]]
    rows = [SizeRow(path[-1], path, "unknown", 12_041_152) for path in paths]
    shown = show(msgspec.structs.replace(sample(), sizes=Sizes(["module", "package"], rows)))
    names = [name for name, _ in _size_rows(shown)]
    assert names == ["example.com/m", "example.com/m/p", "std", "runtime", "(debug)", "total"]


def test_modules_are_told_once() -> None:
    assert show(sample()).count("by module") == 1
    assert show(msgspec.structs.replace(sample(), sizes=sample().modules)).count("Where the bytes went") == 1


def test_a_very_long_setting_is_cut() -> None:
    build = msgspec.structs.replace(sample().build, settings={"DefaultGODEBUG": "x=1," * 500})
    assert "… (2,000 characters)" in show(msgspec.structs.replace(sample(), build=build))


def _size_rows(shown: str) -> list[tuple[str, int]]:
    table = shown.split("Where the bytes went")[1].split("\n\n")[0].splitlines()[1:]
    return [
        (m[1], int(m[2].replace(",", "")))
        for m in (re.match(r" +(.+?)  +([\d,]+) ", f"{line} ") for line in table)
        if m
    ]


@pytest.mark.parametrize("top", [1, 3, 12, 13, 50])
def test_the_shown_rows_sum_to_the_file(top: int) -> None:
    *rows, total = _size_rows(show(sample(), top=top))
    assert total == ("total", sample().file.size)
    assert sum(number for _, number in rows) == sample().file.size
    assert len(rows) == min(13, top + 1)


def test_kinds_of_one_name_are_merged() -> None:
    rows = dict(_size_rows(show(sample())))
    assert rows[".text"] == sum(row.bytes for row in sample().sizes.rows if row.name == ".text")


def test_by_module_tells_the_kind() -> None:
    rows = [
        SizeRow("gin", ["gin"], "dependency", 30_000_000),
        SizeRow("std", ["std"], "std", 6_000_000),
        SizeRow("std", ["std"], "runtime", 123_456),
    ]
    shown = show(msgspec.structs.replace(sample(), sizes=Sizes(["module"], rows)))
    assert re.search(r"gin +30,000,000 +83.0 %  dependency", shown)
    assert re.search(r"std +6,123,456 +17.0 %  std \+1", shown)


def test_rows_sorted_by_name_stay_so() -> None:
    rows = [SizeRow(name, [name], "unknown", n) for name, n in (("a", 1), ("b", 36_123_454), ("c", 1))]
    shown = show(msgspec.structs.replace(sample(), sizes=Sizes(["section"], rows)))
    assert [name for name, _ in _size_rows(shown)] == ["a", "b", "c", "total"]


def test_huge_lists_are_cut() -> None:
    document = msgspec.structs.replace(
        sample(),
        sections=sample().sections * 5_000,
        unread=[Unread("note", i, "bad") for i in range(5_000)],
        disputes=[DisputeRow(i, 1, ["a", "b"]) for i in range(5_000)],
        leaks=Leaks(5_000, 5_000, [LeakGroup(f"/x{i}", "other", 1, 1, ["filetab"], []) for i in range(5_000)]),
        build=msgspec.structs.replace(sample().build, settings={f"k{i}": "v" for i in range(5_000)}),
        dynamic=msgspec.structs.replace(sample().dynamic, needed=[f"lib{i}.so" for i in range(5_000)]),
    )
    assert len(show(document).splitlines()) < 250


def test_other_images_of_a_universal_file_follow() -> None:
    file = msgspec.structs.replace(sample().file, slices=[Slice("amd64", 0x1000, 9), Slice("arm64", 0x4000, 9)])
    document = msgspec.structs.replace(sample(), file=file, slices=[sample(), sample("./bin/app (arm64)")])
    shown = show(document)
    assert "images: amd64 (9 bytes at 0x1000), arm64 (9 bytes at 0x4000)" in shown
    assert shown.count("Where the bytes went, by section") == 2


def test_several_documents_follow_one_another() -> None:
    shown = "".join(render_all([sample("a"), sample("b")], "text", many=True))
    assert shown == show(sample("a")) + "\n\n" + show(sample("b"))


def test_it_is_quick() -> None:
    show(full())
    begun = time.perf_counter()
    show(full())
    assert time.perf_counter() - begun < 0.05


def test_there_are_only_formats_that_are_there() -> None:
    for name in ("plain", "progress", "../text", "yaml", ""):
        with pytest.raises(UsageError):
            list(render(sample(), name))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a b", "a b"), ("\x1b", "\\x1b"), ("\u202e", "\\u202e"), ("\U000e0041", "\\U000e0041"), ("\udcff", "\\xff")],
)
def test_plain(given: str, expected: str) -> None:
    assert plain(given) == expected
