"""The points about the pclntab, 7.1 to 7.4: what scripts/verify.py prints of them.  7.5 is in scripts/bench.py."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator

import builds
import compilerpcdata
import corpus
import disasm_checks
import disasm_samples
import inlining_checks
import toolchains
from builds import STRIP, Build
from compilerpcdata import Report
from disasm_checks import Places
from verify_map import NOT_GO, PIE, Found, Job, Table, Tell, tabulated, with_text

import goforensics.binary
from goforensics.analysis import inlining
from goforensics.analysis.pcreport import pcdata
from goforensics.report_pcdata import PcdataImage

EXAMPLES = 3  # of what differs, or is excepted, in one file
DECODED = "1.26"  # the release whose instructions are compared; llvm-objdump and binutils know all of them


# 7.1 ------------------------------------------------------------------------------------------------------------------


def transitions(quick: bool, only: str | None, tell: Tell) -> Table:
    """Tables, function data, lines and inline stacks against what Go says of them."""
    header = ("file", "against", "functions", "compared", "differ", "what", "left out")
    title = "7.1 PCDATA, FUNCDATA, lines and inline stacks: difference 0"
    return tabulated(title, header, _transitions, with_text(_oracles(quick), only), tell)


def _oracles(quick: bool) -> Iterator[Job]:
    """Stripped: what the compiler printed; with symbols: addr2line, and of hello on amd64 the runtime, too."""
    for build, _ in compilerpcdata.combinations("quick" if quick else "full"):
        yield Job.of(build)
        yield Job.of(dataclasses.replace(build, flags=()))


def _transitions(job: Job) -> Found:
    build = job.build
    assert build is not None
    if build.flags:
        return _compiler(
            job, compilerpcdata.compared(build, compilerpcdata.PATTERNS[build.program], compilerpcdata.SAMPLE)
        )
    found = _places(job.label, "go tool addr2line", disasm_checks.tool_lines(job.path(), build.go))
    if (build.program, build.goarch) == ("hello", "amd64"):
        stacks = _places(f"stacks {build.go}", "runtime.CallersFrames", disasm_checks.runtime_stacks(build.go))
        return Found(found.rows + stacks.rows, found.misses + stacks.misses)
    return found


def _compiler(job: Job, report: Report) -> Found:
    numbers = Counter(report.compared)
    functions = numbers.pop("functions", 0)
    what = ", ".join(f"{name} {number}" for name, number in numbers.items())
    left_out = ", ".join(f"{number} {why}" for why, number in report.left_out.items())
    cells = (str(functions), str(numbers.total()), str(len(report.differences)), what, left_out)
    misses = report.differences[:EXAMPLES] or ["nothing was compared"] * (not functions)
    return Found([(job.label, "go build -gcflags=-S", *cells)], misses)


def _places(label: str, against: str, found: Places) -> Found:
    what = f"instructions, {found.nested} of them in nested copies" if found.nested else "instructions"
    cells = (str(disasm_samples.SAMPLE), str(found.compared), str(len(found.wrong)), what, "")
    misses = [f"{at}: {ours}, not {theirs}" for at, (ours, theirs) in list(found.wrong.items())[:EXAMPLES]]
    return Found([(label, against, *cells)], misses or ["nothing was compared"] * (not found.compared))


# 7.2 ------------------------------------------------------------------------------------------------------------------


def disassembly(quick: bool, only: str | None, tell: Tell) -> Table:
    """Instructions against other tools, and transitions on their boundaries."""
    compared = ("instructions", "not known", "places differ", "names differ")
    header = ("file", "functions", *compared, "transitions", "behind a prefix", "elsewhere", "which")
    title = "7.2 instructions against objdump, llvm-objdump or go tool objdump; transitions on instructions"
    return tabulated(title, header, _disassembly, with_text(_decoded(quick), only), tell)


def _decoded(quick: bool) -> Iterator[Job]:
    for goarch in disasm_samples.ARCHES:
        for go in (DECODED,) if quick else disasm_samples.RELEASES:
            yield Job.of(Build("hello", go, goarch=goarch))


def _disassembly(job: Job) -> Found:
    build = job.build
    assert build is not None
    placed = disasm_checks.boundaries(disasm_samples.stripped(build.goarch, build.go))
    misses = [f"not on an instruction: {where}" for where in placed.wrong[:EXAMPLES]]
    cells = ["", "", "", ""]
    if build.go == DECODED:
        if disasm_checks.other_tool(build.goarch) is None:
            return Found([], ["there is nothing to compare with: objdump and llvm-objdump are needed"])
        found = disasm_checks.instructions(job.path(), build.goarch)
        cells = [str(n) for n in (found.compared, found.unknown, len(found.places), found.names.total())]
        misses += found.places[:EXAMPLES]
        misses += [f"{ours}, not {theirs}: {n}" for (ours, theirs), n in found.names.most_common(EXAMPLES)]
        misses += ["nothing was compared"] * (not found.compared)
    numbers = (placed.transitions, len(placed.prefixes), len(placed.wrong))
    return Found([(job.label, str(placed.functions), *cells, *map(str, numbers), ", ".join(placed.prefixes))], misses)


# 7.3 ------------------------------------------------------------------------------------------------------------------


def sums(quick: bool, only: str | None, tell: Tell) -> Table:
    """What functions have, and what none has, is the whole table."""
    header = ("file", "layout", "functions", "pclntab", "functions' bytes", "remainder", "difference", "the remainder")
    title = "7.3 functions' bytes and the remainder are the section's size: difference 0"
    return tabulated(title, header, _sums, with_text(_summed(quick), only), tell)


def _summed(quick: bool) -> Iterator[Job]:
    minors = toolchains.minors()
    for go in minors:
        yield Job.of(Build("hello", go, flags=(STRIP,)))
        if not quick:
            yield Job.of(Build("hello", go, flags=PIE))
    for go in [go for go in minors if toolchains.at_least(go, builds.FLOOR["app"])][-1 if quick else 0 :]:
        yield Job.of(Build("app", go, flags=(STRIP,)))
    releases = minors[-1:] if quick else minors
    for build in [*builds.arch_matrix(releases), *builds.os_matrix(releases)]:
        if build.flags:
            yield Job.of(build)
    for entry in corpus.entries():
        if not entry.path.endswith(NOT_GO):
            yield Job(entry.name, entry=entry)


def _sums(job: Job) -> Found:
    rows, misses = [], []
    for image in pcdata(goforensics.binary.open(job.path())).images:
        used, rest = sum(row.pclntab_bytes for row in image.functions), sum(part.bytes for part in image.remainder)
        off = image.size - used - rest
        numbers = (len(image.functions), image.size, used, rest, off)
        named = ", ".join(f"{part.name} {part.bytes}" for part in image.remainder)
        rows.append((job.label, image.layout, *map(str, numbers), named))
        misses += [f"off by {off} bytes"] * bool(off) + [f"{told}: off" for told in _uneven(image)]
        misses += ["a part of the remainder is negative"] * any(part.bytes < 0 for part in image.remainder)
    return Found(rows, misses)


def _uneven(image: PcdataImage) -> Iterator[str]:
    """Parts of which functions have other bytes together than the part."""
    had = Counter[str]()
    for row in image.functions:
        for name, part in row.parts.items():
            had[name] += part.own + part.apportioned
    for whole in image.parts:
        if had[whole.name] != whole.own + whole.shared:
            yield whole.name


# 7.4 ------------------------------------------------------------------------------------------------------------------


def copies(quick: bool, only: str | None, tell: Tell) -> Table:
    """Code is charged once, and copies are as many as the source and the debug data say."""
    header = (
        "file",
        "functions",
        "code",
        "of copies",
        "functions that differ",
        "copies",
        "known",
        "debug data differs",
    )
    title = "7.4 code of copies and functions' own is all code; copies as the source and DWARF have them"
    return tabulated(title, header, _copies, with_text(_inlined(quick), only), tell)


def _inlined(quick: bool) -> Iterator[Job]:
    minors = toolchains.minors()
    for go in minors:
        yield from (Job.of(Build(program, go)) for program in ("inlined", "hello"))
    for goarch in ("386", "arm64", "s390x"):
        for go in ("1.27",) if quick else ("1.20", "1.22", "1.27"):
            yield from (Job.of(Build(program, go, goarch=goarch)) for program in ("inlined", "hello"))
    for go in minors[-1:] if quick else disasm_samples.RELEASES:
        yield Job.of(Build("app", go))


def _copies(job: Job) -> Found:
    build = job.build
    assert build is not None
    found = goforensics.binary.open(job.path()).read(inlining.PARSER)
    counted, unequal = inlining_checks.counted(found), inlining_checks.unequal(found)
    misses = [f"{unequal} functions have other code than they and their copies are charged with"] * bool(unequal)
    known, debug = "", ""
    if build.program == "inlined":
        known = ", ".join(f"{name} {counted.get(name, 0)} of {n}" for name, n in inlining_checks.COPIES.items())
        misses += [f"copies: {known}"] * (not inlining_checks.COPIES.items() <= counted.items())
    if build.goarch == "amd64" and build.go in inlining_checks.DEBUG_DATA:
        ours, theirs = inlining_checks.copies_and_code(found), inlining_checks.debug_copies(build)
        wrong = [name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name)]
        debug = f"{len(wrong)} of {len(theirs)}"
        misses += [f"{name}: {ours.get(name)}, the debug data has {theirs.get(name)}" for name in wrong[:EXAMPLES]]
    code, total = int(found.code.sum()), int(found.size.sum())
    numbers = (len(found.size), total, code, unequal, len(found.code))
    return Found([(job.label, *map(str, numbers), known, debug)], misses)


POINTS: dict[str, Callable[[bool, str | None, Tell], Table]] = {
    "7.1": transitions,
    "7.2": disassembly,
    "7.3": sums,
    "7.4": copies,
}
