"""An audit as text: the answer, each finding with its evidence and its fix, and what was looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from goforensics.renderers import View
from goforensics.renderers.text_tables import MARKS, Mark, capped, count, section, size, text, wrapped
from goforensics.report_audit import SEVERITIES, Audit, Check, Evidence, Finding, Severity, State

STYLES: dict[Severity, str] = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}
PLACES = 3  # shown of a finding
INDENT = 2
KIND = 28  # columns of a kind of place at most
PLAIN = ("rodata", "data", "loaded data")  # kinds of place that their section tells more about
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
    told: dict[tuple[int | None, str], str] = {}
    for each in document.findings:
        if not each.known and each.allowed is None:
            yield Group(*_finding(each, told))
    settled = [each for each in document.findings if each.known or each.allowed is not None]
    if settled:
        yield section("Known or allowed", *_settled(settled))
    if document.remedy is not None:
        yield section("Build again with", *_remedy(document.remedy, document.ship))
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


def _finding(found: Finding, told: dict[tuple[int | None, str], str]) -> Iterator[RenderableType]:
    """Severity and title; rule and owner; a few places; the fix.

    `told` has the places that are shown already, each with the rule that it is shown under: one path may be a fault in
    several ways, and is shown once.
    """
    yield _hanging(f"{found.severity}:", found.title, STYLES[found.severity])
    owner = f" · {found.owner}" if found.owner else ""
    yield _indented(f"{found.rule}{owner} · {found.fingerprint}", "dim")
    above = [place for place in found.evidence if (place.offset, place.text) in told]
    shown = [place for place in found.evidence if (place.offset, place.text) not in told][:PLACES]
    yield _Places(shown)
    more = found.count - len(shown) - len(above)
    said = [f"{count(len(above), 'place')} above, under {told[above[0].offset, above[0].text]}"] if above else []
    said += [f"{count(more, 'more place', 'more places')}; --format json has up to 20"] if more > 0 else []
    if said:
        yield _indented(f"({'; '.join(said)})", "dim")
    yield Padding(_hanging("→", found.fix, "bold"), (0, 0, 0, INDENT))
    told.update({(place.offset, place.text): found.rule for place in shown if place.offset is not None})


class _Places:
    """Offset, kind of place and text, in columns; a text that does not fit beside them has a line of its own."""

    def __init__(self, places: Sequence[Evidence]) -> None:
        self.rows = [
            (f"{place.offset:#x}" if place.offset is not None else "", _where(place), wrapped(place.text))
            for place in places
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Lay the columns out now that the width is known."""
        at = max((len(offset) for offset, _, _ in self.rows), default=0)
        kind = max((where.cell_len for _, where, _ in self.rows), default=0)
        for offset, where, content in self.rows:
            lead = Text(" " * INDENT + offset.rjust(at) + "  " * bool(at))
            where.align("left", kind)
            lead.append_text(where).append("  ")
            if lead.cell_len + content.cell_len <= options.max_width:
                yield lead.append_text(content)
            else:
                lead.rstrip()
                yield lead
                yield Padding(content, (0, 0, 0, 2 * INDENT), expand=False)


def _where(place: Evidence) -> Text:
    """What the place is; of plain data, which section."""
    where = text(place.section if place.section and place.where in PLAIN else place.where)
    where.truncate(KIND, overflow="ellipsis")
    return where


def _hanging(lead: str, content: str, style: str = "") -> Table:
    """A word, and a text that wraps beside it."""
    table = Table.grid("", "", padding=(0, 1, 0, 0))
    table.add_row(Text(lead, style), wrapped(content, style))
    return table


def _settled(rows: Sequence[Finding]) -> Iterator[RenderableType]:
    for each in rows[:SETTLED]:
        why = "in the baseline" if each.known else f"allowed: {each.allowed}"
        yield _indented(f"{each.severity}: {each.title} ({each.rule}; {why})")
    if len(rows) > SETTLED:
        yield _indented(f"({len(rows) - SETTLED:,} more; --format json has all)", "dim")


def _remedy(line: str, ship: bool) -> Iterator[RenderableType]:
    if line:
        yield _indented(line, "bold")
        yield _indented("of what the file records; add the -X values and flags that it does not", "dim")
    elif ship:
        yield _indented("nothing here fails the audit; --fix-all mends what lies below --fail-on, too")
    else:
        yield _indented("no flag of go build mends what was found; each finding says what does")


def _checked(document: Audit) -> Iterator[RenderableType]:
    """How many rules said what, of which families those are that passed, and every reason for not knowing."""
    states: dict[State, list[Check]] = {}
    for check in document.checks:
        states.setdefault(check.state, []).append(check)
    words: tuple[tuple[State, str], ...] = (
        ("found", "found something"), ("passed", "passed"), ("not-applicable", "not applicable"), ("off", "off"),
        ("unknown", "unknown"), ("failed", "failed"),
    )  # fmt: skip
    said = ", ".join(f"{len(states[state]):,} {word}" for state, word in words if state in states)
    yield _indented(said or "no rule")
    passed = Counter(check.rule.partition("/")[0] for check in states.get("passed", ()))
    if passed:
        yield _indented(f"passed: {', '.join(f'{number:,} {family}' for family, number in passed.items())}", "green")
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
