"""Writes docs/rules.md, the catalogue of audit rules, from the rules themselves; --check fails if it is stale."""

from __future__ import annotations

import argparse
import re
import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from goforensics.rules.catalogue import rules  # noqa: E402
from goforensics.rules.protocol import Rule  # noqa: E402

PAGE = ROOT / "docs" / "rules.md"
HEAD = """# Audit rules

What `goforensics audit` asks of a Go executable. This page is made from the rules by `scripts/rules.py`.

A rule's severity is what it has unless the policy says otherwise (`[severity]` in `goforensics.toml`, by id or
`family/*`; `"off"` turns it off). `goforensics policy explain RULE` tells the same of one rule, under your policy.
"""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD, _index(rules())]
    for family, members in groupby(rules(), key=_family):
        parts.append(f"## {family}\n")
        parts += [_rule(rule) for rule in members]
    return "\n".join(parts)


def _family(rule: Rule) -> str:
    return rule.id.partition("/")[0]


def _index(found: tuple[Rule, ...]) -> str:
    links = {rule.id: f"[`{rule.id}`](#{rule.id.replace('/', '')})" for rule in found}
    rows = [f"| {links[rule.id]} | {rule.severity} | {_escaped(rule.title)} |" for rule in found]
    return "\n".join(["| rule | severity | finds |", "| --- | --- | --- |", *rows, ""])


def _rule(rule: Rule) -> str:
    """A heading that the index can link to, then the facts."""
    where = "every profile" if len(rule.profiles) == 3 else f"profile {', '.join(rule.profiles)}"
    facts = (("Severity", f"{rule.severity}; {where}"), ("Why", rule.why), ("Fix", rule.fix), ("Limits", rule.limits))
    rows = [f"- **{name}**: {_escaped(text)}" for name, text in facts]
    return "\n".join([f"### {rule.id}\n", f"{_escaped(rule.title)}.\n", *rows, ""])


def _escaped(text: str) -> str:
    """The text as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", text).replace("<", "&lt;")


def stale() -> bool:
    """Whether the page is missing or says something else."""
    return not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page()


def main(arguments: list[str]) -> int:
    """Write the page, or check it; 1 if it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if the page is stale")
    options = parser.parse_args(arguments)
    if not stale():
        return 0
    print(f"{PAGE.name}: stale, run scripts/rules.py" if options.check else f"{PAGE.name}: written")
    if not options.check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")
    return int(options.check)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
