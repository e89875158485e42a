"""Alerts kept in step with how the clinics stand, and people kept in step with the alerts.

Two steps, each of which may be cut off anywhere: ``evaluate`` writes in one transaction which
alerts are open, ``deliver`` sends people what they have not been sent. Alerts are claimed before
their message is sent, and marked after a notifier has taken it: cut off in between, it is sent
twice, never not at all. No transaction is open while a message is on its way. What cannot be
sent waits in the database, in order. What an alert is stands in ``domain/alerts.py``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile
from time import monotonic

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.alerts import (
    AlertPlan,
    ClinicFacts,
    PhaseFacts,
    conditions_of,
    plan_alerts,
)
from pims_pipeline.domain.enrichment import EnrichmentPolicy
from pims_pipeline.domain.phases import Phase
from pims_pipeline.observability.alerts import LogNotifier, Notifier, NotTold
from pims_pipeline.observability.heartbeat import Heartbeat
from pims_pipeline.store.alerts import (
    Alert,
    PhaseHistory,
    begin_alerts,
    claim_alerts,
    credential_troubles,
    dead_letters,
    end_alerts,
    lock_alerts,
    mark_told,
    open_alerts,
    phase_histories,
    release_alerts,
    untold_alerts,
    waiting_holds,
)
from pims_pipeline.store.clock import utc_now
from pims_pipeline.store.database import transaction
from pims_pipeline.store.schedules import ClinicSchedule, active_schedules
from pims_pipeline.sync.alert_messages import message_of, news_of
from pims_pipeline.sync.lateness import punctuality

_AT_A_TIME = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """How people are told.

    Attributes:
        dagster_pages: Where Dagster's pages are, without a slash at the end.
        seconds: For how long messages may be sent at a time; the last one may take longer.
        heartbeat: Is called after each look that succeeded, so that somebody outside notices
            when there are none; None where nobody watches.
    """

    notifier: Notifier = field(default_factory=LogNotifier)
    dagster_pages: str = "http://127.0.0.1:3000"
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


def evaluate(
    engine: Engine,
    now: datetime,
    policy: EnrichmentPolicy | None = None,
    *,
    clock_ahead: timedelta | None = None,
) -> AlertPlan:
    """Open and end alerts as things stand at ``now`` (aware); gives what was changed.

    ``clock_ahead`` is how far this host's clock is ahead of the database's, where that is too
    far; ``now`` must be the database's then.
    """
    max_attempts = (policy or EnrichmentPolicy()).max_attempts
    with transaction(engine) as connection:
        lock_alerts(connection)
        found = clinic_facts(connection, now, max_attempts=max_attempts)
        clinics = [replace(facts, clock_ahead=clock_ahead) for facts in found]
        conditions = [condition for facts in clinics for condition in conditions_of(facts, now)]
        plan = plan_alerts(conditions, open_alerts(connection))
        end_alerts(connection, plan.to_end, now)
        begin_alerts(connection, plan.to_open, now)
    return plan


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
        except NotTold as trouble:
            return Delivery(
                messages=messages, trouble=str(trouble), retry_after=trouble.retry_after
            )
        messages += 1
    return Delivery(messages=messages)


def _deliver_one(engine: Engine, alerting: Alerting, clock: Callable[[], datetime]) -> bool:
    """Have the next message taken; False when there is none, or it is another process's.

    Raises:
        NotTold: If it was not taken.
    """
    with transaction(engine) as connection:
        alerts = _next_together(untold_alerts(connection, _AT_A_TIME))
        if not alerts or not claim_alerts(connection, alerts):
            return False
    try:
        alerting.notifier.tell(message_of(alerts, alerting.dagster_pages))
    except NotTold:
        with transaction(engine) as connection:
            release_alerts(connection, alerts)
        raise
    with transaction(engine) as connection:
        mark_told(connection, alerts, clock())
    return True


def _next_together(untold: Sequence[Alert]) -> list[Alert]:
    """The first of these, and those right after it that say the same of others."""

    def sameness(alert: Alert) -> tuple[object, ...]:
        return news_of(alert), alert.key.kind, alert.details.get("phase")

    return list(takewhile(lambda alert: sameness(alert) == sameness(untold[0]), untold))


def clinic_facts(
    connection: Connection, now: datetime, *, max_attempts: int
) -> Iterator[ClinicFacts]:
    """How each active clinic stands at ``now`` (aware)."""
    histories = phase_histories(connection, now)
    troubles = credential_troubles(connection)
    holds, letters = waiting_holds(connection), dead_letters(connection, max_attempts)
    for schedule in active_schedules(connection):
        clinic_id = schedule.clinic.id
        yield ClinicFacts(
            clinic_id=clinic_id,
            phases={
                phase: _phase_facts(schedule, phase, histories.get((clinic_id, phase)), now)
                for phase in Phase
            },
            credentials_rejected=troubles.get(clinic_id) == "invalid",
            human_needed=troubles.get(clinic_id) == "needs_human",
            holds=holds.get(clinic_id, ()),
            dead_letters=letters.get(clinic_id, ()),
        )


def _phase_facts(
    schedule: ClinicSchedule, phase: Phase, history: PhaseHistory | None, now: datetime
) -> PhaseFacts:
    last_success = history.last_success if history else None
    stands = punctuality(schedule, phase, last_success, now)
    return PhaseFacts(
        schedule=stands.schedule,
        last_success=last_success,
        due_by=stands.due_by,
        ends=history.ends if history else (),
        skipped_in_a_row=schedule.skipped_in_a_row.get(phase, 0),
    )
