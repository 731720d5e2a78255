"""The table of flag sets that a package is built under, and the TOML file that may take its place."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from goforensics.errors import UsageError

DEFAULT = "default"
KEYS = ("name", "flags", "ldflags", "env")
TABLE = "set"
OURS = {"o": "the output's place", "C": "the directory", "n": "what is run", "json": "what is printed"}
FLAG = re.compile(r"--?(?P<name>[A-Za-z][\w-]*)(=[^\0]*)?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TRIMS = {"-s", "-w", "-w=0", "-w=false", "-w=true", "-s=true", "-buildid="}  # linker flags that touch no code
MOST_SETS, MOST_BYTES = 200, 1 << 20


class FlagSet(msgspec.Struct, frozen=True):
    """One row: arguments of `go build` and settings of its environment."""

    name: str
    flags: tuple[str, ...] = ()  # but for -ldflags
    ldflags: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()

    @property
    def arguments(self) -> list[str]:
        """What `go build` is given; of two values of one flag it takes the later, so these win over GOFLAGS."""
        return [*self.flags, *([f"-ldflags={' '.join(map(_quoted, self.ldflags))}"] if self.ldflags else [])]

    @property
    def plain(self) -> bool:
        """Nothing is asked for: the default build."""
        return not (self.flags or self.ldflags or self.env)

    @property
    def trims_only(self) -> bool:
        """The program does the same as the default build's; symbols, paths and IDs beside it may be gone."""
        return not self.env and set(self.flags) <= {"-trimpath", "-trimpath=true"} and set(self.ldflags) <= TRIMS


TABLE_OF_SETS = (
    FlagSet(DEFAULT),
    FlagSet("-s", ldflags=("-s",)),
    FlagSet("-w", ldflags=("-w",)),
    FlagSet("-s -w", ldflags=("-s", "-w")),
    FlagSet("-s -w=0", ldflags=("-s", "-w=0")),
    FlagSet("-trimpath", ("-trimpath",)),
    FlagSet("-trimpath -s -w", ("-trimpath",), ("-s", "-w")),
    FlagSet("-trimpath -s -w -buildid=", ("-trimpath",), ("-s", "-w", "-buildid=")),
    FlagSet("-buildmode=pie", ("-buildmode=pie",)),
    FlagSet("-gcflags=all=-l", ("-gcflags=all=-l",)),
    FlagSet("CGO_ENABLED=0", env=(("CGO_ENABLED", "0"),)),
    FlagSet("CGO_ENABLED=1", env=(("CGO_ENABLED", "1"),)),
    FlagSet("-tags=netgo,osusergo", ("-tags=netgo,osusergo",)),
)

STRIPPED = ("-s", "-w")
LEVERS = (  # what of a user's flags changes the pclntab; the rest of the file without symbols, to see what it is of
    FlagSet(DEFAULT),
    FlagSet("-s -w", ldflags=STRIPPED),
    FlagSet("-trimpath -s -w", ("-trimpath",), STRIPPED),
    FlagSet("-gcflags=all=-l -s -w", ("-gcflags=all=-l",), STRIPPED),
    FlagSet("-gcflags=all=-B -s -w", ("-gcflags=all=-B",), STRIPPED),
    FlagSet("-gcflags='all=-l -B' -s -w", ("-gcflags=all=-l -B",), STRIPPED),
    FlagSet("-gcflags='all=-N -l' -s -w", ("-gcflags=all=-N -l",), STRIPPED),
)


def read(path: str | Path) -> tuple[FlagSet, ...]:
    """The flag sets of a TOML file: one table [[set]] each, with flags, ldflags, env, and a name.

    The default build comes first if the file has none: everything is compared with it.  Raises UsageError for what
    makes no sense, OSError if the file cannot be read.
    """
    data = Path(path).read_bytes()
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path}: {len(data):,} bytes are no table of flags")
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not TOML: {error or 'nested too deep'}") from None
    return with_default(parse(document, str(path)))


def parse(document: Mapping[str, object], where: str) -> tuple[FlagSet, ...]:
    """The same from a parsed file; `where` is what messages call it."""
    _known(document, (TABLE,), where)
    tables = document.get(TABLE)
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f'{where}: one [[{TABLE}]] per flag set is needed, as in [[{TABLE}]] flags = ["-trimpath"]')
    if len(tables) > MOST_SETS:
        raise UsageError(f"{where}: {len(tables):,} flag sets; {MOST_SETS} at most")
    sets = [_flag_set(table, f"{where}: {TABLE} {i}") for i, table in enumerate(tables, 1)]
    _distinct([one.name for one in sets], where)
    return tuple(sets)


def with_default(sets: Sequence[FlagSet]) -> tuple[FlagSet, ...]:
    """The same sets; the default build first if they are without."""
    if any(one.plain for one in sets):
        return tuple(sets)
    if any(one.name == DEFAULT for one in sets):
        raise UsageError(f"the name {DEFAULT!r} is that of the build without flags; call the set otherwise")
    return FlagSet(DEFAULT), *sets


def _flag_set(table: Mapping[str, object], where: str) -> FlagSet:
    _known(table, KEYS, where)
    flags, ldflags = _strings(table, "flags", where), _words(table, where)
    for flag in flags:
        _flag(flag, where)
    flags, ldflags = _joined(flags, ldflags, where)
    env = _env(table.get("env", {}), where)
    label = " ".join((*(f"{name}={value}" for name, value in env), *flags, *ldflags))
    name = table.get("name", label or DEFAULT)
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"{where}: name must be text")
    return FlagSet(name, flags, ldflags, env)


def _known(table: Mapping[str, object], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0.0)[0]
            raise UsageError(f"{where}: there is no key {key!r}; did you mean {near!r}?")


def _strings(table: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise UsageError(f'{where}: {key} must be a list of texts, as in {key} = ["-trimpath"]')
    return tuple(value)


def _words(table: Mapping[str, object], where: str) -> tuple[str, ...]:
    """-ldflags as a list; a text is split at its spaces, and an item of a list may have some."""
    value = table.get("ldflags", [])
    words = value.split() if isinstance(value, str) and "\0" not in value else _strings(table, "ldflags", where)
    for word in words:
        if not word or {"'", '"'} <= set(word):
            raise UsageError(f"{where}: the go command has no way to write {word!r} as a linker flag")
    return tuple(words)


def _flag(flag: str, where: str) -> None:
    """Raise UsageError for a flag that is none, or that the matrix needs for itself."""
    found = FLAG.fullmatch(flag)
    if found is None:
        raise UsageError(f"{where}: {flag!r} is no flag; write -name or -name=value, each flag as one text")
    if (name := found["name"]) in OURS:
        raise UsageError(f"{where}: {flag!r}: {OURS[name]} is the matrix's own affair")


def _joined(flags: tuple[str, ...], ldflags: tuple[str, ...], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The flags but for -ldflags, and its words; one with quotes stays as it is."""
    given = [flag for flag in flags if flag.lstrip("-").startswith("ldflags=")]
    if given and (ldflags or len(given) > 1):
        raise UsageError(f"{where}: -ldflags is given twice, and the go command takes the last one only")
    if not given or {"'", '"'} & set(given[0]):
        return flags, ldflags
    return tuple(flag for flag in flags if flag not in given), tuple(given[0].partition("=")[2].split())


def _env(value: object, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise UsageError(f'{where}: env must be a table, as in env = {{ CGO_ENABLED = "0" }}')
    for name, text in value.items():
        if not VARIABLE.fullmatch(name) or not isinstance(text, str) or "\0" in text:
            raise UsageError(f'{where}: env {name!r} must be a name and a text, as in CGO_ENABLED = "0"')
    return tuple(value.items())


def _distinct(names: Iterable[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(f"{where}: two sets are called {name!r}; give one another name")
        seen.add(name)


def _quoted(word: str) -> str:
    """A linker flag as the go command splits them: quotes keep spaces, and nothing escapes a quote."""
    if not re.search(r"[\s'\"]", word):
        return word
    return f'"{word}"' if '"' not in word else f"'{word}'"
