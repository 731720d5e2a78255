"""Every planted fault is found by its rule in the bad build, in its place, and nothing in the mended one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import specimen_table
from specimen_table import Case, wrong
from specimens import RELEASES, build

pytestmark = pytest.mark.builds
CASES = specimen_table.cases()


def _label(case: Case) -> str:
    return f"{case.specimen.rule}:{case.specimen.name}".replace(" ", "-")


@pytest.fixture(scope="module")
def said() -> dict[str, dict[str, list[str]]]:
    """What each case said with each release, for the table."""
    return {}


@pytest.mark.parametrize("go", RELEASES)
@pytest.mark.parametrize("case", CASES, ids=_label)
def test_it_is_found_and_its_mend_is_clean(case: Case, go: str, said: dict[str, dict[str, list[str]]]) -> None:
    if (case.specimen.bad.cgo or case.specimen.good.cgo) and not shutil.which("gcc"):
        pytest.skip("no C compiler")
    reasons = wrong(case, go)
    said.setdefault(_label(case), {})[go] = reasons
    assert reasons == []


def test_the_table_is_printed(said: dict[str, dict[str, list[str]]]) -> None:
    """Shown by pytest -s; scripts/specimen_table.py prints it, too."""
    rows = [(case, said[_label(case)]) for case in CASES if len(said.get(_label(case), ())) == len(RELEASES)]
    text = specimen_table.table(rows)
    print(f"\n{text}")
    assert len(text.splitlines()) == 1 + len(rows)


def _some() -> Case:
    return next(case for case in CASES if case.specimen.planted and case.specimen.owner and not case.specimen.bad.cgo)


def test_a_rule_that_misses_fails() -> None:
    """The check itself: other bytes, another owner, a mend that mends nothing, a fault that is none."""
    case, go = _some(), RELEASES[-1]
    assert wrong(case, go) == []

    def changed(**fields: object) -> list[str]:
        return wrong(msgspec.structs.replace(case, specimen=replace(case.specimen, **fields)), go)  # type: ignore[arg-type]

    assert "planted" in " ".join(changed(planted="bytes that nobody planted"))
    assert "laid to" in " ".join(changed(owner="nobody.example"))
    assert "found in the good build" in " ".join(changed(good=case.specimen.bad))
    assert "not found in the bad build" in " ".join(changed(bad=case.specimen.good))


def test_builds_are_kept() -> None:
    program = _some().specimen.bad
    first = build(program, RELEASES[-1])
    assert isinstance(first, Path)
    assert first.stat().st_mtime_ns == build(program, RELEASES[-1]).stat().st_mtime_ns
