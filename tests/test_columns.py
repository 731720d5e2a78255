"""A map of few columns, for which owners get no other names, says the same as the map of all."""

from __future__ import annotations

import builds
import pytest
from builds import Build, executable

from goforensics import binary
from goforensics.analysis.mapping import bytemap_of

pytestmark = pytest.mark.builds
CASES = [
    Build("hello", "1.18", flags=(builds.STRIP,)),
    Build("cgo", "1.22", cgo=True),
    Build("hello", "1.27", goos="darwin", goarch="arm64"),
]


@pytest.mark.parametrize("build", CASES, ids=builds.Build.label)
def test_each_column_by_itself(build: Build) -> None:
    path = executable(build)
    full = bytemap_of(binary.open(path))
    for by in (("module",), ("package", "kind"), ("instantiator",), ("structure",), ("symbol",)):
        for users in ((), ("users",)):
            few = bytemap_of(binary.open(path), (*by, "origin", *users))
            assert few.group(by, apportioned=bool(users)) == full.group(by, apportioned=bool(users))
