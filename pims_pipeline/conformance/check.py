"""Runs the suite for a registered provider, as ``pims providers check`` does.

Imports pytest when it runs only: an installation without it has everything else.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

from pims_pipeline.conformance.results import Report, SuiteResult, result_of
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.providers.description import ProviderDescription

_SUITE = "pims_pipeline.conformance.registered_suite"
_PLUGIN = "pims_pipeline.conformance.plugin"
_PYTEST_VARIABLES = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")


class CannotCheck(UserFacingError):
    """The suite cannot run for a provider; the message says what to do."""


def check_provider(description: ProviderDescription) -> SuiteResult:
    """Run the suite over the vendor that the description names.

    Raises:
        CannotCheck: If it names none, or one that cannot be used, or pytest is not installed.
    """
    if find_spec("pytest") is None:
        raise CannotCheck(
            "the suite runs with pytest, which is not installed: "
            "pip install 'pims-pipeline[conformance]'"
        )
    _check_vendor(description)
    collected = run_tests("--pyargs", _SUITE, f"--provider-vendor={description.conformance}")
    if collected.problem is not None:
        raise CannotCheck(f"the suite did not run for {description.type}: {collected.problem}")
    return result_of(collected.reports)


def _check_vendor(description: ProviderDescription) -> None:
    """Refuse a description whose vendor is not usable, before pytest hides the reason."""
    name = description.conformance
    if not name:
        raise CannotCheck(
            f"the provider {description.type} has no vendor to check it with: its description must "
            "name one in its field 'conformance' (docs/providers/writing-one.md)"
        )
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise CannotCheck(
            f"the vendor {name} of the provider {description.type} cannot be imported: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, PlayedVendor)):
        raise CannotCheck(
            f"{name} of the provider {description.type} is not a subclass of "
            f"{PlayedVendor.__module__}.PlayedVendor"
        )
    if found.description.type != description.type:
        raise CannotCheck(
            f"{name} is a vendor of the provider {found.description.type}, not {description.type}"
        )


class Collector:
    """A pytest plugin that keeps the reports of tests, and the first problem of collecting them."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.problem: str | None = None

    def pytest_runtest_logreport(self, report: Report) -> None:
        """Keep a report."""
        self.reports.append(report)

    def pytest_collectreport(self, report: Report) -> None:
        """Keep the last line of the first problem."""
        if report.outcome == "failed" and self.problem is None:
            self.problem = report.longreprtext.strip().splitlines()[-1]


def run_tests(*arguments: str) -> Collector:
    """Run tests of the suite in this process, with what pytest calls ``arguments``.

    Other plugins, and the settings of the folder that it is called in, have no part in it.
    """
    import pytest  # noqa: PLC0415 - see the module

    collector = Collector()
    with tempfile.TemporaryDirectory(prefix="pims-check-") as directory:
        settings = Path(directory, "pytest.ini")
        settings.write_text("[pytest]\n", encoding="utf-8")
        own = [
            *("-c", str(settings), "--rootdir", directory, "--basetemp", f"{directory}/tests"),
            *("--disable-plugin-autoload", "-p", "no:terminal", "-p", "no:cacheprovider"),
            *("-p", _PLUGIN),
        ]
        with _without(*_PYTEST_VARIABLES):
            ended = pytest.main([*own, *arguments], plugins=[collector])
    if ended == pytest.ExitCode.INTERRUPTED and collector.problem is None:
        raise KeyboardInterrupt
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        collector.problem = collector.problem or f"pytest ended with status {int(ended)}"
    return collector


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """The environment without these variables, for as long as the block runs."""
    removed = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(removed)
