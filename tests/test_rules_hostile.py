"""Every rule, and the gate, on broken files: an answer or an error of our own, soon, and no offset outside."""

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
from goforensics.analysis import gate
from goforensics.errors import GoForensicsError
from goforensics.policy import BuildRules, InternalRules, Policy, SecretRules, SizeRules
from goforensics.rules import catalogue
from goforensics.rules.subject import Subject

pytestmark = pytest.mark.builds
LIMIT = 10.0  # seconds for all rules and the gate on one file
POLICY = Policy(
    targets=("scratch", "alpine", "debian:12", "glibc:2.17/arm64"),
    build=BuildRules(
        require=("-trimpath", "-s"),
        forbid=("-race",),
        min_go="1.20",
        vcs=True,
        commit="0123abcd",
        version=True,
        hosts=("github.com",),
    ),
    size=SizeRules(max=1000, reclaimable=0.01),
    internal=InternalRules(hosts=("*.corp.example",), modules=("example.com/*",), patterns={"ticket": "CORP-[0-9]+"}),
    secrets=SecretRules(patterns={"name": "runtime"}),
)
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
COPIES = 100


def broken(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Copies with a few bytes of the headers changed, or cut off."""
    rng = random.Random(1)
    for number in range(COPIES):
        copy = bytearray(data)
        for _ in range(rng.choice((1, 4, 32))):
            at = rng.randrange(HEADERS)
            copy[at] = rng.choice((0, 0xFF, 0x7F, copy[at] ^ 1 << rng.randrange(8)))
        yield f"headers {number}", bytes(copy[: rng.choice((len(copy), len(copy) // 2))])


def held(path: Path) -> Iterator[str]:
    """What is wrong with the rules' answers."""
    try:
        subject = Subject(binary.open(path))
        subject.owners  # noqa: B018 - the engine asks that first
    except GoForensicsError:
        return
    for rule in catalogue.rules():
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


def gated(path: Path, before: gate.Measured) -> Iterator[str]:
    """What is wrong with the gate's."""
    try:
        after = gate.measure(binary.open(path))
        document = gate.compare(before, after, gate.Limits(1000))
    except GoForensicsError as error:
        if "\n" in str(error):
            yield "gate: more than one line"
    except Exception as error:
        yield f"gate: {''.join(traceback.format_exception(error)[-2:])}"
    else:
        size = path.stat().st_size
        if not sum(after.sizes.values()) == size == document.after.size:
            yield f"gate: {sum(after.sizes.values())} bytes of {size}"


@pytest.mark.parametrize("build", [*ELF, *OTHERS], ids=Build.label)
def test_broken_files(build: Build, tmp_path: Path) -> None:
    path, wrong, kinds = tmp_path / "mutant", [], set()
    data, before = executable(build).read_bytes(), gate.measure(binary.open(executable(build)))
    for number, (kind, copy) in enumerate(mutants.mutants(data) if build in ELF else broken(data)):
        path.write_bytes(copy)
        begun = time.perf_counter()
        wrong += [f"{kind}: {each}" for each in (*held(path), *(gated(path, before) if number % 4 == 0 else ()))]
        if (seconds := time.perf_counter() - begun) > LIMIT:
            wrong.append(f"{kind}: {seconds:.1f} s")
        kinds.add(kind)
    assert wrong == []
    assert len(kinds) > 25
