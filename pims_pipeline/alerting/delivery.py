"""Telling people of alerts what they have not been told, in order.

Alerts are claimed before their message is sent, and marked after a notifier has taken it: cut
off in between, it is sent twice, never not at all. No transaction is open while a message is on
its way. What cannot be sent waits in the database. Which alerts are open is decided in
``evaluation``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from time import monotonic

from sqlalchemy import Engine

from pims_pipeline.alerting.messages import event_of, message_of
from pims_pipeline.alerting.notifiers import DeliveryFailed, LogNotifier, Notifier
from pims_pipeline.observability.heartbeat import Heartbeat
from pims_pipeline.store.alerts import (
    Alert,
    claim_alerts,
    mark_delivered,
    release_alerts,
    undelivered_alerts,
)
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import transaction

_AT_A_TIME = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """How people are told.

    Attributes:
        dagster_ui_url: Where the Dagster UI are, without a slash at the end.
        seconds: For how long messages may be sent at a time; the last one may take longer.
        heartbeat: Is called after each look that succeeded, so that somebody outside notices
            when there are none; None where nobody watches.
    """

    notifier: Notifier = field(default_factory=LogNotifier)
    dagster_ui_url: str = "http://127.0.0.1:3000"
    seconds: float = 20.0
    heartbeat: Heartbeat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came of telling people.

    Attributes:
        messages: How many were taken.
        trouble: Why the next one was not; None when it was not tried or there was none.
        retry_after: Seconds for which the service wants to be left alone, if it said so.
    """

    messages: int
    trouble: str | None = None
    retry_after: float | None = None


def deliver(
    engine: Engine, alerting: Alerting, *, clock: Callable[[], datetime] = utc_now
) -> Delivery:
    """Tell people what they have not been told, in order, until a message is not taken.

    Alerts of one kind and phase that follow one another share a message. When another process
    is telling, there is nothing to do.
    """
    began, messages = monotonic(), 0
    while monotonic() - began < alerting.seconds:
        try:
            if not _deliver_one(engine, alerting, clock):
                break
        except DeliveryFailed as trouble:
            return Delivery(
                messages=messages, trouble=str(trouble), retry_after=trouble.retry_after
            )
        messages += 1
    return Delivery(messages=messages)


def _deliver_one(engine: Engine, alerting: Alerting, clock: Callable[[], datetime]) -> bool:
    """Have the next message taken; False when there is none, or it is another process's.

    Raises:
        DeliveryFailed: If it was not taken.
    """
    with transaction(engine) as connection:
        alerts = _next_together(undelivered_alerts(connection, _AT_A_TIME))
        if not alerts or not claim_alerts(connection, alerts):
            return False
    try:
        alerting.notifier.deliver(message_of(alerts, alerting.dagster_ui_url))
    except DeliveryFailed:
        with transaction(engine) as connection:
            release_alerts(connection, alerts)
        raise
    with transaction(engine) as connection:
        mark_delivered(connection, alerts, clock())
    return True


def _next_together(untold: Sequence[Alert]) -> list[Alert]:
    """The first of these, and those right after it that say the same of others."""

    def sameness(alert: Alert) -> tuple[object, ...]:
        return event_of(alert), alert.key.kind, alert.details.get("phase")

    return list(takewhile(lambda alert: sameness(alert) == sameness(untold[0]), untold))
