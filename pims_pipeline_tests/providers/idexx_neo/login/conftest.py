"""One shared Chromium and one odd server for the tests of the login.

Starting a browser takes a second; tests of its end start their own.
"""

from collections.abc import Iterator

import pytest

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
