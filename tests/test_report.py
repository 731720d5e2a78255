"""The result documents hold together, and so do the samples that the renderers are tested with."""

from __future__ import annotations

import msgspec
import pytest
from samples import hostile, sample

from goforensics.report import SCHEMA, Inspection


def test_the_schema_names_itself() -> None:
    assert sample().schema == SCHEMA
    assert msgspec.to_builtins(sample())["schema"] == "goforensics.inspect/1"


@pytest.mark.parametrize("record", [sample(), sample().file, sample().sizes.rows[0], sample().leaks])
def test_documents_are_frozen(record: msgspec.Struct) -> None:
    for member in record.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(record, member, None)


def test_a_document_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(sample()), type=Inspection) == sample()


@pytest.mark.parametrize("member", ["go_version", "path", "main", "go_build_id", "gnu_build_id"])
def test_what_is_not_recorded_is_null_and_present(member: str) -> None:
    build = msgspec.structs.replace(sample().build, **{member: None})
    assert msgspec.to_builtins(build)[member] is None


def test_an_unknown_kind_is_refused() -> None:
    raw = msgspec.to_builtins(sample())
    raw["sizes"]["rows"][0]["kind"] = "fat"
    with pytest.raises(msgspec.ValidationError, match="kind"):
        msgspec.convert(raw, Inspection)


def test_the_samples_sums_are_exact() -> None:
    for document in (sample(), hostile(sample(), "\x1b[31m")):
        for sizes in (document.sizes, document.modules):
            assert sum(row.bytes for row in sizes.rows) + sizes.filtered_out == sizes.total == document.file.size
        assert document.pclntab is not None
        assert sum(document.pclntab.parts.values()) == document.pclntab.size
        for row in document.reclaimable:
            assert row.bytes + row.size_after == document.file.size
