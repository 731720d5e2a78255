"""hardening/relro: relocated tables that stay writable."""

from __future__ import annotations

from goforensics.analysis import hardening
from goforensics.clues import headers
from goforensics.errors import FormatError
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft for no RELRO, or a partial one, where a loader relocates the file."""
    headers.elf_only(subject, "RELRO")
    image = subject.image
    if not image.segments:
        raise UnknownError("no segment can be read")
    try:
        told, now = image.dynamic(), hardening.bind_now(image)
    except FormatError as error:
        raise UnknownError(f"the dynamic tables cannot be read: {error}") from None
    fact, loaded = hardening.relro(image), bool(told.interpreter or told.needed)
    if not loaded and not fact.holds:
        if image.position_independent:
            return [Draft("relocated data stays writable", [headers.hit(fact)], "no relro")]
        raise NotApplicableError("static: no loader relocates it")
    if not fact.holds:
        return [Draft("relocated data stays writable", [headers.hit(fact)], "no relro")]
    if loaded and not now.holds:
        hits = [headers.hit(fact), headers.hit(now)]
        return [Draft("partial RELRO: addresses of functions stay writable", hits, "partial relro")]
    return []


RULE = Rule(
    id="hardening/relro",
    title="Relocated tables stay writable",
    severity="low",
    why="The loader fills tables of addresses that calls go through; unless they are read-only afterwards, one write "
    "in the wrong place redirects a call.  Go's own code cannot make that write without unsafe or C.",
    fix="-ldflags=-bindnow (Go 1.23), or -ldflags=-extldflags=-Wl,-z,relro,-z,now",
    limits="Reads the headers as checksec does.  Go's linker writes RELRO for -buildmode=pie only, and no BIND_NOW.",
    check=check,
)
