"""types: the type descriptors, what hangs on each (methods, fields, names), and what each refers to.

Source of truth: Go's src/internal/abi/type.go (before 1.21 src/runtime/type.go) and src/runtime/type.go
(moduleTypelinks); the writer is cmd/compile/internal/reflectdata/reflect.go.  Descriptors are found by following the
linker's lists, and whatever else points among the types, from one to the next.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.containers.image import Words
from goforensics.errors import FormatError
from goforensics.sections import moduledata, references
from goforensics.sections.protocol import Parser, Source
from goforensics.sections.region import Region, region
from goforensics.sections.typewalk import HAS_PATH, HAS_TAG, MAP, POINTER, Walk
from goforensics.sets import distinct

STRUCTURE = "types"
ROUNDS = 16  # of looking behind the types found for such as nothing refers to
MAP_WORDS = {8: (5, 8, 11), 4: (6, 8, 11)}  # by pointer size: old maps, Swiss maps, Swiss maps with split groups


class Types(msgspec.Struct, frozen=True, eq=False):
    """Every descriptor by address (t,), every name by address (m,), and what leads from the one to the other."""

    memory: Region
    address: Words  # (t,) increasing
    end: Words  # (t,) past the last of its parts
    kind: NDArray[np.int64]  # (t,) abi.Kind
    named: NDArray[np.bool_]  # (t,)
    package: NDArray[np.int32]  # (t,) index into `packages` of the one that declares the type; 0 for none
    packages: list[str]  # "" first
    pointee: NDArray[np.int64]  # (t,) index of the type that a pointer points at, -1 for none
    gcdata: Words  # (t,) where the mask of its pointers lies; 0 for none
    parts: dict[str, tuple[Words, Words, Words]]  # structure -> (address of the type, start, end) of each part
    name_start: Words  # (m,) increasing
    name_end: Words  # (m,)
    edges: tuple[Words, Words]  # (r,) each: a type's address, that of a type, name, mask or function it refers to


def decode(source: Source) -> Types:
    """Follow every descriptor.  FormatError if there is no moduledata or it names no types."""
    image, module = source.image, source.read(moduledata.PARSER)
    bounds = module.range("types", "etypes")
    if bounds is None or bounds[0] == bounds[1]:
        raise FormatError("moduledata names no types", structure=STRUCTURE, offset=module.offset, absent=True)
    memory = region(image, *bounds, STRUCTURE)
    length = module.fields.get("itaboffset", 0)  # since 1.27 nothing but itabs follows the types
    walk = Walk(memory, bounds[0], bounds[0] + length if length else bounds[1])
    listed, pointed = _listed(source, walk), source.read(references.PARSER).targets
    _adapt(walk, np.r_[listed, pointed])
    walk.follow(listed)
    if not length and len(walk.seen):  # etypes is the end of .rodata: what lies beyond the types only looks like some
        walk.high = int(walk.seen[-1]) + 1
    walk.follow(pointed)
    if not len(walk.seen):
        raise FormatError("nothing that is listed or pointed at is one", structure=STRUCTURE, offset=module.offset)
    _fill(walk)
    return _types(walk)


def _listed(source: Source, walk: Walk) -> Words:
    """Where the linker's lists say that types are: typelinks and itablinks, since 1.27 the start of the types."""
    image, module = source.image, source.read(moduledata.PARSER)
    found = [np.array([walk.types, walk.types + walk.memory.pointer], np.uint64)]
    if module.fields.get("typelinks.len"):
        start = module.fields["typelinks"]
        links = region(image, start, start + 4 * module.fields["typelinks.len"], "typelinks").raw
        found.append((links.view(f"{image.order}i4").astype(np.int64) + walk.types).astype(np.uint64))
    if module.fields.get("itablinks.len"):
        itabs = image.words(module.fields["itablinks"], module.fields["itablinks.len"], "itablinks")
        found += [walk.memory.word(itabs), walk.memory.word(itabs + np.uint64(walk.memory.pointer))]
    return distinct(np.concatenate(found))


def _adapt(walk: Walk, seeds: Words) -> None:
    """Settle what no mark tells: how names say their length, how long a map's descriptor is."""
    fitting = []
    for walk.wide_names in (False, True):
        fitting.append(int(np.count_nonzero(walk.sane(seeds))))
    walk.wide_names = fitting[1] > fitting[0]
    good = seeds[walk.sane(seeds)]
    maps = good[walk.kind(good) == MAP]
    votes = [int(np.count_nonzero(fits)) for fits in _map_layouts(walk, maps)]
    walk.map_words = MAP_WORDS[walk.memory.pointer][int(np.argmax(votes))]


def _map_layouts(walk: Walk, maps: Words) -> Iterator[NDArray[np.bool_]]:
    """(n,) per layout whether each map's own sizes agree with those of its bucket or group type."""
    word = [walk.pointer_at(maps, number) for number in range(9)]
    size, eight = walk.memory.word(word[2]), np.uint64(8)
    bucket = walk.memory.uint(maps + np.uint64(walk.header + 4 * walk.memory.pointer + 2), 2)
    yield (bucket == size) & (word[4] != size)  # big-endian, a Swiss map's group size ends where a bucket's is
    yield (word[4] == size) & (size == eight + eight * word[5])
    interleaved, split = eight + eight * word[6], eight + eight * (word[6] + word[8])
    yield (word[4] == size) & (word[5] == eight) & ((size == interleaved) | (size >= split)) & (word[7] <= size)


def _fill(walk: Walk) -> None:
    """Types lie close together: look right behind each for one that nothing refers to."""
    align, done = np.uint64(walk.memory.pointer - 1), dict.fromkeys(walk.parts, 0)
    for _ in range(ROUNDS):
        fresh = [end for name, parts in walk.parts.items() for _, _, end in parts[done.get(name, 0) :]]
        if not fresh:
            return
        done = {name: len(parts) for name, parts in walk.parts.items()}
        ends = np.concatenate(fresh)
        walk.follow(np.r_[(ends + align) & ~align, (ends + np.uint64(31)) & ~np.uint64(31)])


def _types(walk: Walk) -> Types:
    columns = np.concatenate(walk.columns, axis=1)[:, np.argsort(np.concatenate(walk.columns, axis=1)[0])]
    address, kind, named, path, element, gcdata = columns
    parts = {name: _joined(found) for name, found in walk.parts.items()}
    name_start, name_end, name_edges = _names(walk)
    edges = [*walk.edges, name_edges]
    packages, package = _packages(walk, path)
    return Types(
        memory=walk.memory,
        address=address,
        end=_ends(address, parts),
        kind=kind.astype(np.int64),
        named=named > 0,
        package=package,
        packages=packages,
        pointee=index(address, np.where(kind == POINTER, element, np.uint64(0))),
        gcdata=gcdata,
        parts=parts,
        name_start=name_start,
        name_end=name_end,
        edges=(np.concatenate([a for a, _ in edges]), np.concatenate([b for _, b in edges])),
    )


def _joined(found: list[tuple[Words, Words, Words]]) -> tuple[Words, Words, Words]:
    """Parts of one structure, as they were found, in one."""
    owner, start, end = (np.concatenate(column) for column in zip(*found, strict=True))
    return owner, start, end


def index(address: Words, wanted: Words) -> NDArray[np.int64]:
    """(n,) where each of `wanted` is in `address`; -1 where it is not."""
    at = np.minimum(np.searchsorted(address, wanted), max(len(address) - 1, 0))
    return np.where(address[at] == wanted, at, -1) if len(address) else np.full(len(wanted), -1)


def _ends(address: Words, parts: dict[str, tuple[Words, Words, Words]]) -> Words:
    """(t,) past the last part of each type, and never past the next type."""
    end = np.zeros(len(address), np.uint64)
    for owner, _, stop in parts.values():
        np.maximum.at(end, index(address, owner), stop)
    return np.minimum(end, np.r_[address[1:], np.uint64(2**64 - 1)])


def _names(walk: Walk) -> tuple[Words, Words, tuple[Words, Words]]:
    """(start, end) of every name, those that names refer to included, and (name, package's name) of these."""
    start = distinct(np.concatenate([*walk.names, np.empty(0, np.uint64)]))
    start = start[walk.sane_name(start)]
    end, path = _name_ends(walk, start)
    further = np.setdiff1d(path[walk.sane_name(path)], start)
    edges = (start[path > 0], path[path > 0])
    more, _ = _name_ends(walk, further)
    order = np.argsort(np.r_[start, further])
    return np.r_[start, further][order], np.r_[end, more][order], edges


def _name_ends(walk: Walk, start: Words) -> tuple[Words, Words]:
    """(n,) past each name with its tag and the offset of its package's name; (n,) the address of that name, or 0."""
    length, skip = walk.length(start)
    flag, end = walk.memory.uint(start, 1), start + length + skip
    tag, before = walk.length(end - np.uint64(1))  # a tag is a length and a text, without a flag byte
    end = np.where(flag & np.uint64(HAS_TAG) > 0, end + tag + before - np.uint64(1), end)
    has_path = flag & np.uint64(HAS_PATH) > 0
    path = np.where(has_path, walk.named_by(end), np.uint64(0))
    return np.where(has_path, end + np.uint64(4), end), path


def _packages(walk: Walk, path: Words) -> tuple[list[str], NDArray[np.int32]]:
    """The packages that types are declared in, "" first, and each type's."""
    distinct, code = np.unique(np.r_[np.uint64(0), path], return_inverse=True)
    return ["", *walk.texts(distinct[1:])], code[1:].astype(np.int32)


PARSER = Parser("types", decode)
