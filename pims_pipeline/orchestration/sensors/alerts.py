"""The sensor ``alerting``: opens and ends alerts, and delivers them.

``domain.alerts`` defines alerts, ``pims_pipeline.alerting`` evaluates and delivers them. Here is
only the sensor: a tick fails while alerts cannot be delivered. When Slack requests a pause, the
sensor's cursor is the time until which nothing is sent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.alerting.delivery import Alerting, deliver
from pims_pipeline.alerting.evaluation import evaluate
from pims_pipeline.dagster_names import ALERTS_SENSOR
from pims_pipeline.domain.errors import UserFacingError
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.store.database.clock import read_clock, utc_now

_LONGEST_PAUSE = timedelta(hours=1)


class AlertsNotDelivered(UserFacingError):
    """Alerts could not be delivered; they wait in the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsTick:
    """What one evaluation of the sensor did.

    Attributes:
        summary: What happened, in a few words.
        trouble: Why alerts could not be delivered; None when they were delivered, or during a
            pause.
        pause_until: Until when nothing is to be sent; aware.
    """

    summary: str
    trouble: str | None = None
    pause_until: datetime | None = None


def update_alerts(
    engine: Engine,
    alerting: Alerting,
    policy: EnrichmentPolicy,
    *,
    pause_until: datetime | None,
    now: datetime,
    clock_ahead: timedelta | None = None,
) -> AlertsTick:
    """Open and end alerts, and deliver them unless the notifier requested a pause.

    Args:
        engine: The database of cases.
        alerting: How alerts are delivered.
        policy: When a consultation becomes a dead letter.
        pause_until: Until when the notifier requested a pause, if it did; aware.
        now: The present time; aware.
        clock_ahead: See ``pims_pipeline.alerting.evaluation.evaluate``.
    """
    plan = evaluate(engine, now, policy, clock_ahead=clock_ahead)
    summary = f"{len(plan.to_open)} alerts opened, {len(plan.to_end)} ended"
    if pause_until is not None and now < pause_until <= now + _LONGEST_PAUSE:
        return AlertsTick(summary=f"{summary}; nothing sent before {pause_until:%H:%M:%S} UTC")
    delivery = deliver(engine, alerting)
    summary = f"{summary}, {delivery.messages} messages sent"
    if delivery.trouble is None:
        if alerting.heartbeat is not None and not alerting.heartbeat.beat():
            summary = f"{summary}; the heartbeat address could not be called"
        return AlertsTick(summary=summary)
    if delivery.retry_after is None:
        return AlertsTick(summary=summary, trouble=delivery.trouble)
    pause = min(timedelta(seconds=delivery.retry_after), _LONGEST_PAUSE)
    return AlertsTick(summary=f"{summary}; {delivery.trouble}", pause_until=utc_now() + pause)


@dg.sensor(
    name=ALERTS_SENSOR,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Opens an alert when a clinic has a problem, ends it when the problem is over, and "
        "delivers each of the two once. Fails while alerts cannot be delivered."
    ),
)
def alerting(
    context: dg.SensorEvaluationContext,
    store: dg.ResourceParam[Engine],
    rules: dg.ResourceParam[Rules],
    alerts: dg.ResourceParam[Alerting],
) -> dg.SkipReason:
    """Evaluate every clinic once."""
    clock = read_clock(store)
    tick = update_alerts(
        store,
        alerts,
        rules.enrichment,
        pause_until=datetime.fromisoformat(context.cursor) if context.cursor else None,
        now=clock.database if clock.is_wrong else clock.after,
        clock_ahead=clock.ahead if clock.is_wrong else None,
    )
    if tick.trouble is not None:
        raise AlertsNotDelivered(f"{tick.summary}; the others wait: {tick.trouble}")
    if tick.pause_until is not None:
        context.update_cursor(tick.pause_until.isoformat())
    return dg.SkipReason(tick.summary)
