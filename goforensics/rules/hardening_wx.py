"""hardening/wx: memory that can be written and run."""

from __future__ import annotations

from goforensics.containers.image import Segment
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """One draft with every such segment."""
    image = subject.image
    if not image.segments:
        raise UnknownError("no segment can be read")
    found = [s for s in image.segments if s.writable and s.executable and s.memory_size]
    hits = [_hit(s, len(image.data)) for s in found]
    names = ", ".join(sorted({s.name for s in found})[:3])
    return [Draft(f"memory is writable and executable: {names}", hits, "writable and executable")] if found else []


def _hit(segment: Segment, size: int) -> Hit:
    """A segment's bytes in the file, if there are any: a hostile one may lie anywhere."""
    text, end = f"segment {segment.name}, {segment.memory_size} bytes in memory", segment.offset + segment.file_size
    held = segment.file_size and end <= size
    return Hit(text, "segments", segment.offset, segment.file_size) if held else Hit(text, "segments")


RULE = Rule(
    id="hardening/wx",
    title="Writable and executable memory",
    severity="high",
    why="Code that can be overwritten while it runs turns any stray write into code of the attacker's choice.  Neither "
    "Go's linker nor a system's makes such a segment; packers and -Wl,-N do.",
    fix="link without -Wl,-N (--omagic), and do not pack the executable",
    limits="Reads the headers; memory that the program asks for itself (mmap, VirtualAlloc) is not seen.",
    check=check,
)
