"""buildinfo, and the Go version where there is none: on built bytes, broken bytes and real files."""

from __future__ import annotations

import struct
from typing import Any, Literal

import builds
import numpy as np
import oracle
import pytest
from fakes import FakeImage, FakeSource, section, segment

import goforensics.binary
from goforensics.containers.image import Segment, SymbolTable
from goforensics.errors import FormatError
from goforensics.sections import buildinfo, goversion, quoted
from goforensics.sections.buildinfo import Module, Setting

Order = Literal["<", ">"]
Bits = Literal[32, 64]
START, STOP = bytes(range(16)), bytes(range(16, 32))  # as long as cmd/go's sentinels
MOD = (
    b"path\texample.com/app\n"
    b"mod\texample.com/app\t(devel)\t\n"
    b"dep\ta.b/c\tv1.2.3\th1:abc=\n"
    b"dep\tlocal.org/x\tv0.0.0\n"
    b"=>\t./local\t(devel)\t\n"
    b'build\t-ldflags="-s -w -X main.a=\\"b\\""\n'
    b"build\tCGO_ENABLED=0\n"
    b"build\tempty=\n"
)


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def inline(version: bytes, mod: bytes = MOD) -> bytes:
    """The blob since Go 1.18."""
    framed = START + mod + STOP if mod else b""
    blob = (buildinfo.MAGIC + bytes([8, 2])).ljust(32, b"\0")
    return blob + varint(len(version)) + version + varint(len(framed)) + framed


def pointed(version: bytes, order: Order, bits: Bits, *, relocated: bool = False) -> FakeImage:
    """An image with the blob up to Go 1.17 at 0x10000, its pointers in place or left to the loader."""
    word = order + ("Q" if bits == 64 else "I")
    size, base = bits // 8, 0x10000
    framed = START + MOD + STOP
    strings = 0x100
    words = {16: base + 64, 16 + size: base + 64 + 2 * size}  # by offset: the blob's pointers, then two string headers
    words |= {64: base + strings, 64 + 2 * size: base + strings + len(version)}
    lengths = {64 + size: len(version), 64 + 3 * size: len(framed)}
    data = bytearray(strings) + version + framed
    data[:16] = buildinfo.MAGIC + bytes([size, int(order == ">")])
    for at, value in (lengths if relocated else words | lengths).items():
        struct.pack_into(word, data, at, value)
    fixed = {base + at: value for at, value in words.items()} if relocated else None
    whole = segment(0, len(data), base, writable=True)
    return FakeImage(bytes(data), segments=[whole], bits=bits, order=order, relocations=fixed)


def read(image: FakeImage) -> buildinfo.BuildInfo:
    return buildinfo.decode(FakeSource(image))


def in_section(blob: bytes) -> FakeImage:
    return FakeImage(bytes(48) + blob, sections=[section(".go.buildinfo", 48, len(blob), 0x1000)])


def check(info: buildinfo.BuildInfo) -> None:
    """The module information is MOD."""
    mod = info.mod
    assert mod.path == "example.com/app"
    assert mod.main == Module("example.com/app", "(devel)")
    replaced = Module("local.org/x", "v0.0.0", replace=Module("./local", "(devel)"))
    assert mod.modules == (Module("a.b/c", "v1.2.3", "h1:abc="), replaced)
    assert mod.settings == (
        Setting("-ldflags", '-s -w -X main.a="b"'), Setting("CGO_ENABLED", "0"), Setting("empty", ""),
    )  # fmt: skip
    assert not mod.problems


def test_inline_strings() -> None:
    image = in_section(inline(b"go1.22.10"))
    info = read(image)
    check(info)
    assert (info.go_version, info.version, info.experiments) == ("go1.22.10", "go1.22.10", ())
    assert info.offset == 48
    assert info.offset + info.size == len(image.data)  # padded to 16 where the file goes on
    setting = info.mod.settings[1]
    assert bytes(image.data[setting.offset : setting.offset + setting.size]) == b"build\tCGO_ENABLED=0"
    assert info.setting("CGO_ENABLED") == "0"
    assert info.setting("GOOS") is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("relocated", [False, True])
def test_pointers_to_strings(order: Order, bits: Bits, relocated: bool) -> None:
    info = read(pointed(b"go1.16.15", order, bits, relocated=relocated))
    check(info)
    assert (info.go_version, info.offset, info.size) == ("go1.16.15", 0, 32)


def test_module_information_in_bss_is_none() -> None:
    """Go 1.13 to 1.16 leave runtime.modinfo in .bss where cmd/go gave none: the go command itself."""
    base, text = 0x1000, b"go1.16.15"
    head = buildinfo.MAGIC + bytes([8, 0]) + struct.pack("<QQ", base + 32, base + 0x100)
    data = head + struct.pack("<QQ", base + 48, len(text)) + text
    mapped = Segment("LOAD", 0, len(data), base, 0x200, writable=True, executable=False)
    info = read(FakeImage(data, segments=[mapped]))
    assert info.version == "go1.16.15"
    assert not info.mod.modules
    assert info.mod_size == 0


@pytest.mark.parametrize(
    ("raw", "version", "experiments"),
    [
        ("go1.26.8-X:nogreenteagc", "go1.26.8", ("nogreenteagc",)),
        ("go1.20.3 X:nocoverageredesign", "go1.20.3", ("nocoverageredesign",)),
        ("go1.20 X:foo,bar", "go1.20", ("foo", "bar")),
        ("devel go1.22-0123abcdef Mon Jan 1 X:foo", "devel go1.22-0123abcdef Mon Jan 1", ("foo",)),
        ("go1.21.3 (Red Hat 1.21.3-1.el9)", "go1.21.3 (Red Hat 1.21.3-1.el9)", ()),
    ],
)
def test_experiments_are_split_off(raw: str, version: str, experiments: tuple[str, ...]) -> None:
    """A3: an experiment's suffix must not make the version unreadable."""
    info = read(in_section(inline(raw.encode())))
    assert (info.go_version, info.version, info.experiments) == (raw, version, experiments)


def test_found_without_sections_in_writable_memory_first() -> None:
    """A16: no section headers; and a magic in read-only bytes comes before the real one."""
    decoy = inline(b"go1.1", b"")
    real = inline(b"go1.27.3")
    data = decoy.ljust(96, b"\0") + real
    info = read(FakeImage(data, segments=[segment(0, 96, 0x1000), segment(96, len(real), 0x2000, writable=True)]))
    assert info.go_version == "go1.27.3"
    assert read(FakeImage(data)).go_version == "go1.1"


def test_the_first_magic_that_can_be_read_counts() -> None:
    broken = buildinfo.MAGIC + bytes([8, 2]) + bytes(16) + b"\xff" * 32
    data = bytes(8) + buildinfo.MAGIC + bytes(10) + broken + inline(b"go1.27.3")
    assert data.index(broken) % 16 == 0
    assert read(FakeImage(data)).go_version == "go1.27.3"


def test_none_is_absent() -> None:
    with pytest.raises(FormatError) as caught:
        read(FakeImage(bytes(100)))
    assert caught.value.absent


@pytest.mark.parametrize("length", range(33, len(inline(b"go1.27.3"))))
def test_any_prefix_is_an_error(length: int) -> None:
    with pytest.raises(FormatError) as caught:
        read(in_section(inline(b"go1.27.3")[:length]))
    assert caught.value.structure == ".go.buildinfo"


@pytest.mark.parametrize("order", ["<", ">"])
def test_no_broken_byte_escapes_as_anything_else(order: Order) -> None:
    rng = np.random.default_rng(5)
    for image in (in_section(inline(b"go1.27.3")), pointed(b"go1.16", order, 64)):
        good = np.frombuffer(image.data, np.uint8)
        for _ in range(1500):
            bad = good.copy()
            bad[rng.integers(len(bad), size=rng.integers(1, 5))] = rng.integers(256)
            broken = FakeImage(bad.tobytes(), sections=image.sections, segments=image.segments, order=order)
            try:
                info = read(broken)
            except FormatError:
                continue
            assert 0 <= info.offset <= info.offset + info.size <= len(bad)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"mod\tonly-a-path\n", "1 columns"),
        (b"dep\ta\tb\tc\td\n", "4 columns"),
        (b"=>\ta\tb\tc\n", "no module on the line before"),
        (b"build\t=x\n", "key is missing"),
        (b"build\tnothing\n", 'no "="'),
        (b"build\ta b=c\n", "must be quoted"),
        (b"build\ta=b c\n", "must be quoted"),
        (b'build\ta="b\n', "no quoted string"),
        (b'build\t"a"b=c\n', 'no "="'),
        (b'build\ta="\\q"\n', "unknown escape"),
        (b"build\ta=b", "no newline"),
    ],
)
def test_a_strange_line_is_a_problem_and_the_rest_is_read(line: bytes, problem: str) -> None:
    mod = buildinfo.parse(b"path\tp\n" + line + (b"build\tgood=1\n" if line.endswith(b"\n") else b""))
    assert problem in mod.problems[0]
    assert mod.problems[0].startswith("line 2: ")
    assert mod.path == "p"
    assert [s.key for s in mod.settings] == (["good"] if line.endswith(b"\n") else [])


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (rb'"a\tb\n"', b"a\tb\n"),
        (rb'"\x41\101\u00e9\U0001F600\\\""', b'AA\xc3\xa9\xf0\x9f\x98\x80\\"'),
        (rb'"\xff"', b"\xff"),
        (b"`raw \\n\r`", b"raw \\n"),
    ],
)
def test_unquote(text: bytes, plain: bytes) -> None:
    assert quoted.unquote(text) == plain
    assert quoted.quoted_prefix(text + b"=rest") == text


@pytest.mark.parametrize("text", [b"", b'"', b'"a', rb'"\400"', rb'"\ud800"', rb'"\x4"', b'"a"b', b'"a\nb"', b"`a``"])
def test_unquote_refuses(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        quoted.unquote(text)


def version_image(
    *texts: str, between: int = 1, relocated: bool = False, order: Order = "<", bits: Bits = 64
) -> FakeImage:
    """A writable mapping of `texts`, then their string headers with room for `between` more from one to the next."""
    base, size = 0x400000, bits // 8
    pool, places = b"noise go1. go1.99junk \0", []
    for text in texts:
        places.append(base + len(pool))
        pool += text.encode() + b"X"  # Go's strings have no end of their own
    pool += bytes(-len(pool) % 16)
    words: list[int] = []
    for place, text in zip(places, texts, strict=True):
        words += [0 if relocated or not text else place, len(text), *[0, 0] * between]
    data = pool + np.array(words, f"{order}u{size}").tobytes()
    step = 2 * size * (1 + between)
    fixed = {base + len(pool) + i * step: place for i, place in enumerate(places)} if relocated else None
    whole = [segment(0, len(data), base, writable=True)]
    return FakeImage(data, segments=whole, bits=bits, order=order, relocations=fixed)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("relocated", [False, True])
@pytest.mark.parametrize("text", ["go1.26.5", "go1.4", "go1.27rc1", "go1.20 X:a,b", "devel go1.22-abcdef0123 Mon"])
def test_version_from_data(order: Order, bits: Bits, relocated: bool, text: str) -> None:
    found = goversion.decode(FakeSource(version_image(text, relocated=relocated, order=order, bits=bits)))
    assert (found.raw, found.source, found.others) == (text, "data", ())
    assert found.experiments == (("a", "b") if "X:" in text else ())


def test_version_that_stands_alone_goes_before_a_table() -> None:
    found = goversion.by_data(version_image("go1.30", "go1.31", "go1.32", "", "go1.22.1", between=0))
    assert found is not None
    assert (found.raw, found.others) == ("go1.22.1", ())


def test_newest_of_several_and_the_others_are_told() -> None:
    found = goversion.by_data(version_image("go1.9.7", "go1.22.1", "go1.22rc1"))
    assert found is not None
    assert (found.raw, found.others) == ("go1.22.1", ("go1.9.7", "go1.22rc1"))


def test_version_by_symbol() -> None:
    image = version_image("go1.22.1", "go1.99")
    name = b"\0runtime.buildVersion\0"
    header = int(image.segments[0].address) + len(image.data) - 64
    record = bytes(24) + struct.pack("<IBBHQQ", 1, 0x11, 0, 1, header, 16)
    at = len(image.data)
    table = SymbolTable("elf", at, 2, at + len(record), len(name))
    whole = FakeImage(bytes(image.data) + record + name, segments=image.segments, symbols=table)
    found = goversion.decode(FakeSource(whole))
    assert (found.raw, found.source) == ("go1.22.1", "symbol")


def test_no_version_is_absent() -> None:
    for image in (FakeImage(bytes(100)), version_image("go1.x", "gone"), version_image()):
        with pytest.raises(FormatError) as caught:
            goversion.decode(FakeSource(image))
        assert caught.value.absent


def expected(module: dict[str, Any] | None) -> Module | None:
    """A module of debug/buildinfo's as ours."""
    if not module:
        return None
    replacement = expected(module.get("Replace"))
    return Module(module.get("Path", ""), module.get("Version", ""), module.get("Sum", ""), replacement)


@pytest.mark.builds
@pytest.mark.parametrize("build", builds.ci_slice(), ids=builds.Build.label)
def test_agrees_with_debug_buildinfo(build: builds.Build) -> None:
    path = builds.executable(build)
    want, binary = oracle.buildinfo(path), goforensics.binary.open(path)
    info = binary.read(buildinfo.PARSER)
    assert (info.go_version, info.mod.path) == (want["GoVersion"], want.get("Path", ""))
    assert info.mod.main == expected(want.get("Main"))
    assert list(info.mod.modules) == [expected(module) for module in want.get("Deps") or []]
    settings = [(s.key, s.value) for s in info.mod.settings]
    assert settings == [(s.get("Key", ""), s.get("Value", "")) for s in want.get("Settings") or []]
    by_data = goversion.by_data(binary.image)
    assert by_data is not None
    assert by_data.raw == info.go_version
