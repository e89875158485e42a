"""The pytest plugin of the suite: fixtures, parameters, and promises that are not applicable.

Load it in a test module with ``pytest_plugins = ["pims_pipeline.conformance.plugin"]``. pytest is
not a requirement of the package: ``pip install 'pims-pipeline[conformance]'`` installs it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from pims_pipeline.conformance.conditions import SpoiledField
from pims_pipeline.conformance.connections import Connections
from pims_pipeline.conformance.results import NOT_APPLICABLE, reason_of, sentence_of
from pims_pipeline.conformance.vendor import NotApplicable, PlayedVendor

OPTION = "--provider-vendor"
_FIELDS = {"optional_field": "optional_fields", "deciding_field": "deciding_fields"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the vendor of a suite that names none."""
    parser.addoption(OPTION, metavar="MODULE:CLASS", help="The vendor to run the suite over.")


def vendor_type_of(suite: type, config: pytest.Config) -> type[PlayedVendor]:
    """The vendor of a test class, or of the option.

    Raises:
        pytest.UsageError: If there is none.
    """
    found = getattr(suite, "vendor_type", None) or config.getoption(OPTION, default=None)
    if isinstance(found, str):
        found = resolve_name(found)
    if not (isinstance(found, type) and issubclass(found, PlayedVendor)):
        raise pytest.UsageError(
            f"{suite.__name__} has no vendor: set its attribute vendor_type to a subclass of "
            f"{PlayedVendor.__module__}.PlayedVendor, or give {OPTION}"
        )
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each declared field a test of its own; without any, one test says so."""
    for name, declared in _FIELDS.items():
        if name in metafunc.fixturenames and metafunc.cls is not None:
            vendor_type = vendor_type_of(metafunc.cls, metafunc.config)
            fields: tuple[SpoiledField | None, ...] = getattr(vendor_type, declared) or (None,)
            ids = [str(each) if each else "no field" for each in fields]
            metafunc.parametrize(name, fields, ids=ids)


@pytest.fixture(scope="class")
def running_vendor(request: pytest.FixtureRequest) -> Iterator[PlayedVendor]:
    """The vendor of the test class, started once for all its tests."""
    vendor = vendor_type_of(request.cls, request.config)()
    vendor.start()
    yield vendor
    vendor.stop()


@pytest.fixture
def vendor(running_vendor: PlayedVendor) -> PlayedVendor:
    """The vendor as it is at first."""
    running_vendor.reset()
    return running_vendor


@pytest.fixture
def connections(vendor: PlayedVendor, tmp_path: Path) -> Iterator[Connections]:
    """Opens providers of the vendor, and closes them after the test."""
    with ExitStack() as stack:
        # Whatever a test imposed and did not lift would hold up the closing of its providers.
        yield Connections(vendor, tmp_path / "artifacts", stack)
        vendor.lift()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Record a promise that is not applicable: as that, neither passed nor skipped."""
    try:
        return (yield)
    except NotApplicable as reason:
        pyfuncitem.user_properties.append((NOT_APPLICABLE, str(reason)))
        return True  # type: ignore[return-value]  # pytest: the function was called


def pytest_report_teststatus(report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Count promises that are not applicable under a name of their own."""
    if report.when == "call" and report.passed and reason_of(report.user_properties) is not None:
        return "not applicable", "n", ("NOT APPLICABLE", {"yellow": True})
    return None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the promises that are not applicable, by the reasons."""
    by_reason: dict[str, dict[str, None]] = {}
    for report in terminalreporter.stats.get("not applicable", []):
        promise, _ = sentence_of(report.nodeid)
        by_reason.setdefault(reason_of(report.user_properties) or "", {})[promise] = None
    if by_reason:
        terminalreporter.section("not applicable to this provider")
    for reason, promises in by_reason.items():
        terminalreporter.line(f"{reason}:")
        for promise in promises:
            terminalreporter.line(f"    {promise}")
