"""Which function of one build is which of the other: by name, and where code proves it, under another name.

The name is enough for most.  A function that is called otherwise is taken for the same only if its code is, call for
call and reference for reference, and something of its name too: a closure that is counted differently, a function of
another package, or, if its code is long enough not to be the same by chance, another name in the same package.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable

import msgspec
import numpy as np

from goforensics.analysis import samecode
from goforensics.analysis.packages import package_of
from goforensics.analysis.samecode import PENDING, SAME, Flags, Numbers, Program, Verdicts
from goforensics.sets import among, distinct

COUNTED = re.compile(r"(?<=[.\-])(func|gowrap|deferwrap|range|init\.)?\d+(?=$|[.\-])")
LONG = 64  # bytes of code: of another name in the same package
TINY = 24  # bytes of code: of a closure of the same function
SHORT = 32  # bytes of code: of the same name in another package
ROUNDS = 16  # of looking again at functions that call one another
HELD = 24  # bytes at a place that tell what it is: of a type, its sizes and its hash
MOST = 64  # candidates with one key and one size: more are told apart by nothing

Buckets = dict[tuple[str, int], list[int]]


class Match(msgspec.Struct, frozen=True):
    """Two functions that are the same under two names, and why."""

    here: int
    there: int
    evidence: list[str]


class Matching(msgspec.Struct, frozen=True, eq=False):
    """Pairs of functions: those of one name (p,), and the renamed ones."""

    here: Numbers
    there: Numbers
    verdicts: Verdicts  # of these pairs
    renamed: list[Match]


def by_name(one: Program, other: Program) -> tuple[Numbers, Numbers]:
    """(p,) the functions of one name; where several have it, as instances of a generic one do, by their size."""
    number: dict[str, int] = {}
    mine, theirs = _keys(one, number), _keys(other, number)
    _, here, there = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    return here, there


def _keys(program: Program, number: dict[str, int]) -> Numbers:
    """(n,) the name as a number, and which of the functions of that name by size."""
    name = np.array([number.setdefault(name, len(number)) for name in program.names], np.int64)
    order = np.lexsort((program.code, name))
    first = np.r_[True, np.diff(name[order]) != 0] if len(name) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(first, np.arange(len(name)), 0))
    rank = np.empty(len(name), np.int64)
    rank[order] = np.arange(len(name)) - start
    return (name << 32) + rank


def match(one: Program, other: Program) -> Matching:
    """Pair the functions of two builds; each is in one pair at most."""
    named = by_name(one, other)
    here, there = _certain(one, other, *named)
    search = _Search(one, other, here, there)
    search.run()
    again = (search.partner[named[0]] < 0) & ~search.taken[named[1]]  # undone, and found no other
    here, there = np.r_[here, named[0][again]], np.r_[there, named[1][again]]
    search.partner[here] = there
    return Matching(here, there, samecode.compare(one, other, here, there, search.partner), search.found)


def _stem(name: str) -> str:
    """A closure's name without what it is counted by: main.f.func2.1 and main.f.func1.1 are of one family."""
    return COUNTED.sub(r"\1#", name) if name[-1:].isdigit() else ""


def _within(name: str) -> str:
    """A function's name inside of its package; "" where it has none."""
    package = name.find(".", name.rfind("/", 0, name.find("[") if "[" in name else None) + 1)
    return name[package:] if package_of(name) else ""


def _certain(one: Program, other: Program, here: Numbers, there: Numbers) -> tuple[Numbers, Numbers]:
    """The pairs but those of closures that differ in size, where one of the family's others may be the right one.

    A closure that is put before another takes its number, so that names alone would pair the wrong two.
    """
    differ = np.flatnonzero(one.code[here] != other.code[there])
    closures = {k: stem for k in differ.tolist() if (stem := _stem(one.names[int(here[k])]))}
    families = set(closures.values())
    mine, theirs = _sizes(one, families), _sizes(other, families)
    doubtful = [
        k
        for k, stem in closures.items()
        if int(one.code[here[k]]) in theirs[stem] or int(other.code[there[k]]) in mine[stem]
    ]
    keep = np.ones(len(here), bool)
    keep[doubtful] = False
    return here[keep], there[keep]


def _sizes(program: Program, families: set[str]) -> dict[str, set[int]]:
    """The sizes of the code of every closure of these families."""
    found: dict[str, set[int]] = defaultdict(set)
    for name, size in zip(program.names, program.code.tolist(), strict=True):
        if (stem := _stem(name)) in families:
            found[stem].add(size)
    return found


def _place(one: Program, mine: Numbers, other: Program, theirs: Numbers) -> Numbers:
    """(f,) a place here and one there as one number."""
    return ((mine - one.low) << 32) + (theirs - other.low)


class _Search:
    """The search for functions under other names; what is found makes more of their callers comparable."""

    def __init__(self, one: Program, other: Program, here: Numbers, there: Numbers) -> None:
        self.one, self.other = one, other
        self.partner = np.full(len(one.names), -1, np.int64)
        self.partner[here] = there
        self.taken = np.zeros(len(other.names), bool)
        self.taken[there] = True
        self.found: list[Match] = []
        self._pairs: dict[str, str] = {}  # names of what is found
        self._known_keys: dict[tuple[bool, Callable[[str], str]], list[str]] = {}
        self.same = samecode.compare(one, other, here, there, self.partner).state == SAME
        _, mine, theirs = samecode.referred(one, other, here[self.same], there[self.same])
        self.votes = distinct(_place(one, mine, other, theirs))  # places that functions of one name agree on

    def run(self) -> None:
        """Look for closures, then for moved functions, then for renamed ones, until nothing more is found."""
        kinds: list[tuple[Callable[[str], str], int, str]] = [
            (_stem, TINY, "a closure of the same function, counted otherwise"),
            (_within, SHORT, "the same name in another package"),
            (package_of, LONG, "another name in the same package"),
        ]
        for _ in range(ROUNDS):
            before = len(self.found)
            for key, least, evidence in kinds:
                self._look(key, least, evidence)
            if len(self.found) == before:
                return

    def _look(self, key: Callable[[str], str], least: int, evidence: str) -> None:
        """Pair what has the same key, size and code, if nothing else has."""
        here, there = self._candidates(key, least)
        if not len(here):
            return
        verdicts = samecode.compare(self.one, self.other, here, there, self.partner)
        proven = verdicts.state == SAME
        proven[proven] = self._supported(here[proven], there[proven])
        possible = np.isin(verdicts.state, (SAME, PENDING))
        mine, theirs = Counter(here[possible].tolist()), Counter(there[possible].tolist())
        for k in np.flatnonzero(proven).tolist():
            i, j = int(here[k]), int(there[k])
            if mine[i] == theirs[j] == 1:
                self._take(Match(i, j, [evidence, self._told(i, int(verdicts.moved[k]))]))

    def _supported(self, here: Numbers, there: Numbers) -> Flags:
        """(p,) whether all that these functions refer to is known to be the same, and so are those they lie in.

        Generated code differs from type to type in what it refers to only.  A place is known from other functions
        that agree on it, or by what it holds: text, numbers, a type with its hash.
        """
        pair, mine, theirs = samecode.referred(self.one, self.other, here, there)
        known = among(_place(self.one, mine, self.other, theirs), self.votes)
        known |= samecode.held(self.one, mine, HELD, self.other, theirs)
        unknown = np.bincount(pair[~known], minlength=len(here)) > 0
        outer = [self._outer_known(i, j) for i, j in zip(here.tolist(), there.tolist(), strict=True)]
        supported: Flags = ~unknown & np.array(outer, bool)
        return supported

    def _outer_known(self, here: int, there: int) -> bool:
        """A closure is its function's; one of another function has its name to itself."""
        outer = [self._outer(names[i]) for names, i in ((self.one.names, here), (self.other.names, there))]
        if outer[0] is None or outer[1] is None:
            return outer == [None, None]
        return self._pairs.get(outer[0], outer[0]) == outer[1]

    @staticmethod
    def _outer(name: str) -> str | None:
        """The function that a closure is in; None for a function that is none."""
        counted = COUNTED.search(name) if name[-1:].isdigit() else None
        return name[: counted.start()].rstrip(".-") if counted else None

    def _take(self, match: Match) -> None:
        self.partner[match.here], self.taken[match.there] = match.there, True
        self.found.append(match)
        self._pairs[self.one.names[match.here]] = self.other.names[match.there]

    def _told(self, function: int, moved: int) -> str:
        size = int(self.one.code[function])
        return f"{size:,} bytes of code, the same" + (f" but for {moved:,} bytes of addresses" if moved else "")

    def _candidates(self, key: Callable[[str], str], least: int) -> tuple[Numbers, Numbers]:
        """Every two functions without counterpart, of one key and size and of different names."""
        mine = self._by_key(self.one, self.partner < 0, key, least)
        theirs = self._by_key(self.other, ~self.taken, key, least)
        pairs = [
            (i, j)
            for where in mine.keys() & theirs.keys()
            if len(mine[where]) * len(theirs[where]) <= MOST
            for i in mine[where]
            for j in theirs[where]
            if self.one.names[i] != self.other.names[j]
        ]
        found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def _by_key(self, program: Program, free: Flags, key: Callable[[str], str], least: int) -> Buckets:
        """Functions with a name of their own by key and size of code; none without a key."""
        found: Buckets = defaultdict(list)
        keys = self._keys(program, key)
        for i in np.flatnonzero(free & (program.code >= max(least, 1)) & (program.offset >= 0)).tolist():
            if keys[i]:
                found[keys[i], int(program.code[i])].append(i)
        return found

    def _keys(self, program: Program, key: Callable[[str], str]) -> list[str]:
        """(n,) the key of every function, "" for one whose name is not its own."""
        which = (program is self.one, key)
        if which not in self._known_keys:
            often = Counter(program.names)
            self._known_keys[which] = [
                key(name) if often[name] == 1 and "[...]" not in name else "" for name in program.names
            ]
        return self._known_keys[which]
