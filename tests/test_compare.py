"""Comparing builds: tables that add up, what is the same, and what is told from one removed and one added."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import toolchains
from builds import Build, executable, source_directory

import goforensics
from goforensics.analysis import samecode
from goforensics.analysis.compare import compare, questions
from goforensics.analysis.listing import listing
from goforensics.analysis.mapping import bytemap_of
from goforensics.analysis.matching import match
from goforensics.analysis.totals import totals
from goforensics.bytemap import ByteMap, Claims, Level
from goforensics.question import COLUMNS, question
from goforensics.report_compare import Comparison, Pair, Table
from goforensics.sections import buildid, pclntab

needs_builds = pytest.mark.builds
EVERY = [*([name] for name in COLUMNS), ["function"], ["module", "package"], ["package", "symbol"]]

MAIN = """package main

import (
	"fmt"
	"os"

	"example.com/moved/PACKAGE"
)

func main() {
	fmt.Println(PACKAGE.Work(os.Args), closures(len(os.Args)))
}

//go:noinline
func call(f func(int) int, n int) int { return f(n) }

func closures(n int) int {
	EXTRA
	return call(func(i int) int {
		for k := 0; k < i; k++ {
			i += k*k ^ i - i/9
		}
		return i
	}, n)
}
"""
WORK = """package PACKAGE

import "strings"

//go:noinline
func Work(args []string) int {
	sum := 0
	for i, arg := range args {
		sum = sum*31 + strings.Index(arg, "needle") + helper(i)
	}
	return sum
}

//go:noinline
func helper(n int) int {
	for i := 0; i < n; i++ {
		n = n*n ^ i
		n += n/7 - i*i/11
	}
	return n
}
"""
EXTRA = 'n = call(func(i int) int { fmt.Println("first", i); return i / 3 }, n)'
LOOKUP = """package main

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
)

func main() {
	found := reflect.ValueOf(os.Stdout).MethodByName(NAME)
	fmt.Println(found.IsValid(), http.ListenAndServe(os.Args[1], nil))
}
"""


def documents(*paths: Path, by: Sequence[Sequence[str]] = EVERY, **options: object) -> Comparison:
    asked = questions(by, **options)  # type: ignore[arg-type]
    return compare([goforensics.open(path) for path in paths], asked)


def pair(*paths: Path) -> Pair:
    return documents(*paths).pairs[0]


def table(found: Pair, name: str) -> Table:
    return next(each for each in found.tables if each.name == name)


def sums_up(found: Pair) -> None:
    """Every table says how the one file's size becomes the other's."""
    assert found.delta == found.size_after - found.size_before
    for each in found.tables:
        rest = each.unchanged_bytes + each.filtered_before, each.unchanged_bytes + each.filtered_after
        assert sum(row.before for row in each.rows) + rest[0] == each.before == found.size_before, each.name
        assert sum(row.after for row in each.rows) + rest[1] == each.after == found.size_after, each.name
        assert all(row.delta == row.after - row.before for row in each.rows), each.name
        left = each.filtered_after - each.filtered_before
        assert sum(row.delta for row in each.rows) + left == each.delta == found.delta, each.name


def go_build(directory: Path, output: Path, *flags: str, go: str = "1.27") -> Path:
    command = [str(toolchains.goroot(go) / "bin" / "go"), "build", "-buildvcs=false", *flags, "-o", str(output), "."]
    env = toolchains.go_env(go) | {"CGO_ENABLED": "0"}
    subprocess.run(command, cwd=directory, env=env, check=True, capture_output=True)
    return output


def program(directory: Path, package: str, extra: str = "") -> Path:
    """A program whose work is in a package of that name, and which has one more closure if there is `extra`."""
    (directory / package).mkdir(parents=True)
    (directory / "go.mod").write_text("module example.com/moved\n\ngo 1.18\n")
    (directory / "main.go").write_text(MAIN.replace("PACKAGE", package).replace("EXTRA", extra))
    (directory / package / "work.go").write_text(WORK.replace("PACKAGE", package))
    return go_build(directory, directory / "app")


def test_totals_are_the_listing_whatever_the_origin() -> None:
    claims = [
        Claims.of("a", Level.SECTION, [(0, 60), (60, 90)], section=["x", "y"], origin=["std", "main"]),
        Claims.of("b", Level.ITEM, [(10, 20), (70, 75)], symbol=["f", "f"], package="p"),
    ]
    found = ByteMap.build(100, claims)
    for by in (["section"], ["symbol"], ["origin", "symbol"], ["section", "package"]):
        asked = question(by, "owned", ["section=x"])
        mine, rows = totals(found, asked), listing(found, asked)
        assert {tuple(row.path): 0 for row in rows.rows}.keys() == mine.bytes.keys()
        assert sum(mine.bytes.values()) == sum(row.bytes for row in rows.rows) == 60
        assert mine.filtered == rows.filtered_out == 40


@needs_builds
@pytest.mark.parametrize("view", ["owned", "apportioned"])
def test_totals_are_those_of_the_map(view: str) -> None:
    found = bytemap_of(goforensics.open(executable(Build("hello", "1.27"))))
    for by in EVERY:
        if "function" not in by:
            asked = question(by, view)
            wanted: dict[tuple[str, ...], int] = {}
            for row in listing(found, asked).rows:
                wanted[tuple(row.path)] = wanted.get(tuple(row.path), 0) + row.bytes
            assert totals(found, asked).bytes == wanted


@needs_builds
@pytest.mark.parametrize("go", ["1.22", "1.27"])
@pytest.mark.parametrize("flags", [("-ldflags=-s",), ("-ldflags=-w",), ("-ldflags=-s -w=0",)])
def test_flags_leave_the_code_as_it_is(go: str, flags: tuple[str, ...]) -> None:
    found = pair(*(executable(Build("prof", go, flags=each)) for each in ((), flags)))
    sums_up(found)
    assert found.verdict == "same-code"
    assert found.code is not None
    assert found.code.same == len(goforensics.open(executable(Build("prof", go))).read(pclntab.PARSER).names)
    assert (found.code.changed, found.code.added, found.code.removed, found.code.renamed) == (0, 0, 0, 0)
    assert [row.name for row in found.differences] == ["-ldflags"]
    assert {part.name for part in found.build_id if part.before == part.after} >= {"main content"}


@needs_builds
@pytest.mark.parametrize("goarch", ["arm64", "386"])
def test_code_is_compared_on_other_machines(goarch: str) -> None:
    found = pair(*(executable(Build("hello", "1.27", goarch=goarch, flags=f)) for f in ((), ("-ldflags=-s -w",))))
    sums_up(found)
    assert found.verdict == "same-code"


@needs_builds
@pytest.mark.parametrize("target", [("windows", "amd64"), ("darwin", "arm64"), ("darwin", "amd64")])
def test_code_is_compared_in_other_containers(target: tuple[str, str]) -> None:
    """There the build ID is a function, which is no code."""
    found = pair(*(executable(Build("hello", "1.27", *target, flags=f)) for f in ((), ("-ldflags=-s -w",))))
    sums_up(found)
    assert found.verdict == "same-code"
    assert "build settings differ" in found.conclusion


@needs_builds
def test_where_addresses_cannot_be_told_nothing_is_claimed() -> None:
    found = pair(*(executable(Build("hello", "1.27", goarch="s390x", flags=f)) for f in ((), ("-ldflags=-s -w",))))
    sums_up(found)
    assert found.code is not None
    assert found.verdict == "unknown"
    assert found.code.changed == 0 < found.code.unproven


@needs_builds
@pytest.mark.parametrize(("program", "go", "other"), [("hello", "1.16", "1.27"), ("prof", "1.22", "1.27")])
def test_two_releases_of_go(program: str, go: str, other: str) -> None:
    found = pair(executable(Build(program, go)), executable(Build(program, other)))
    sums_up(found)
    assert found.verdict == "code"
    code = found.code
    assert code is not None
    assert min(code.same, code.changed, code.added, code.removed) > 0
    assert found.differences[0].what == "go version"


@needs_builds
def test_several_files_are_each_held_against_the_first() -> None:
    paths = [executable(Build("prof", "1.27", flags=each)) for each in ((), ("-ldflags=-s",), ("-trimpath",))]
    found = documents(*paths)
    assert [file.size for file in found.files] == [path.stat().st_size for path in paths]
    assert [each.delta for each in found.pairs] == [file.delta for file in found.files[1:]]
    for each in found.pairs:
        sums_up(each)
    assert found.pairs[1].verdict == "same-code"


@needs_builds
@pytest.mark.parametrize("view", ["owned", "apportioned"])
def test_filtered_tables_add_up(view: str) -> None:
    paths = [executable(Build("prof", "1.27", flags=each)) for each in ((), ("-ldflags=-s",))]
    found = documents(*paths, view=view, filters=["package=runtime/..."]).pairs[0]
    sums_up(found)
    assert all(each.filtered_before > 0 for each in found.tables)


@needs_builds
def test_a12_two_directories(tmp_path: Path) -> None:
    """A12: the same source elsewhere differs in paths and build ID, not in code, and with -trimpath not at all."""
    places = [tmp_path / "one", tmp_path / "another" / "place"]
    plain, trimmed = [], []
    for place in places:
        shutil.copytree(source_directory("hello"), place)
        plain.append(go_build(place, place / "plain"))
        trimmed.append(go_build(place, place / "trimmed", "-trimpath"))
    found = pair(*plain)
    sums_up(found)
    assert found.verdict == "paths"
    assert "paths and build ID differ, not code" in found.conclusion
    assert pair(*trimmed).verdict == "identical"
    assert trimmed[0].read_bytes() == trimmed[1].read_bytes()


@needs_builds
def test_only_the_build_id_differs(tmp_path: Path) -> None:
    path = executable(Build("hello", "1.27"))
    data = bytearray(path.read_bytes())
    stamp = goforensics.open(path).read(buildid.PARSER).go
    assert stamp is not None
    data[stamp.offset : stamp.offset + 4] = b"AAAA"
    other = tmp_path / "other"
    other.write_bytes(data)
    found = pair(path, other)
    assert (found.verdict, found.delta) == ("build-id", 0)
    assert [part.name for part in found.build_id if part.before != part.after] == ["action"]


@needs_builds
def test_a_changed_instruction_is_found(tmp_path: Path) -> None:
    path = executable(Build("hello", "1.27"))
    code = samecode.program(goforensics.open(path))
    data, at = bytearray(path.read_bytes()), int(code.offset[code.names.index("main.main")])
    data[at + 2] ^= 0x01
    other = tmp_path / "other"
    other.write_bytes(data)
    found = pair(path, other)
    assert found.verdict == "code"
    assert found.code is not None
    assert found.code.changed == 1


@needs_builds
def test_a_reference_that_leads_elsewhere_is_a_change() -> None:
    """What one function refers to and another does not is told from a place that merely moved."""
    one = samecode.program(goforensics.open(executable(Build("hello", "1.27"))))
    mine, theirs = np.array([10, 10, 10, 20]), np.array([110, 110, 120, 130])
    assert samecode._agreeing(mine, theirs).tolist() == [True, True, False, True]
    every = np.arange(len(one.names))
    assert (samecode.compare(one, one, every, every, every).state == samecode.SAME).all()


@needs_builds
def test_what_is_moved_or_counted_otherwise_is_the_same(tmp_path: Path) -> None:
    paths = program(tmp_path / "a", "alpha"), program(tmp_path / "b", "omega", EXTRA)
    found = pair(*paths)
    sums_up(found)
    renamed = {row.was[-1]: row for row in table(found, "function").rows if row.was is not None}
    assert renamed["example.com/moved/alpha.helper"].name == "example.com/moved/omega.helper"
    assert renamed["example.com/moved/alpha.Work"].name == "example.com/moved/omega.Work"
    assert renamed["main.closures.func1"].name == "main.closures.func2"
    assert all(row.change == "renamed" and row.evidence for row in renamed.values())
    added = {row.name for row in table(found, "function").rows if row.change == "added"}
    assert "main.closures.func1" in added


@needs_builds
def test_what_is_only_alike_is_one_removed_and_one_added(tmp_path: Path) -> None:
    path, other = program(tmp_path / "a", "alpha"), tmp_path / "b"
    (other / "omega").mkdir(parents=True)
    for name in ("go.mod", "main.go"):
        text = (tmp_path / "a" / name).read_text()
        (other / name).write_text(text.replace("alpha", "omega"))
    work = WORK.replace("PACKAGE", "omega").replace("n*n ^ i", "n*n + i").replace('"needle"', '"thread"')
    (other / "omega" / "work.go").write_text(work)
    found = pair(path, go_build(other, other / "app"))
    sums_up(found)
    rows = {row.name: row for row in table(found, "function").rows}
    for name in ("Work", "helper"):
        assert rows[f"example.com/moved/alpha.{name}"].change == "removed"
        assert rows[f"example.com/moved/omega.{name}"].change == "added"


@needs_builds
def test_matching_pairs_no_function_twice() -> None:
    one, other = (samecode.program(goforensics.open(executable(Build("app", go)))) for go in ("1.26", "1.27"))
    found = match(one, other)
    here = [*found.here.tolist(), *(each.here for each in found.renamed)]
    there = [*found.there.tolist(), *(each.there for each in found.renamed)]
    assert len(set(here)) == len(here)
    assert len(set(there)) == len(there)
    assert all(one.names[i] == other.names[j] for i, j in zip(found.here, found.there, strict=True))


@needs_builds
@pytest.mark.parametrize("go", ["1.22", "1.27"])
def test_a11_what_keeps_every_method(tmp_path: Path, go: str) -> None:
    """A11: a method looked up by a name that is not constant keeps them all; the constant one does not."""
    paths = []
    for name, argument in (("constant", '"Name"'), ("variable", "os.Args[1]")):
        place = tmp_path / name
        place.mkdir()
        (place / "go.mod").write_text("module example.com/lookup\n\ngo 1.21\n")
        (place / "main.go").write_text(LOOKUP.replace("NAME", argument))
        paths.append(go_build(place, place / "app", "-ldflags=-s", go=go))
    found = pair(*paths)
    sums_up(found)
    assert found.delta > found.size_before // 10
    (why,) = found.why
    assert why.cause == "every exported method is now kept for reflection"
    assert any(line.startswith("main.main") for line in why.evidence)
    assert pair(*reversed(paths)).why[0].cause == "methods are no longer kept for reflection"
    assert not pair(paths[0], paths[0]).why
