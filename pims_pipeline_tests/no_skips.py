"""A pytest plugin: where CI is set, a test that did not run to its end is a failure.

Skips and expected failures are named before the closing line, and the exit code is that
of failed tests. Without CI in the environment the plugin does nothing.
"""

import os

import pytest

_UNRUN = pytest.StashKey[dict[str, str]]()
"""Why each test or file was not run, by its name."""


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
    """Listen to the reports, which also arrive from the processes of pytest-xdist."""
    unrun = config.stash.setdefault(_UNRUN, {})
    if os.environ.get("CI"):
        config.pluginmanager.register(_NoSkips(unrun))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn success into failure when anything was not run."""
    if session.config.stash[_UNRUN] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name what was not run."""
    if unrun := config.stash[_UNRUN]:
        terminalreporter.section("not run, which CI counts as failed", red=True)
        for name, reason in sorted(unrun.items()):
            terminalreporter.line(f"{name}: {reason}")
