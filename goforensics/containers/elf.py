"""ELF: 32 and 64 bits, both byte orders, with or without section headers.

pyelftools knows the structures; each header is parsed by itself, because a hostile header must cost its own
entry and not the whole file.  Source of truth: the System V gABI; Go's src/debug/elf and cmd/link/internal/ld/elf.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.structs import ELFStructs

from goforensics.bytemap import Claims, Level
from goforensics.containers.elf_dynamic import ElfDynamic, Import, VersionNeed
from goforensics.containers.image import (
    Dynamic,
    Image,
    Problem,
    Purpose,
    Relocations,
    Role,
    Section,
    Segment,
    SymbolTable,
)
from goforensics.errors import FormatError, require

MAX_NAME = 1024  # bytes of a section name that are shown: a hostile string table has no NUL for megabytes
SHN_XINDEX = 0xFFFF
PN_XNUM = 0xFFFF

GOARCH = {
    ("EM_X86_64", 64, "<"): "amd64",
    ("EM_386", 32, "<"): "386",
    ("EM_AARCH64", 64, "<"): "arm64",
    ("EM_ARM", 32, "<"): "arm",
    ("EM_PPC64", 64, ">"): "ppc64",
    ("EM_PPC64", 64, "<"): "ppc64le",
    ("EM_RISCV", 64, "<"): "riscv64",
    ("EM_S390", 64, ">"): "s390x",
    ("EM_MIPS", 32, ">"): "mips",
    ("EM_MIPS", 32, "<"): "mipsle",
    ("EM_MIPS", 64, ">"): "mips64",
    ("EM_MIPS", 64, "<"): "mips64le",
    ("EM_LOONGARCH", 64, "<"): "loong64",
}
OSABI = {
    "ELFOSABI_NETBSD": "netbsd",
    "ELFOSABI_FREEBSD": "freebsd",
    "ELFOSABI_OPENBSD": "openbsd",
    "ELFOSABI_SOLARIS": "solaris",
}
LOADERS = {  # how each system's dynamic linker is called; a static file of no stated ABI is taken for linux
    "/system/bin/linker": "android",
    "/libexec/ld-elf": "freebsd",
    "/usr/libexec/ld-elf": "dragonfly",
    "/usr/libexec/ld.elf_so": "netbsd",
    "/libexec/ld.elf_so": "netbsd",
    "/usr/libexec/ld.so": "openbsd",
    "/lib/ld.so.1": "solaris",
    "/lib/64/ld.so.1": "solaris",
    "/usr/lib/ld.so.1": "solaris",
    "/lib/amd64/ld.so.1": "solaris",
}
METADATA_TYPES = {
    "SHT_NOTE", "SHT_DYNAMIC", "SHT_DYNSYM", "SHT_HASH", "SHT_GNU_HASH", "SHT_REL", "SHT_RELA", "SHT_RELR",
    "SHT_GNU_verdef", "SHT_GNU_verneed", "SHT_GNU_versym", "SHT_STRTAB", "SHT_GROUP",
}  # fmt: skip
METADATA_NAMES = {".interp", ".eh_frame", ".eh_frame_hdr", ".comment", ".gnu_debuglink", ".gnu.build.attributes"}
DEBUG_NAMES = (".debug_", ".zdebug_", ".gdb_index", ".stab")
PURPOSES: dict[object, Purpose] = {"ET_EXEC": "executable", "ET_DYN": "library", "ET_REL": "object"}
COMPRESSION: dict[int, Any] = {1: "zlib", 2: "zstd"}  # ELFCOMPRESS_*


class ElfImage(Image):
    """An ELF executable, shared object or core-less image."""

    format = "elf"
    base = 0

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.problems = []
        require(len(data) >= 52, "shorter than its header", "ELF header", 0)
        require(data[4] in (1, 2) and data[5] in (1, 2), "neither 32 nor 64 bits, or no byte order", "ELF header", 4)
        self.bits = 64 if data[4] == 2 else 32
        self.order = "<" if data[5] == 1 else ">"
        self._structs = ELFStructs(little_endian=self.order == "<", elfclass=self.bits)
        self._structs.create_basic_structs()
        self._structs.create_advanced_structs()
        self.header = self._parse(self._structs.Elf_Ehdr, 0, "ELF header")
        self._structs.create_advanced_structs(
            self.header["e_type"], self.header["e_machine"], self.header["e_ident"]["EI_OSABI"]
        )
        self.entry = self.header["e_entry"]
        self.purpose = PURPOSES.get(self.header["e_type"], "core")
        self.position_independent = self.header["e_type"] == "ET_DYN"
        self.goarch = self._machine()
        self._raw_sections = list(self._section_headers())
        self.program_headers = list(self._program_headers())
        self.segments = tuple(self._load_segments())
        self.sections = tuple(self._named_sections())
        self.goos = self._system()

    def _machine(self) -> str:
        """Go's name for the machine, or ELF's where Go has none."""
        machine = str(self.header["e_machine"])
        return GOARCH.get((machine, self.bits, self.order), machine.removeprefix("EM_").lower())

    def _system(self) -> str:
        """Go's name for the system, by the ABI byte, else by the dynamic linker, else linux."""
        abi = OSABI.get(str(self.header["e_ident"]["EI_OSABI"]))
        loader = self._dynamic.interpreter() or ""
        return abi or next((goos for prefix, goos in LOADERS.items() if loader.startswith(prefix)), "linux")

    def claims(self) -> Iterator[Claims]:
        """The ELF header and its two tables."""
        head = self.header
        phdrs, shdrs = len(self.program_headers), len(self._raw_sections)
        ranges = (
            ("ELF header", 0, head["e_ehsize"]),
            ("program headers", head["e_phoff"], phdrs * head["e_phentsize"]),
            ("section headers", head["e_shoff"], shdrs * head["e_shentsize"]),
        )
        there = [(name, at, at + size) for name, at, size in ranges if size]
        yield Claims.of(
            "elf",
            Level.TABLE,
            [(start, end) for _, start, end in there],
            section="(headers)",
            structure=[name for name, _, _ in there],
            kind="header",
            origin="metadata",
        )
        yield self._dynamic_claims()

    def _dynamic_claims(self) -> Claims:
        """What the dynamic linker reads: found by tags, for a file may have lost its section headers."""
        try:
            tables = list(self._dynamic.tables())
        except FormatError:
            tables = []  # noted where the tables are read
        ranges = [(at, at + size) for _, at, size in tables]
        names = [name for name, _, _ in tables]
        return Claims.of("elf.dynamic", Level.TABLE, ranges, structure=names, kind="metadata", origin="metadata")

    def symbol_table(self) -> SymbolTable | None:
        """.symtab and the string table that it links to."""
        table = next((raw for raw in self._raw_sections if raw["sh_type"] == "SHT_SYMTAB"), None)
        if table is None:
            return None
        link = table["sh_link"]
        require(link < len(self._raw_sections), f"string table {link} does not exist", ".symtab", table["sh_offset"])
        strings = self._raw_sections[link]
        for raw in (table, strings):
            self.bytes_at(raw["sh_offset"], raw["sh_size"], ".symtab")
        record = 24 if self.bits == 64 else 16
        return SymbolTable(
            "elf", table["sh_offset"], table["sh_size"] // record, strings["sh_offset"], strings["sh_size"]
        )

    def dynamic(self) -> Dynamic:
        """From PT_INTERP and PT_DYNAMIC, which the loader reads; section headers are not asked."""
        return self._dynamic.read()

    def dynamic_tags(self) -> dict[int, list[int]]:
        """Values by DT_* number, in the file's order.  FormatError if the dynamic segment does not lie in the file."""
        return self._dynamic.tags()

    def dynamic_texts(self, tag: str) -> list[tuple[str, int]]:
        """The string of each such tag ("DT_NEEDED", "DT_RUNPATH", …) and its offset.  FormatError as `dynamic_tags`."""
        return self._dynamic.texts(tag)

    def interpreter(self) -> tuple[str, int] | None:
        """PT_INTERP and its offset."""
        return self._dynamic.interpreter_place()

    def version_needs(self) -> list[VersionNeed]:
        """The symbol versions that the file asks of libraries.  FormatError if the records cannot be read."""
        return list(self._dynamic.needs())

    def imports(self) -> list[Import]:
        """The undefined dynamic symbols, with the version asked for.  FormatError if the tables cannot be read."""
        return self._dynamic.imports()

    def relocations(self) -> Relocations:
        """R_*_RELATIVE of DT_RELA; REL and RELR keep the value in place."""
        return self._dynamic.relative()

    @cached_property
    def _dynamic(self) -> ElfDynamic:
        return ElfDynamic(self, self.program_headers, self._structs)

    def _parse(self, structure: Any, offset: int, name: str) -> Any:
        size = structure.sizeof()
        raw = bytes(self.bytes_at(offset, size, name))
        try:
            return structure.parse(raw)
        except (ELFError, ConstructError, ValueError, KeyError, OverflowError) as error:
            raise FormatError(f"cannot be parsed ({type(error).__name__})", structure=name, offset=offset) from None

    def _entries(self, structure: Any, name: str, offset: int, count: int, stride: int) -> Iterator[Any]:
        """`count` records of a header table, as far as the file holds them."""
        if not count or not offset:
            return
        size = structure.sizeof()
        fits = max(0, (len(self.data) - offset) // max(stride, 1))
        if stride < size or fits < count:
            reason = f"entries of {stride} bytes" if stride < size else f"{count} entries, {fits} lie in the file"
            missing = 0 if stride < size else offset + count * stride - len(self.data)
            self.problems.append(Problem(name, offset, reason, missing))
        if stride < size:
            return
        for i in range(min(count, fits)):
            try:
                yield self._parse(structure, offset + i * stride, name)
            except FormatError as error:
                self.problems.append(Problem(name, error.offset, error.reason))
                return

    def _section_headers(self) -> Iterator[Any]:
        """Section headers; with extended numbering the first one's sh_size holds their number."""
        head, shdr = self.header, self._structs.Elf_Shdr
        count = head["e_shnum"]
        if head["e_shoff"] and not count and head["e_shoff"] + shdr.sizeof() <= len(self.data):
            count = self._parse(shdr, head["e_shoff"], "section headers")["sh_size"]
        return self._entries(shdr, "section headers", head["e_shoff"], count, head["e_shentsize"])

    def _program_headers(self) -> Iterator[Any]:
        head, phdr = self.header, self._structs.Elf_Phdr
        count = head["e_phnum"]
        if count == PN_XNUM and self._raw_sections:
            count = self._raw_sections[0]["sh_info"]
        return self._entries(phdr, "program headers", head["e_phoff"], count, head["e_phentsize"])

    def _load_segments(self) -> Iterator[Segment]:
        for head in self.program_headers:
            if head["p_type"] != "PT_LOAD":
                continue
            offset, size, flags = head["p_offset"], head["p_filesz"], head["p_flags"]
            held = max(0, min(size, len(self.data) - offset))
            if held < size:
                self.problems.append(
                    Problem("program headers", offset, f"a segment of {size} bytes ends past the file", size - held)
                )
            access = "".join(letter if flags & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
            yield Segment(
                f"LOAD {access}", offset, held, head["p_vaddr"], head["p_memsz"], bool(flags & 2), bool(flags & 1)
            )

    def _named_sections(self) -> Iterator[Section]:
        names = self._section_names()
        symbols = self._symbol_strings()
        for i, raw in enumerate(self._raw_sections):
            if raw["sh_type"] == "SHT_NULL":
                continue
            yield self._section(raw, self._name(names, raw["sh_name"]), i in symbols)

    def _section(self, raw: Any, name: str, symbols: bool) -> Section:
        flags, size = raw["sh_flags"], raw["sh_size"]
        in_file = 0 if raw["sh_type"] == "SHT_NOBITS" else size
        held = max(0, min(in_file, len(self.data) - raw["sh_offset"]))
        if held < in_file:
            reason = f"a section of {in_file} bytes ends past the file"
            self.problems.append(Problem(name, raw["sh_offset"], reason, in_file - held))
        loaded = bool(flags & 2)
        return Section(
            name=name,
            offset=raw["sh_offset"],
            file_size=held,
            address=raw["sh_addr"] if loaded else 0,
            memory_size=size if loaded else 0,
            role="symbols" if symbols else _role(name, raw["sh_type"], flags),
            writable=bool(flags & 1),
            compression=self._compression(raw, held) if flags & 0x800 else _zdebug(name),
        )

    def _compression(self, raw: Any, held: int) -> Any:
        """What the compression header at the start of an SHF_COMPRESSED section says."""
        if held < self._structs.Elf_Chdr.sizeof():
            return "unknown"
        kind = self._parse(self._structs.Elf_word(""), raw["sh_offset"], "compression header")
        return COMPRESSION.get(kind, "unknown")

    def _section_names(self) -> bytes:
        """The bytes of .shstrtab; empty if it cannot be had, and then sections have no names."""
        index = self.header["e_shstrndx"]
        if not self._raw_sections:
            return b""
        if index == SHN_XINDEX:
            index = self._raw_sections[0]["sh_link"]
        if index >= len(self._raw_sections):
            self.problems.append(Problem(".shstrtab", 0, f"section {index} does not exist"))
            return b""
        raw = self._raw_sections[index]
        return bytes(self.data[raw["sh_offset"] : raw["sh_offset"] + raw["sh_size"]])

    def _symbol_strings(self) -> set[int]:
        """Indices of .symtab and of the string table that belongs to it alone."""
        found = set()
        for i, raw in enumerate(self._raw_sections):
            if raw["sh_type"] == "SHT_SYMTAB":
                found |= {i, raw["sh_link"]}
        return found - {self.header["e_shstrndx"]}

    @staticmethod
    def _name(names: bytes, offset: int) -> str:
        end = names.find(b"\0", offset, offset + MAX_NAME)
        return names[offset : end if end >= 0 else offset + MAX_NAME].decode("utf-8", "backslashreplace")


def _role(name: str, kind: object, flags: int) -> Role:
    if name.startswith(DEBUG_NAMES):
        return "debug"
    if kind in METADATA_TYPES or name in METADATA_NAMES:
        return "metadata"
    return "code" if flags & 4 else "data"


def _zdebug(name: str) -> Any:
    return "zdebug" if name.startswith(".zdebug_") else None
