"""Puts scripts/ within reach of the tests, and under CI makes a skipped test a failure."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
for folder in ("scripts", "tests"):
    if str(ROOT / folder) not in sys.path:
        sys.path.insert(0, str(ROOT / folder))

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job: programs under test would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

SKIPPED: list[str] = []


def _no_skip() -> bool:
    """A test that did not run proves nothing: where the machine is ours, everything runs."""
    return os.environ.get("CI") == "true" or os.environ.get("GOFORENSICS_NO_SKIP") == "1"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the tests that were skipped; an expected failure is not one."""
    if report.skipped and not hasattr(report, "wasxfail"):
        SKIPPED.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note the modules that were skipped as a whole."""
    if report.skipped:
        SKIPPED.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a session that would have passed but for what it left out."""
    if SKIPPED and _no_skip() and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests they are."""
    if SKIPPED and _no_skip():
        terminalreporter.write_sep("=", f"{len(SKIPPED)} skipped, which fails the session here", red=True)
        for nodeid in SKIPPED:
            terminalreporter.write_line(nodeid)
