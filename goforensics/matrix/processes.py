"""Other programs, run without a shell and without a terminal, and all ended when the work is given up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from goforensics.errors import GoForensicsError

PATIENCE = 3.0  # seconds that a program has to tidy up after itself
POLL = 0.02  # seconds


class StoppedError(GoForensicsError):
    """The work was given up while, or before, the program ran."""


class Done(msgspec.Struct, frozen=True):
    """A program that has ended."""

    code: int  # exit code; negative: ended by that signal
    stdout: bytes
    stderr: bytes
    seconds: float  # wall-clock, from its start to its end
    timed_out: bool = False


class Processes:
    """Runs programs from any thread; `stop` ends those that run and lets no other begin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(
        self,
        arguments: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        *,
        timeout: float | None = None,
        quiet: bool = False,
    ) -> Done:
        """Run to its end and gather what it says, or with `quiet` throw that away.

        Raises OSError if it cannot be started, StoppedError if the work was given up.
        """
        told = subprocess.DEVNULL if quiet else subprocess.PIPE
        begun = time.perf_counter()
        process = self._start(arguments, cwd, env, told)
        with self._watched(process, timeout) as late:
            # Waiting with a time-out polls, and would add its pauses to what is measured.
            stdout, stderr = process.communicate()
            seconds = time.perf_counter() - begun
            if quiet:
                _signal(process, polite=False)  # a program under test leaves nothing running
        if self._stopped:
            raise StoppedError("stopped")
        return Done(process.returncode, stdout or b"", stderr or b"", seconds, late.is_set())

    def stop(self) -> None:
        """End everything that runs; nothing starts from now on."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        _end(running)

    def _start(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], told: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise StoppedError("stopped")
            process = subprocess.Popen(
                list(arguments),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,  # so that whatever it starts can be ended with it
            )
            self._running.add(process)
        return process

    @contextlib.contextmanager
    def _watched(self, process: subprocess.Popen[bytes], timeout: float | None) -> Iterator[threading.Event]:
        """Count the process as running until the block ends; the event tells whether it had to be ended."""
        late = threading.Event()

        def end() -> None:
            late.set()
            _signal(process, polite=False)

        timer = threading.Timer(timeout, end) if timeout is not None else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            yield late
        finally:
            if timer:
                timer.cancel()
            if process.poll() is None:  # interrupted
                _end([process])
                process.wait()
            with self._lock:
                self._running.discard(process)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Politely first, for the go command removes its own temporary files then."""
    for process in processes:
        _signal(process, polite=True)
    end = time.monotonic() + PATIENCE
    while any(process.poll() is None for process in processes) and time.monotonic() < end:
        time.sleep(POLL)
    for process in processes:
        _signal(process, polite=False)


def _signal(process: subprocess.Popen[bytes], *, polite: bool) -> None:
    """Tell a process and all it started to end."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            # Also once it has ended: what it started may be there still, and until then the number is no one else's.
            os.killpg(process.pid, signal.SIGINT if polite else signal.SIGKILL)
