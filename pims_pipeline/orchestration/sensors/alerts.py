"""The sensor that opens and ends alerts, and has people told of them.

What an alert is stands in the domain, what is done in ``pims_pipeline.alerting``. Here is only what
Dagster is shown of it: a tick that says what happened, and one that fails when people could
not be told. When Slack asks to be left alone, the sensor's cursor is the moment until which.
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

_LONGEST_REST = timedelta(hours=1)


class AlertsNotDelivered(UserFacingError):
    """Alerts wait in the database, because people could not be told of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What came of one look at the clinics.

    Attributes:
        words: What happened, in a few words.
        trouble: Why people could not be told; None when they were, or when it was not tried.
        rest_until: Until when nobody is to be told anything; aware.
    """

    words: str
    trouble: str | None = None
    rest_until: datetime | None = None


def look(
    engine: Engine,
    alerting: Alerting,
    policy: EnrichmentPolicy,
    *,
    rest_until: datetime | None,
    now: datetime,
    clock_ahead: timedelta | None = None,
) -> Look:
    """Bring the alerts up to date, and tell people unless they are to be left alone.

    Args:
        engine: The database of cases.
        alerting: How people are told.
        policy: When a consultation is given up.
        rest_until: Until when the service asked to be left alone, if it did; aware.
        now: The present moment; aware.
        clock_ahead: See ``pims_pipeline.alerting.evaluation.evaluate``.
    """
    plan = evaluate(engine, now, policy, clock_ahead=clock_ahead)
    words = f"{len(plan.to_open)} alerts opened, {len(plan.to_end)} ended"
    if rest_until is not None and now < rest_until <= now + _LONGEST_REST:
        return Look(words=f"{words}; nobody told before {rest_until:%H:%M:%S} UTC")
    delivery = deliver(engine, alerting)
    words = f"{words}, {delivery.messages} messages sent"
    if delivery.trouble is None:
        if alerting.heartbeat is not None and not alerting.heartbeat.beat():
            words = f"{words}; the heartbeat address could not be called"
        return Look(words=words)
    if delivery.retry_after is None:
        return Look(words=words, trouble=delivery.trouble)
    rest = min(timedelta(seconds=delivery.retry_after), _LONGEST_REST)
    return Look(words=f"{words}; {delivery.trouble}", rest_until=utc_now() + rest)


@dg.sensor(
    name=ALERTS_SENSOR,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Opens an alert when something goes wrong with a clinic, ends it when it is over, and "
        "has people told of both, once. Fails while they cannot be told."
    ),
)
def alerting(
    context: dg.SensorEvaluationContext,
    store: dg.ResourceParam[Engine],
    rules: dg.ResourceParam[Rules],
    alerts: dg.ResourceParam[Alerting],
) -> dg.SkipReason:
    """One look at every clinic."""
    clock = read_clock(store)
    seen = look(
        store,
        alerts,
        rules.enrichment,
        rest_until=datetime.fromisoformat(context.cursor) if context.cursor else None,
        now=clock.database if clock.is_wrong else clock.after,
        clock_ahead=clock.ahead if clock.is_wrong else None,
    )
    if seen.trouble is not None:
        raise AlertsNotDelivered(f"{seen.words}; the others wait: {seen.trouble}")
    if seen.rest_until is not None:
        context.update_cursor(seen.rest_until.isoformat())
    return dg.SkipReason(seen.words)
