"""What the headers ask of the loader to make attacks harder, and where they say so.

Source of truth: the System V gABI with GNU's PT_GNU_STACK, PT_GNU_RELRO and DT_FLAGS (binutils' include/elf/common.h);
Microsoft's PE format (DllCharacteristics); Apple's <mach-o/loader.h> and <kern/cs_blobs.h>; Go's
src/internal/platform/supported.go (where -buildmode=pie can be had).
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.sections import symtab
from goforensics.sections.protocol import Source

DT_TEXTREL, DT_JMPREL, DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1 = 22, 23, 24, 30, 0x6FFFFFFB
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW = 4, 8, 1
PF_X = 1
PE_FLAGS = 70  # offset of DllCharacteristics in an optional header of either width
HIGH_ENTROPY_VA, DYNAMIC_BASE, NX_COMPAT = 0x20, 0x40, 0x100
MACHO_FLAGS = 24  # offset of mach_header's flags
MH_ALLOW_STACK_EXECUTION = 0x20000
SUPERBLOB, CODE_DIRECTORY, CMS = 0xFADE0CC0, 0xFADE0C02, 0x10000  # CSMAGIC_*, CSSLOT_SIGNATURESLOT
CS_ADHOC = 2
MAX_BLOBS = 64  # of a code signature that are looked at
WIN_CERT = 8  # bytes of a WIN_CERTIFICATE before what it holds
CANARY = b"__stack_chk_fail"
PIE = {
    "linux": {"386", "amd64", "arm", "arm64", "loong64", "ppc64", "ppc64le", "riscv64", "s390x"},
    "android": {"386", "amd64", "arm", "arm64"},
    "freebsd": {"amd64"},
    "openbsd": {"arm64"},
    "darwin": {"amd64", "arm64"},
    "ios": {"amd64", "arm64"},
    "windows": {"386", "amd64", "arm64"},
}
Signed = Literal["none", "ad hoc", "signed", "broken"]


class Fact(msgspec.Struct, frozen=True):
    """Something that a header says: `holds`, None where it does not say; `offset` of the bytes that say it."""

    holds: bool | None
    text: str
    where: str
    offset: int | None = None
    length: int = 0


def supports_pie(goos: str, goarch: str) -> bool:
    """Whether Go can build a position-independent executable for a platform at all."""
    return goarch in PIE.get(goos, ())


def position_independent(image: Image) -> Fact:
    """The loader may put the image anywhere."""
    holds = image.position_independent
    if image.format == "pe":
        return _pe_flag(image, DYNAMIC_BASE, "DYNAMIC_BASE with base relocations", holds)
    if image.format == "macho":
        return Fact(holds, "MH_PIE" if holds else "no MH_PIE", "header", MACHO_FLAGS, 4)
    return Fact(holds, "ET_DYN" if holds else "ET_EXEC, linked for one address", "header", 16, 2)


def high_entropy(image: Image) -> Fact | None:
    """A PE file of 64 bits may be put anywhere in 64 bits; None for other files."""
    if image.format != "pe" or image.bits == 32:
        return None
    return _pe_flag(image, HIGH_ENTROPY_VA, "HIGH_ENTROPY_VA")


def stack_not_executable(image: Image) -> Fact:
    """The stack holds no code."""
    if image.format == "pe":
        return _pe_flag(image, NX_COMPAT, "NX_COMPAT")
    if image.format == "macho":
        from goforensics.containers.macho import MachoImage

        assert isinstance(image, MachoImage)
        allows = bool(image.flags & MH_ALLOW_STACK_EXECUTION)
        text = "MH_ALLOW_STACK_EXECUTION" if allows else "no MH_ALLOW_STACK_EXECUTION"
        return Fact(not allows, text, "header", MACHO_FLAGS, 4)
    found = _program_header(image, "PT_GNU_STACK")
    if found is None:
        return Fact(None, "no PT_GNU_STACK", "program headers")
    flags, offset = found
    at = offset + (4 if image.bits == 64 else 24)
    return Fact(not flags & PF_X, f"PT_GNU_STACK {_access(flags)}", "program headers", at, 4)


def relro(image: Image) -> Fact:
    """ELF: what the loader has relocated is made read-only afterwards."""
    found = _program_header(image, "PT_GNU_RELRO")
    if found is None:
        return Fact(False, "no PT_GNU_RELRO", "program headers")
    return Fact(True, "PT_GNU_RELRO", "program headers", found[1], 4)


def bind_now(image: Image) -> Fact:
    """ELF: symbols are bound before the program starts.  FormatError if the dynamic segment cannot be read."""
    tags = _tags(image)
    now = bool(tags.get(DT_BIND_NOW) or _any(tags, DT_FLAGS, DF_BIND_NOW) or _any(tags, DT_FLAGS_1, DF_1_NOW))
    lazy = "calls are bound when first made" if tags.get(DT_JMPREL) else "nothing is bound lazily, but it may be"
    return Fact(now, "BIND_NOW" if now else f"no BIND_NOW: {lazy}", "dynamic")


def text_relocations(image: Image) -> Fact:
    """ELF: the loader has to write into the code.  FormatError if the dynamic segment cannot be read."""
    tags = _tags(image)
    return Fact(DT_TEXTREL in tags or _any(tags, DT_FLAGS, DF_TEXTREL), "DT_TEXTREL", "dynamic:TEXTREL")


def canaries(source: Source) -> Fact:
    """Whether C code that checks its stack is linked in: it refers to the function that ends the program if not.

    Unknown where no symbols are left to tell.  A static C library refers to it on its own account.
    """
    image, told = source.image, False
    try:
        raw = bytes(source.read(symtab.PARSER).strings)
        told, at = True, raw.find(CANARY)
    except FormatError:
        at = -1
    if at >= 0:
        return Fact(True, CANARY.decode(), "symtab", source.read(symtab.PARSER).table.strings_offset + at, len(CANARY))
    if image.format == "elf":
        return _imported_canary(image, told)
    return Fact(False if told else None, f"no reference to {CANARY.decode()}", "symtab")


def _imported_canary(image: Image, told: bool) -> Fact:
    from goforensics.containers.elf import ElfImage

    assert isinstance(image, ElfImage)
    try:
        imports = image.imports()
    except FormatError:
        imports = []
    found = next((i for i in imports if i.name.startswith(CANARY.decode())), None)
    if found is not None:
        return Fact(True, found.name, "dynamic:symbols", found.offset, len(found.name))
    return Fact(False if told or imports else None, f"no reference to {CANARY.decode()}", "dynamic:symbols")


def signature(image: Image) -> tuple[Signed, Fact]:
    """Whether a PE or Mach-O file carries a signature; that it is valid is not checked."""
    if image.format == "pe":
        from goforensics.containers.pe import PeImage

        assert isinstance(image, PeImage)
        at, size = image.certificates()
        if not size:
            return "none", Fact(False, "no certificates", "header")
        there = 0 < at <= at + size <= len(image.data) and size > WIN_CERT
        return ("signed" if there else "broken"), _inside(image, Fact(there, "certificates", "certificates", at, size))
    from goforensics.containers.macho import MachoImage

    assert isinstance(image, MachoImage)
    at, size = image.linkedit().get("code signature", (0, 0))
    if not size:
        return "none", Fact(False, "no LC_CODE_SIGNATURE", "load commands")
    kind = _macho_signature(bytes(image.data[at : at + size]))
    return kind, _inside(image, Fact(kind != "broken", "LC_CODE_SIGNATURE", "code signature", at, size))


def _inside(image: Image, fact: Fact) -> Fact:
    """The fact without its place, if that does not lie in the file."""
    at, size = fact.offset or 0, fact.length
    return fact if at + size <= len(image.data) else msgspec.structs.replace(fact, offset=None, length=0)


def _macho_signature(raw: bytes) -> Signed:
    """A SuperBlob of (slot, offset) of blobs: ad hoc if a code directory says so and no certificate comes with it."""
    if len(raw) < 12:
        return "broken"
    magic, length, count = struct.unpack_from(">III", raw)
    if magic != SUPERBLOB or length > len(raw) or count > MAX_BLOBS or 12 + 8 * count > length:
        return "broken"
    flags, certified = None, False
    for i in range(count):
        slot, at = struct.unpack_from(">II", raw, 12 + 8 * i)
        if at + 16 > length:
            continue
        kind, size, _, word = struct.unpack_from(">IIII", raw, at)
        certified |= slot == CMS and size > WIN_CERT
        flags = word if kind == CODE_DIRECTORY and flags is None else flags
    if flags is None:
        return "broken"
    return "ad hoc" if flags & CS_ADHOC or not certified else "signed"


def _pe_flag(image: Image, flag: int, name: str, holds: bool | None = None) -> Fact:
    from goforensics.containers.pe import PeImage

    assert isinstance(image, PeImage)
    there = bool(image.dll_flags & flag) if holds is None else holds
    return Fact(there, name if there else f"no {name}", "header", image.optional_header + PE_FLAGS, 2)


def _program_header(image: Image, kind: str) -> tuple[int, int] | None:
    """(flags, offset) of the first program header of a kind."""
    from goforensics.containers.elf import ElfImage

    assert isinstance(image, ElfImage)
    start, size = image.header["e_phoff"], image.header["e_phentsize"]
    heads = enumerate(image.program_headers)
    return next(((h["p_flags"], start + i * size) for i, h in heads if h["p_type"] == kind), None)


def _access(flags: int) -> str:
    return "".join(letter if flags & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))


def _tags(image: Image) -> dict[int, list[int]]:
    from goforensics.containers.elf import ElfImage

    assert isinstance(image, ElfImage)
    return image.dynamic_tags()


def _any(tags: dict[int, list[int]], tag: int, bit: int) -> bool:
    return any(value & bit for value in tags.get(tag, ()))
