"""A practice whose logins, clients and notes are canaries, new for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pims_pipeline_tests.canary.practice import Practice, new_practice


@pytest.fixture
def practice(server_url: str, tmp_path: Path) -> Iterator[Practice]:
    with new_practice(server_url, tmp_path / "home") as practice:
        yield practice
