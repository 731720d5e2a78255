"""What a rebuild with -s, -w or -trimpath would save, before anyone has rebuilt: exact, bounded or declined.

A layout must first give the size of the file in hand, or nothing is predicted from it: figures for a file that another
linker or a later tool has laid out would be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from goforensics.binary import Binary
from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.rebuild import changes, layouts
from goforensics.rebuild.changes import Now
from goforensics.rebuild.contents import Contents, Declined
from goforensics.rebuild.flags import SAME, Flags
from goforensics.sections import symtab
from goforensics.sections.arrays import string_ends

ROWS = (
    Flags(("-s",)),
    Flags(("-w",)),
    Flags(("-s", "-w")),
    Flags((), trimpath=True),
    Flags(("-s", "-w"), trimpath=True),
    Flags(("-buildid=",)),
)
SYMBOLS = ("go tool nm and objdump", "pprof -disasm", "perf's function names")
DWARF = ("gdb and delve source lines and variables",)
PATHS = ("absolute source paths in traces and debuggers",)
BUILD_ID = ("the build ID, by which caches and profilers know the file",)
ALWAYS = ("panic traces", "pprof -top and -list", "go version -m")


class Prediction(msgspec.Struct, frozen=True):
    """One rebuild.  Two figures: what goes from the contents, and what that does to the file, which is rounded."""

    flags: Flags
    freed: int  # bytes of content that go, less those that a recorded flag adds; 0 if declined
    size_after: int  # of the file, in bytes; of the file in hand if declined
    exact: bool
    bound: int  # bytes by which size_after may be off; 0 if exact
    declined: str | None  # why nothing can be said
    note: str | None  # why nothing would change
    loses: tuple[str, ...]
    keeps: tuple[str, ...]


def predict(binary: Binary, flags: Flags, *, inflate: bool = True) -> Prediction:
    """What a rebuild of the file with `flags`, on top of its own, would be.

    Without `inflate` no debug data is inflated, and what depends on it has a wider bound.
    """
    return next(predictions(binary, (flags,), inflate=inflate))


def table(binary: Binary) -> list[Prediction]:
    """The rebuilds of ROWS, without inflating anything."""
    return list(predictions(binary, ROWS, inflate=False))


def predictions(binary: Binary, rows: tuple[Flags, ...], *, inflate: bool) -> Iterator[Prediction]:
    """A Prediction per set of flags; the file is looked at once."""
    try:
        model: _Model | str = _Model(binary, inflate)
    except (Declined, FormatError) as error:
        model = str(error)
    for flags in rows:
        if isinstance(model, str):
            yield _nothing(binary, flags, declined=model)
        else:
            yield model.prediction(flags)


def _nothing(
    binary: Binary,
    flags: Flags,
    *,
    declined: str | None = None,
    note: str | None = None,
    keeps: tuple[str, ...] = (),
) -> Prediction:
    size = len(binary.image.data)
    return Prediction(flags, 0, size, declined is None, 0, declined, note, (), keeps)


class _Model:
    """A file whose layout is understood."""

    def __init__(self, binary: Binary, inflate: bool) -> None:
        self.binary, self.inflate = binary, inflate
        self.have = changes.now(binary)
        self.refused = _refusal(self.have)

    def prediction(self, flags: Flags) -> Prediction:
        """One row."""
        keeps = _keeps(self.have)
        note = _idle(self.have, flags)
        if note is not None:
            return _nothing(self.binary, flags, note=note, keeps=keeps)
        try:
            if self.refused:
                raise Declined(self.refused)
            contents = changes.contents_after(self.have, flags)
            size, bound = self._size(contents)
        except (Declined, FormatError) as error:
            return _nothing(self.binary, flags, declined=str(error))
        loses = _loses(self.have, contents, flags)
        kept = tuple(what for what in keeps if what not in loses)
        return Prediction(flags, _freed(self.have, contents), size, bound == 0, bound, None, None, loses, kept)

    def _size(self, contents: Contents) -> tuple[int, int]:
        """(bytes, how far off): no file gets smaller when a section grows, so that the two extremes are enough."""
        image, names = self.have.image, {}
        if self.inflate and contents.dwarf and contents.pclntab is not None:
            names = changes.names_of(self.have)
        likely, slack = layouts.span(image, contents, names, inflate=self.inflate)
        doubt = contents.string_doubt
        if not doubt:
            return likely, slack
        middle, low, high = (layouts.span(image, contents.doubted(d), {}, inflate=False) for d in (0, -doubt, doubt))
        return likely, slack + max(abs(size - middle[0]) + max(more - middle[1], 0) for size, more in (low, high))


def _refusal(have: Now) -> str | None:
    """Why nothing can be said of this file; None if the layout reproduces it."""
    try:
        contents = changes.contents_after(have, SAME)
        size, _ = layouts.span(have.image, contents, {}, inflate=False)
    except (Declined, FormatError) as error:
        return str(error)
    if size != len(have.image.data):
        return (
            f"the linker's layout would be {size} bytes, the file is {len(have.image.data)}: changed since, or unknown"
        )
    return None


def _idle(have: Now, flags: Flags) -> str | None:
    """Why these flags would change nothing; None if they would."""
    strip, no_dwarf = changes.drops((*have.ldflags, *flags.ldflags), have.release, have.image.format)
    reasons = []
    for asked, there, reason in (
        (strip, have.symbols, "it has no symbol table"),
        (no_dwarf, have.dwarf, "it has no DWARF"),
        (flags.trimpath, not have.trimmed, "its paths are trimmed already"),
        ("-buildid=" in flags.ldflags, have.build_id, "it has no build ID"),
    ):
        if asked and there:
            return None
        reasons += [reason] if asked else []
    if any(flag.endswith(("=0", "=false")) for flag in flags.ldflags):
        return None
    return "; ".join(reasons) or "the linker of its release does nothing with them"


def _freed(have: Now, contents: Contents) -> int:
    """Bytes of content that go, less what grows."""
    image = have.image
    parts = (contents.strings, contents.buildinfo, contents.pclntab, contents.root_string)
    freed = sum(part.size - part.new_size for part in parts if part is not None)
    if have.dwarf:
        debug = sum(s.file_size for s in image.sections if s.role == "debug")
        freed += contents.gdb_scripts if contents.dwarf else debug
    if have.symbols and not contents.symbols:
        freed += _symbol_bytes(image)
    return freed + contents.build_id


def _symbol_bytes(image: Image) -> int:
    """Bytes of the symbols that -s drops, and of their names; the dynamic linker's stay in Mach-O files."""
    place = image.symbol_table()
    if place is None:
        return 0
    if place.record != "nlist":
        return place.count * symtab.record_size(place, image.bits) + place.strings_size
    found = symtab.decode_table(image, place)
    defined = found.name[found.section != 0]
    names = string_ends(found.strings, defined[defined < len(found.strings)]) + 1
    return len(defined) * symtab.record_size(place, image.bits) + int((names - defined[: len(names)]).sum())


def _loses(have: Now, contents: Contents, flags: Flags) -> tuple[str, ...]:
    symbols = have.symbols and not contents.symbols
    lost = (*(DWARF if have.dwarf and not contents.dwarf else ()), *(SYMBOLS if symbols else ()))
    return (*lost, *(PATHS if contents.pclntab is not None else ()), *(BUILD_ID if contents.build_id else ()))


def _keeps(have: Now) -> tuple[str, ...]:
    return (*ALWAYS, *(SYMBOLS if have.symbols else ()), *(DWARF if have.dwarf else ()))
