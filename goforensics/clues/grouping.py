"""Places gathered into findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from goforensics.rules.protocol import Draft, Hit, UnknownError

Found = tuple[str, Hit]  # what makes it the same finding, and a place


def grouped(found: Iterable[Found], draft: Callable[[str, list[Hit]], Draft]) -> Iterator[Draft]:
    """One draft per name, made of all its places.  UnknownError that `found` raises comes after what it gave."""
    groups: dict[str, list[Hit]] = {}
    late: UnknownError | None = None
    try:
        for name, place in found:
            groups.setdefault(name, []).append(place)
    except UnknownError as error:
        late = error
    for name, hits in groups.items():
        yield draft(name, hits)
    if late:
        raise late
