"""One shared Chromium and one odd server for the tests of the login.

Starting a browser takes a second; tests of its end start their own.
"""

from collections.abc import Iterator

import pytest

from pims_pipeline.providers.idexx_neo.login import attempt
from pims_pipeline_tests.providers.idexx_neo.login.loop_clock import LoopClock
from pims_pipeline_tests.providers.idexx_neo.login.shared_browser import (
    SharedBrowser,
    shared_browser,
)
from pims_pipeline_tests.providers.odd_server import OddServer, odd_server


@pytest.fixture(scope="package")
def browser() -> Iterator[SharedBrowser]:
    with shared_browser() as started:
        yield started


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server() as running:
        yield running


@pytest.fixture(scope="session")
def loop_clock() -> LoopClock:
    """Moves the time of logins, so that no test waits for their timeouts."""
    return LoopClock()


@pytest.fixture
def no_page_to_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login whose page never comes waits for no screenshot of it."""
    monkeypatch.setattr(attempt, "_SCREENSHOT_TIMEOUT", 0.2)
