"""buildinfo: the Go version, modules and settings that cmd/go stamps into an executable.

Source of truth: Go's src/debug/buildinfo/buildinfo.go (the blob), src/runtime/debug/mod.go (ParseBuildInfo),
cmd/link/internal/ld/data.go (buildinfo, the writer).  Up to Go 1.17 the blob points at two Go strings, since 1.18 they
follow it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from goforensics.bytemap import Claims, Level
from goforensics.containers.image import Image
from goforensics.errors import FormatError, require
from goforensics.sections.goversion import split_version
from goforensics.sections.protocol import Parser, Source
from goforensics.sections.quoted import quoted_prefix, unquote
from goforensics.sections.search import file_ranges, find_all, held, text

NAME = ".go.buildinfo"
SECTIONS = (NAME, "__DATA,__go_buildinfo", "__DATA_CONST,__go_buildinfo")
MAGIC = b"\xff Go buildinf:"
ALIGN = 16  # debug/buildinfo's buildInfoAlign
HEADER = 32  # debug/buildinfo's buildInfoHeaderSize
MOST = 1000  # magics that are tried: an executable has one, its data may have a few more
SENTINEL = 16  # bytes of cmd/go's infoStart, and of infoEnd
MUST_QUOTE = frozenset(b' \t\r\n"`')  # runtime/debug's quoteValue


@dataclass(frozen=True, slots=True)
class Module:
    """One module; `offset` and `size` are those of its line in the image, 0 where the image is not known."""

    path: str
    version: str
    sum: str = ""
    replace: Module | None = None
    offset: int = field(default=0, compare=False)
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Setting:
    """One "build" line, unquoted."""

    key: str
    value: str
    offset: int = field(default=0, compare=False)
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ModInfo:
    """What runtime/debug.ParseBuildInfo reads; of a line that cannot be read there is a problem, and no more."""

    path: str = ""
    main: Module | None = None
    modules: tuple[Module, ...] = ()
    settings: tuple[Setting, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """The build information; offsets in the image, sizes in bytes."""

    offset: int  # of the magic
    size: int  # of the blob; strings that it only points at are not in it
    go_version: str  # as written: "go1.26.8-X:nogreenteagc"
    version: str  # without the experiments: "go1.26.8"
    experiments: tuple[str, ...]
    mod_offset: int  # of the module information, sentinels excluded; 0 if there is none
    mod_size: int
    mod: ModInfo

    def setting(self, key: str) -> str | None:
        """The value of the first setting called `key`; None if it is not recorded."""
        return next((s.value for s in self.mod.settings if s.key == key), None)


def decode(source: Source) -> BuildInfo:
    """Find and decode the blob: in its section, in writable memory, then anywhere; the first that can be read.

    FormatError, absent if no aligned magic is in the file.
    """
    image = source.image
    first: FormatError | None = None
    for offset in islice(candidates(image), MOST):
        try:
            return decode_at(image, offset)
        except FormatError as error:
            first = first or error
    raise first or FormatError("no build information", structure=NAME, absent=True)


def candidates(image: Image) -> Iterator[int]:
    """Offsets of magics on a 16-byte boundary, likeliest first; the same one may come again."""
    section = image.section(*SECTIONS)
    named = [(section.offset, section.offset + section.file_size)] if section else []
    writable = file_ranges(s for s in held(image) if s.writable and not s.executable)
    for start, end in chain(named, writable, [(0, len(image.data))]):
        first = start + -start % ALIGN  # offsets and addresses agree modulo a page
        yield from (first + at for at in find_all(image.data[first:end], MAGIC) if at % ALIGN == 0)


def decode_at(image: Image, offset: int) -> BuildInfo:
    """Decode the blob at an offset.  FormatError if it, or what it points at, does not lie in the file."""
    head = bytes(image.bytes_at(offset, HEADER, NAME))
    inline = head[15] & 2
    version, mod, end = _inline(image, offset + HEADER) if inline else _pointed(image, offset, head)
    require(version[1] > 0, "no Go version", NAME, offset)
    raw = text(image.bytes_at(*version, NAME))
    start, size = _framed(image, *mod)
    info = parse(bytes(image.bytes_at(start, size, NAME)), start)
    if mod[1] and not size:
        info = replace(info, problems=("the module information is not between its sentinels", *info.problems))
    plain, experiments = split_version(raw)
    owned = -(end - offset) % ALIGN + end - offset
    return BuildInfo(offset, min(owned, len(image.data) - offset), raw, plain, experiments, start, size, info)


Span = tuple[int, int]  # offset and size


def _inline(image: Image, at: int) -> tuple[Span, Span, int]:
    """Since Go 1.18: two strings, each after its length as a varint; and where they end."""
    version = _counted(image, at)
    mod = _counted(image, sum(version))
    return version, mod, sum(mod)


def _counted(image: Image, at: int) -> Span:
    size = 0
    for i, byte in enumerate(image.data[at : at + 10]):
        size |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            image.bytes_at(at + i + 1, size, NAME)
            return at + i + 1, size
    raise FormatError("a length does not end", structure=NAME, offset=at)


def _pointed(image: Image, offset: int, head: bytes) -> tuple[Span, Span, int]:
    """Up to Go 1.17: pointers to two Go strings, in the image's own words."""
    own = (image.pointer_size, int(image.order == ">"))
    require((head[14], head[15] & 1) == own, "pointers unlike the executable's", NAME, offset + 14)
    address = image.address_of(offset)
    require(address is not None, "it is not loaded", NAME, offset)
    version, mod = image.words((address or 0) + 16, 2, NAME).tolist()
    return _string(image, version), _string(image, mod), offset + HEADER


def _string(image: Image, header: int) -> Span:
    """Where the Go string lies whose header is at an address; an empty one has no place."""
    if not header or _zeroed(image, header):
        return 0, 0
    start, size = image.words(header, 2, NAME).tolist()
    if not size:
        return 0, 0
    at = image.offset_of(start)
    require(at is not None and at + size <= len(image.data), f"a string of {size} bytes is not in the file", NAME, 0)
    return at or 0, size


def _zeroed(image: Image, address: int) -> bool:
    """Memory that begins as zeros: the variable of an executable without module information may lie in .bss."""
    return any(s.file_size <= address - s.address < s.memory_size for s in image.segments)


def _framed(image: Image, start: int, size: int) -> Span:
    """The module information without cmd/go's sentinels; nothing if they are not there."""
    if size < 2 * SENTINEL + 1 or image.data[start + size - SENTINEL - 1] != ord("\n"):
        return 0, 0
    return start + SENTINEL, size - 2 * SENTINEL


def parse(data: bytes, offset: int = 0) -> ModInfo:
    """Parse what cmd/go wrote, as runtime/debug.ParseBuildInfo does; `offset` is that of `data` in the image.

    Never raises: ParseBuildInfo gives up at a strange line, here it becomes a problem and the rest is read.
    """
    state = _Parsing()
    number = 0
    while data:
        line, newline, data = data.partition(b"\n")
        number += 1
        try:
            if not newline:
                raise ValueError("no newline at the end")
            state.line(line, offset)
        except ValueError as error:
            state.problems.append(f"line {number}: {error}")
        offset += len(line) + 1
    return ModInfo(state.path, state.main, tuple(state.modules), tuple(state.settings), tuple(state.problems))


class _Parsing:
    """The state between lines: a "=>" line speaks of the module before it."""

    def __init__(self) -> None:
        self.path = ""
        self.main: Module | None = None
        self.modules: list[Module] = []
        self.settings: list[Setting] = []
        self.problems: list[str] = []
        self.last = ""  # what a "=>" line would speak of: "mod", "dep" or nothing

    def line(self, line: bytes, offset: int) -> None:
        """Take in one line, without its newline.  ValueError if ParseBuildInfo would give up at it."""
        word, tab, rest = line.partition(b"\t")
        if not tab:
            return  # ParseBuildInfo, too, passes over words it does not know
        if word == b"path":
            self.path = text(rest)
        elif word in (b"mod", b"dep"):
            self._module(word.decode(), _read_module(rest, 2, offset, len(line)))
        elif word == b"=>":
            self._replace(_read_module(rest, 3, offset, len(line)))
        elif word == b"build":
            key, value = _setting(rest)
            self.settings.append(Setting(text(key), text(value), offset, len(line)))

    def _module(self, word: str, module: Module) -> None:
        self.last = word
        if word == "mod":
            self.main = module
        else:
            self.modules.append(module)

    def _replace(self, module: Module) -> None:
        if self.last == "mod" and self.main is not None:
            self.main = replace(self.main, replace=module)
        elif self.last == "dep":
            self.modules[-1] = replace(self.modules[-1], replace=module)
        else:
            raise ValueError("replacement with no module on the line before")
        self.last = ""


def _read_module(rest: bytes, least: int, offset: int, size: int) -> Module:
    columns = [text(column) for column in rest.split(b"\t")]
    if not least <= len(columns) <= 3:
        raise ValueError(f"{len(columns)} columns")
    return Module(columns[0], columns[1], columns[2] if len(columns) == 3 else "", None, offset, size)


def _setting(rest: bytes) -> tuple[bytes, bytes]:
    """Key and value, each unquoted if it is quoted."""
    if rest[:1] in (b'"', b"`"):
        quoted = quoted_prefix(rest)
        key, equals, value = unquote(quoted), rest[len(quoted) : len(quoted) + 1], rest[len(quoted) + 1 :]
    else:
        key, equals, value = rest.partition(b"=")
        if not key or MUST_QUOTE & set(key):
            raise ValueError("a setting's key is missing, or must be quoted and is not")
    if equals != b"=":
        raise ValueError('no "=" after a setting\'s key')
    if value[:1] in (b'"', b"`"):
        return key, unquote(value)
    if MUST_QUOTE & set(value):
        raise ValueError("a setting's value must be quoted and is not")
    return key, value


def claims(source: Source, info: BuildInfo) -> Iterator[Claims]:
    """The blob."""
    yield Claims.of(
        "buildinfo",
        Level.TABLE,
        [(info.offset, info.offset + info.size)],
        structure=NAME,
        kind="metadata",
        origin="metadata",
    )


PARSER = Parser("buildinfo", decode, claims)
