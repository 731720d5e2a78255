"""symbol_bytes: records and strings to packages, on built tables and on real files."""

from __future__ import annotations

import struct
from collections.abc import Callable

import builds
import numpy as np
import pytest
from fakes import FakeImage, FakeSource
from test_symtab import HEAD, coff, elf, nlist

import goforensics.binary
from goforensics.analysis import symbol_bytes
from goforensics.analysis.packages import PackageNames, Packages, packages
from goforensics.analysis.vocabulary import Holdings
from goforensics.containers.image import SymbolTable
from goforensics.errors import FormatError
from goforensics.sections import functions, pclntab, symtab
from goforensics.sections.functions import Functions

TEXT = (0x1000, 0x4000)
PLACED = Functions(
    address=np.array([0x1000, 0x2000], np.uint64),
    offset=np.array([-1, -1]),
    size=np.array([0x1000, 0x2000]),
    code=np.array([0x1000, 0x2000]),
    text=TEXT,
)
CODES = np.array([1, 2], np.int32)
OF_FUNCTIONS = Packages(CODES, ["", "main", "runtime"], {}, CODES)
Owners = dict[tuple[int, int], set[str]]


def held(image: FakeImage, *, placed: bool = True) -> tuple[Owners, Owners]:
    """The owners of every range of the records and of the strings; ranges must fill both."""
    symbols = symtab.decode(FakeSource(image))
    names = PackageNames(OF_FUNCTIONS.names)
    context = (OF_FUNCTIONS, PLACED) if placed else (None, None)
    found = symbol_bytes.holdings(image, symbols, names, *context)
    assert [h.structure for h in found] == ["symtab", "strtab"]
    assert all((h.kind, h.origin, h.of_packages) == ("symbol table", "symbols", True) for h in found)
    records, strings = (owners(h, names) for h in found)
    table = symbols.table
    fills(records, table.offset, table.offset + table.count * symtab.record_size(table, image.bits))
    fills(strings, table.strings_offset, table.strings_offset + table.strings_size)
    return records, strings


def owners(holding: Holdings, names: PackageNames) -> Owners:
    assert (np.diff(holding.item) >= 0).all()
    found: Owners = {pair: set() for pair in zip(holding.start.tolist(), holding.end.tolist(), strict=True)}
    pairs = list(found)
    for item, owner in zip(holding.item.tolist(), holding.owner.tolist(), strict=True):
        found[pairs[item]].add(names.all[owner])
    return found


def fills(ranges: Owners, low: int, high: int) -> None:
    edges = [edge for pair in ranges for edge in pair]
    assert edges == sorted(edges)
    assert edges[0::2] == [low, *edges[1:-1:2]]
    assert edges[-1:] == [high]


def by_name(names: list[str], *, placed: bool = True) -> list[set[str]]:
    """The owners of each symbol of an ELF table; symbol i is at 0x1000 * i, the first is undefined."""
    image = elf(names)
    records, strings = held(image, placed=placed)
    sizes = [len(name.encode()) + 1 for name in names]
    assert [end - start for start, end in strings] == [1, *sizes]
    rows = list(records.values())[1:]
    assert rows == list(strings.values())[1:]
    return rows


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("main.main", "main"),
        ("net/http.(*T).f-fm", "net/http"),
        ("gopkg.in/yaml%2ev3.init.0", "gopkg.in/yaml.v3"),
        ("slices.Sort[go.shape.[]main.T,a/b.c]", "slices"),
        ("go.uber.org/zap.New", "go.uber.org/zap"),
        ("type:.eq.a.io/b.T", "a.io/b"),
        ("type..hash.[2]main.T", "main"),
        ("go:itab.*os.File,io.Reader", "os"),
        ("go.itab.*net/http.T,io.Reader", "net/http"),
        ("io..inittask", "io"),
        ("free@GLIBC_2.2.5", "(C)"),
        ("completed.0", "(C)"),
        ("x_cgo_munmap.2.cold", "(C)"),
        ("type:*", None),
        ("type..eq.struct { F uintptr }", None),
        ("go:string.*", None),
        ("go.func.*", None),
        ("$f64.3ff0000000000000", None),
        ("masks", None),
    ],
)
def test_packages_of_names(name: str, owner: str | None) -> None:
    rows = by_name(["x", "a.b", "a.c", "a.d", name])  # the last is outside of Go's text
    assert rows[-1] == ({owner} if owner else set())


def test_names_without_a_package_are_where_their_address_is() -> None:
    assert by_name(["puts", "memeqbody", "gogo", "type:*"]) == [{"(C)"}, {"main"}, {"runtime"}, {"runtime"}]
    assert by_name(["puts", "memeqbody"], placed=False) == [{"(C)"}, set()]


def test_source_files() -> None:
    image = elf(["a.b", "go.go", "crtstuff.c"])
    raw = bytearray(image.data)
    for i in (2, 3):
        raw[HEAD + 24 * i + 4] = 4  # STT_FILE
    records, _ = held(FakeImage(bytes(raw), symbols=image.symbol_table()))
    assert list(records.values()) == [set(), {"a"}, {"main"}, {"(C)"}]  # go.go has no package but an address here


def test_a_shared_tail_is_shared() -> None:
    strings = b"\0a/b.f\0unused\0"
    at = [1, 3, 1, 1 << 20]  # "a/b.f", "b.f" and a name that is not there
    records = bytes(24) + b"".join(struct.pack("<IBBHQQ", name, 0x12, 0, 1, 0x9000, 0) for name in at)
    table = SymbolTable("elf", 0, len(at) + 1, len(records), len(strings))
    image = FakeImage(records + strings, symbols=table)
    rows, texts = held(image)
    assert list(rows.values()) == [set(), {"a/b"}, {"b"}, {"a/b"}, set()]
    assert {pair[0] - len(records): owner for pair, owner in texts.items()} == {0: set(), 1: {"a/b", "b"}, 7: set()}
    symbols, names = symtab.decode(FakeSource(image)), PackageNames([])
    (_, shared) = symbol_bytes.holdings(image, symbols, names, None, None)
    assert shared.weight is not None
    weight = zip(shared.owner.tolist(), shared.weight.tolist(), strict=True)
    assert {names.all[owner]: uses for owner, uses in weight} == {"a/b": 2, "b": 1}


@pytest.mark.parametrize("aux", [0, 2])
def test_coff_records_have_their_auxiliary_ones(aux: int) -> None:
    records, strings = held(coff(["a.b", "c.d", "net/http.Get"], aux))
    assert [(end - start, owner) for (start, end), owner in records.items()] == [
        (18 * (1 + aux), {"a"}),
        (18 * (1 + aux), {"c"}),
        (18 * (1 + aux), {"net/http"}),
    ]
    assert [owner for owner in strings.values() if owner] == [{"net/http"}]  # short names are in their records
    assert [end - start for (start, end), owner in strings.items() if owner] == [len("net/http.Get") + 1]


@pytest.mark.parametrize("bits", [32, 64])
def test_nlist_names_have_an_underscore(bits: int) -> None:
    records, strings = held(nlist(["puts", "net/http.Get", "go:buildid"], bits=32 if bits == 32 else 64))
    assert list(records.values()) == [{"(C)"}, {"net/http"}, {"runtime"}]
    assert [end - start for start, end in strings] == [2, 6, 14, 12]


def test_no_symbols_at_all() -> None:
    image = FakeImage(bytes(24), symbols=SymbolTable("elf", 0, 1, 24, 0))
    for found in symbol_bytes.holdings(image, symtab.decode(FakeSource(image)), PackageNames([]), None, None):
        assert not len(found.item)


def test_names_that_lie_over_one_another_are_an_error() -> None:
    strings = b"\0" + b"a" * 100_000
    records = bytes(24) + struct.pack("<IBBHQQ", 1, 0, 0, 0, 0, 0) * 1000
    image = FakeImage(records + strings, symbols=SymbolTable("elf", 0, 1001, len(records), len(strings)))
    with pytest.raises(FormatError, match="overlap"):
        held(image)


@pytest.mark.parametrize("build_table", [elf, nlist, coff])
def test_no_broken_byte_escapes(build_table: Callable[[list[str]], FakeImage]) -> None:
    rng = np.random.default_rng(3)
    names = ["main.main", "type:.eq.main.T", "go:itab.*os.File,io.Reader", "completed.0", "x"]
    good = build_table(names)
    raw = np.frombuffer(good.data, np.uint8)
    for _ in range(500):
        bad = raw.copy()
        bad[rng.integers(HEAD, len(bad), size=rng.integers(1, 6))] = rng.integers(256)
        held(FakeImage(bad.tobytes(), symbols=good.symbol_table(), sections=good.sections, format=good.format))


BUILDS = (
    *(builds.Build("hello", go) for go in ("1.13", "1.18", "1.22", "1.27")),
    *(builds.Build("hello", "1.27", *target) for target in (("darwin", "arm64"), ("windows", "amd64"))),
    builds.Build("cgo", "1.27", cgo=True),
)


@pytest.mark.builds
@pytest.mark.parametrize("build", BUILDS, ids=builds.Build.label)
def test_real_tables(build: builds.Build) -> None:
    binary = goforensics.binary.open(builds.executable(build))
    of_functions, symbols = packages(binary.read(pclntab.PARSER)), binary.read(symtab.PARSER)
    names, table = PackageNames(of_functions.names), symbols.table
    placed = binary.read(functions.PARSER)
    records, strings = symbol_bytes.holdings(binary.image, symbols, names, of_functions, placed)
    size = symtab.record_size(table, binary.image.bits)
    first = int(table.record == "elf")  # the null record
    assert (records.end - records.start).sum() == size * table.count
    assert (strings.end - strings.start).sum() == table.strings_size
    assert len(records.start) == symbols.count + first
    owner = np.full(len(records.start), -1)
    owner[records.item] = records.owner
    called = [names.all[i] if i >= 0 else "" for i in owner[first:].tolist()]
    wanted = ("main.main", "fmt.Fprintln", "runtime.mallocgc")
    found = {name: package for name, package in zip(symbols.names(), called, strict=True) if name in wanted}
    assert found == {name: name.split(".")[0] for name in wanted}
    assert ("(C)" in called) == (build.cgo or build.goos == "darwin")
    assert sum(not package for package in called) < 110
