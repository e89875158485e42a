"""A clinic whose alerts are evaluated, and a stand-in for Slack."""

from collections.abc import Iterator

import pytest

from pims_pipeline.alerting.slack import SlackNotifier
from pims_pipeline_tests.alerting.watch import Watch
from pims_pipeline_tests.observability.conftest import _logging_left_as_found, _no_proxy
from pims_pipeline_tests.observability.stand_ins import Slack, serving
from pims_pipeline_tests.sync.bench import Bench, bench, clock, vendor

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


@pytest.fixture
def watch(bench: Bench) -> Watch:
    """The inbound phase is scheduled, the others are off."""
    watch = Watch(bench)
    watch.schedule(inbound="*/15 * * * *")
    return watch
