"""Variables in load order: what only main's code refers to, among the variables of the package that has it."""

from __future__ import annotations

import numpy as np

from goforensics.analysis.loadorder import settled
from goforensics.sections.calls import calls

MAIN, ALPHA, BETA, GAMMA = 0, 1, 2, 3
NAMES = {"m": MAIN, "a": ALPHA, "b": BETA, "g": GAMMA}


def _settled(owners: str, sizes: str = "", sections: str = "") -> str:
    """Owners, sizes and sections as one character per variable; main behind another goes to Gamma, which is asked."""
    asked: list[tuple[int, int]] = []

    def between(before: int, behind: int) -> int:
        asked.append((before, behind))
        return GAMMA

    count = len(owners)
    found = settled(
        np.array([ord(c) for c in sections or "d" * count]),
        np.array([ord(c) for c in sizes or "8" * count]),
        np.array([NAMES[c] for c in owners]),
        MAIN,
        between,
    )
    assert all(before != MAIN for before, _ in asked)
    return "".join("mabg"[i] for i in found.tolist())


def test_main_comes_first() -> None:
    """What is main's behind another package's is not main's: once per group, and only there."""
    assert _settled("mmaab") == "mmaab"
    assert _settled("mmammb") == "mmaggb"
    assert _settled("aammbm") == "aaggbg"


def test_one_variable_before_may_be_a_smaller_one_with_its_padding() -> None:
    """The last of 8 bytes takes 16 where variables of 16 bytes follow, of which main's are the first."""
    assert _settled("ammb") == "ammb"
    assert _settled("uammb".replace("u", "b"), sizes="48888") == "bammb"


def test_each_size_and_section_has_its_own_order() -> None:
    """main may come again where sizes or sections change, and pieces of another size in between do not count."""
    assert _settled("mama", sizes="8899") == "mama"
    assert _settled("mama", sections="ddnn") == "mama"
    assert _settled("mbamb", sizes="88488") == "mbagb"
    assert _settled("bbam", sizes="8848") == "bbag"


def test_what_code_of_other_packages_says_stands() -> None:
    """A package may come twice, with another between: the order of the others is not known."""
    assert _settled("aabaa") == "aabaa"
    assert _settled("baa") == "baa"


def test_nothing_to_settle() -> None:
    """No variable, one variable."""
    assert _settled("") == ""
    assert _settled("m") == "m"


def test_calls_of_amd64() -> None:
    """Call rel32, forwards and backwards; one cut off at the end does not count."""
    code = np.frombuffer(bytes.fromhex("90 E8 0A000000 E8 F0FFFFFF 90 E8 0000"), np.uint8)
    at, to = calls("amd64", code, 0x1000)
    assert at.tolist() == [0x1001, 0x1006]
    assert to.tolist() == [0x1010, 0x0FFB]


def test_calls_of_arm64() -> None:
    """BL and B with 26 signed bits of words; others do not count."""
    words = [0x94000002, 0x97FFFFFF, 0x14000001, 0xD503201F]
    code = np.array(words, "<u4").view(np.uint8)
    at, to = calls("arm64", code, 0x4000)
    assert at.tolist() == [0x4000, 0x4004, 0x4008]
    assert to.tolist() == [0x4008, 0x4000, 0x400C]


def test_calls_of_another_machine() -> None:
    """Nothing is known of its calls."""
    assert calls("s390x", np.zeros(64, np.uint8), 0)[0].size == 0
