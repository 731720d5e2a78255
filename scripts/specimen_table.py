"""Holds every specimen against its rule, for each release, and prints the table: rule, specimen, what came of it.

Specimens are in tests/specimens_*.py: SPECIMENS, and POLICIES for those that need one, by name or by rule.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
for folder in (ROOT, ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from specimens import RELEASES, Specimen, build  # noqa: E402

from goforensics.audit.engine import audit  # noqa: E402
from goforensics.binary import open as open_binary  # noqa: E402
from goforensics.policy import Policy  # noqa: E402
from goforensics.report_audit import Audit, Check, Evidence, Finding  # noqa: E402

CLEAN = ("passed", "not-applicable")


class Case(msgspec.Struct, frozen=True):
    """A specimen with the policy that it needs."""

    specimen: Specimen
    policy: Policy


def cases() -> list[Case]:
    """Every specimen of every module, by rule."""
    found = []
    for path in sorted((ROOT / "tests").glob("specimens_*.py")):
        module = importlib.import_module(path.stem)
        policies: dict[str, Policy] = getattr(module, "POLICIES", {})
        for each in module.SPECIMENS:
            found.append(Case(each, policies.get(each.name, policies.get(each.rule, Policy()))))
    return sorted(found, key=lambda case: (case.specimen.rule, case.specimen.name))


def wrong(case: Case, go: str) -> list[str]:
    """What is not as it must be with one release; empty if the fault is found, and gone when mended."""
    try:
        bad, good = build(case.specimen.bad, go), build(case.specimen.good, go)
    except RuntimeError as error:
        return [f"does not build: {str(error).strip().splitlines()[-1]}"]
    return [*_missed(case, bad), *_false(case, good)]


def _held(case: Case, path: Path) -> tuple[Audit, Check]:
    document = audit(open_binary(path), case.policy, only=[case.specimen.rule])
    return document, next(check for check in document.checks if check.rule == case.specimen.rule)


def _missed(case: Case, path: Path) -> Iterator[str]:
    """Why the fault in the bad build does not count as found."""
    document, check = _held(case, path)
    if not document.findings or check.state != "found":
        yield f"not found in the bad build: {check.state} {check.reason}".rstrip()
        return
    wanted, owner = case.specimen.planted.encode(), case.specimen.owner
    shown = [(each, place) for each in document.findings for place in each.evidence]
    if wanted and not any(_shows(place, wanted, path) for _, place in shown):
        places = "; ".join(f"{place.offset} {place.where} {place.text}" for _, place in shown[:3])
        yield f"no place has the planted bytes: {places}"
    if owner and not any(_owned(each, owner) for each in document.findings):
        yield f"laid to {sorted({each.owner for each in document.findings})} and not to {owner}"


def _shows(place: Evidence, wanted: bytes, path: Path) -> bool:
    """Whether the planted bytes are at the place; of compressed debug data the place is its section."""
    if place.offset is None:
        return False
    with path.open("rb") as stream:
        stream.seek(place.offset)
        there = stream.read(max(place.length, len(wanted)))
    compressed = place.where.startswith("dwarf") and there.startswith((b"\x01\0\0\0", b"ZLIB", b"\x02\0\0\0"))
    return wanted in there or (compressed and wanted.decode() in place.text)


def _owned(found: Finding, owner: str) -> bool:
    return found.owner == owner or any(place.owner == owner for place in found.evidence)


def _false(case: Case, path: Path) -> Iterator[str]:
    """Why the good build does not count as clean."""
    document, check = _held(case, path)
    for each in document.findings:
        yield f"found in the good build: {each.title}: {[place.text for place in each.evidence[:2]]}"
    if check.state not in ("found", *CLEAN):
        yield f"the good build is {check.state}: {check.reason}"


def table(rows: Sequence[tuple[Case, dict[str, list[str]]]]) -> str:
    """Rule by release: "found" where the fault is found and its mend is clean."""
    lines: list[tuple[str, ...]] = [("rule", "specimen", *RELEASES)]
    for case, said in rows:
        marks = ("WRONG" if said[go] else "found" for go in RELEASES)
        lines.append((case.specimen.rule, case.specimen.name, *marks))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def main(arguments: list[str]) -> int:
    """Build, audit, print; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rule", default="", help="only rules whose id begins so")
    options = parser.parse_args(arguments)
    chosen = [case for case in cases() if case.specimen.rule.startswith(options.rule)]
    rows = [(case, {go: wrong(case, go) for go in RELEASES}) for case in chosen]
    print(table(rows))
    for case, said in rows:
        for go, reasons in said.items():
            for reason in reasons:
                print(f"{case.specimen.rule} ({case.specimen.name}), Go {go}: {reason}")
    return int(any(reasons for _, said in rows for reasons in said.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
