"""Delivery of alerts to the operators, in order and at least once.

An alert is claimed before its message is sent and marked after it was delivered: a process killed
in between sends it twice. No transaction is open during a delivery. A message that cannot be
delivered waits in the database. ``evaluation`` decides which alerts are open.
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
    """How alerts are delivered.

    Attributes:
        dagster_ui_url: The address of the Dagster UI, without a slash at the end.
        seconds: How long one delivery may send messages; the last message may exceed it.
        heartbeat: Called after each successful evaluation, so that an external monitor notices
            when evaluations stop; None without a monitor.
    """

    notifier: Notifier = field(default_factory=LogNotifier)
    dagster_ui_url: str = "http://127.0.0.1:3000"
    seconds: float = 20.0
    heartbeat: Heartbeat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The result of a delivery.

    Attributes:
        messages: How many messages were delivered.
        trouble: Why the next one was not delivered; None when it was not tried or there was none.
        retry_after: Seconds that the service asks to wait; None when it does not ask.
    """

    messages: int
    trouble: str | None = None
    retry_after: float | None = None


def deliver(
    engine: Engine, alerting: Alerting, *, clock: Callable[[], datetime] = utc_now
) -> Delivery:
    """Deliver what is undelivered, in order, until a delivery fails.

    Consecutive alerts of one kind and phase share a message. While another process delivers,
    this does nothing.
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
    """Deliver the next message; return False if there is none, or another process has it.

    Raises:
        DeliveryFailed: If it was not delivered.
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


def _next_together(undelivered: Sequence[Alert]) -> list[Alert]:
    """The first alerts that share a message."""

    def subject(alert: Alert) -> tuple[object, ...]:
        return event_of(alert), alert.key.kind, alert.details.get("phase")

    return list(takewhile(lambda alert: subject(alert) == subject(undelivered[0]), undelivered))
