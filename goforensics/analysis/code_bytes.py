"""Code: each function's bytes to its package, the filling between functions, and what of the text is not Go's."""

from __future__ import annotations

import numpy as np

from goforensics.analysis.modules import C
from goforensics.analysis.vocabulary import Vocabulary
from goforensics.bytemap import Claims, Labels, Level
from goforensics.containers.image import Image, Section
from goforensics.sections.functions import Functions

STUBS = (".plt", "__stubs", "__symbol_stub", "__stub_helper")  # jumps to shared libraries, written by a linker


def claims(image: Image, placed: Functions, words: Vocabulary) -> list[Claims]:
    """Claims on everything in executable sections."""
    return [*_functions(placed, words), *_c_code(image, placed), _behind(image, placed)]


def _functions(placed: Functions, words: Vocabulary) -> list[Claims]:
    shown = np.flatnonzero(placed.offset >= 0)
    start = placed.offset[shown]
    end, following = start + placed.code[shown], start + placed.size[shown]
    labels: dict[str, Labels | str] = {"structure": "function", "kind": "code", "basis": "structure"}
    filling: dict[str, Labels | str] = {"structure": "code padding", "kind": "padding", "origin": "padding"}
    return [
        Claims("functions", Level.ITEM, start, end, labels | words.labels(shown)),
        Claims("functions.padding", Level.ITEM, end, following, filling),
    ]


def _behind(image: Image, placed: Functions) -> Claims:
    """The filling between the last function and the end of Go's text."""
    end = int((placed.address + placed.size.astype(np.uint64)).max(initial=0))
    offset, size = image.offset_of(end), placed.text[1] - end
    filling = offset is not None and size > 0 and _is_filling(image.data[offset : offset + size])
    ranges = [(offset, offset + size)] if offset is not None and filling else []
    return Claims.of("functions.end", Level.ITEM, ranges, structure="code padding", kind="padding", origin="padding")


def c_ranges(image: Image, placed: Functions) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Offsets of what executable sections hold outside of Go's text: (code of C and of its start-up, mere filling)."""
    low, high = placed.text
    code: list[tuple[int, int]] = []
    filling: list[tuple[int, int]] = []
    for s in image.sections:
        if s.role != "code" or not s.file_size or _is_stubs(s):
            continue
        start, end = s.address, s.address + min(s.file_size, s.memory_size or s.file_size)
        for a, b in ((start, min(end, low)), (max(start, high), end)):
            if a < b:
                found = (a - s.address + s.offset, b - s.address + s.offset)
                (filling if _is_filling(image.data[found[0] : found[1]]) else code).append(found)
    return code, filling


def _is_stubs(section: Section) -> bool:
    return any(stub in section.name for stub in STUBS)


def _is_filling(data: memoryview) -> bool:
    """One byte over and over, as a linker fills what it leaves free: zeros, breakpoints or no-operations."""
    return len(set(bytes(data[:4096]))) <= 1 and bytes(data).count(data[:1]) == len(data)


def _c_code(image: Image, placed: Functions) -> list[Claims]:
    code, filling = c_ranges(image, placed)
    stubs = [
        (s.offset, s.offset + s.file_size) for s in image.sections if s.role == "code" and s.file_size and _is_stubs(s)
    ]
    c = {"package": C, "module": C, "kind": "code", "origin": "c"}
    padding = {"structure": "code padding", "kind": "padding", "origin": "padding"}
    return [
        Claims.of("c-code", Level.TABLE, code, structure="C code", **c),
        Claims.of("c-padding", Level.TABLE, filling, **padding),
        Claims.of("c-stubs", Level.TABLE, stubs, structure="stubs of shared libraries", **c),
    ]
