"""When nothing is sent to a webhook, and how little stops the other cases."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pims_pipeline.domain.webhooks.retries import REST_AFTER, WebhookStatus
from pims_pipeline.webhooks.delivery import Delivered
from pims_pipeline_tests.webhooks.conftest import Hook, cases
from pims_pipeline_tests.webhooks.receiver import status

HOUR = timedelta(hours=1)


def in_two_hours() -> str:
    return format_datetime(datetime.now(UTC) + 2 * HOUR, usegmt=True)


@pytest.mark.parametrize("asked", ["7200", "a date", "7200.5", "99999999999999"])
def test_a_receiver_that_asks_for_a_pause_gets_no_other_change_either(
    hook: Hook, asked: str
) -> None:
    hook.receiver.reply = status(429, retry_after=in_two_hours() if asked == "a date" else asked)
    hook.change(*cases(1))
    hook.deliver()
    hook.receiver.reply = status(200)
    hook.change(*cases(1))

    assert hook.deliver() == Delivered()
    hook.pass_time(HOUR)
    assert hook.deliver() == Delivered()
    hook.pass_time(6 * HOUR)
    assert hook.deliver() == Delivered(accepted=2)


@pytest.mark.parametrize("asked", ["-5", "soon", "nan", "", "Sun, 99 Foo 2026 25:00:00 GMT"])
def test_a_pause_that_is_no_time_is_ignored(hook: Hook, asked: str) -> None:
    hook.receiver.reply = status(503, retry_after=asked)
    hook.change(*cases(1))
    hook.deliver()
    hook.receiver.reply = status(200)
    hook.pass_time(timedelta(seconds=7))

    assert hook.deliver() == Delivered(accepted=1)


def test_one_change_that_is_always_refused_does_not_stop_other_cases(hook: Hook) -> None:
    hook.change(*cases(1))
    refused = min(hook.waiting())
    refuse, accept = status(422), status(200)
    hook.receiver.reply = lambda handler, got: (refuse if got.seq == refused else accept)(
        handler, got
    )
    for _ in range(REST_AFTER + 3):
        assert hook.deliver() == Delivered(failed=1)
        hook.pass_time(8 * HOUR)

    hook.deliver()
    hook.change(*cases(1))
    assert hook.deliver() == Delivered(accepted=1)


def test_a_webhook_is_not_disabled_because_nothing_was_sent_for_days(hook: Hook) -> None:
    """Such as while the daemon was stopped, or after the clock was put forward."""
    hook.receiver.reply = status(503)
    hook.change(*cases(1))
    hook.deliver()
    hook.pass_time(96 * HOUR)

    assert hook.deliver() == Delivered(failed=1)
    assert hook.state.status is WebhookStatus.ACTIVE
