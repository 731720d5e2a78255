"""Every other kind of file is named in one line that says what can be done."""

from __future__ import annotations

import random
import struct

import pytest

from goforensics.containers.recognise import recognise, why_not_go
from goforensics.errors import NotGoError

ELF = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HH", 2, 62) + bytes(600)
MACHO = struct.pack("<IIII", 0xFEEDFACF, 0x01000007, 3, 2) + bytes(600)
PE = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(600)
FAT = struct.pack(">II", 0xCAFEBABE, 2) + bytes(600)

OTHERS = {
    "empty": b"",
    "WebAssembly": b"\0asm\1\0\0\0",
    "XCOFF": b"\x01\xf7\0\0",
    "Plan 9": b"\0\0\x8a\x97",
    "Go package archive": b"!<arch>\n__.PKGDEF       ",
    "archive of object files": b"!<arch>\nmain.o/",
    "Debian package": b"!<arch>\ndebian-binary   ",
    "Go object": b"go object linux amd64",
    "ELF object": ELF[:16] + struct.pack("<H", 1) + ELF[18:],
    "core dump": ELF[:16] + struct.pack("<H", 4) + ELF[18:],
    "Mach-O object": MACHO[:12] + struct.pack("<I", 1) + MACHO[16:],
    "dSYM": MACHO[:12] + struct.pack("<I", 10) + MACHO[16:],
    "script for '/bin/sh'": b"#!/bin/sh\necho",
    "Java class": struct.pack(">IHH", 0xCAFEBABE, 0, 61),
    "ZIP": b"PK\3\4",
    "gzip": b"\x1f\x8b\x08",
    "xz": b"\xfd7zXZ\0",
    "zstd": b"\x28\xb5\x2f\xfd",
    "tar": bytes(257) + b"ustar\0",
    "DOS": b"MZ" + bytes(100),
    "text file": b"hello, world\n",
    "unknown data": bytes(range(256)),
    "UPX-packed": ELF[:100] + b"UPX!" + ELF[104:],
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_files_are_named(what: str) -> None:
    with pytest.raises(NotGoError) as caught:
        recognise(memoryview(OTHERS[what]))
    assert what in caught.value.what
    assert caught.value.advice
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("data", "format_"), [(ELF, "elf"), (MACHO, "macho"), (FAT, "macho"), (PE, "pe")])
def test_executables_are_recognised(data: bytes, format_: str) -> None:
    assert recognise(memoryview(data)) == format_


def test_a_program_that_contains_the_text_is_not_packed() -> None:
    assert recognise(memoryview(ELF + bytes(4096) + b"UPX!" + bytes(4096))) == "elf"


def test_packed_pe_by_its_sections() -> None:
    with pytest.raises(NotGoError, match="UPX"):
        recognise(memoryview(PE[:200] + b"UPX0\0\0\0\0" + b"UPX1\0\0\0\0" + PE[216:]))


@pytest.mark.parametrize(
    ("data", "sections", "what"),
    [(b"libgo.so.22", (), "gccgo"), (b"", (".go_export",), "gccgo"), (b"/rustc/abc", (), "Rust"), (b"", (), "trace")],
)
def test_executables_of_other_toolchains(data: bytes, sections: tuple[str, ...], what: str) -> None:
    assert what in why_not_go(memoryview(data), sections).what


def test_nothing_else_is_ever_raised() -> None:
    rng = random.Random(1)
    starts = [*OTHERS.values(), ELF, MACHO, FAT, PE]
    for _ in range(3000):
        data = rng.choice(starts)[: rng.randint(0, 80)] + rng.randbytes(rng.randint(0, 400))
        try:
            assert recognise(memoryview(data)) in ("elf", "pe", "macho")
        except NotGoError:
            continue
