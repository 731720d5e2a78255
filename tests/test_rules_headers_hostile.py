"""Rules that read headers, on broken files: an answer or an error of our own, soon, and no offset outside."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import mutants
import pytest
from builds import Build, executable

from goforensics import binary
from goforensics.errors import GoForensicsError
from goforensics.policy import Policy
from goforensics.rules import catalogue
from goforensics.rules.protocol import Rule
from goforensics.rules.subject import Subject

pytestmark = pytest.mark.builds
LIMIT = 10.0  # seconds for all rules on one file
POLICY = Policy(targets=("scratch", "alpine", "debian:12", "glibc:2.17/arm64"))
ELF = (
    Build("hello", "1.27"),
    Build("cgo", "1.22", cgo=True),
    Build("cgo", "1.27", flags=("-buildmode=pie",), cgo=True),
)
OTHERS = (
    Build("hello", "1.27", goos="windows"),
    *(Build("hello", "1.27", goos="darwin", goarch=arch) for arch in ("amd64", "arm64")),
)
HEADERS = 4096  # bytes at the beginning that are broken
COPIES = 150


def rules() -> list[Rule]:
    return [rule for rule in catalogue.rules() if rule.id.split("/")[0] in ("cgo", "hardening", "integrity")]


def broken(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Copies with a few bytes of the headers changed, or cut off."""
    rng = random.Random(1)
    for number in range(COPIES):
        copy = bytearray(data)
        for _ in range(rng.choice((1, 4, 32))):
            at = rng.randrange(HEADERS)
            copy[at] = rng.choice((0, 0xFF, 0x7F, copy[at] ^ 1 << rng.randrange(8)))
        yield f"headers {number}", bytes(copy[: rng.choice((len(copy), len(copy) // 2))])


def held(path: Path, chosen: list[Rule]) -> Iterator[str]:
    """What is wrong with the answers."""
    try:
        subject = Subject(binary.open(path))
        subject.owners  # noqa: B018 - the engine asks that first
    except GoForensicsError:
        return
    for rule in chosen:
        try:
            hits = [hit for draft in rule.check(subject, POLICY) for hit in draft.hits]
        except GoForensicsError as error:
            if "\n" in str(error):
                yield f"{rule.id}: more than one line"
            continue
        except Exception as error:
            yield f"{rule.id}: {''.join(traceback.format_exception(error)[-2:])}"
            continue
        size = len(subject.image.data)
        for hit in hits:
            if hit.offset is not None and not 0 <= hit.offset <= hit.offset + hit.length <= size:
                yield f"{rule.id}: {hit} lies outside of {size} bytes"


@pytest.mark.parametrize("build", [*ELF, *OTHERS], ids=Build.label)
def test_broken_headers(build: Build, tmp_path: Path) -> None:
    path, wrong, chosen, kinds = tmp_path / "mutant", [], rules(), set()
    assert len(chosen) > 20
    data = executable(build).read_bytes()
    for kind, copy in mutants.mutants(data) if build in ELF else broken(data):
        path.write_bytes(copy)
        begun = time.perf_counter()
        wrong += [f"{kind}: {each}" for each in held(path, chosen)]
        if (seconds := time.perf_counter() - begun) > LIMIT:
            wrong.append(f"{kind}: {seconds:.1f} s")
        kinds.add(kind)
    assert wrong == []
    assert len(kinds) > 25
