"""An audit as text: the answer, each finding with its evidence and its fix, and what was looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding

from goforensics.renderers import View
from goforensics.renderers.text_tables import MARKS, Mark, capped, count, section, size, wrapped
from goforensics.report_audit import SEVERITIES, Audit, Check, Evidence, Finding, Severity, State

STYLES: dict[Severity, str] = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}
PLACES = 3  # shown of a finding
INDENT = 2
SETTLED = 10  # known or allowed findings that are listed


def parts(document: Audit, view: View) -> Iterator[RenderableType]:
    """The answer first."""
    file = document.file
    name = "standard input" if file.path == "-" else file.path
    target = f"{file.goos or '?'}/{file.goarch or '?'}"
    facts = f"{size(file.size)} · {target} · {document.build.go_version or 'Go release not recorded'}"
    mark, sentence = answer(document)
    symbol, style = MARKS[mark]
    yield Group(wrapped(name, "bold"), wrapped(facts), wrapped(f"{symbol} {sentence}", style))
    for each in document.findings:
        if not each.known and each.allowed is None:
            yield Group(*_finding(each))
    settled = [each for each in document.findings if each.known or each.allowed is not None]
    if settled:
        yield section("Known or allowed", *_settled(settled))
    if document.remedy is not None:
        yield section("Build again with", *_remedy(document.remedy))
    yield section("Checked", *_checked(document))
    if document.notes:
        yield section("Policy and baseline", *(_indented(note) for note in document.notes))


def answer(document: Audit) -> tuple[Mark, str]:
    """The verdict in one line; a gap never reads as clean."""
    numbers = Counter(each.severity for each in document.findings if not each.known and each.allowed is None)
    said = tally(numbers)
    if not document.ship:
        return "bad", f"do not ship: {said}"
    below = f"; {said}, below {document.fail_on}" if said else ""
    gaps = _gaps(document)
    if gaps:
        return "warn", f"nothing found against shipping, but {gaps}{below}"
    return "good", f"ship{below}"


def tally(numbers: dict[Severity, int]) -> str:
    """`2 high, 1 medium`."""
    return ", ".join(f"{numbers[each]:,} {each}" for each in reversed(SEVERITIES) if numbers.get(each))


def _gaps(document: Audit) -> str:
    failed = sum(check.state == "failed" for check in document.checks)
    rows = [f"{count(failed, 'rule')} could not finish"] if failed else []
    if document.unread:
        rows.append(f"{count(len(document.unread), 'structure')} could not be read")
    if document.notes:
        rows.append("not everything asked for could be applied")
    return " and ".join(rows)


def _finding(found: Finding) -> Iterator[RenderableType]:
    """Severity and title; rule and owner; a few places; the fix."""
    yield wrapped(f"{found.severity}: {found.title}", STYLES[found.severity])
    owner = f" · {found.owner}" if found.owner else ""
    yield _indented(f"{found.rule}{owner} · {found.fingerprint}", "dim")
    for place in found.evidence[:PLACES]:
        yield _indented(_place(place))
    more = found.count - min(PLACES, len(found.evidence))
    if more > 0:
        yield _indented(f"({count(more, 'place')} more; --format json has up to 20)", "dim")
    yield _indented(f"→ {found.fix}", "bold")


def _place(place: Evidence) -> str:
    at = f"{place.offset:#x} " if place.offset is not None else ""
    inside = place.section if place.section and place.section != place.where else ""
    where = ", ".join(part for part in (inside, place.where) if part)
    return f"{at}{where}: {place.text}" if where else f"{at}{place.text}"


def _settled(rows: Sequence[Finding]) -> Iterator[RenderableType]:
    for each in rows[:SETTLED]:
        why = "in the baseline" if each.known else f"allowed: {each.allowed}"
        yield _indented(f"{each.severity}: {each.title} ({each.rule}; {why})")
    if len(rows) > SETTLED:
        yield _indented(f"({len(rows) - SETTLED:,} more; --format json has all)", "dim")


def _remedy(line: str) -> Iterator[RenderableType]:
    if line:
        yield _indented(line, "bold")
        yield _indented("of what the file records; add the -X values and flags that it does not", "dim")
    else:
        yield _indented("no flag of go build mends what was found; each finding says what does")


def _checked(document: Audit) -> Iterator[RenderableType]:
    """How many rules said what, and every reason for not knowing."""
    states: dict[State, list[Check]] = {}
    for check in document.checks:
        states.setdefault(check.state, []).append(check)
    words: tuple[tuple[State, str], ...] = (
        ("found", "found something"), ("passed", "passed"), ("not-applicable", "not applicable"), ("off", "off"),
        ("unknown", "unknown"), ("failed", "failed"),
    )  # fmt: skip
    said = ", ".join(f"{len(states[state]):,} {word}" for state, word in words if state in states)
    yield _indented(said or "no rule")
    for state in ("failed", "unknown"):
        for check in states.get(state, ()):
            yield _indented(f"{state}: {check.rule}: {check.reason}", "red" if state == "failed" else "yellow")
    for check in states.get("found", ()):
        if check.reason:
            yield _indented(f"{check.rule}: {check.reason}", "yellow")
    if document.unread:
        rows = [f"{row.structure} at {row.offset:#x}: {row.reason}" for row in document.unread]
        yield _indented(f"could not be read: {capped(rows, PLACES)}", "red")


def _indented(content: str, style: str = "") -> Padding:
    return Padding(wrapped(content, style), (0, 0, 0, INDENT), expand=False)
