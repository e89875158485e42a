"""Without an extra, what needs it says so in one line; everything else works."""

import sys
from datetime import date

import pytest

from pims_pipeline.domain.errors import ExtraNotInstalled, needing_extra
from pims_pipeline.orchestration.assets.daily_report import report_metadata
from pims_pipeline.providers.idexx_neo.login.chromium import (
    BrowserStart,
    BrowserUnavailable,
    running_browser,
)
from pims_pipeline.providers.idexx_neo.login.environment import bare_runner
from pims_pipeline.store.queries.daily_report import Day
from pims_pipeline_tests.orchestration.assets.test_daily_report import QUIET, SYNCED

DAY = Day(date=date(2026, 3, 9), phases=[SYNCED], clinics=[QUIET], adopted=[])


def uninstall(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Importing these packages, or any module of theirs, fails as if they were not installed."""
    for module in list(sys.modules):
        if module.partition(".")[0] in packages:
            monkeypatch.setitem(sys.modules, module, None)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize("package", ["pandas", "tabulate", "matplotlib"])
def test_the_daily_report_keeps_its_numbers_without_the_packages_of_its_tables(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    uninstall(monkeypatch, package)

    metadata = report_metadata(DAY)

    assert metadata["syncs"].value == SYNCED.syncs
    shown = str(metadata["report"].value)
    assert f"needs the package {package}, which is not installed" in shown
    assert "pip install 'pims-pipeline[reports]'" in shown
    assert len(shown.splitlines()) == 1


def test_a_login_without_playwright_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall(monkeypatch, "playwright")

    async def open_one() -> None:
        async with running_browser(BrowserStart()):
            pass

    with (
        bare_runner() as runner,
        pytest.raises(BrowserUnavailable, match=r"pip install 'pims-pipeline\[browser\]'"),
    ):
        runner.run(open_one())


def test_another_package_that_is_missing_is_named_by_its_own_name() -> None:
    with (
        pytest.raises(ExtraNotInstalled, match="the package no_such_package, which"),
        needing_extra("reports", "This test"),
    ):
        import no_such_package.inside  # type: ignore[import-not-found]  # noqa: F401, PLC0415
