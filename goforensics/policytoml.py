"""Where in a TOML file each key stands: what tomllib does not tell, and a message needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]
LONG = r'"""(?:\\.|[^\\])*?"""|' + r"'''.*?'''"
SHORT = r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'"
TOKEN = re.compile(rf"(?P<long>{LONG})|(?P<short>{SHORT})|(?P<comment>#[^\n]*)", re.DOTALL)
NAME = rf"(?:[A-Za-z0-9_-]+|{SHORT})"
NAMES = rf"{NAME}(?:[ \t]*\.[ \t]*{NAME})*"
HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({NAMES})[ \t]*\]")
KEY = re.compile(rf"[ \t]*({NAMES})[ \t]*=")


def key_lines(text: str) -> dict[Path, int]:
    """The line, from 1, of each table and key of a valid TOML text; elements of arrays of tables have numbers.

    What stands within an inline table or an array has no line of its own: `line_of` gives that of what holds it.
    """
    found: dict[Path, int] = {}
    arrays: dict[Path, int] = {}
    table: Path = ()
    for number, line in _statements(text):
        header = HEADER.match(line)
        if header:
            table = _table(_parts(header[2]), header[1] == "[[", arrays)
            for length in (len(table) - 1, len(table)):
                found.setdefault(table[:length], number)
        elif key := KEY.match(line):
            path = (*table, *_parts(key[1]))
            for length in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:length], number)
    return found


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """The line of a key, or of the nearest thing around it that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Lines that begin a statement, with their numbers: not those within an array or a long string."""
    lines = TOKEN.sub(lambda m: _blank(m[0]) if m["short"] is None else m[0], text).split("\n")
    bare = TOKEN.sub(lambda m: _blank(m[0]), text).split("\n")
    depth = 0
    for number, (line, shown) in enumerate(zip(lines, bare, strict=True), 1):
        if depth == 0:
            yield number, line
        value = shown.partition("=")[2] if depth == 0 else shown
        depth = max(0, depth + sum(value.count(c) for c in "[{") - sum(value.count(c) for c in "]}"))


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _parts(names: str) -> tuple[str, ...]:
    return tuple(name[1:-1] if name[0] in "\"'" else name for name in re.findall(NAME, names))


def _table(names: tuple[str, ...], array: bool, arrays: dict[Path, int]) -> Path:
    """The path of a header, with the number of the element that each array of tables on the way is at."""
    path: Path = ()
    for i, name in enumerate(names):
        path = (*path, name)
        if array and i == len(names) - 1:
            arrays[path] = arrays.get(path, -1) + 1
        if path in arrays:
            path = (*path, arrays[path])
    return path
