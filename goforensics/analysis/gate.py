"""The size of a program against an earlier one's: by how much it grew, what grew, and whether a budget allows it.

Both sides are reduced to bytes by module and package, which sum to the file's size; so it does not matter whether the
earlier one is there as a file or as a baseline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from goforensics.analysis import identity, mapping, tables
from goforensics.analysis.totals import Totals, totals
from goforensics.binary import Binary
from goforensics.errors import UsageError
from goforensics.question import question
from goforensics.report import Unread
from goforensics.report_gate import BASELINE_SCHEMA, Budget, Gate, Side, SizeBaseline, SizeOf

BY = ("module", "package")
PRIVATE = re.compile(r"(?:_?/|_?[A-Za-z]:[/\\]|\\\\).*[/\\]")  # a package outside of modules goes by its directory
MAJOR = re.compile(r"(?:/v[0-9]+|\.v[0-9]+)$")
ADVICE = "write a new one with goforensics gate FILE --write-baseline OUT"


class Limits(msgspec.Struct, frozen=True):
    """What growth is allowed."""

    delta: int
    percent: Decimal | None = None
    per_module: bool = False


class OtherVersion(msgspec.Struct, frozen=True):
    """A baseline of another release of this program."""

    schema: str


class Measured(msgspec.Struct, frozen=True):
    """One side: `sizes` is bytes by (module, package), which sum to the size."""

    side: Side
    sizes: dict[tuple[str, ...], int]


def measure(binary: Binary) -> Measured:
    """Map a file.  NotGoError as `mapping.must_be_go`."""
    binary.file.hash_ahead()
    asked = question(BY)
    found = Totals()
    for path, count in totals(mapping.bytemap_of(binary, asked.painted), asked).bytes.items():
        found.add(tuple(map(public, path)), count)
    build = identity.build(binary)
    file = identity.file(binary, build.settings)
    side = Side(
        path=file.path,
        sha256=file.sha256,
        size=len(binary.file.data),
        module=build.main.path if build.main else None,
        package=public(build.path) if build.path else None,
        goos=file.goos,
        goarch="universal" if binary.slices else file.goarch,
        go_version=build.go_version,
        unread=mapping.unread_everywhere(binary),
    )
    return Measured(side, found.bytes)


def public(label: str) -> str:
    """A label without the directory of the machine that it was built on."""
    return PRIVATE.sub("_/", label, count=1) if PRIVATE.match(label) else label


def baseline(found: Measured) -> SizeBaseline:
    """What a later build can be held against."""
    side = found.side
    return SizeBaseline(
        name=re.split(r"[/\\]", side.path)[-1],
        sha256=side.sha256,
        size=side.size,
        module=side.module,
        package=side.package,
        goos=side.goos,
        goarch=side.goarch,
        go_version=side.go_version,
        rows=[SizeOf(module, package, count) for (module, package), count in sorted(found.sizes.items())],
    )


def read_baseline(path: str, text: bytes) -> Measured | OtherVersion:
    """A baseline from its JSON.  UsageError if it is none, or its rows do not sum to its size."""
    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
        if schema != BASELINE_SCHEMA and schema.startswith(BASELINE_SCHEMA.partition("/")[0] + "/"):
            return OtherVersion(schema)
        if schema != BASELINE_SCHEMA:
            raise UsageError(f"{path}: a document of schema {schema!r}, not a size baseline; {ADVICE}")
        found = msgspec.json.decode(text, type=SizeBaseline)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: no size baseline ({error}); {ADVICE}") from None
    sizes: dict[tuple[str, ...], int] = {(row.module, row.package): row.bytes for row in found.rows}
    if len(sizes) < len(found.rows) or min(sizes.values(), default=0) < 0 or sum(sizes.values()) != found.size:
        raise UsageError(f"{path}: its rows do not add up to its {found.size} bytes: it was changed by hand; {ADVICE}")
    side = Side(
        path, found.sha256, found.size, found.module, found.package, found.goos, found.goarch, found.go_version, True
    )
    return Measured(side, sizes)


class _Schema(msgspec.Struct):
    schema: str


def same_program(before: Side, after: Side) -> bool:
    """The main modules are one, whatever its major version; what has no module goes by its package."""
    one, other = (_identity(side) for side in (before, after))
    return one is None or other is None or one == other


def _identity(side: Side) -> str | None:
    return MAJOR.sub("", side.module) if side.module else None


def compare(before: Measured, after: Measured, limits: Limits) -> Gate:
    """Hold one against the other.  UsageError if `before` is a baseline of another program."""
    one, two = before.side, after.side
    if one.baseline and not same_program(one, two):
        raise UsageError(f"{one.path} is a baseline of {one.module}, and {two.path} is {two.module}; {ADVICE}")
    modules = tables.table(question(("module",)), _by_module(before), _by_module(after), {})
    packages = tables.table(question(BY), Totals(before.sizes), Totals(after.sizes), {})
    budgets = list(_budgets(one.size, two.size, limits))
    if limits.per_module:
        over = [row for row in modules.rows if row.delta > limits.delta]
        budgets += [Budget("module", row.name, row.delta, limits.delta, False) for row in over]
    return Gate(
        passed=all(budget.within for budget in budgets),
        before=one,
        after=two,
        delta=two.size - one.size,
        budgets=budgets,
        tables=[modules, packages],
        notes=list(_notes(one, two)),
    )


def alone(after: Measured, why: str) -> Gate:
    """The new file by itself, where what it was to be compared with cannot be used."""
    return Gate(passed=None, before=None, after=after.side, delta=None, budgets=[], tables=[], notes=[why])


def _by_module(found: Measured) -> Totals:
    sums = Totals()
    for path, count in found.sizes.items():
        sums.add(path[:1], count)
    return sums


def _budgets(before: int, after: int, limits: Limits) -> Iterator[Budget]:
    growth = after - before
    yield Budget("delta", "", growth, limits.delta, growth <= limits.delta)
    if limits.percent is not None:
        most = int(limits.percent * before / 100)
        yield Budget("percent", "", growth, most, growth <= most, float(limits.percent))


def _notes(one: Side, two: Side) -> Iterator[str]:
    if not same_program(one, two):
        yield f"the main modules differ: {one.module} and {two.module}"
    elif one.package and two.package and one.package != two.package:
        yield f"the main packages differ: {one.package} and {two.package}"
    for what, mine, theirs in (
        ("systems", f"{one.goos}/{one.goarch}", f"{two.goos}/{two.goarch}"),
        ("Go versions", one.go_version, two.go_version),
    ):
        if mine != theirs:
            yield f"the {what} differ: {mine or 'unknown'} and {theirs or 'unknown'}"


def unread(document: Gate) -> list[Unread]:
    """What could not be read in either file."""
    return [row for side in (document.before, document.after) if side for row in side.unread]
