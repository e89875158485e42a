"""A pytest plugin: if CI is set, skips and expected failures fail the test run.

It lists them before the last line, and the exit code is that of failed tests. Without CI in the
environment it does nothing.
"""

import os

import pytest

_UNRUN = pytest.StashKey[dict[str, str]]()
"""By test or file, why it did not run."""


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if expected := getattr(report, "wasxfail", None):
        return f"expected to fail: {expected}"
    where = report.longrepr
    return str(where[2]) if isinstance(where, tuple) else "skipped"


class _NoSkips:
    def __init__(self, unrun: dict[str, str]) -> None:
        self.unrun = unrun

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self.unrun[report.nodeid] = _reason(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.unrun[report.nodeid] = _reason(report)


def pytest_configure(config: pytest.Config) -> None:
    """Register the listener; the reports of pytest-xdist's workers reach it too."""
    unrun = config.stash.setdefault(_UNRUN, {})
    if os.environ.get("CI"):
        config.pluginmanager.register(_NoSkips(unrun))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn success into failure if a test did not run."""
    if session.config.stash[_UNRUN] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """List what did not run."""
    if unrun := config.stash[_UNRUN]:
        terminalreporter.section("not run, which CI counts as failed", red=True)
        for name, reason in sorted(unrun.items()):
            terminalreporter.line(f"{name}: {reason}")
