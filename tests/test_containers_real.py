"""PE and Mach-O as Go's linker writes them, against objdump's listing of sections and Go's own reader."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builds import STRIP, Build, executable

from goforensics.bytemap import ByteMap
from goforensics.containers.image import Image
from goforensics.containers.load import images
from goforensics.containers.macho import fat_claims
from goforensics.containers.source import read_file
from goforensics.sections import symtab

MINORS = ("1.16", "1.22", "1.26", "1.27")
WINDOWS = [
    Build("hello", minor, "windows", goarch, flags)
    for minor in MINORS
    for goarch in ("amd64", "arm64")
    for flags in ((), (STRIP,))
    if (minor, goarch) != ("1.16", "arm64")
]
DARWIN = [
    Build("hello", minor, "darwin", goarch, flags)
    for minor in MINORS
    for goarch in ("amd64", "arm64")
    for flags in ((), (STRIP,))
]
OBJDUMP = shutil.which("objdump") or "objdump"
LLVM_OBJDUMP = shutil.which("llvm-objdump")
ROW = re.compile(r"^ *\d+ (\S+) +([0-9a-f]{8}) +([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]{8}) ", re.MULTILINE)

pytestmark = pytest.mark.builds


def only(path: Path) -> Image:
    (image,) = images(read_file(path).data)
    return image


def listing(path: Path) -> list[tuple[str, int, int, int]]:
    """(name, size, address, offset) of each section, by binutils."""
    done = subprocess.run([OBJDUMP, "-h", str(path)], capture_output=True, text=True, check=True)
    return [(name, *(int(part, 16) for part in rest)) for name, *rest in ROW.findall(done.stdout)]


@pytest.mark.parametrize("build", [b for b in WINDOWS if b.goarch == "amd64"], ids=Build.label)
def test_pe_sections(build: Build) -> None:
    """binutils gives a section's uncompressed size, so compressed ones are compared by place only."""
    path = executable(build)
    ours = {s.name: (s.address, s.offset, s.memory_size) for s in only(path).sections}
    theirs = listing(path)
    assert len(theirs) == len(ours)
    for name, size, address, offset in theirs:
        assert ours[name][:2] == (address, offset)
        if not name.startswith(".zdebug_"):
            assert size in (ours[name][2], next(s.file_size for s in only(path).sections if s.name == name))


@pytest.mark.parametrize("build", WINDOWS, ids=Build.label)
def test_pe(build: Build) -> None:
    image = only(executable(build))
    assert (image.format, image.goos, image.goarch, image.purpose) == ("pe", "windows", build.goarch, "executable")
    assert image.position_independent
    assert image.problems == []
    assert image.dynamic().needed == ("kernel32.dll",)
    debug = [s for s in image.sections if s.role == "debug"]
    assert bool(debug) == (not build.flags)
    assert all((s.compression == "zdebug") == s.name.startswith(".zdebug_") for s in debug)
    assert not any(s.name.startswith("/") for s in image.sections)
    assert (image.symbol_table() is None) == bool(build.flags)


@pytest.mark.parametrize("build", DARWIN, ids=Build.label)
def test_macho(build: Build) -> None:
    image = only(executable(build))
    assert (image.format, image.goos, image.goarch, image.purpose) == ("macho", "darwin", build.goarch, "executable")
    assert image.problems == []
    assert image.dynamic().interpreter == "/usr/lib/dyld"
    assert "/usr/lib/libSystem.B.dylib" in image.dynamic().needed
    text = image.section("__TEXT,__text")
    assert text is not None
    assert text.role == "code"
    assert text.address <= image.entry < text.address + text.file_size
    debug = [s for s in image.sections if s.role == "debug"]
    assert bool(debug) == (not build.flags)
    assert all((s.compression == "zdebug") == s.name.startswith("__DWARF,__zdebug_") for s in debug)


@pytest.mark.skipif(LLVM_OBJDUMP is None, reason="llvm-objdump is not installed")
@pytest.mark.parametrize("build", [b for b in DARWIN if not b.flags], ids=Build.label)
def test_macho_sections(build: Build) -> None:
    path = executable(build)
    done = subprocess.run([str(LLVM_OBJDUMP), "-h", str(path)], capture_output=True, text=True, check=True)
    rows = re.findall(r"^ *\d+ (\S+) +([0-9a-f]{8}) ([0-9a-f]{16})", done.stdout, re.MULTILINE)
    ours = [(s.name.split(",")[1], s.memory_size or s.file_size) for s in only(path).sections]
    assert ours == [(name, int(size, 16)) for name, size, _ in rows]


@pytest.mark.parametrize("build", [*WINDOWS, *DARWIN], ids=Build.label)
def test_headers_agree_with_the_parsers(build: Build) -> None:
    """The container and the symbol parser claim the same bytes under the same names."""
    image = only(executable(build))
    claims = list(image.claims())
    table = image.symbol_table()
    if table is not None:
        source: Any = SimpleNamespace(image=image)  # all that the parser asks for
        claims += symtab.claims(source, symtab.decode_table(image, table))
    mapped = ByteMap.build(len(image.data), claims)
    assert mapped.disputes == ()
    assert sum(row.bytes for row in mapped.group(["structure"])) == len(image.data)


def test_universal() -> None:
    parts = [executable(Build("hello", "1.26", "darwin", goarch)).read_bytes() for goarch in ("amd64", "arm64")]
    page = 1 << 14
    starts = [page, page + -(-len(parts[0]) // page) * page]
    head = b"\xca\xfe\xba\xbe" + (2).to_bytes(4, "big")
    for cpu, at, part in zip((0x01000007, 0x0100000C), starts, parts, strict=True):
        head += b"".join(word.to_bytes(4, "big") for word in (cpu, 0, at, len(part), 14))
    data = head.ljust(starts[0], b"\0") + parts[0].ljust(starts[1] - starts[0], b"\0") + parts[1]
    found = images(memoryview(data))
    assert [(i.goarch, i.base, len(i.data)) for i in found] == [
        ("amd64", starts[0], len(parts[0])),
        ("arm64", starts[1], len(parts[1])),
    ]
    assert len(fat_claims(memoryview(data))) == 1


@pytest.mark.parametrize("build", [WINDOWS[-2], DARWIN[-2]], ids=Build.label)
def test_memory(build: Build) -> None:
    """LIEF is given headers only: the file is not copied, however large it is."""
    script = (
        "import resource, sys\n"
        "from goforensics.containers import pe, macho\n"
        "from goforensics.containers.load import images\n"
        "data = open(sys.argv[1], 'rb').read() + bytes(200 << 20)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "images(memoryview(data))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(executable(build))], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1 << 10
    assert int(done.stdout) * unit < 16 << 20
