"""Joining DWARF's directory and file names, which are Unix's or DOS's whatever the system they are read on.

Source of truth: Go's src/debug/dwarf/line.go (pathIsAbs, pathJoin, splitDrive).
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

DOTS = re.compile(r"/\.{0,2}(?:/|$)")  # a component that path.Clean would take out


@lru_cache(4096)  # a program names each of its files in every unit that has code of it
def is_absolute(path: str) -> bool:
    """It begins at a root, after a drive or a share if it has one."""
    return split_drive(path)[1][:1] in ("/", "\\")


def join(directory: str, name: str) -> str:
    """`name`, which is relative, in `directory`."""
    if not directory:
        return name
    drive, rest = split_drive(directory)
    if not drive:
        return clean(f"{directory}/{name}")
    other, name = split_drive(name)
    if other and other.lower() != drive.lower():
        return other + name
    if rest and not rest.endswith(("/", "\\")):
        rest += "/" if rest.startswith("/") else "\\"
    return drive + rest + name


def clean(path: str) -> str:
    """Go's path.Clean: unlike POSIX, it makes one slash of the two that a path may begin with."""
    if not path.startswith((".", "//")) and not DOTS.search(path):
        return path or "."
    normal = posixpath.normpath(path)
    return normal[1:] if normal.startswith("//") else normal


def split_drive(path: str) -> tuple[str, str]:
    """A drive letter with its colon, or a share as in //host/share, and the rest."""
    if path[1:2] == ":" and path[0].isascii() and path[0].isalpha():
        return path[:2], path[2:]
    if len(path) > 3 and path[0] in "\\/" and path[1] in "\\/":
        plain = path.replace("/", "\\")
        first = plain.find("\\", 2)
        second = plain.find("\\", first + 1)
        if first > 2 and second > first + 1:
            return path[:second], path[second:]
    return "", path
