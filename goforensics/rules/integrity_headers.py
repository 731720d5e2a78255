"""integrity/headers: an ELF file without section headers, or with sections that have no names."""

from __future__ import annotations

from goforensics.clues import headers
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule
from goforensics.rules.subject import Subject

FIELDS = {64: (40, 24), 32: (32, 20)}  # offset of e_shoff, and bytes from there to the end of the ELF header


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if tools that go by sections see nothing."""
    headers.elf_only(subject, "section headers that can be left out")
    image = subject.image
    at, size = FIELDS[image.bits]
    hits = [Hit("e_shoff to e_shstrndx", "ELF header", at, size)]
    if not image.sections:
        gone = not any(bytes(image.data[at : at + image.pointer_size]))
        title = "has no section headers" if gone else "its section headers cannot be read"
        return [Draft(title, hits, "no section headers")]
    if not any(section.name for section in image.sections):
        return [Draft("its sections have no names", hits, "no section names")]
    return []


RULE = Rule(
    id="integrity/headers",
    title="Section headers are gone",
    severity="medium",
    why="The loader needs no section headers, so they are taken out to keep debuggers, scanners and strip from reading "
    "a file.  Every linker writes them.",
    fix="leave the file as the build wrote it",
    limits="Says nothing of single headers that were changed.",
    check=check,
)
