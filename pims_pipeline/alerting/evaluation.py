"""Opening and ending alerts by the state of the clinics, in one transaction.

``delivery`` sends them to the operators. Add a kind of alert in ``domain/alerts.py``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from pims_pipeline.domain.alerts import (
    AlertPlan,
    ClinicFacts,
    PhaseFacts,
    RunEnd,
    conditions_of,
    plan_alerts,
)
from pims_pipeline.domain.credentials import CredentialStatus
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.schedules import ClinicSchedule
from pims_pipeline.scheduling.lateness import schedule_status
from pims_pipeline.store.alerts import begin_alerts, end_alerts, lock_alerts, open_alerts
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.queries.alert_facts import credential_troubles, run_ends, waiting_holds
from pims_pipeline.store.queries.last_syncs import NEVER, last_syncs
from pims_pipeline.store.queries.open_failures import dead_letters
from pims_pipeline.store.schedules import active_schedules
from pims_pipeline.store.webhooks.endpoints import disabled_webhooks


def evaluate(
    engine: Engine,
    now: datetime,
    policy: EnrichmentPolicy | None = None,
    *,
    clock_ahead: timedelta | None = None,
) -> AlertPlan:
    """Open and end alerts by the state at ``now`` (aware); return what was changed.

    Args:
        engine: The database of cases.
        now: The present time; the database's if ``clock_ahead`` is given.
        policy: Says after how many attempts a failure is a dead letter.
        clock_ahead: How far this host's clock is ahead of the database's, if they are too far
            apart; negative when it is behind.
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


def clinic_facts(
    connection: Connection, now: datetime, *, max_attempts: int
) -> Iterator[ClinicFacts]:
    """The state of each active clinic at ``now`` (aware)."""
    last, ends = last_syncs(connection, now), run_ends(connection, now)
    troubles = credential_troubles(connection)
    holds, letters = waiting_holds(connection), dead_letters(connection, max_attempts)
    webhooks = disabled_webhooks(connection)
    for schedule in active_schedules(connection):
        clinic_id = schedule.clinic.id
        yield ClinicFacts(
            clinic_id=clinic_id,
            phases={
                phase: _phase_facts(
                    schedule,
                    phase,
                    last.get((clinic_id, phase), NEVER).last_completed_or_held,
                    ends.get((clinic_id, phase), ()),
                    now,
                )
                for phase in Phase
            },
            credentials_rejected=troubles.get(clinic_id) is CredentialStatus.INVALID,
            human_needed=troubles.get(clinic_id) is CredentialStatus.NEEDS_HUMAN,
            holds=holds.get(clinic_id, ()),
            dead_letters=letters.get(clinic_id, ()),
            disabled_webhooks=webhooks.get(clinic_id, ()),
        )


def _phase_facts(
    schedule: ClinicSchedule,
    phase: Phase,
    last_completed_or_held: datetime | None,
    ends: Sequence[RunEnd],
    now: datetime,
) -> PhaseFacts:
    status = schedule_status(schedule, phase, last_completed_or_held, now)
    return PhaseFacts(
        schedule=status.schedule,
        last_completed_or_held=last_completed_or_held,
        due_by=status.due_by,
        ends=ends,
        skipped_in_a_row=schedule.skipped_in_a_row.get(phase, 0),
    )
