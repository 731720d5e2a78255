"""The shipped JSON Schemas are those of the types, and documents keep to them."""

from __future__ import annotations

import importlib.util
import json
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from samples import hostile, sample

from goforensics.renderers import render
from goforensics.report import Inspection, Unread


def _schemas() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "scripts" / "schemas.py"
    spec = importlib.util.spec_from_file_location("schemas", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    text = resources.files("goforensics").joinpath("schemas/inspect-1.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def test_the_shipped_schemas_are_fresh() -> None:
    assert _schemas().stale() == []


def test_a_stale_schema_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schemas = _schemas()
    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    assert schemas.main(["--check"]) == 1
    assert schemas.main([]) == 0
    assert schemas.main(["--check"]) == 0


def test_the_schema_is_one(shipped: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(shipped)


@pytest.mark.parametrize("text", ["", "\x1b[31m", "\u202e\u2028", "\udcff"])
def test_documents_keep_to_it(shipped: dict[str, Any], text: str) -> None:
    document = hostile(sample(), text)
    Draft202012Validator(shipped).validate(json.loads("".join(render(document, "json"))))


def test_a_document_of_almost_nothing_keeps_to_it(shipped: dict[str, Any]) -> None:
    document = msgspec.structs.replace(
        sample(), pclntab=None, symtab=None, dwarf=None, sections=[], unread=[Unread("pclntab", 0, "cut short")]
    )
    Draft202012Validator(shipped).validate(json.loads("".join(render(document, "json"))))


def test_it_refuses_what_is_wrong(shipped: dict[str, Any]) -> None:
    raw = msgspec.to_builtins(sample())
    del raw["sizes"]
    raw["file"]["size"] = "much"
    assert len(list(Draft202012Validator(shipped).iter_errors(raw))) == 2


def test_json_reads_back_as_the_same_document() -> None:
    assert msgspec.json.decode("".join(render(sample(), "json")), type=Inspection) == sample()
