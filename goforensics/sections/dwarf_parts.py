"""What each compile unit holds of each debug section.

Source of truth: DWARF 5, sections 6.1, 6.4.1, 7.4, 7.25 to 7.29; Go's cmd/link/internal/ld/dwarf.go, whose
dwarfGenerateDebugSyms lays out every section unit after unit: what a unit has of one begins where its root entry says
and ends where the next unit's begins.  Go writes one header for all of them; C compilers write one per unit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.errors import FormatError
from goforensics.sections.arrays import Offsets
from goforensics.sections.dwarf_forms import INFO, LINE_STR, STR
from goforensics.sections.dwarf_reader import Reader
from goforensics.sections.dwarf_units import Unit
from goforensics.sets import distinct

FRAME = ".debug_frame"
STRINGS = (STR, LINE_STR)
RANGES, LOC, LOCLISTS = ".debug_ranges", ".debug_loc", ".debug_loclists"
LISTS = (LOC, LOCLISTS)  # of locations, which no root entry points at
INDEXES = tuple(f".debug_{name}" for name in ("aranges", "pubnames", "pubtypes", "gnu_pubnames", "gnu_pubtypes"))
HEADED = (".debug_rnglists", ".debug_loclists", ".debug_addr", ".debug_str_offsets")  # contributions with headers
MOST = 1 << 20  # contributions or frames of one section; a Go program of 24 MB has 20,000 frames
CIE = 0xFFFFFFFF  # instead of a reference to one
SEARCHED = 128 << 20  # bytes of .debug_info in which references are looked for

Bytes = bytes | bytearray
Mark = tuple[int, int]  # an offset in the inflated section, and the index of the unit whose part begins there
Content = Callable[[str], Bytes]  # a section's inflated bytes by canonical name
Flags = NDArray[np.bool_]


class Parts(msgspec.Struct, frozen=True, eq=False):
    """A section's inflated bytes as ranges (m,), and which units have each."""

    start: Offsets  # (m,) increasing
    end: Offsets  # (m,)
    item: Offsets  # (u,) not decreasing: a range that the unit below has a part of
    unit: Offsets  # (u,) its index


class Frames(msgspec.Struct, frozen=True, eq=False):
    """The records of .debug_frame."""

    start: Offsets  # (m,) increasing, in the inflated section
    end: Offsets  # (m,)
    common: Offsets  # (m,) which record is this one's common part (CIE), itself for those; -1 for none
    address: NDArray[np.uint64]  # (m,) where the code begins that it is about; 0 for common parts


def needed(name: str, units: Sequence[Unit]) -> tuple[str, ...]:
    """The sections whose content `parts` or `frames` ask for."""
    if name == FRAME:
        return (name,)
    if name in LISTS and units:
        return name, INFO
    headers = name in HEADED and not all(unit.is_go for unit in units)
    return (name,) if headers or name in INDEXES else ()


def parts(name: str, size: int, units: Sequence[Unit], content: Content, order: str) -> Parts:
    """Cut a section of `size` bytes, inflated.  FormatError if what it is cut by is broken."""
    if name == INFO:
        return _units(size, units)
    if name in STRINGS:
        return _shared(size, units, [i for i, unit in enumerate(units) if name in unit.places.texts])
    return _cut(size, units, [(at, i) for at, i in _marks(name, size, units, content, order) if 0 <= at < size])


def _marks(name: str, size: int, units: Sequence[Unit], content: Content, order: str) -> list[Mark]:
    """Where in a section units begin."""
    needs = needed(name, units)
    if name in INDEXES:
        return list(_indexed(name, content(name), units, order))
    marks = [(unit.places.at[name], i) for i, unit in enumerate(units) if name in unit.places.at]
    if name in LISTS and needs:
        marks += _referred(name, units, content, order)
    if name == RANGES:
        marks += _ranges_apart(marks, size, units, content, order)
    if name in HEADED and needs and not all(unit.is_go for unit in units):
        marks += _headers(name, content(name), marks, units, order)
    return marks


def _units(size: int, units: Sequence[Unit]) -> Parts:
    """Each unit; type units and padding between them are nobody's."""
    start = np.array([unit.offset for unit in units], np.int64)
    end = np.minimum(start + np.array([unit.places.size for unit in units], np.int64), size)
    edges = distinct(np.r_[0, start, end, size])
    item = np.searchsorted(edges, start)
    return Parts(edges[:-1], edges[1:], item, np.arange(len(units)))


def _shared(size: int, units: Sequence[Unit], users: Sequence[int]) -> Parts:
    """One range, of all units if nobody says otherwise."""
    unit = np.array(users or range(len(units)), np.int64)
    return Parts(np.zeros(1, np.int64), np.array([size]), np.zeros(len(unit), np.int64), unit)


def _cut(size: int, units: Sequence[Unit], marks: Sequence[Mark]) -> Parts:
    """From each mark to the next; what comes first, such as a header, goes with the first of them."""
    if not marks:
        return _shared(size, units, ())
    offset, unit = np.array(sorted(set(marks)), np.int64).T
    start, item = np.unique(offset, return_inverse=True)
    return Parts(np.r_[0, start[1:]], np.r_[start[1:], size], item, unit)


def _contributions(name: str, raw: Bytes, order: str) -> Iterator[tuple[int, int]]:
    """(start, offset behind the length) of what follows one another in a section, each after its length."""
    reader = Reader(raw, order, name)
    for _ in range(MOST):
        start = reader.offset
        if start + 4 > len(raw):
            return
        size, _ = reader.length()
        yield start, reader.offset
        reader.skip(size)
    raise reader.error("more contributions than an honest file has")


def _headers(name: str, raw: Bytes, marks: Sequence[Mark], units: Sequence[Unit], order: str) -> list[Mark]:
    """Marks for the headers of contributions.

    A header belongs to the first unit of its contribution; without one it is a C compiler's, which leaves out what
    it can, and stands under the first unit of that sort.
    """
    start = [at for at, _ in _contributions(name, raw, order)]
    other = next(i for i, unit in enumerate(units) if not unit.is_go)
    first: dict[int, Mark] = {}
    for at, unit in sorted(marks):
        first.setdefault(bisect_right(start, at) - 1, (at, unit))
    return [(at, first.get(i, (at, other))[1]) for i, at in enumerate(start)]


def _indexed(name: str, raw: Bytes, units: Sequence[Unit], order: str) -> Iterator[Mark]:
    """Marks of sets that say which unit they are about: its offset follows the length and the version."""
    known = {unit.offset: i for i, unit in enumerate(units)}
    for start, behind in _contributions(name, raw, order):
        about = Reader(raw, order, name, behind + 2).number(8 if behind - start > 4 else 4)
        if about in known:
            yield start, known[about]


def _ranges_apart(marks: Sequence[Mark], size: int, units: Sequence[Unit], content: Content, order: str) -> list[Mark]:
    """Marks for the lists of functions where the units' own come first, as Go wrote them before 1.16."""
    last = max((at for at, _ in marks), default=size)
    if 2 * last >= size:
        return []
    before = np.frombuffer(content(RANGES), np.uint8)[:last]
    lists = np.count_nonzero(_zero_pairs(before, units[0].address_size))
    return _referred(RANGES, units, content, order, last) if lists < len(marks) else []


def _referred(name: str, units: Sequence[Unit], content: Content, order: str, behind: int = -1) -> list[Mark]:
    """Marks for lists, by what in the units looks like a reference to one that begins after `behind`."""
    mine = np.array([unit.is_go or name != LOCLISTS for unit in units])
    info = np.frombuffer(content(INFO), np.uint8)
    if not mine.any() or len(info) > SEARCHED or any(unit.offset_size != 4 for unit in units):
        return []
    raw = np.frombuffer(content(name), np.uint8)
    at, value = _references(info, _list_starts(name, raw, units[0].address_size), order)
    unit = np.searchsorted([unit.offset for unit in units], at, side="right") - 1
    good = (unit >= 0) & mine[unit] & (value > behind)
    pairs = distinct(value[good] * len(units) + unit[good])
    found = {at: i for i, at in _settled(pairs // len(units), pairs % len(units), 0, len(units))}
    return list(found.items())  # of units that would begin at one place, only the last has lists


def _list_starts(name: str, raw: NDArray[np.uint8], pointer: int) -> Flags:
    """(n,) where a list may begin: behind another's end, in DWARF 5 as Go begins them (DW_LLE_base_addressx)."""
    start = np.zeros(len(raw), bool)
    if name == RANGES:
        start[:: 2 * pointer] = np.r_[True, _zero_pairs(raw, pointer)][: -(-len(raw) // (2 * pointer))]
        return start
    if name == LOCLISTS:
        start[1:] = (raw[:-1] == 0) & (raw[1:] == 1)
        start[12:13] = True  # behind the header
        return start
    zeros, span = raw == 0, 1
    while span < 2 * pointer:  # zeros[i]: the bytes from i to i + span are all 0
        zeros, span = zeros[span:] & zeros[:-span], 2 * span
    start[2 * pointer :] = zeros[:-1]
    start[:1] = True
    return start


def _zero_pairs(raw: NDArray[np.uint8], pointer: int) -> Flags:
    """(n,) which entries of .debug_ranges, two words each, end a list."""
    whole = raw[: len(raw) // (2 * pointer) * 2 * pointer].reshape(-1, 2 * pointer)
    return np.logical_not(whole.any(axis=1))


def _references(info: NDArray[np.uint8], wanted: Flags, order: str) -> tuple[Offsets, Offsets]:
    """(place, value) of all 32-bit numbers in `info`, aligned or not, of which `wanted` is true."""
    places, values = [], []
    for shift in range(min(4, len(info) // 4)):
        words = info[shift : shift + (len(info) - shift) // 4 * 4].view(f"{order}u4")
        at = np.flatnonzero(words < len(wanted))
        at = at[wanted[words[at]]]
        places.append(at * 4 + shift)
        values.append(words[at].astype(np.int64))
    return np.concatenate([np.empty(0, np.int64), *places]), np.concatenate([np.empty(0, np.int64), *values])


def _settled(value: Offsets, unit: Offsets, low: int, high: int) -> Iterator[tuple[int, int]]:
    """(unit, its least value) for units from `low` to `high`, which follow one another in `value` (n,), increasing.

    Some pairs are mere chance.  What is cut in two halves of units is cut where most pairs are on their unit's side.
    """
    if not len(value):
        return
    if high - low == 1:
        yield low, int(value[0])
        return
    middle = (low + high) // 2
    before = unit < middle
    agreed = np.r_[0, np.cumsum(np.where(before, 1, -1))]
    cut = int(np.argmax(agreed))
    yield from _settled(value[:cut][before[:cut]], unit[:cut][before[:cut]], low, middle)
    yield from _settled(value[cut:][~before[cut:]], unit[cut:][~before[cut:]], middle, high)


def frames(raw: Bytes, order: str, pointer: int) -> Frames:
    """Read the records of .debug_frame.  FormatError if they are not 32-bit DWARF's, aligned and whole."""
    data = np.frombuffer(raw[: len(raw) // 4 * 4], f"{order}u4").astype(np.uint32)
    first = _records(data)
    start, end = 4 * first, 4 * (first + 1) + data[first]
    own, common = 4 * (first + 2), data[first + 1].astype(np.int64)
    about = (common != CIE) & (own + pointer <= end)
    place = own[about, None] + np.arange(pointer)
    address = np.zeros(len(first), np.uint64)
    address[about] = np.frombuffer(raw, np.uint8)[place].view(f"{order}u{pointer}")[:, 0]
    refers = np.where(common == CIE, start, common)
    found = np.minimum(np.searchsorted(start, refers), max(len(start) - 1, 0))
    return Frames(start, end, np.where(start[found] == refers, found, -1), address)


def _records(words: NDArray[np.uint32]) -> Offsets:
    """(r,) the words at which records begin, each with its length; a length of 0 is padding.

    Every word is taken for a length, and what it leads to is followed in strides that double.
    """
    count = len(words)
    following = np.arange(count + 1) + 1 + np.append(words, np.uint32(0)).astype(np.int64) // 4
    following = np.minimum(following, count)
    first, stride = np.zeros(min(count, 1), np.int64), following
    while len(first):
        more = stride[first]
        first = np.concatenate([first, more[more < count]])
        if more[-1] == count:
            break
        stride = stride[stride]
    size = words[first].astype(np.int64)
    wrong = np.flatnonzero((size % 4 > 0) | (first + size // 4 >= count))
    if len(wrong):
        at = int(wrong[0])
        raise FormatError(f"a record of {size[at]} bytes does not fit", structure=FRAME, offset=4 * int(first[at]))
    return first[size > 0]
