"""Lists of live arguments: whether bitmaps are of one byte or two, by lists of arguments built here and compiled."""

from __future__ import annotations

import numpy as np
import pytest
from test_funcdata import Made, sizes
from test_pclntab import table_of, varint

from goforensics.sections import arglive

FAR, DOTS, BEGIN, END = b"\xfb", b"\xfc", b"\xfe", b"\xfd"
WORDS = [bytes([8 * i, 8]) for i in range(12)]  # arguments of a word each, by their place in the frame


def arguments(*parts: bytes) -> bytes:
    return b"".join(parts) + b"\xff"


def bounds(content: bytes, start: int, skips: bool) -> tuple[int, int]:
    least, most = arglive.slots(
        np.frombuffer(content, np.uint8), np.zeros(1, np.int64), np.array([start]), np.array([skips])
    )
    return int(least[0]), int(most[0])


@pytest.mark.parametrize(
    ("content", "start", "skips", "expected"),
    [
        (arguments(*WORDS[:9]), 0, False, (9, 9)),
        (arguments(*WORDS[:9]), 16, False, (7, 7)),  # the first two are always live
        (arguments(BEGIN, *WORDS[:2], END, WORDS[2]), 8, False, (2, 2)),
        (arguments(*WORDS[:7], FAR), 0, False, (7, 8)),  # farther than can be told, near enough to be kept track of
        (arguments(*WORDS[:10], DOTS), 0, False, (10, 10)),
        (arguments(*WORDS[:10], DOTS), 24, False, (7, 10)),  # or the first three are on the stack, of more than ten
        (arguments(BEGIN, BEGIN, DOTS, END, END, *WORDS[2:4]), 0, False, (3, 10)),  # what is nested deeply is at 0
        (arguments(*WORDS[1:9]), 0, True, (9, 16)),  # with a dictionary, or eight bytes
        (arguments(*WORDS[1:8]), 0, True, (8, 15)),
        (arguments(*WORDS[1:8]), 8, True, (0, 7)),  # the first parameter is always live, or on the stack
        (arguments(), 0, True, (0, 10)),
        (arguments(*WORDS[1:11], DOTS), 0, True, (0, 10)),
        (b"".join(WORDS[:3]), 0, False, (3, 3)),  # cut short by the file's end
    ],
)
def test_how_many_arguments(content: bytes, start: int, skips: bool, expected: tuple[int, int]) -> None:
    assert bounds(content, start, skips) == expected


def test_a_list_without_end_is_left() -> None:
    assert bounds(bytes(1 << 16), 0, False) == (arglive.MOST_BYTES, arglive.MOST_BYTES)


def test_bitmaps_are_as_long_as_their_arguments_need() -> None:
    least, most = zip((0, 8), (3, 3), (8, 9), (0, 10), (9, 9), (10, 10), strict=True)
    assert arglive.width(np.array([least, most])).tolist() == [1, 1, 0, 0, 2, 2]


def live(count: int, bitmaps: bytes, last: int = 1, behind: bytes = b"") -> list[int]:
    """Sizes of the two lists of a function with `count` arguments of a word."""
    made = Made("1.26").table(0, 3, table_of(last, 20))
    made.blob(5, arguments(*WORDS[:count])).blob(6, b"\0" + bitmaps + behind, gap=5)
    return sizes(made)


@pytest.mark.parametrize("second", [0, 1])
def test_a_zero_at_the_end_belongs_to_the_last_bitmap(second: int) -> None:
    """Nine arguments need two bytes whatever they are, eight need one whatever follows."""
    assert live(9, bytes([1, second])) == [19, 3]
    assert live(8, b"\1", behind=bytes([second])) == [17, 2]


def test_an_even_offset_tells_bitmaps_of_a_byte() -> None:
    """Without a list of arguments."""
    steps = b"".join(map(varint, (2 * (2 + 1), 4, 2 * 1, 4, 0)))  # 2, then 3: of -1 and more, in zigzag
    made = Made("1.26").table(0, 3, steps).blob(6, b"\0\1\2\3" + b"\7", gap=4)
    assert sizes(made) == [4]
