"""Comparing executables that others built, and such as were made to break a reader."""

from __future__ import annotations

import random
import time
from pathlib import Path

import builds
import corpus
import mutants
import pytest

import goforensics
from goforensics.analysis.compare import compare, questions
from goforensics.errors import GoForensicsError
from goforensics.report_compare import Pair

pytestmark = pytest.mark.builds

LIMIT = 10.0  # seconds for one pair
BUILDS = (builds.Build("hello", "1.27"), builds.Build("hello", "1.27", goarch="arm64"))


def adds_up(found: Pair) -> bool:
    return all(
        sum(row.delta for row in table.rows) == table.delta == found.delta
        and sum(row.before for row in table.rows) + table.unchanged_bytes == found.size_before
        for table in found.tables
    )


@pytest.mark.parametrize("build", BUILDS, ids=builds.Build.label)
def test_mutants(build: builds.Build, tmp_path: Path) -> None:
    whole = builds.executable(build)
    path, wrong, compared = tmp_path / "mutant", [], 0
    every = list(mutants.mutants(whole.read_bytes()))
    for number, (kind, data) in random.Random(4).sample(list(enumerate(every)), 60):
        path.write_bytes(data)
        begun = time.perf_counter()
        try:
            pair = compare([goforensics.open(whole), goforensics.open(path)], questions()).pairs[0]
            compared += 1
            if not adds_up(pair):
                wrong.append(f"{number} {kind}: the tables do not sum")
            if pair.verdict == "identical" and data != whole.read_bytes():
                wrong.append(f"{number} {kind}: it is not identical")
        except GoForensicsError:
            pass
        except Exception as error:
            wrong.append(f"{number} {kind}: {type(error).__name__}: {error}")
        if (seconds := time.perf_counter() - begun) > LIMIT:
            wrong.append(f"{number} {kind}: {seconds:.1f} s")
    assert wrong == []
    assert compared > 20


def test_two_releases_of_a_program_of_others() -> None:
    entries = {entry.version: entry for entry in corpus.entries() if entry.package == "@esbuild/linux-x64"}
    paths = [corpus.obtain(entries[version]) for version in ("0.25.12", "0.28.2")]
    pair = compare([goforensics.open(path) for path in paths], questions()).pairs[0]
    assert adds_up(pair)
    assert pair.delta == paths[1].stat().st_size - paths[0].stat().st_size
    assert pair.verdict == "code"
    assert pair.code is not None
    assert pair.code.same > 1000
    assert pair.code.changed > 1000
    assert all(row.evidence for table in pair.tables for row in table.rows if row.change == "renamed")
