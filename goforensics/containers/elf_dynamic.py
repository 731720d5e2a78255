"""What an ELF file tells the dynamic linker, read as the loader does: by program headers and dynamic tags.

Section headers are never needed here, so a file stripped of them gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from elftools.elf.enums import ENUM_D_TAG
from numpy.typing import NDArray

from goforensics.containers.image import NO_RELOCATIONS, Dynamic, Image, Relocations
from goforensics.errors import FormatError, require

MAX_STRING = 4096  # PATH_MAX
MAX_VERSIONS = 10_000  # version records read; a real file has tens
MAX_SYMBOLS = 1 << 20  # dynamic symbols read
WEAK = 2  # VER_FLG_WEAK: the loader only warns where the version is missing
SYMBOL = {  # Elf64_Sym, Elf32_Sym
    64: np.dtype([("name", "u4"), ("info", "u1"), ("other", "u1"), ("section", "u2"), ("value", "u8"), ("size", "u8")]),
    32: np.dtype([("name", "u4"), ("value", "u4"), ("size", "u4"), ("info", "u1"), ("other", "u1"), ("section", "u2")]),
}

RELATIVE = {  # R_*_RELATIVE, as in Go's src/debug/elf/elf.go; architectures that use RELA
    "amd64": 8,
    "arm64": 1027,
    "ppc64": 22,
    "ppc64le": 22,
    "riscv64": 3,
    "s390x": 12,
    "loong64": 3,
}


class VersionNeed(msgspec.Struct, frozen=True):
    """A symbol version that the file asks of a library (Elf_Vernaux)."""

    library: str
    version: str
    offset: int  # of the version's name
    index: int  # by which DT_VERSYM refers to it
    weak: bool  # the loader only warns where it is missing


class Import(msgspec.Struct, frozen=True):
    """A symbol that another file has to define."""

    name: str
    offset: int  # of the name
    version: str  # "" for any
    library: str  # of the version, "" for any


class ElfDynamic:
    """The dynamic segment of one image."""

    def __init__(self, image: Image, program_headers: list[Any], structs: Any) -> None:
        self._image = image
        self._headers = program_headers
        self._structs = structs

    def interpreter(self) -> str | None:
        """PT_INTERP, the dynamic linker's path."""
        place = self.interpreter_place()
        return place[0] if place else None

    def interpreter_place(self) -> tuple[str, int] | None:
        """The same with its offset."""
        head = next((h for h in self._headers if h["p_type"] == "PT_INTERP"), None)
        if head is None:
            return None
        start = head["p_offset"]
        return _text(bytes(self._image.data[start : start + min(head["p_filesz"], MAX_STRING)])), start

    def read(self) -> Dynamic:
        """Everything that a report needs."""

        def texts(name: str) -> tuple[str, ...]:
            return tuple(text for text, _ in self.texts(name))

        return Dynamic(
            interpreter=self.interpreter(),
            needed=texts("DT_NEEDED"),
            rpath=_split(texts("DT_RPATH")),
            runpath=_split(texts("DT_RUNPATH")),
            versions=self._versions(),
            soname=next(iter(texts("DT_SONAME")), None),
        )

    def texts(self, name: str) -> list[tuple[str, int]]:
        """The string of each such tag (DT_NEEDED, …) with its offset."""
        tags = self.tags()
        strings, base = self._strings(tags), self._strings_at(tags)
        return [(_text(strings[at : at + MAX_STRING]), base + at) for at in tags.get(ENUM_D_TAG[name], ())]

    def relative(self) -> Relocations:
        """Addends of the R_*_RELATIVE entries of DT_RELA, by address."""
        tags, kind = self.tags(), RELATIVE.get(self._image.goarch)
        table, size = (next(iter(tags.get(ENUM_D_TAG[name], ())), 0) for name in ("DT_RELA", "DT_RELASZ"))
        if not table or kind is None:
            return NO_RELOCATIONS
        at = self._image.offset_of(table)
        require(at is not None, f"DT_RELA {table:#x} is not in the file", "relocations", 0)
        raw = self._image.bytes_at(at or 0, size - size % 24, "relocations")
        entries = np.frombuffer(raw, f"{self._image.order}u8").reshape(-1, 3)
        entries = entries[entries[:, 1] & np.uint64(0xFFFFFFFF) == kind].astype(np.uint64)
        entries = entries[np.argsort(entries[:, 0], kind="stable")]
        return Relocations(entries[:, 0].copy(), entries[:, 2].copy())

    def tables(self) -> Iterator[tuple[str, int, int]]:
        """(what it is, offset, bytes) of the tables that the tags name, and of the segments that are a table."""
        for head in self._headers:
            name = {"PT_INTERP": "interpreter", "PT_DYNAMIC": "dynamic table"}.get(head["p_type"])
            if name is not None:
                yield name, head["p_offset"], head["p_filesz"]
        tags, pointer = self.tags(), self._image.pointer_size

        def tag(name: str) -> int:
            return next(iter(tags.get(ENUM_D_TAG[name], ())), 0)

        symbols = self._symbol_count(tag("DT_HASH"))
        entry = 24 if pointer == 8 else 16
        sizes = (
            ("relocations", "DT_RELA", tag("DT_RELASZ")),
            ("relocations", "DT_REL", tag("DT_RELSZ")),
            ("relocations of calls", "DT_JMPREL", tag("DT_PLTRELSZ")),
            ("dynamic strings", "DT_STRTAB", tag("DT_STRSZ")),
            ("dynamic symbols", "DT_SYMTAB", entry * symbols),
            ("symbol versions", "DT_VERSYM", 2 * symbols),
            ("hash table", "DT_HASH", 4 * (2 + symbols + self._words(tag("DT_HASH"))[0])),
        )
        for what, where, size in sizes:
            at = self._image.offset_of(tag(where)) if tag(where) else None
            if at is not None and 0 < size <= len(self._image.data) - at:
                yield what, at, size

    def _symbol_count(self, table: int) -> int:
        """Chains of DT_HASH, of which every symbol has one; 0 without such a table."""
        return self._words(table)[1]

    def _words(self, table: int) -> tuple[int, int]:
        """The first two words of DT_HASH: buckets and chains; none of more than the file could hold."""
        at = self._image.offset_of(table) if table else None
        if at is None or at + 8 > len(self._image.data):
            return 0, 0
        buckets, chains = np.frombuffer(self._image.data[at : at + 8], f"{self._image.order}u4").tolist()
        return (buckets, chains) if 4 * (buckets + chains) <= len(self._image.data) else (0, 0)

    def tags(self) -> dict[int, list[int]]:
        """Values by tag, in file order, up to DT_NULL."""
        head = next((h for h in self._headers if h["p_type"] == "PT_DYNAMIC"), None)
        if head is None:
            return {}
        image, size = self._image, head["p_filesz"]
        pair = 2 * image.pointer_size
        raw = image.bytes_at(head["p_offset"], size - size % pair, "dynamic segment")
        words: NDArray[np.unsignedinteger] = np.frombuffer(raw, image.word).reshape(-1, 2)
        ends = np.flatnonzero(words[:, 0] == 0)
        tags: dict[int, list[int]] = {}
        for tag, value in words[: ends[0] if len(ends) else MAX_VERSIONS].tolist():
            tags.setdefault(tag, []).append(value)
        return tags

    def _versions(self) -> dict[str, tuple[str, ...]]:
        """Versions by library, in the file's order."""
        found: dict[str, tuple[str, ...]] = {}
        for need in self.needs():
            found[need.library] = (*found.get(need.library, ()), need.version)
        return found

    def _strings_at(self, tags: dict[int, list[int]]) -> int:
        """The offset of DT_STRTAB; 0 without one.  FormatError if it does not lie in the file."""
        table = next(iter(tags.get(ENUM_D_TAG["DT_STRTAB"], ())), 0)
        at = self._image.offset_of(table) if table else 0
        require(at is not None, f"DT_STRTAB {table:#x} is not in the file", "dynamic strings", 0)
        return at or 0

    def _strings(self, tags: dict[int, list[int]]) -> bytes:
        size = next(iter(tags.get(ENUM_D_TAG["DT_STRSZ"], ())), 0)
        at = self._strings_at(tags)
        return bytes(self._image.data[at : at + size]) if at else b""

    def needs(self) -> Iterator[VersionNeed]:
        """The Verneed chain: per library the symbol versions that the file asks of it."""
        tags = self.tags()
        table = next(iter(tags.get(ENUM_D_TAG["DT_VERNEED"], ())), 0)
        at = self._image.offset_of(table) if table else None
        if at is None:
            return
        strings, base = self._strings(tags), self._strings_at(tags)
        for need, here in self._chain(self._structs.Elf_Verneed, at, "vn_next"):
            library = _text(strings[need["vn_file"] : need["vn_file"] + MAX_STRING])
            for one, _ in self._chain(self._structs.Elf_Vernaux, here + need["vn_aux"], "vna_next"):
                name = one["vna_name"]
                version = _text(strings[name : name + MAX_STRING])
                yield VersionNeed(library, version, base + name, one["vna_other"], bool(one["vna_flags"] & WEAK))

    def imports(self) -> list[Import]:
        """The undefined symbols of DT_SYMTAB, each with the version that DT_VERSYM says."""
        tags, image = self.tags(), self._image
        table, versions, text = (
            image.offset_of(next(iter(tags.get(ENUM_D_TAG[name], ())), 0))
            for name in ("DT_SYMTAB", "DT_VERSYM", "DT_STRTAB")
        )
        if table is None or text is None:
            return []
        record = SYMBOL[image.bits].newbyteorder(image.order)
        count = self._all_symbols(tags, table, text, record.itemsize)
        rows = np.frombuffer(image.bytes_at(table, count * record.itemsize, "dynamic symbols"), record)
        asked = np.zeros(count, np.int64)
        if versions is not None:
            raw = image.bytes_at(versions, 2 * count, "symbol versions")
            asked = np.frombuffer(raw, f"{image.order}u2").astype(np.int64) & 0x7FFF
        strings, needs = self._strings(tags), {need.index: need for need in self.needs()}
        found = []
        for row in np.flatnonzero((rows["section"] == 0) & (rows["name"] > 0) & (rows["name"] < len(strings))).tolist():
            at, need = int(rows["name"][row]), needs.get(int(asked[row]))
            name = _text(strings[at : at + MAX_STRING])
            found.append(Import(name, text + at, need.version if need else "", need.library if need else ""))
        return found

    def _all_symbols(self, tags: dict[int, list[int]], table: int, strings: int, size: int) -> int:
        """How many dynamic symbols there are: by DT_HASH, by the section, else up to the strings that follow."""
        hashed = self._symbol_count(next(iter(tags.get(ENUM_D_TAG["DT_HASH"], ())), 0))
        section = next((s.file_size // size for s in self._image.sections if s.offset == table and s.file_size), 0)
        count = hashed or section or max(0, strings - table) // size
        return min(count, MAX_SYMBOLS, (len(self._image.data) - table) // size)

    def _chain(self, structure: Any, at: int, following: str) -> Iterator[tuple[Any, int]]:
        """Records linked by forward distances, each with its offset."""
        size = structure.sizeof()
        for _ in range(MAX_VERSIONS):
            record = structure.parse(bytes(self._image.bytes_at(at, size, "version needs")))
            yield record, at
            if record[following] == 0:
                return
            require(record[following] >= size, "records overlap", "version needs", at)
            at += record[following]
        raise FormatError(f"more than {MAX_VERSIONS} records", structure="version needs", offset=at)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _split(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for path in paths for part in path.split(":") if part)
