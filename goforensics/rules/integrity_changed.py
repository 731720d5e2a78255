"""integrity/changed: bytes that are not those that the build wrote."""

from __future__ import annotations

from goforensics.analysis import contentid
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections import buildid

ELFRESERVE = 4096  # bytes that the linker keeps for headers
PART = 20  # characters of the content ID, the last part of a build ID


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if the hash in the build ID is not the file's."""
    ids = subject.binary.maybe(buildid.PARSER)
    if ids is None or ids.go is None:
        raise UnknownError("no Go build ID: -buildid= leaves it out, and with it the hash of the file")
    stamp = ids.go
    if not contentid.is_content_id(stamp.id):
        raise UnknownError("the build ID was set by hand or never finished, and holds no hash of the file")
    if stamp.size != len(stamp.id):
        raise UnknownError("the build ID is written in escapes, as the go command never writes it")
    verdict = contentid.verify(subject.image, stamp.id)
    if verdict.state in ("same", "signed"):
        return []
    if subject.image.format != "elf":
        _signed_anew(subject)
    hits = [
        Hit(f"content ID {verdict.recorded}", "build ID", stamp.offset + stamp.size - PART, PART),
        Hit(f"the bytes of the file give {' or '.join(verdict.computed)}", "file"),
    ]
    return [Draft("changed after it was linked" + _by(subject), hits, "content ID")]


def _signed_anew(subject: Subject) -> None:
    """Raise UnknownError for a signature that was added later: what it changed in the headers hides the rest.

    One on a PE file from Go's own linker can be taken off again; a system's linker writes a checksum as well.
    """
    from goforensics.analysis import hardening

    kind = hardening.signature(subject.image)[0]
    if kind == "signed" and (subject.image.format == "macho" or subject.file.link_mode == "external"):
        raise UnknownError("signed after it was linked; what was there before cannot be told")


def _by(subject: Subject) -> str:
    """Who did it, where that shows."""
    if any(section.name == ".gnu_debuglink" for section in subject.image.sections):
        return ": its debug data was split off (strip and .gnu_debuglink)"
    return ": its section headers were written anew, as strip and objcopy do" if _headers_moved(subject) else ""


def _headers_moved(subject: Subject) -> bool:
    """Go's own linker writes them in front (src/cmd/link/internal/ld/elf.go), binutils behind everything."""
    from goforensics.containers.elf import ElfImage

    image = subject.image
    if not isinstance(image, ElfImage) or subject.file.link_mode != "internal":
        return False
    return bool(image.header["e_shoff"] > ELFRESERVE)


RULE = Rule(
    id="integrity/changed",
    title="Changed after linking",
    severity="medium",
    why="The go command leaves a hash of the file in its build ID.  Another hash means that something edited the file: "
    "strip, a packer, a patch.  The file is then not what the build made, and cannot be reproduced from its source.",
    fix="leave the file as the build wrote it (-ldflags='-s -w' in place of strip), or set -buildid= on purpose",
    limits="The hash is no signature: whoever changes a file can compute it anew.  A Mach-O file that was signed with "
    "an identity cannot be told.  Bazel and some packagers set an ID of their own.",
    check=check,
)
