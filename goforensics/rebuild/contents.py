"""Contents: what a rebuild writes, as far as it differs from the file in hand.

The layouts (`elf`, `elf_external`, `macho`, `pe`) turn Contents into the size of a file; what changes is worked out
here, once for all containers.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

MAX_ALIGN = 32  # cmd/link/internal/*/l.go (maxAlign): a string that the linker makes is aligned to its size, up to this
STRING_ALIGN = {"arm": 8}  # what it is on an architecture of its own kind


class Part(msgspec.Struct, frozen=True):
    """A range of loaded bytes that gets another length.  A layout moves what follows it, by its own alignment."""

    address: int
    size: int  # bytes now
    new_size: int  # bytes in the rebuild


class Contents(msgspec.Struct, frozen=True):
    """What the rebuild holds.  All sizes are bytes, uncompressed where not said otherwise."""

    symbols: bool  # the symbol table stays (of Mach-O: the defined symbols)
    dwarf: bool  # Go's debug sections stay
    strings: Part | None  # the copy of the module information among the strings, rounded up to 32; None: has none
    buildinfo: Part | None  # the build information
    pclntab: Part | None  # from the header to the end of the table; None: its length stays
    goroot: bool  # the symbol runtime.defaultGOROOT.str goes (-trimpath takes it out of the program)
    build_id: int  # bytes by which the Go build ID's note and its names shrink (-buildid=)
    gdb_scripts: int  # bytes that .debug_gdb_scripts shrinks by
    root_string: Part | None = None  # the default GOROOT among the strings, rounded up like `strings`
    string_doubt: int = 0  # bytes by which the strings may take more or less room than their rounded lengths

    @property
    def moves(self) -> bool:
        """What the loaded sections hold gets another length."""
        parts = (self.strings, self.buildinfo, self.pclntab, self.root_string)
        return bool(self.string_doubt) or any(p is not None and p.size != p.new_size for p in parts)

    def doubted(self, change: int) -> Contents:
        """The same if the strings took `change` bytes more."""
        if self.strings is None:
            return self
        return replace(self, strings=replace(self.strings, new_size=max(self.strings.new_size + change, 0)))


class Declined(Exception):  # noqa: N818 - a refusal, not a fault
    """The layout does not reproduce the file in hand, or has no rule for it; the reason is for people."""
