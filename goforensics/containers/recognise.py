"""What a file is, by its content: an executable to read, or something else, named with what can be done about it.

Source of truth: Go's cmd/link/internal/ld and cmd/internal/objabi for what Go writes; file(1)'s magic for the rest;
UPX's src/stub/src/include/linux.h and src/packhead.cpp for its marks.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from typing import Literal

import msgspec

from goforensics.errors import NotGoError

Format = Literal["elf", "pe", "macho"]

READS = "goforensics reads ELF, PE and Mach-O executables"
SYSTEMS = "goforensics reads executables for Linux, Android, Windows, macOS, iOS, the BSDs and Solaris"
UNPACK = "unpack it and give the executable inside"
LINK = f"link it first: {READS}"
WASM = "wasm is out of scope; inspect a native build of the same program"
CRASHED = "give the executable that crashed"
AGAIN = "it is cut off; fetch it again"
MACHO = {b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"}
FAT = {b"\xca\xfe\xba\xbe": ">8xIII", b"\xca\xfe\xba\xbf": ">8xQQII"}  # fat_arch and fat_arch_64 in <mach-o/fat.h>
JAVA_VERSION = 0x2D  # the least major version of a Java class; a universal file has fewer architectures
HEAD, LOADER, TAIL = 1024, 512, 64  # bytes at the ends of a file in which UPX leaves its marks
TAR_ENTRIES = 4096  # that are looked at for an image's manifest


class Signature(msgspec.Struct, frozen=True):
    """Bytes at an offset that name a kind of file, and the advice for it."""

    magic: bytes
    what: str
    advice: str
    offset: int = 0


SIGNATURES = (
    Signature(b"\x01\xdf", "an XCOFF executable (AIX)", f"AIX is out of scope: {SYSTEMS}"),
    Signature(b"\x01\xf7", "a 64-bit XCOFF executable (AIX)", f"AIX is out of scope: {SYSTEMS}"),
    Signature(b"\0\0\x01\xeb", "a Plan 9 executable (386)", f"Plan 9 is out of scope: {SYSTEMS}"),
    Signature(b"\0\0\x8a\x97", "a Plan 9 executable (amd64)", f"Plan 9 is out of scope: {SYSTEMS}"),
    Signature(b"\0\0\x06\x47", "a Plan 9 executable (arm)", f"Plan 9 is out of scope: {SYSTEMS}"),
    Signature(b"!<arch>\n__.PKGDEF", "a Go package archive", LINK),
    Signature(b"!<arch>\n_go_.o", "a Go package archive", LINK),
    Signature(b"!<arch>\ngo.o", "a C archive made by Go (-buildmode=c-archive)", LINK),
    Signature(b"!<arch>\ndebian-binary", "a Debian package", "unpack it with dpkg -x and give the executable inside"),
    Signature(b"!<arch>\n", "an archive of object files", LINK),
    Signature(b"!<thin>\n", "a thin archive of object files", LINK),
    Signature(b"<bigaf>\n", "an archive of XCOFF object files (AIX)", f"AIX is out of scope: {SYSTEMS}"),
    Signature(b"go object ", "a Go object file", LINK),
    Signature(b"\0go1", "a Go object file", LINK),
    Signature(b"\0\0go1", "a Go object file", LINK),
    Signature(b"BC\xc0\xde", "LLVM bitcode", LINK),
    Signature(b"dyld_v1", "a dyld shared cache", "extract the library from it first"),
    Signature(b"PK\x03\x04", "a ZIP archive (or a JAR, APK or wheel)", UNPACK),
    Signature(b"PK\x05\x06", "an empty ZIP archive", "nothing to inspect"),
    Signature(b"\x1f\x8b", "gzip-compressed data", "unpack it with gunzip and give the file in it"),
    Signature(b"\xfd7zXZ\0", "xz-compressed data", "unpack it with unxz and give the file in it"),
    Signature(b"\x28\xb5\x2f\xfd", "zstd-compressed data", "unpack it with unzstd and give the file in it"),
    Signature(b"BZh", "bzip2-compressed data", "unpack it with bunzip2 and give the file in it"),
    Signature(b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    Signature(b"\xed\xab\xee\xdb", "an RPM package", "unpack it with rpm2cpio and give the executable inside"),
    Signature(b"hsqs", "a SquashFS image (a snap or an AppImage's payload)", "unpack it with unsquashfs"),
    Signature(b"%PDF-", "a PDF document", READS),
    Signature(b"\x64\x86", "a COFF object file (amd64)", LINK),
    Signature(b"\x4c\x01", "a COFF object file (386)", LINK),
    Signature(b"\x64\xaa", "a COFF object file (arm64)", LINK),
)
NOT_LINKED = {
    "elf": {1: ("an ELF object file", LINK), 4: ("a core dump", CRASHED)},
    "macho": {
        1: ("a Mach-O object file", LINK),
        4: ("a core dump", CRASHED),
        10: ("a debug companion (dSYM)", "give the executable that it belongs to"),
    },
}
SHORTEST = {"elf": (52, "an ELF file"), "macho": (28, "a Mach-O file"), "pe": (64, "a PE file")}


def recognise(data: memoryview) -> Format:
    """The container of an executable.  Raises NotGoError, with what it is and what can be done, for anything else."""
    if not len(data):
        raise NotGoError("an empty file", "nothing to inspect")
    head = bytes(data[:HEAD])
    if _is_fat(head):
        return _universal(data)
    found = _executable(head, data)
    if found is None:
        raise _other(head, data)
    _require_linked(found, head)
    packer = packed(data)
    if packer:
        raise NotGoError(f"a {packer} executable", "unpack it first: upx -d FILE")
    return found


def fat_slices(data: memoryview) -> list[tuple[int, int]]:
    """`(offset, size)` of each slice that a universal Mach-O file lists, in bytes; empty for any other file.

    The ranges are as the file states them and may lie outside it.
    """
    head = bytes(data[:8])
    if not _is_fat(head):
        return []
    layout = struct.Struct(FAT[head[:4]])
    count = min(int.from_bytes(head[4:], "big"), (len(data) - 8) // layout.size)
    return [layout.unpack_from(data, 8 + i * layout.size)[:2] for i in range(count)]


def fat_header_size(data: memoryview) -> int:
    """Bytes of a universal file's header with its slice table; 0 for any other file."""
    slices = fat_slices(data)
    return 8 + len(slices) * struct.calcsize(FAT[bytes(data[:4])]) if slices else 0


def packed(data: memoryview) -> str | None:
    """Give "UPX-packed" if the executable in `data` carries UPX's mark where UPX puts it, else None.

    A program that only contains the text "UPX!" has it elsewhere: its first bytes are headers, and at its end the
    mark is a pack header, with a version, a format, a method and a level that exist.
    """
    head, tail = bytes(data[:HEAD]), bytes(data[-TAIL:])
    if head.startswith(b"MZ"):
        found = b"UPX0\0\0\0\0" in head and b"UPX1\0\0\0\0" in head
    else:
        found = b"UPX!" in head[:LOADER] or _pack_header(head)
    return "UPX-packed" if found or _pack_header(tail) else None


def _pack_header(raw: bytes) -> bool:
    """Whether UPX's PackHeader is in `raw`: the mark, then a byte each of version, format, method and level."""
    for match in re.finditer(b"UPX!", raw):
        version, format_, method, level = raw[match.end() : match.end() + 4].ljust(4, b"\0")
        if 0 < version <= 32 and format_ and 2 <= method <= 16 and level <= 10:
            return True
    return False


def _is_fat(head: bytes) -> bool:
    """A universal file shares its magic with Java's classes, which have their version where it has the count."""
    return len(head) >= 8 and head[:4] in FAT and 0 < int.from_bytes(head[4:8], "big") < JAVA_VERSION


def _universal(data: memoryview) -> Format:
    """A universal file is what its slices are; one of them may be damaged."""
    slices = fat_slices(data)
    heads = [bytes(data[at : at + min(size, HEAD)]) for at, size in slices]
    if all(at >= len(data) for at, _ in slices):
        raise NotGoError("a universal Mach-O file without its slices", AGAIN)
    if heads[0].startswith(b"!<arch>\n"):
        raise NotGoError("a universal static library", LINK)
    first = next((head for head in heads if head[:4] in MACHO), None)
    if first is not None:
        _require_linked("macho", first)
    return "macho"


def _executable(head: bytes, data: memoryview) -> Format | None:
    if head.startswith(b"\x7fELF"):
        return "elf"
    if head[:4] in MACHO:
        return "macho"
    return _windows(head, data) if head.startswith(b"MZ") else None


def _windows(head: bytes, data: memoryview) -> Format:
    """A DOS header may lead to a PE one, and that may be .NET's."""
    if len(head) < 64:
        raise NotGoError("the beginning of a DOS or PE executable", AGAIN)
    at = int.from_bytes(head[60:64], "little")
    if bytes(data[at : at + 4]) != b"PE\0\0":
        cut = at >= len(data) and len(data) >= 128
        raise NotGoError("a DOS program, or a PE executable without its header", AGAIN if cut else READS)
    optional = bytes(data[at + 24 : at + 24 + 240])
    directories = {b"\x0b\x01": 96, b"\x0b\x02": 112}.get(optional[:2], len(optional))
    count = int.from_bytes(optional[directories - 4 : directories], "little")
    if count > 14 and any(optional[directories + 14 * 8 : directories + 14 * 8 + 8]):
        raise NotGoError("a .NET assembly", "goforensics reads what Go's own toolchain builds")
    return "pe"


def _other(head: bytes, data: memoryview) -> NotGoError:
    if head.startswith(b"#!"):
        interpreter = head[2:80].split(b"\n")[0].strip().decode("ascii", "backslashreplace")
        return NotGoError(f"a script for {interpreter!r}", "give the executable that it runs")
    if head[:4] == b"\xca\xfe\xba\xbe":
        return NotGoError("a Java class", READS) if len(head) >= 8 else NotGoError("the beginning of a file", AGAIN)
    if head.startswith(b"\0asm"):
        return _wasm(bytes(data[: 1 << 16]))
    if head[257:262] == b"ustar":
        return _tar(data)
    for signature in SIGNATURES:
        if head.startswith(signature.magic, signature.offset):
            return NotGoError(signature.what, signature.advice)
    if _is_text(head):
        return NotGoError("a text file", READS)
    return NotGoError("unknown data", READS)


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters; its last character may be cut."""
    text = head.decode("utf-8", "replace").rstrip("\ufffd")
    return bool(text) and not re.search("[\0-\x08\x0e-\x1f\ufffd]", text)


def _wasm(head: bytes) -> NotGoError:
    """Go's linker begins a module with a custom section "go:buildid" (before Go 1.20 "go.buildid")."""
    if not re.match(rb"\0asm\x01\0\0\0\0.{1,5}\x0ago[.:]buildid", head, re.DOTALL):
        return NotGoError("a WebAssembly module", WASM)
    target = "GOOS=wasip1" if b"wasi_snapshot_preview1" in head else "GOOS=js"
    return NotGoError(f"a WebAssembly module built by Go ({target})", WASM)


def _tar(data: memoryview) -> NotGoError:
    """A tar archive; a container image's has its manifest in it."""
    at = 0
    for _ in range(TAR_ENTRIES):
        header = bytes(data[at : at + 512])
        name, size = header[:100].split(b"\0")[0], header[124:136].strip(b" \0")
        if name in (b"manifest.json", b"oci-layout", b"./oci-layout", b"./manifest.json"):
            return NotGoError("a container image (a tar archive of layers)", "copy the executable out of it first")
        if not re.fullmatch(rb"[0-7]{1,12}", size):
            break
        at += 512 + -(-int(size, 8) // 512) * 512
    return NotGoError("a tar archive", UNPACK)


def _require_linked(found: Format, head: bytes) -> None:
    """Object files, core dumps and debug companions have an executable's magic."""
    least, what = SHORTEST[found]
    if len(head) < least:
        raise NotGoError(f"the beginning of {what}", AGAIN)
    if found == "pe":
        return
    if found == "elf":
        (kind,) = struct.unpack_from(("<" if head[5] == 1 else ">") + "H", head, 16)
    else:
        (kind,) = struct.unpack_from(("<" if head[0] in b"\xce\xcf" else ">") + "I", head, 12)
    if kind in NOT_LINKED[found]:
        raise NotGoError(*NOT_LINKED[found][kind])


FOREIGN = (  # what betrays another toolchain: section names, texts in the file, what made it, what to do
    (
        (".go_export",),
        (b"libgo.so", b"GNU Go ", b"__go_runtime_error", b"__go_register_gc_roots"),
        "an executable built by gccgo",
        "gccgo writes no pclntab; build it with Go's own toolchain",
    ),
    (
        (),
        (b"tinygo_", b"/tinygo/src/", b"TinyGo"),
        "an executable built by TinyGo",
        "TinyGo writes no pclntab; build it with Go's own toolchain",
    ),
    (
        (".rustc",),
        (b"/rustc/", b"rustc version "),
        "a Rust executable",
        "goforensics reads what Go's own toolchain builds",
    ),
)


def why_not_go(data: memoryview, sections: Collection[str]) -> NotGoError:
    """What an executable without a pclntab and without build information is instead: the error to raise.

    `sections` are the names of its sections.
    """
    for names, texts, what, advice in FOREIGN:
        if any(name in sections for name in names) or any(re.search(re.escape(text), data) for text in texts):
            return NotGoError(what, advice)
    return NotGoError("an executable without any trace of Go's toolchain", "goforensics reads Go executables")
