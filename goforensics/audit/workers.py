"""Work spread over processes: answers in the order of the questions, and a process that dies costs only its own."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Generic, TypeVar

from goforensics.errors import GoForensicsError

In = TypeVar("In")
Out = TypeVar("Out")
Tell = Callable[[int, int], None]  # answers there are, of how many

PATIENCE = 2.0  # seconds that an interrupted audit waits for its processes to end


class DiedError(GoForensicsError):
    """The process that worked on it was killed, or could not answer."""


class Spread(Generic[In, Out]):
    """`work` applied to every item in up to `jobs` processes, which are begun anew.

    `work` and the items go to other processes: a function of a module, and data.  It must not raise.
    """

    def __init__(self, work: Callable[[In], Out], items: Sequence[In], jobs: int, tell: Tell) -> None:
        self.work = work
        self.items = items
        self.jobs = max(1, min(jobs, len(items)))
        self.tell = tell
        self.waiting = deque(range(len(items)))
        self.suspects: deque[int] = deque()  # worked on when a process died
        self.answers: dict[int, Out | DiedError] = {}
        self.told = 0

    def __iter__(self) -> Iterator[Out | DiedError]:
        """The answers in order, each as soon as it and all before it are there."""
        sent = 0
        while self.waiting or self.suspects:
            with _pool(1 if self.suspects else self.jobs) as pool:
                for _ in self._round(pool, alone=bool(self.suspects)):
                    # The last ones are given once the processes have ended: nobody asks for more after them.
                    while sent in self.answers and self.told < len(self.items):
                        yield self.answers.pop(sent)
                        sent += 1
        while sent in self.answers:
            yield self.answers.pop(sent)
            sent += 1

    def _round(self, pool: ProcessPoolExecutor, *, alone: bool) -> Iterator[None]:
        """Work with one pool until nothing is left or a process has died; one suspect at a time, `alone`."""
        queue = self.suspects if alone else self.waiting
        running: dict[Future[Out], int] = {}
        while queue or running:
            try:
                while queue and len(running) < (1 if alone else self.jobs):
                    running[pool.submit(self.work, self.items[queue[0]])] = queue[0]
                    queue.popleft()
            except BrokenProcessPool:
                self._blame(running, alone=alone)
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    self._blame(running, alone=alone)
                    return
                answer = _result(future)
                self._answer(running.pop(future), answer)
            yield

    def _blame(self, running: dict[Future[Out], int], *, alone: bool) -> None:
        """A process has died: of several that ran nobody knows whose, so each gets another try by itself."""
        for future, number in sorted(running.items(), key=lambda pair: pair[1]):
            if future.done() and not isinstance(future.exception(), BrokenProcessPool):
                answer = _result(future)
                self._answer(number, answer)
            elif alone:
                self._answer(number, DiedError("the process that read it was killed; perhaps memory ran out"))
            else:
                self.suspects.append(number)

    def _answer(self, number: int, answer: Out | DiedError) -> None:
        self.answers[number] = answer
        self.told += 1
        self.tell(self.told, len(self.items))


def _result(future: Future[Out]) -> Out | DiedError:
    """Its answer; one that could not be sent is a fault of ours that costs its own file only."""
    error = future.exception()
    return future.result() if error is None else DiedError(f"internal error: {type(error).__name__}: {error}")


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the block, at once if it is left by an exception."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _quiet)
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        ending = threading.Thread(target=pool.shutdown, kwargs={"cancel_futures": True}, daemon=True)
        ending.start()
        ending.join(PATIENCE)
        raise
    else:
        pool.shutdown(wait=True, cancel_futures=True)
    finally:
        # What is left of it holds semaphores in cycles of references; Python complains of a process that ends so.
        gc.collect()


def _quiet() -> None:
    """An interrupt is the parent's to act upon."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
