"""How much of the file a rebuild, or strip, would free."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from goforensics.clues import recorded
from goforensics.errors import FormatError
from goforensics.policy import Policy
from goforensics.rebuild import predict, strip
from goforensics.rebuild.contents import Declined
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections import pclntab, symtab

TRIMPATH = "-trimpath"
SEGMENT, SECTION = 1 << 16, 1 << 12  # bytes that segments and sections are aligned to at most


class Saving(msgspec.Struct, frozen=True):
    """What one action frees: between `least` and `most` bytes."""

    action: str
    least: int
    most: int


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding if the share is exceeded for certain; UnknownError if it may be."""
    size, limit = len(subject.image.data), policy.size.reclaimable
    found, reasons = _savings(subject)
    best = max(found, key=lambda saving: saving.least, default=None)
    if best is not None and best.least > limit * size:
        yield _draft(best, size, limit)
    elif any(saving.most > limit * size for saving in found):
        raise UnknownError(
            f"what could be reclaimed is known within bounds only, which the limit of {100 * limit:.1f} % lies in"
        )
    elif reasons and (most := _most(subject)) > limit * size:
        raise UnknownError(f"not predicted: {reasons[0]}; it is at most {most:,} bytes")


def _draft(best: Saving, size: int, limit: float) -> Draft:
    figure = f"{best.least:,}" if best.least == best.most else f"{best.least:,} to {best.most:,}"
    share = f"{100 * best.least / size:.1f} %, over the limit of {100 * limit:.1f} %"
    title = f"{figure} bytes could be reclaimed by {best.action}: {share}"
    flags = () if best.action == "strip -s" else _flags(best.action)
    fix = " ".join(["go build", *flags]).replace("=-s -w", '="-s -w"') if flags else best.action
    return Draft(
        title, [Hit(f"{size:,} bytes, {figure} less by {best.action}", "file")], "reclaimable", fix=fix, mends=flags
    )


def _flags(action: str) -> tuple[str, ...]:
    """Those of go build that an action stands for."""
    flags = action.split()
    linker = " ".join(flag for flag in flags if flag != TRIMPATH)
    return (*([TRIMPATH] if TRIMPATH in flags else []), *([f"-ldflags={linker}"] if linker else []))


def _most(subject: Subject) -> int:
    """More than any rebuild frees: everything that flags change, and the padding of every segment and section."""
    image, table, info = subject.image, subject.binary.maybe(pclntab.PARSER), subject.info
    place = recorded.symbol_table(subject)
    symbols = place.count * symtab.record_size(place, image.bits) + place.strings_size if place else 0
    names = len(image.data) if table is None else sum(len(name.encode()) + 1 for name in table.files)
    debug = sum(section.file_size for section in recorded.debug_sections(subject))
    recorded_twice = 2 * (info.size + info.mod_size) if info else 0
    return debug + symbols + names + recorded_twice + SEGMENT * len(image.segments) + SECTION * len(image.sections)


def _savings(subject: Subject) -> tuple[list[Saving], list[str]]:
    """What is known, and why other things are not."""
    size = len(subject.image.data)
    found, reasons = [], []
    for row in predict.table(subject.binary):
        if row.declined is not None:
            reasons.append(row.declined)
        else:
            freed = size - row.size_after
            found.append(Saving(row.flags.label, freed - row.bound, freed + row.bound))
    if reasons:
        try:
            freed = size - strip.size(subject.image, "-s")
            found.append(Saving("strip -s", freed, freed))
        except (Declined, FormatError):
            pass
    return found, reasons


RULE = Rule(
    id="size/reclaimable",
    title="Much of the file could be reclaimed",
    severity="medium",
    why="More of the file than the policy accepts (size.reclaimable) is what a rebuild with other flags would leave "
    "out.",
    fix="goforensics reclaim lists the ways and what each of them loses",
    limits="A prediction: exact or within bounds. Where a file cannot be predicted it passes if all that flags "
    "change is less than the limit, and is unknown otherwise.",
    check=check,
    profiles=("release", "container"),
)
