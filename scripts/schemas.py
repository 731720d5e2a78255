"""Writes the JSON Schemas of the result documents from their types; --check fails if a shipped one is stale."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from goforensics import (  # noqa: E402
    report,
    report_audit,
    report_compare,
    report_disasm,
    report_gate,
    report_matrix,
    report_pcdata,
)

FOLDER = ROOT / "goforensics" / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "audit-1.json": report_audit.json_schema,
    "audits-1.json": report_audit.summary_schema,
    "compare-1.json": report_compare.json_schema,
    "disasm-1.json": report_disasm.json_schema,
    "gate-1.json": report_gate.json_schema,
    "inspect-1.json": report.json_schema,
    "map-1.json": report.map_schema,
    "matrix-1.json": report_matrix.json_schema,
    "pcdata-1.json": report_pcdata.json_schema,
    "reclaim-1.json": report.reclaim_schema,
    "size-baseline-1.json": report_gate.baseline_schema,
}


def generated(name: str) -> str:
    """What the schema's file should hold."""
    return json.dumps({"$schema": DRAFT, **SCHEMAS[name]()}, indent=2) + "\n"


def stale() -> list[str]:
    """The schemas whose file is missing or says something else."""
    files = {name: FOLDER / name for name in SCHEMAS}
    return [n for n, f in files.items() if not f.is_file() or f.read_text(encoding="utf-8") != generated(n)]


def main(arguments: list[str]) -> int:
    """Write the schemas, or check them; 1 if one is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if a schema is stale")
    options = parser.parse_args(arguments)
    names = stale()
    for name in names:
        print(f"{name}: stale, run scripts/schemas.py" if options.check else f"{name}: written")
        if not options.check:
            (FOLDER / name).write_text(generated(name), encoding="utf-8")
    return int(options.check and bool(names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
