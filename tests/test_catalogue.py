"""The catalogue of rules: all of them, each by one name, and a page that says what they say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import rules as page

from goforensics.errors import UsageError
from goforensics.report_audit import SEVERITIES
from goforensics.rules import catalogue

FOLDER = Path(catalogue.__file__).parent


def test_the_folder_holds_one_rule_per_file_called_as_the_rule_is() -> None:
    written = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "protocol", "subject", "catalogue"}
    assert written == {rule.id.replace("/", "_").replace("-", "_") for rule in catalogue.rules()}


def test_rules_say_everything() -> None:
    for rule in catalogue.rules():
        family, _, name = rule.id.partition("/")
        assert family.isidentifier(), rule.id
        assert name.replace("-", "").isalnum(), rule.id
        assert rule.severity in SEVERITIES
        assert rule.profiles, rule.id
        for text in (rule.title, rule.why, rule.fix, rule.limits):
            assert text.strip() == text != "", rule.id


def test_two_rules_of_one_name_are_refused() -> None:
    first = catalogue.rules()[0]
    with pytest.raises(ValueError, match=first.id):
        catalogue.ordered([first, first])
    with pytest.raises(ValueError, match="familyless"):
        catalogue.ordered([msgspec.structs.replace(first, id="familyless")])


def test_names_that_mean_nothing_name_the_nearest() -> None:
    first = catalogue.rules()[0].id
    catalogue.require_known([first, f"{first.partition('/')[0]}/*"])
    with pytest.raises(UsageError, match=first):
        catalogue.require_known([first[:-1]])
    with pytest.raises(UsageError, match="families are"):
        catalogue.require_known(["zzzz"])


def test_the_page_is_fresh() -> None:
    assert not page.stale(), "run scripts/rules.py"


def test_a_stale_page_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "docs" / "rules.md")
    assert page.main(["--check"]) == 1
    assert page.main([]) == 0
    assert page.main(["--check"]) == 0
    text = page.PAGE.read_text(encoding="utf-8")
    assert all(f"### {rule.id}\n" in text for rule in catalogue.rules())
