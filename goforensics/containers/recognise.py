"""What a file is, by its content: an executable to read, or something else, named with what can be done about it."""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from goforensics.errors import NotGoError

Format = Literal["elf", "pe", "macho"]

READS = "goforensics reads ELF, PE and Mach-O executables"
UNPACK = "unpack it and give the executable inside"
LINK = f"link it first: {READS}"
MACHO = {b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"}
FAT = {b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"}
JAVA_VERSION = 0x2D  # the least major version of a Java class; a universal file has fewer architectures
HEAD, TAIL = 1024, 64  # bytes at the ends of a file in which UPX leaves its mark


@dataclass(frozen=True, slots=True)
class Signature:
    """Bytes at an offset that name a kind of file, and the advice for it."""

    magic: bytes
    what: str
    advice: str
    offset: int = 0


SIGNATURES = (
    Signature(b"\0asm", "a WebAssembly module", "wasm is out of scope; inspect a native build of the same program"),
    Signature(b"\x01\xdf", "an XCOFF executable (AIX)", f"AIX is out of scope: {READS}"),
    Signature(b"\x01\xf7", "a 64-bit XCOFF executable (AIX)", f"AIX is out of scope: {READS}"),
    Signature(b"\0\0\x01\xeb", "a Plan 9 executable (386)", f"Plan 9 is out of scope: {READS}"),
    Signature(b"\0\0\x8a\x97", "a Plan 9 executable (amd64)", f"Plan 9 is out of scope: {READS}"),
    Signature(b"\0\0\x06\x47", "a Plan 9 executable (arm)", f"Plan 9 is out of scope: {READS}"),
    Signature(b"!<arch>\n__.PKGDEF", "a Go package archive", LINK),
    Signature(b"!<arch>\ndebian-binary", "a Debian package", "unpack it with dpkg -x and give the executable inside"),
    Signature(b"!<arch>\n", "an archive of object files", LINK),
    Signature(b"go object ", "a Go object file", LINK),
    Signature(b"\0go1", "a Go object file", LINK),
    Signature(b"\0\0go1", "a Go object file", LINK),
    Signature(b"BC\xc0\xde", "LLVM bitcode", LINK),
    Signature(b"dyld_v1", "a dyld shared cache", "extract the library from it first"),
    Signature(b"PK\x03\x04", "a ZIP archive (or a JAR, APK or wheel)", UNPACK),
    Signature(b"\x1f\x8b", "gzip-compressed data", "unpack it with gunzip and give the file in it"),
    Signature(b"\xfd7zXZ\0", "xz-compressed data", "unpack it with unxz and give the file in it"),
    Signature(b"\x28\xb5\x2f\xfd", "zstd-compressed data", "unpack it with unzstd and give the file in it"),
    Signature(b"BZh", "bzip2-compressed data", "unpack it with bunzip2 and give the file in it"),
    Signature(b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    Signature(b"\xed\xab\xee\xdb", "an RPM package", "unpack it with rpm2cpio and give the executable inside"),
    Signature(b"ustar", "a tar archive", UNPACK, 257),
    Signature(b"%PDF-", "a PDF document", READS),
    Signature(b"\x64\x86", "a COFF object file (amd64)", LINK),
    Signature(b"\x4c\x01", "a COFF object file (386)", LINK),
    Signature(b"\x64\xaa", "a COFF object file (arm64)", LINK),
)
NOT_LINKED = {
    "elf": {1: ("an ELF object file", LINK), 4: ("a core dump", "give the executable that crashed")},
    "macho": {
        1: ("a Mach-O object file", LINK),
        4: ("a core dump", "give the executable that crashed"),
        10: ("a debug companion (dSYM)", "give the executable that it belongs to"),
    },
}


def recognise(data: memoryview) -> Format:
    """The container of an executable.  Raises NotGoError, with what it is and what can be done, for anything else."""
    if not len(data):
        raise NotGoError("an empty file", "nothing to inspect")
    head = bytes(data[:HEAD])
    found = _executable(head, data)
    if found is None:
        raise _other(head)
    _require_linked(found, head)
    if _packed(found, head, bytes(data[-TAIL:])):
        raise NotGoError("a UPX-packed executable", "unpack it first: upx -d FILE")
    return found


def _executable(head: bytes, data: memoryview) -> Format | None:
    if head.startswith(b"\x7fELF"):
        return "elf"
    if head[:4] in MACHO or (head[:4] in FAT and 0 < int.from_bytes(head[4:8], "big") < JAVA_VERSION):
        return "macho"
    if head.startswith(b"MZ"):
        at = int.from_bytes(head[60:64], "little")
        if bytes(data[at : at + 4]) == b"PE\0\0":
            return "pe"
        raise NotGoError("a DOS program", READS)
    return None


def _other(head: bytes) -> NotGoError:
    if head.startswith(b"#!"):
        interpreter = head[2:80].split(b"\n")[0].strip().decode("ascii", "backslashreplace")
        return NotGoError(f"a script for {interpreter!r}", "give the executable that it runs")
    if head[:4] in FAT:
        return NotGoError("a Java class", READS)
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


def _require_linked(found: Format, head: bytes) -> None:
    """Object files, core dumps and debug companions have an executable's magic."""
    at, size, order = 16, 2, "<" if head[5:6] == b"\1" else ">"
    if found == "macho":
        at, size, order = 12, 4, "<" if head[:1] in (b"\xce", b"\xcf") else ">"
    if found == "pe" or head[:4] in FAT:
        return
    if len(head) < at + size:
        raise NotGoError(f"a truncated {'ELF' if found == 'elf' else 'Mach-O'} file", "fetch it again")
    kind = struct.unpack_from(order + ("H" if size == 2 else "I"), head, at)[0]
    if kind in NOT_LINKED[found]:
        raise NotGoError(*NOT_LINKED[found][kind])


def _packed(found: Format, head: bytes, tail: bytes) -> bool:
    """UPX's mark where UPX puts it; a program that only contains the text has it elsewhere."""
    if found == "pe":
        return b"UPX0\0" in head and b"UPX1\0" in head
    return b"UPX!" in head or b"UPX!" in tail


FOREIGN = (  # what betrays another toolchain: section names, texts in the file, what it is, what to do
    ((".go_export", ".gosyminfo"), (b"libgo.so", b"GNU Go ", b"__go_runtime_error"), "gccgo"),
    ((), (b"tinygo_", b"/tinygo/src/"), "TinyGo"),
)


def why_not_go(data: memoryview, section_names: Collection[str]) -> NotGoError:
    """What an executable without a pclntab and without build information is instead."""
    raw = data.obj if isinstance(data.obj, bytes) and len(data.obj) == len(data) else bytes(data)
    for sections, texts, compiler in FOREIGN:
        if any(name in section_names for name in sections) or any(text in raw for text in texts):
            what = f"an executable by {compiler}"
            return NotGoError(what, "it has no pclntab; goforensics reads what Go's own toolchain builds")
    if b"/rustc/" in raw:
        return NotGoError("a Rust executable", "goforensics reads what Go's own toolchain builds")
    return NotGoError("an executable without any trace of Go's toolchain", "goforensics reads Go executables")
