"""Real executables as Go's own packages and tools read them, and other people's executables, whose sums must hold."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import builds
import checks
import corpus
import pytest
import verify

from goforensics import api
from goforensics.errors import NotGoError

SMALL = 15_000_000  # bytes of a corpus file that CI has time for

pytestmark = pytest.mark.builds


def assert_agrees(subject: checks.Subject) -> None:
    """Every check at once, so that a failure tells all that differs."""
    results = checks.everything(subject)
    assert [line for result in results.values() for line in result.differences] == []
    assert results["functions"].count or results["functions"].note


@pytest.mark.parametrize("build", checks.ci_builds(), ids=builds.Build.label)
def test_build(build: builds.Build) -> None:
    assert_agrees(verify.subject_of(build))


@pytest.mark.parametrize("build", [b for b in checks.ci_builds() if checks.loses_headers(b)], ids=builds.Build.label)
def test_without_section_headers(build: builds.Build) -> None:
    assert_agrees(verify.without_headers(verify.subject_of(build)))


@pytest.mark.parametrize("entry", corpus.entries(), ids=lambda entry: entry.name)
def test_corpus(entry: corpus.Entry) -> None:
    path = corpus.obtain(entry)
    if expected := verify.not_go(path):
        with pytest.raises(NotGoError) as caught:
            api.inspect(path)
        assert expected in str(caught.value).lower()
        return
    if path.stat().st_size < SMALL:
        assert_agrees(checks.Subject(entry.name, path))


def test_a_difference_is_seen(tmp_path: Path) -> None:
    """The comparison itself: one changed letter in the names is found, one in the version too."""
    subject = verify.subject_of(builds.Build("hello", "1.27"))
    data = subject.path.read_bytes()
    changed = tmp_path / "changed"
    changed.write_bytes(data.replace(b"\x00runtime.mallocgc\x00", b"\x00runtime.mallocgd\x00"))
    other = dataclasses.replace(subject, path=changed, reference=subject.path)
    assert any("mallocgd" in line for line in checks.functions(other).differences)
    assert not checks.functions(subject).differences
