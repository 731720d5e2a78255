"""A progress bar on a terminal's stderr, once the work has taken a second; nothing else, ever."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from goforensics.renderers.plain import plain

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 1.0  # seconds before a person wonders


class _Bar:
    """Starts to show itself at the first step told after PATIENCE."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.begun = time.monotonic()
        self.shown: Progress | None = None

    def tell(self, step: str, done: int, total: int) -> None:
        if self.shown is None and time.monotonic() - self.begun < PATIENCE:
            return
        self.shown = self.shown or self._show()
        self.shown.update(self.shown.task_ids[0], completed=done, total=total, step=plain(step))

    def _show(self) -> Progress:
        # rich takes longer to import than a small file takes to read.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(20),
            TextColumn("{task.fields[step]}", markup=False),
        )
        shown = Progress(*columns, console=Console(stderr=True), transient=True)
        shown.add_task(self.title, step="")
        shown.start()
        return shown

    def close(self) -> None:
        if self.shown is not None:
            self.shown.stop()


@contextmanager
def progress(path: str) -> Iterator[Callable[[str, int, int], None]]:
    """Where to tell `(step, done, total)` about the work on `path`."""
    if not (sys.stderr and sys.stderr.isatty()):
        yield lambda step, done, total: None
        return
    bar = _Bar(plain(path))
    try:
        yield bar.tell
    finally:
        bar.close()
