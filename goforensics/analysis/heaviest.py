"""Which functions weigh most in the pclntab and what inlining costs most, in the little time that `inspect` has.

Figures are those of `pcdata`, but those of inlining leave line tables out.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from goforensics.analysis.callees import Callees
from goforensics.analysis.inlining import Copies
from goforensics.analysis.modules import GENERATED, Modules
from goforensics.analysis.packages import Packages, package_of
from goforensics.analysis.pcdata import columns
from goforensics.report import HeavyFunction, InlinedFunction, Inlining
from goforensics.report_pcdata import Group
from goforensics.sections import pclntab
from goforensics.sections.arrays import Offsets
from goforensics.sections.protocol import Source

LOOKED_AT = 200  # callees, for one that is not the standard library's
NOT_COUNTED = ("cutab", "filetab", "findfunctab", "funcnametab/")  # how structures begin that are nobody's alone


class Weights(msgspec.Struct, frozen=True):
    """Bytes of the pclntab per function (n,)."""

    own: Offsets  # functab entry, _func, name, tables and function data that no other function uses
    pcdata: Offsets  # of them PCDATA tables
    line: Offsets  # of them pcfile and pcln
    shared: Offsets  # tables and function data that other functions use too, each in full


def weigh(source: Source) -> Weights:
    """Each function's own and shared bytes.  FormatError if there is no pclntab."""
    count = len(source.read(pclntab.PARSER).funcs.record)
    found = list(columns(source, NOT_COUNTED).values())

    def own(*groups: Group) -> Offsets:
        return _whole([c.own for c in found if not groups or c.group in groups], count)

    return Weights(own(), own("PCDATA"), own("line"), _whole([column.shared for column in found], count))


def _whole(parts: list[NDArray[np.float64]], count: int) -> Offsets:
    whole: Offsets = sum(parts, np.zeros(count)).astype(np.int64)
    return whole


def heaviest(source: Source, packages: Packages, code: Offsets, top: int) -> list[HeavyFunction]:
    """The `top` functions by bytes of their own, and the `top` by PCDATA; one that is in both is listed once.

    `code` (n,) are bytes of code.  FormatError if there is no pclntab.
    """
    table, weights = source.read(pclntab.PARSER), weigh(source)
    ranked: dict[int, list[str]] = {}
    for name, column in (("pclntab", weights.own), ("pcdata", weights.pcdata)):
        for i in np.argsort(-column, kind="stable")[:top].tolist():
            ranked.setdefault(i, []).append(name)
    return [
        HeavyFunction(
            function=table.names[i],
            package=packages.names[packages.codes[i]],
            pclntab_bytes=int(weights.own[i]),
            pcdata_bytes=int(weights.pcdata[i]),
            shared_bytes=int(weights.shared[i]),
            code_bytes=int(code[i]),
            ranked_by=names,
            line_bytes=int(weights.line[i]),
        )
        for i, names in ranked.items()
    ]


def costliest(found: Callees, top: int) -> list[InlinedFunction]:
    """The `top` inlined functions by what their copies take of code, inline trees and InlTreeIndex."""
    return [
        InlinedFunction(
            function=found.names[i],
            package=package_of(found.names[i]) or GENERATED,
            copies=int(found.copies[i]),
            code_bytes=int(found.code[i]),
            node_bytes=int(found.nodes[i]),
            index_bytes=int(found.index[i]),
        )
        for i in np.argsort(-found.bytes, kind="stable")[:top].tolist()
    ]


def totals(copies: Copies, found: Callees, names: int) -> Inlining:
    """What all copies take; `names` are bytes of names that only they need."""
    return Inlining(
        copies=len(copies.nodes.owner),
        functions=len(found.names),
        code_bytes=int(copies.code.sum()),
        node_bytes=int(found.nodes.sum()),
        index_bytes=int(found.index.sum()),
        name_bytes=names,
    )


def recommendation(all_copies: Inlining, found: Callees, modules: Modules, size: int | None) -> str:
    """What the figures say that one could do, in one line; `size` is the pclntab's if inline trees lie in it."""
    if not all_copies.copies:
        return "nothing is inlined: what inlining costs is saved already"
    tables = all_copies.node_bytes + all_copies.index_bytes + all_copies.name_bytes
    share = f" ({100 * tables / size:.1f} % of the pclntab)" if size else ""
    said = (
        f"inlining takes {tables:,} bytes of tables{share} and {all_copies.code_bytes:,} of code in "
        f"{all_copies.copies:,} copies: goforensics matrix PACKAGE --levers measures what calls in their place would "
        "take (-gcflags=all=-l)"
    )
    for i in np.argsort(-found.bytes, kind="stable")[:LOOKED_AT].tolist():
        if modules.home(package_of(found.names[i])).kind in ("main", "dependency"):
            cost = f"{int(found.copies[i]):,} copies, {int(found.bytes[i]):,} bytes"
            return f"{said}; costliest outside of the standard library: {found.names[i]} ({cost})"
    return said
