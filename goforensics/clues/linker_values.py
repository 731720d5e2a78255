"""The values that a build was given: -X, by the flag where it is recorded and by the data itself where it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import numpy as np

from goforensics.analysis.leakplaces import modinfo_copies
from goforensics.analysis.texts import SetString, set_strings
from goforensics.binary import Binary
from goforensics.rules.subject import Subject
from goforensics.sections import symtab

LDFLAGS = "-ldflags"
# cmd/internal/quoted.Split: a field may be quoted as a whole, and knows no escapes.
FIELD = re.compile(r"""'([^']*)'|"([^"]*)"|(\S+)""")


class Value(msgspec.Struct, frozen=True):
    """What one variable was set to."""

    variable: str  # "main.token"; "" where neither the flag nor a symbol tells
    text: str
    places: tuple[tuple[int, int, str], ...]  # offset in the image, bytes, where: "buildinfo:-ldflags", "rodata"


def values(subject: Subject) -> tuple[Value, ...]:
    """What -X set, as far as it can be known."""
    return subject.once(_values)


def _values(subject: Subject) -> tuple[Value, ...]:
    recorded = dict(flags(subject.settings.get(LDFLAGS, "")))
    data = subject.image.data
    in_data: dict[str, list[SetString]] = {}
    for each in set_strings(subject.binary):
        text = bytes(data[each.offset : each.offset + each.size]).decode("utf-8", "backslashreplace")
        in_data.setdefault(text, []).append(each)
    names = _names(subject.binary, [each.variable for group in in_data.values() for each in group])
    found = [
        Value(name, text, (*_recorded(subject, name, text), *(_place(each) for each in in_data.get(text, ()))))
        for name, text in recorded.items()
        if text
    ]
    known = set(recorded.values())
    for text, group in in_data.items():
        if text not in known:
            found += [Value(names.get(each.variable, ""), text, (_place(each),)) for each in group]
    return tuple(found)


def flags(ldflags: str) -> Iterator[tuple[str, str]]:
    """(variable, value) of every -X among the linker's flags."""
    fields = iter("".join(groups) for groups in FIELD.findall(ldflags))
    for field in fields:
        name, equals, rest = field.lstrip("-").partition("=")
        if not field.startswith("-") or name != "X":
            continue
        variable, _, value = (rest if equals else next(fields, "")).partition("=")
        if variable:
            yield variable, value


def _place(each: SetString) -> tuple[int, int, str]:
    return each.offset, each.size, "rodata"


def _recorded(subject: Subject, variable: str, text: str) -> Iterator[tuple[int, int, str]]:
    """Where the flag is written: the value by itself if it is not quoted there, else the line."""
    info = subject.info
    line = next((s for s in info.mod.settings if s.key == LDFLAGS), None) if info else None
    if line is None:
        return
    raw = bytes(subject.image.data[line.offset : line.offset + line.size])
    needle = f"{variable}={text}".encode("utf-8", "surrogateescape")
    at, size = raw.find(needle), len(needle) - len(variable.encode()) - 1
    offset = line.offset if at < 0 else line.offset + at + len(needle) - size
    copies = modinfo_copies(subject.binary)
    for number, copy in enumerate(copies):
        where = f"buildinfo:{LDFLAGS}" if number == 0 else "rodata"
        yield offset - copies[0] + copy, line.size if at < 0 else size, where


def _names(binary: Binary, variables: list[int]) -> dict[int, str]:
    """Symbols at these addresses."""
    table = binary.maybe(symtab.PARSER)
    if table is None or not variables:
        return {}
    rows = np.flatnonzero(np.isin(table.value, np.array(variables, np.uint64)))
    return {at: name for at, name in zip(table.value[rows].tolist(), table.names(rows), strict=True) if "." in name}
