"""Readings that structures share: what they return never outgrows what they read."""

from __future__ import annotations

import numpy as np

from goforensics.sections.arrays import strings


def test_strings_in_any_order_and_more_than_once() -> None:
    data = b"one\0two\0three"
    assert strings(data, np.array([8, 0, 4, 0, 3])) == ["three", "one", "two", "one", ""]


def test_a_string_may_be_the_end_of_another() -> None:
    assert strings(b"abcd\0ef\0", np.array([2, 5])) == ["cd", "ef"]
    assert strings(b"ab\0" + b"x" * 8, np.array([1, 0])) == ["b", "ab"]


def test_together_they_are_no_longer_than_the_data() -> None:
    """Every suffix of one long name would be half the square of its length."""
    data = b"y" * 5000 + b"\0z\0"
    found = strings(data, np.arange(5003))
    assert found[0] == "y" * 5000
    assert found[5001] == "z"
    assert sum(map(len, found)) <= len(data)


def test_one_name_used_by_many_is_kept_once() -> None:
    data = b"n" * 1000 + b"\0"
    found = strings(data, np.zeros(1000, np.int64))
    assert len({id(text) for text in found}) == 1
