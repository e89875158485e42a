"""Writing fetched consultations, and the failures to fetch them.

Which consultations change which cases belongs in ``pims_pipeline.domain.planning.enrichment``.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.outcome import Counts, tally
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import (
    ConsultationPlan,
    EnrichableCase,
    FetchedConsultation,
    plan_consultations,
)
from pims_pipeline.domain.records.cases import CaseEvent, EventKind
from pims_pipeline.providers.port import PatientMismatch
from pims_pipeline.store.appointments import mark_checked
from pims_pipeline.store.cases.events import record_events
from pims_pipeline.store.cases.reading import enrichable_cases
from pims_pipeline.store.cases.writing import write_consultations
from pims_pipeline.store.failures import FailureInput, record_failures, resolve_failures
from pims_pipeline.sync.phases.audited import PhaseRun
from pims_pipeline.sync.phases.fanout import AppointmentFailure


@dataclass(frozen=True, slots=True)
class FailedFetch:
    """A case whose consultation was not fetched, or is of another patient."""

    case: EnrichableCase
    error: AppointmentFailure


def mismatches(
    due: Sequence[EnrichableCase], plan: ConsultationPlan, clinic: Clinic
) -> list[FailedFetch]:
    """The due cases whose consultation is of another patient."""
    return [FailedFetch(case, _mismatch(clinic)) for case in due if case.case_id in plan.refused]


def _mismatch(clinic: Clinic) -> PatientMismatch:
    return PatientMismatch(
        f"{clinic.provider_type} returned an appointment's consultation that is of another "
        "patient, so it was not written to the case; correct the appointment or the consultation "
        "at the vendor"
    )


def write_fetched(
    connection: Connection, phase: PhaseRun, fetched: Sequence[FetchedConsultation]
) -> ConsultationPlan:
    """Plan from locked cases, write the plan, and return it."""
    clinic = phase.clinic
    ids = [response.case_id for response in fetched]
    cases = {
        case.case_id: case
        for case in enrichable_cases(connection, clinic, phase.window, only=ids, lock=True)
    }
    now = phase.now()
    plan = plan_consultations(cases, fetched, now=now)
    write_consultations(connection, clinic, plan.writes, now)
    pims_ids = {case_id: case.appointment.appointment_id for case_id, case in cases.items()}
    checked = {pims_ids[case_id]: asked_at for case_id, asked_at in plan.checked.items()}
    mark_checked(connection, clinic, checked)
    resolve_failures(connection, clinic, Phase.CASES, set(checked), now)
    record_events(
        connection,
        clinic,
        _events(plan, now),
        audit_id=phase.audit_id,
        run_id=phase.context.run_id,
    )
    return plan


def _events(plan: ConsultationPlan, now: datetime) -> Iterable[CaseEvent]:
    return (
        CaseEvent(
            case_id=write.case.case_id,
            kind=EventKind.ENRICHED,
            business_date=write.case.appointment.business_date,
            changes=write.changes,
            source_digest=write.digest,
            occurred_at=now,
        )
        for write in plan.writes
    )


def record_failed(connection: Connection, phase: PhaseRun, failed: Sequence[FailedFetch]) -> None:
    """Record the failures, each with the time of its retry."""
    now = phase.now()
    policy = phase.context.enrichment_policy
    record_failures(
        connection,
        phase.clinic,
        Phase.CASES,
        (
            FailureInput(
                record_key=each.case.appointment.appointment_id,
                pims_id=each.case.appointment.appointment_id,
                business_date=each.case.appointment.business_date,
                window=phase.window,
                error_class=type(each.error).__name__,
                error_message=str(each.error),
                next_retry_at=policy.retry_at(
                    (each.case.failure.attempts if each.case.failure else 0) + 1,
                    now,
                    random.random(),  # noqa: S311 - spreads retries, protects no secret
                ),
            )
            for each in failed
        ),
        now,
    )


def counts_by_date(
    due: Sequence[EnrichableCase], plan: ConsultationPlan, failed: Sequence[FailedFetch]
) -> dict[date, Counts]:
    """The receipt's counts of the due cases, by business date."""
    enriched = {write.case.case_id for write in plan.writes}
    errored = {each.case.case_id for each in failed}

    def result(case_id: UUID) -> str:
        if case_id in enriched:
            return "enriched"
        if case_id in errored:
            return "errored"
        return "skipped" if case_id in plan.absent else "unchanged"

    return tally((case.appointment.business_date, result(case.case_id)) for case in due)
