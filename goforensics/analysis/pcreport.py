"""`pcdata` as a document: functions, or inlined callees, in the order asked for, and what remains of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

import msgspec
import numpy as np
from msgspec.structs import asdict, replace
from numpy.typing import NDArray

from goforensics.analysis import callees as gathered
from goforensics.analysis import inlining, mapping
from goforensics.analysis.callees import Callees, Lines
from goforensics.analysis.modules import GENERATED
from goforensics.analysis.packages import package_of, packages
from goforensics.analysis.pcdata import Part, Weights, weigh
from goforensics.binary import Binary
from goforensics.errors import FormatError, UsageError
from goforensics.patterns import matcher
from goforensics.question import Filter
from goforensics.report import TransitionCause, Unread
from goforensics.report_pcdata import (
    By,
    CalleeRow,
    CalleeSums,
    FunctionRow,
    LeverRow,
    PartBytes,
    PartTotal,
    Pcdata,
    PcdataImage,
    Remainder,
    SortName,
    Sums,
)
from goforensics.sections import functions, pclntab
from goforensics.sections.arrays import Offsets

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


class Asked(msgspec.Struct, frozen=True):
    """What is wanted; `top` rows of it, None for all."""

    by: By = "function"
    sort: SortName | None = None  # None: "pcdata" of functions, "total" of callees
    function: str | None = None  # a regular expression (RE2)
    package: str | None = None  # as in --filter: net/... is net and everything below
    top: int | None = None
    why: int = 0  # of so many rows of functions, what makes their transitions: their code is decoded for it
    levers: bool = False  # whether to tell what flags would change

    @property
    def order(self) -> SortName:
        """What rows are sorted by."""
        return self.sort or ("pcdata" if self.by == "function" else "total")


def pcdata(binary: Binary, asked: Asked | None = None) -> Pcdata:
    """What each function of every image weighs in the pclntab, or what each inlined one costs.

    Raises UsageError for a question that makes no sense, NotGoError as `mapping.must_be_go` does, FormatError if an
    image's table cannot be read.
    """
    asked = asked or Asked()
    if asked.by not in get_args(By) or asked.order not in get_args(SortName):
        raise UsageError(f"there is no order {asked.order!r} of {asked.by!r}")
    wanted = _Wanted(asked)
    binary.file.hash_ahead()
    return Pcdata(
        path=binary.file.path,
        size=len(binary.file.data),
        sha256=binary.file.sha256,
        by=asked.by,
        sort=asked.order,
        function=asked.function,
        package=asked.package,
        images=[_image(part, asked, wanted) for part in binary.slices or (binary,)],
    )


class _Wanted:
    """Which names are asked for."""

    def __init__(self, asked: Asked) -> None:
        self.name: Callable[[str], bool] = matcher(asked.function) if asked.function is not None else lambda _: True
        self.every = asked.function is None and asked.package is None
        self.package = Filter("package", asked.package) if asked.package is not None else None

    def rows(self, names: list[str], package: Callable[[int], str]) -> Flags:
        """(k,) which of the names are asked for; `package` tells the package of one."""
        if self.every:
            return np.ones(len(names), bool)
        of = self.package
        found = [self.name(name) and (of is None or of.matches(package(i))) for i, name in enumerate(names)]
        return np.array(found, bool)


def _image(binary: Binary, asked: Asked, wanted: _Wanted) -> PcdataImage:
    mapping.must_be_go(binary)
    table, weights = binary.read(pclntab.PARSER), weigh(binary)
    by_function = asked.by == "function"
    image = PcdataImage(
        goarch=binary.image.goarch,
        offset=binary.image.base,
        image_size=len(binary.image.data),
        section=table.header.section,
        layout=table.header.layout,
        table_offset=table.offset,
        size=len(table.data),
        code_bytes=int(_code(binary).sum()),
        parts=[_total(part) for part in weights.parts],
        remainder=[Remainder(name, left) for name, left in sorted(weights.rest.items(), key=lambda item: -item[1])],
        functions=[],
        left_out=Sums(),
        filtered_out=Sums(),
        callees=[],
        callees_left_out=CalleeSums(),
        callees_filtered_out=CalleeSums(),
        own_code_bytes=None,
        unread=[],
    )
    image = (
        _Functions(binary, weights).on(image, asked, wanted) if by_function else _callees(binary, image, asked, wanted)
    )
    if asked.levers:
        image = _levers(binary, image)
    return replace(image, unread=[Unread(p.structure, p.offset, p.reason) for p in binary.problems()])


def _levers(binary: Binary, image: PcdataImage) -> PcdataImage:
    """The image with what flags would change, and what only compresses."""
    # Not at the top: they take half as long to import as all else here.
    from goforensics.analysis.levers import PRICE, levers
    from goforensics.rebuild.savings import compressible

    rows = [LeverRow(**{**asdict(e), "flags": list(e.flags)}, price=PRICE[e.flags]) for e in levers(binary)]
    return replace(image, levers=rows, compressible=compressible(binary))


def _why(binary: Binary, function: int) -> list[TransitionCause] | None:
    """What makes the transitions of a function; None where nothing says where its code is."""
    # Not at the top: Capstone is for those who ask.
    from goforensics.analysis import causes

    try:
        return [TransitionCause(*msgspec.structs.astuple(each)) for each in causes.why(binary, function)]
    except FormatError:
        return None


def _code(binary: Binary) -> Offsets:
    """(n,) bytes of code, to the next function; no more than the file has."""
    size = binary.read(pclntab.PARSER).funcs.size
    return np.minimum(size, np.uint64(len(binary.image.data))).astype(np.int64)


def _total(part: Part) -> PartTotal:
    return PartTotal(part.name, part.group, part.inside, int(part.own.sum()), int(part.apportioned.sum()))


def _ordered(key: Numbers | Offsets, rows: Flags, top: int | None) -> tuple[Offsets, Offsets]:
    """Of the rows that are wanted, the `top` with the greatest keys, greatest first, and the others."""
    mine = np.flatnonzero(rows)
    order = mine[np.argsort(-key[mine], kind="stable")]
    cut = len(order) if top is None else top
    return order[:cut], order[cut:]


class _Functions:
    """Rows of functions, while they are made."""

    def __init__(self, binary: Binary, weights: Weights) -> None:
        self.binary, self.weights, self.table = binary, weights, weights.table
        self.packages, self.placed = packages(weights.table), binary.maybe(functions.PARSER)
        self.code, self.total = _code(binary), weights.total()
        self.pcdata, self.line = weights.total("PCDATA"), weights.total("line")
        self.outside, self.transitions = weights.total(inside=False), weights.transitions()

    def on(self, image: PcdataImage, asked: Asked, wanted: _Wanted) -> PcdataImage:
        """The image with its functions."""
        mine = wanted.rows(self.table.names, self._package)
        shown, rest = _ordered(self._key(asked.order), mine, asked.top)
        return replace(
            image,
            functions=list(self._rows(shown, asked.why)),
            left_out=self._sums(rest),
            filtered_out=self._sums(np.flatnonzero(~mine)),
        )

    def _package(self, i: int) -> str:
        return self.packages.names[self.packages.codes[i]] or GENERATED

    def _key(self, order: SortName) -> Numbers | Offsets:
        if order == "density":
            return np.where(self.code > 0, self.total / np.maximum(self.code, 1), 0)
        return {"pcdata": self.pcdata, "pcln": self.line, "total": self.total}[order]

    def _sums(self, rows: Offsets) -> Sums:
        columns = (self.total, self.pcdata, self.line, self.code)
        return Sums(len(rows), *(int(column[rows].sum()) for column in columns))

    def _rows(self, shown: Offsets, explained: int) -> Iterator[FunctionRow]:
        """The rows of functions `shown` (k,), the first of them with what makes their transitions."""
        # By column, not by cell: a large program has half a million of these.
        inside = [part for part in self.weights.parts if part.inside]
        shared = sum((part.shared[shown] for part in inside), np.zeros(len(shown), np.int64)).tolist()
        own = sum((part.own[shown] for part in inside), np.zeros(len(shown), np.int64)).tolist()
        total, pcdata, line, outside, transitions, code = (
            column[shown].tolist()
            for column in (self.total, self.pcdata, self.line, self.outside, self.transitions, self.code)
        )
        for rank, (i, parts) in enumerate(zip(shown.tolist(), self._parts(shown), strict=True)):
            yield FunctionRow(
                function=self.table.names[i],
                package=self._package(i),
                address=int(self.placed.address[i]) if self.placed else None,
                code_bytes=code[rank],
                pclntab_bytes=total[rank],
                own=own[rank],
                apportioned=total[rank] - own[rank],
                shared=shared[rank],
                pcdata_bytes=pcdata[rank],
                line_bytes=line[rank],
                outside_bytes=outside[rank],
                density=total[rank] / code[rank] if code[rank] else None,
                transitions=transitions[rank],
                parts=parts,
                why=_why(self.binary, i) if rank < explained else None,
            )

    def _parts(self, shown: Offsets) -> list[dict[str, PartBytes]]:
        """(k,) what each of the functions `shown` has of each part."""
        found: list[dict[str, PartBytes]] = [{} for _ in range(len(shown))]
        for part in self.weights.parts:
            columns = [part.own[shown], part.apportioned[shown], part.shared[shown]]
            rows = np.flatnonzero(np.any(columns, axis=0))
            changes = [] if part.transitions is None else [part.transitions[shown][rows].tolist()]
            for row, *cells in zip(
                rows.tolist(), *(column[rows].tolist() for column in columns), *changes, strict=True
            ):
                found[row][part.name] = PartBytes(*cells)
        return found


def _callees(binary: Binary, image: PcdataImage, asked: Asked, wanted: _Wanted) -> PcdataImage:
    """The image with what is inlined; without, where the trees cannot be read: `unread` says why."""
    try:
        copies = binary.read(inlining.PARSER)
    except FormatError:
        return image
    found = gathered.callees(copies)
    lines = gathered.lines(copies, found)
    mine = wanted.rows(found.names, lambda i: package_of(found.names[i]) or GENERATED)
    shown, rest = _ordered(_callee_key(asked.order, found, lines), mine, asked.top)
    rows = _CalleeRows(copies, found, lines, binary.image.goarch)
    return replace(
        image,
        callees=[rows.row(i) for i in shown.tolist()],
        callees_left_out=_callee_sums(found, lines, rest),
        callees_filtered_out=_callee_sums(found, lines, np.flatnonzero(~mine)),
        own_code_bytes=int(copies.own.sum()),
    )


def _callee_key(order: SortName, found: Callees, lines: Lines) -> Numbers | Offsets:
    tables = found.nodes + found.index + lines.pcfile + lines.pcln
    if order == "density":
        return np.where(found.code > 0, tables / np.maximum(found.code, 1), 0)
    keys = {"pcdata": found.index, "pcln": lines.pcfile + lines.pcln, "total": found.code + tables}
    return keys[order]


def _callee_sums(found: Callees, lines: Lines, rows: Offsets) -> CalleeSums:
    columns = (found.copies, found.code, found.nodes, found.index, lines.pcfile + lines.pcln)
    return CalleeSums(len(rows), *(int(column[rows].sum()) for column in columns))


class _CalleeRows:
    """Rows of callees, while they are made."""

    def __init__(self, copies: inlining.Copies, found: Callees, lines: Lines, goarch: str | None) -> None:
        self.found, self.lines, self.goarch = found, lines, goarch
        self.callers, self.functions = gathered.callers(copies, found)
        self.besides = gathered.out_of_line(copies, found)

    def row(self, i: int) -> CalleeRow:
        """One callee."""
        found, lines = self.found, self.lines
        line = int(lines.pcfile[i] + lines.pcln[i])
        total = int(found.bytes[i]) + line
        cumulative, calls = total + int(lines.within[i]), int(lines.calls[i])
        call = gathered.CALL.get(self.goarch or "")
        return CalleeRow(
            function=found.names[i],
            package=package_of(found.names[i]) or GENERATED,
            copies=int(found.copies[i]),
            copies_without_code=int(found.idle[i]),
            callers=int(self.callers[i]),
            functions=int(self.functions[i]),
            out_of_line=int(self.besides[i]),
            code_bytes=int(found.code[i]),
            node_bytes=int(found.nodes[i]),
            index_bytes=int(found.index[i]),
            line_bytes=line,
            pcln_bytes=int(lines.pcln[i]),
            total_bytes=total,
            cumulative_code_bytes=int(lines.cumulative_code[i]),
            cumulative_bytes=cumulative,
            call_bytes=None if call is None else call * calls,
            at_most=None if call is None else max(cumulative - call * calls, 0),
        )
