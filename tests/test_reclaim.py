"""The first estimate of what a rebuild frees: its bound holds in real rebuilds."""

from __future__ import annotations

import builds
import pytest
from builds import Build, executable

import goforensics

pytestmark = pytest.mark.builds

FLAGS: dict[str, tuple[str, ...]] = {
    "-w": ("-ldflags=-w",),
    "-s -w": ("-ldflags=-s -w",),
    "-trimpath": ("-trimpath",),
    "-trimpath -s -w": ("-trimpath", "-ldflags=-s -w"),
}
CASES = [
    *[Build("hello", minor) for minor in ("1.18", "1.22", "1.26", "1.27")],
    *[Build("hello", "1.27", goos=goos, goarch="arm64") for goos in ("darwin", "windows")],
    *[Build("hello", "1.27", goarch=arch) for arch in ("arm64", "386", "s390x")],
    Build("app", "1.26"),
    *[Build("cgo", minor, cgo=True) for minor in ("1.22", "1.27")],
]


@pytest.mark.parametrize("build", CASES, ids=builds.Build.label)
def test_the_bound_holds(build: Build) -> None:
    before = executable(build)
    report = goforensics.inspect(before)
    actions = {row.action: row for row in report.reclaimable}
    assert actions.keys() == FLAGS.keys()
    for action, flags in FLAGS.items():
        rebuilt = executable(Build(build.program, build.go, build.goos, build.goarch, flags, build.cgo))
        row = actions[action]
        freed = before.stat().st_size - rebuilt.stat().st_size
        assert row.size_after == before.stat().st_size - row.bytes
        assert not row.exact
        assert abs(freed - row.bytes) <= row.bound, f"{action}: freed {freed}, said {row.bytes} ± {row.bound}"


def test_nothing_is_left_to_free_in_a_stripped_trimmed_file() -> None:
    assert not goforensics.inspect(executable(Build("hello", "1.27", flags=FLAGS["-trimpath -s -w"]))).reclaimable
