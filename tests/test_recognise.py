"""recognise: everything that is no executable is named, in one line, with what can be done."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import tarfile

import pytest

from goforensics.containers import recognise
from goforensics.errors import NotGoError

PE = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + bytes(20)


def elf(kind: int, tail: bytes = b"") -> bytes:
    return b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<H", kind) + bytes(100) + tail


def macho(kind: int) -> bytes:
    return struct.pack("<7I", 0xFEEDFACF, 0x01000007, 3, kind, 0, 0, 0).ljust(64, b"\0")


def fat(*slices: bytes) -> bytes:
    head = struct.pack(">II", 0xCAFEBABE, len(slices))
    at = 8 + 20 * len(slices)
    for body in slices:
        head += struct.pack(">5I", 0x01000007, 3, at, len(body), 0)
        at += len(body)
    return head + b"".join(slices)


def pe(directory: int = 0, magic: int = 0x20B) -> bytes:
    """A PE header whose data directory number `directory` is there."""
    start = 112 if magic == 0x20B else 96
    optional = bytearray(start + 128)
    struct.pack_into("<H", optional, 0, magic)
    struct.pack_into("<I", optional, start - 4, 16)
    struct.pack_into("<II", optional, start + 8 * directory, 0x2000, 72)
    return PE + bytes(optional)


def tar(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 700
            archive.addfile(member, io.BytesIO(bytes(700)))
    return out.getvalue()


def wasm(custom: bytes, more: bytes = b"") -> bytes:
    body = bytes([len(custom)]) + custom
    return b"\0asm\1\0\0\0\0" + bytes([len(body)]) + body + more


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (elf(2), "elf"),
        (elf(3), "elf"),
        (pe(), "pe"),
        (pe(magic=0x10B), "pe"),
        (macho(2), "macho"),
        (macho(6), "macho"),
        (fat(macho(2), macho(2)), "macho"),
        (fat(bytes(64), macho(2)), "macho"),
    ],
)
def test_executables(data: bytes, kind: str) -> None:
    assert recognise.recognise(memoryview(data)) == kind


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"\x7fELF\2\1", "the beginning of an ELF file"),
        (b"MZ\x90", "the beginning of a DOS or PE"),
        (macho(2)[:10], "the beginning of a Mach-O"),
        (fat(macho(2))[:8], "universal Mach-O file without its slices"),
        (b"MZ".ljust(200, b"\0"), "DOS program"),
        (pe(14), ".NET assembly"),
        (pe(14, 0x10B), ".NET assembly"),
        (elf(1), "ELF object"),
        (elf(4), "core dump"),
        (macho(1), "Mach-O object"),
        (macho(4), "core dump"),
        (macho(10), "dSYM"),
        (fat(macho(1)), "Mach-O object"),
        (fat(b"!<arch>\n" + bytes(60)), "universal static library"),
        (struct.pack(">IHH", 0xCAFEBABE, 0, 52) + b"\0\x1d" + bytes(30), "Java class"),
        (struct.pack(">IHH", 0xCAFEBABE, 0, 61), "Java class"),
        (struct.pack(">IHH", 0xCAFEBABE, 3, 45) + b"\0\x1d" + bytes(30), "Java class"),
        (wasm(b"name"), "a WebAssembly module:"),
        (wasm(b"\x0ago:buildid", b"gojs"), "WebAssembly module built by Go (GOOS=js)"),
        (wasm(b"\x0ago.buildid"), "WebAssembly module built by Go (GOOS=js)"),
        (b"\0asm\1\0\0\0\0\xf2\x80\x80\x80\0\x0ago:buildid wasi_snapshot_preview1", "GOOS=wasip1"),
        (b"\x01\xf7\0\x0a" + bytes(60), "XCOFF"),
        (b"\x01\xdf\0\x0a" + bytes(60), "XCOFF"),
        (b"\0\0\x8a\x97" + bytes(60), "Plan 9"),
        (b"!<arch>\n__.PKGDEF       0   ", "Go package archive"),
        (b"!<arch>\ndebian-binary   ", "Debian package"),
        (b"!<arch>\n/               ", "archive of object files"),
        (b"go object linux amd64 go1.27\n", "Go object file"),
        (b"BC\xc0\xde" + bytes(20), "LLVM bitcode"),
        (b"dyld_v1   arm64e\0", "dyld shared cache"),
        (b"PK\x03\x04" + bytes(30), "ZIP"),
        (b"\x1f\x8b\x08" + bytes(10), "gunzip"),
        (b"\xfd7zXZ\0" + bytes(10), "unxz"),
        (b"\x28\xb5\x2f\xfd" + bytes(10), "unzstd"),
        (tar("bin/app"), "a tar archive"),
        (tar("bin/app", "oci-layout"), "container image"),
        (tar("a.json", "manifest.json"), "container image"),
        (b"%PDF-1.7\n", "PDF"),
        (b"#!/bin/sh\nexec app\n", "a script for '/bin/sh'"),
        (b"package main\n", "text file"),
        (bytes(range(256)), "unknown data"),
    ],
)
def test_others_are_named(data: bytes, what: str) -> None:
    with pytest.raises(NotGoError) as caught:
        recognise.recognise(memoryview(data))
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.advice


def upx_loader(at: int) -> bytes:
    """l_info, as UPX writes it behind its program headers."""
    return elf(2).ljust(at, b"\0") + struct.pack("<I4sHBB", 7, b"UPX!", 0x600, 14, 22) + bytes(4000)


def upx_tail() -> bytes:
    """The pack header that ends a packed file."""
    return elf(2) + bytes(4000) + b"UPX!" + bytes([14, 22, 14, 8]) + bytes(28)


@pytest.mark.parametrize(
    "data",
    [
        upx_loader(0xE8),
        upx_tail(),
        elf(2) + b"UPX!" + bytes(2000),
        pe() + b"UPX0".ljust(40, b"\0") + b"UPX1".ljust(40, b"\0"),
    ],
)
def test_packed(data: bytes) -> None:
    assert recognise.packed(memoryview(data)) == "UPX-packed"
    with pytest.raises(NotGoError, match="upx -d"):
        recognise.recognise(memoryview(data))


@pytest.mark.parametrize(
    "data",
    [
        upx_loader(5000),
        elf(2) + bytes(4000) + b'"UPX!" is not a pack header' + bytes(30),
        elf(2) + bytes(4000) + b"UPX!",
        pe() + b"UPX0 and UPX1",
    ],
)
def test_the_text_alone_is_no_packer(data: bytes) -> None:
    assert recognise.packed(memoryview(data)) is None
    recognise.recognise(memoryview(data))


@pytest.mark.parametrize(
    ("data", "sections", "what"),
    [
        (b"", {".go_export"}, "gccgo"),
        (b"..libgo.so.21..", set(), "gccgo"),
        (b"..tinygo_scanstack..", set(), "TinyGo"),
        (b"../rustc/90b35a6/library..", set(), "Rust"),
        (b"", {".rustc"}, "Rust"),
        (b"GCC: (Debian) 12", {".text", ".comment"}, "without any trace of Go's toolchain"),
    ],
)
def test_why_not_go(data: bytes, sections: set[str], what: str) -> None:
    assert what in recognise.why_not_go(memoryview(data), sections).what


def test_fat_slices() -> None:
    data = fat(macho(2), macho(6))
    assert recognise.fat_slices(memoryview(data)) == [(48, 64), (112, 64)]
    assert recognise.fat_header_size(memoryview(data)) == 48
    assert recognise.fat_slices(memoryview(macho(2))) == []
    assert recognise.fat_slices(memoryview(data[:40])) == [(48, 64)]


@pytest.mark.parametrize("data", [elf(2), pe(), macho(2), fat(macho(2)), tar("a"), wasm(b"\x0ago:buildid")])
def test_every_prefix(data: bytes) -> None:
    for end in range(len(data)):
        line = ""
        try:
            recognise.recognise(memoryview(data)[:end])
        except NotGoError as error:
            line = str(error)
        assert "\n" not in line


def test_noise() -> None:
    chance = random.Random(1)
    starts = [elf(2), pe(), macho(2), fat(macho(2)), tar("a"), wasm(b"name"), *(s.magic for s in recognise.SIGNATURES)]
    for _ in range(3000):
        data = chance.choice(starts)[: chance.randint(0, 80)] + chance.randbytes(chance.randint(0, 400))
        with contextlib.suppress(NotGoError):
            recognise.recognise(memoryview(data))
