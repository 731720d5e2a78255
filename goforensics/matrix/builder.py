"""The matrix: a package built under every flag set, several at a time, each build measured and compared.

Everything is built into a temporary directory, which is removed however the work ends; the package's own directory
is read only.  Nothing that was built is run unless rounds of start-up time are asked for.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec

from goforensics.binary import Binary
from goforensics.errors import GoForensicsError
from goforensics.matrix import gocommand, predictions, startup, twice
from goforensics.matrix.compressed import has_zstd
from goforensics.matrix.copying import Copy, copy
from goforensics.matrix.flagsets import FlagSet
from goforensics.matrix.gocommand import Go, Package
from goforensics.matrix.measure import measure
from goforensics.matrix.processes import Processes
from goforensics.matrix.recommend import recommend
from goforensics.report_matrix import ZSTD_LEVEL, BuildMatrix, MatrixRow, Measured, Reproducible, Startup

Tell = Callable[[str, int, int], None]
UNSAFE = re.compile(r"[^A-Za-z0-9.=]+")
PREFIX = "goforensics-matrix-"
VERSION_SUFFIX = re.compile(r"v\d+")
SAME_MACHINE = "reproducible: two directories; the toolchain and the caches are the same for both builds"


class Options(msgspec.Struct, frozen=True):
    """How to go about it."""

    jobs: int = 1  # builds at a time
    runs: int = 0  # rounds of start-up time; 0: nothing is run
    arguments: tuple[str, ...] = ()  # for the program when it is run
    timeout: float = 10.0  # seconds that a run may take
    reproducible: bool = True  # build everything twice
    out: Path | None = None  # where to keep the executables


class Job(msgspec.Struct, frozen=True):
    """What all rows share."""

    go: Go
    package: Package
    sets: tuple[FlagSet, ...]
    options: Options
    folder: Path
    copied: Copy | None
    not_copied: str  # why there is no copy
    tell: Tell

    def output(self, number: int) -> Path:
        """The executable of row `number`, in a folder of its own."""
        return self.folder / "builds" / label(number, self.sets[number]) / self.executable

    @property
    def executable(self) -> str:
        """As the go command would call it: the last element of the import path that is no version."""
        words = [word for word in self.package.path.split("/") if not VERSION_SUFFIX.fullmatch(word)]
        name = UNSAFE.sub("-", words[-1] if words else "main")
        return name + (".exe" if self.package.settings.get("GOOS") == "windows" else "")

    @property
    def default(self) -> int:
        """Which row is the default build."""
        return next(number for number, flags in enumerate(self.sets) if flags.plain)


class Built(msgspec.Struct, frozen=True):
    """One row so far."""

    error: str | None = None
    measured: Measured | None = None
    binary: Binary | None = None  # of the default build only
    reproducible: Reproducible = Reproducible()
    notes: tuple[str, ...] = ()


def matrix(package: str, sets: Sequence[FlagSet], options: Options, tell: Tell) -> BuildMatrix:
    """Build and measure; `sets` hold the default build, `tell` hears of the progress.

    Raises GoForensicsError if there is no go command, no such package, or nothing at all could be built; UsageError
    if it is no command.
    """
    processes = Processes()
    try:
        go, argument = gocommand.find(package, processes)
        tell("go list", 0, len(sets) + 1)
        found = gocommand.describe(go, argument)
        place = found.settings.get("GOTMPDIR") or None
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            go = msgspec.structs.replace(go, temporary=folder / "go")
            (folder / "go").mkdir()
            copied, reason = _copy(go, found, folder / "elsewhere", options)
            job = Job(go, found, tuple(sets), options, folder, copied, reason, tell)
            return _document(job, _build_all(job))
    finally:
        processes.stop()


def label(number: int, flags: FlagSet) -> str:
    """A folder's name for a row."""
    return f"{number + 1:02}-{UNSAFE.sub('-', flags.name).strip('-')[:60]}"


def _copy(go: Go, package: Package, target: Path, options: Options) -> tuple[Copy | None, str]:
    if not options.reproducible:
        return None, "not asked for"
    try:
        return copy(go, package, target), ""
    except (GoForensicsError, OSError) as error:
        return None, f"the sources were not copied: {error}"


def _build_all(job: Job) -> list[Built]:
    """Every row, the default build first by itself: it fills the cache that the others share."""
    steps, default = len(job.sets) + 1, job.default
    job.tell(job.sets[default].name, 0, steps)
    first = _compile(job, default)
    with ThreadPoolExecutor(job.options.jobs) as pool:
        futures = {
            pool.submit(_row, job, number, first if number == default else None): number
            for number in range(len(job.sets))
        }
        try:
            found = _gathered(job, futures, steps)
        except BaseException:
            job.go.processes.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if all(built.measured is None for built in found.values()):
        raise GoForensicsError(f"go build: {found[default].error}")
    return [found[number] for number in range(len(job.sets))]


def _gathered(job: Job, futures: dict[Future[Built], int], steps: int) -> dict[int, Built]:
    found = {}
    for done, future in enumerate(as_completed(futures), 1):
        found[futures[future]] = future.result()
        job.tell(job.sets[futures[future]].name, done, steps)
    return found


def _compile(job: Job, number: int) -> str:
    """Build one row; what went wrong, or ""."""
    output = job.output(number)
    output.parent.mkdir(parents=True)
    return gocommand.build(job.go, job.package, job.sets[number], output) or ""


def _row(job: Job, number: int, compiled: str | None) -> Built:
    """Build, unless `compiled` says what came of that, and measure; then build again elsewhere."""
    try:
        error = _compile(job, number) if compiled is None else compiled
        if error:
            return Built(error=error)
        measured, binary, notes = measure(job.output(number), job.go)
    except OSError as error:  # the disk is full, say: what is there stands
        return Built(error=f"{error.strerror or error}")
    kept = binary if number == job.default else None
    return Built(None, measured, kept, _reproducible(job, number, measured), tuple(notes))


def _reproducible(job: Job, number: int, measured: Measured) -> Reproducible:
    if job.copied is None:
        return Reproducible(reason=job.not_copied)
    stamped = any(key.startswith("vcs") for key in measured.settings)
    output = job.output(number)
    pair = twice.Pair(job.sets[number], output, output.parent, stamped)
    try:
        return twice.compare(job.go, job.package, job.copied, pair)
    except OSError as error:
        return Reproducible(reason=f"not compared: {error.strerror or error}")


def _document(job: Job, built: Sequence[Built]) -> BuildMatrix:
    base, settings = built[job.default], job.package.settings
    overlaps = gocommand.overlaps(settings)
    times = _startup(job, built)
    rows = [
        _finished(job, number, one, base, times.get(job.sets[number].name), overlaps)
        for number, one in enumerate(built)
    ]
    default = job.sets[job.default].name
    commands = {flags.name: _command(job, flags) for flags in job.sets}
    return BuildMatrix(
        package=job.package.path,
        directory=str(job.go.directory),
        go=job.go.path,
        go_version=settings.get("GOVERSION", ""),
        goos=settings.get("GOOS", ""),
        goarch=settings.get("GOARCH", ""),
        environment=gocommand.shaping(settings),
        arguments=list(job.options.arguments),
        runs=job.options.runs,
        rows=rows,
        default=default,
        recommended=recommend(rows, default, commands),
        notes=list(_notes(job, overlaps)),
        zstd_level=ZSTD_LEVEL if has_zstd() else None,
    )


def _command(job: Job, flags: FlagSet) -> list[str]:
    """A row's words for a shell, its environment in front."""
    words = [f"{name}={value}" for name, value in flags.env]
    return [*words, "go", "build", *flags.arguments, job.package.argument]


def _finished(
    job: Job, number: int, built: Built, base: Built, time: Startup | None, overlaps: Sequence[str]
) -> MatrixRow:
    flags, measured = job.sets[number], built.measured
    if measured is not None:
        saved = base.measured.size - measured.size if base.measured else None
        measured = msgspec.structs.replace(measured, saved=saved, file=_kept(job, number))
    return MatrixRow(
        name=flags.name,
        flags=flags.arguments,
        env=dict(flags.env),
        trims_only=flags.trims_only,
        error=built.error,
        measured=measured,
        prediction=predictions.check(base.binary, flags, measured, overlaps),
        startup=time,
        reproducible=built.reproducible,
        notes=list(built.notes),
    )


def _kept(job: Job, number: int) -> str | None:
    """Copy an executable to where the user wants it; None if it is not wanted."""
    if job.options.out is None:
        return None
    output = job.output(number)
    place = job.options.out / output.parent.name / output.name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(output, place)
    return str(place)


def _startup(job: Job, built: Sequence[Built]) -> dict[str, Startup]:
    """Start-up times, if any are wanted, of what was built; one program at a time, when nothing else is going on."""
    options = job.options
    if not options.runs:
        return {}
    runnable, times = {}, {}
    for number, flags in enumerate(job.sets):
        if built[number].measured is not None:
            reason = startup.cannot_run({**job.package.settings, **dict(flags.env)})
            if reason:
                times[flags.name] = Startup(0, reason=reason)
            else:
                runnable[flags.name] = job.output(number)
    cwd = job.folder / "empty"
    cwd.mkdir()
    rounds = startup.Rounds(options.runs, options.timeout, options.arguments, cwd)
    default = job.sets[job.default].name
    tell = job.tell

    def told(done: int) -> None:
        tell(f"run {done} of {options.runs}", done, options.runs)

    return times | startup.measure(runnable, default, rounds, job.go.processes, told)


def _notes(job: Job, overlaps: Sequence[str]) -> list[str]:
    notes = []
    if overlaps:
        names = " and ".join(overlaps)
        notes.append(f"GOFLAGS sets {names}: every row has it, the default build too, unless the row says otherwise")
    if job.copied is not None:
        notes.append(SAME_MACHINE)
    if not job.options.runs:
        notes.append("nothing was run; --runs N measures start-up time by running each program N times")
    return notes
