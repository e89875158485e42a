"""Clinics that go wrong, and a Slack that is only played."""

from collections.abc import Iterator

import pytest

from pims_pipeline.alerting.slack import SlackNotifier
from pims_pipeline_tests.observability.conftest import _logging_left_as_found, _no_proxy
from pims_pipeline_tests.observability.stand_ins import Slack, serving
from pims_pipeline_tests.sync.conftest import bench, clock, vendor

__all__ = ["_logging_left_as_found", "_no_proxy", "bench", "clock", "vendor"]


@pytest.fixture
def slack() -> Iterator[Slack]:
    stand_in = Slack(token="xoxb-made-up-0123456789")
    with serving(stand_in):
        yield stand_in


@pytest.fixture
def waits() -> list[float]:
    """The seconds that a notifier would have waited."""
    return []


@pytest.fixture
def notifier(slack: Slack, waits: list[float]) -> SlackNotifier:
    address = f"{slack.address}api/"
    return SlackNotifier(slack.token, slack.channel, base_url=address, wait=waits.append)
