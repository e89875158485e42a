"""Phase 2: fetch the consultations that are due, concurrently, and write them to their cases.

Before that, cases catch up with their landed records, where what these mean has changed.

One appointment's failure is recorded and never stops the others. What concerns the
whole clinic (refused credentials, a session that cannot be renewed) ends the phase.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import Counts, PhaseOutcome, tally
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import (
    ConsultationPlan,
    EnrichableCase,
    FetchedConsultation,
    plan_consultations,
    plan_enrichment,
)
from pims_pipeline.domain.records.cases import CaseEvent, EventKind
from pims_pipeline.domain.records.oddities import combined
from pims_pipeline.providers.port import PatientMismatch, TimeLimitReached
from pims_pipeline.store.appointments import mark_checked
from pims_pipeline.store.cases.events import record_events
from pims_pipeline.store.cases.reading import enrichable_cases
from pims_pipeline.store.cases.writing import write_consultations
from pims_pipeline.store.failures import FailureInput, record_failures, resolve_failures
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.audited import PhaseRun, audited
from pims_pipeline.sync.phases.fanout import AppointmentFailure, ask_concurrently
from pims_pipeline.sync.phases.inbound import catch_up
from pims_pipeline.sync.session import ProviderSession

DEFAULT_WORKERS = 5


@dataclass(frozen=True, slots=True)
class _Failed:
    """A case whose consultation could not be fetched, or belongs to another patient."""

    case: EnrichableCase
    error: AppointmentFailure


@dataclass(frozen=True, slots=True)
class _Work:
    """What a phase has to do.

    Attributes:
        due: The cases whose consultations are due.
        is_behind: Whether cases must be updated from their landed records.
    """

    due: Sequence[EnrichableCase]
    is_behind: bool


@dataclass(frozen=True, slots=True)
class _Fetches:
    """The results of the fetches so far."""

    fetched: list[FetchedConsultation] = field(default_factory=list)
    failed: list[_Failed] = field(default_factory=list)


class _AllFetchesFailed(Exception):
    """Every one of several fetches failed."""

    def __init__(self, failed: Sequence[_Failed]) -> None:
        super().__init__()
        self.failed = failed


def enrich_cases(
    context: SyncContext,
    clinic: Clinic,
    window: DateRange,
    session: ProviderSession,
    *,
    workers: int = DEFAULT_WORKERS,
    audit_id: UUID | None = None,
) -> PhaseOutcome:
    """Fetch the consultations that are due and write them to the window's cases.

    Args:
        context: The run's store, vault and rules.
        clinic: The clinic of the cases.
        window: The business dates of the cases.
        session: The conversation with the vendor.
        workers: How many records are fetched side by side.
        audit_id: See ``audited``.

    Raises:
        PimsError: If the vendor cannot be reached or every one of several fetches failed: a phase
            without data is no success.
        TimeLimitReached: If the time limit was reached; what was fetched before is written.
    """
    with audited(context, clinic, Phase.CASES, window, audit_id=audit_id) as phase:
        work = phase.preview(partial(_work, phase=phase))
        fetches = _Fetches()
        try:
            _fetch_all(phase, session, work.due, workers, fetches)
            return phase.apply(partial(_finish, phase=phase, work=work, fetches=fetches))
        except TimeLimitReached as error:
            # Written, so that each run makes progress with a slow vendor.
            phase.apply(
                partial(_apply_partially, phase=phase, work=work, fetches=fetches, error=error)
            )
            raise
        except _AllFetchesFailed as error:
            failed = error.failed
        phase.apply(partial(_fail, phase=phase, failed=failed))
        raise failed[0].error


def _work(connection: Connection, phase: PhaseRun) -> _Work:
    """What is to be done after the cases are updated from their landed records.

    That update is written together with the fetched consultations: a phase whose fetches all
    failed changes no case.
    """
    is_behind = bool(catch_up(connection, phase))
    cases = enrichable_cases(connection, phase.clinic, phase.window)
    plan = plan_enrichment(cases, phase.now(), phase.context.enrichment_policy)
    return _Work([case for case, _ in plan.due], is_behind)


def _apply_partially(
    connection: Connection,
    phase: PhaseRun,
    *,
    work: _Work,
    fetches: _Fetches,
    error: TimeLimitReached,
) -> None:
    if work.is_behind:
        catch_up(connection, phase)
    _, failed = _write(connection, phase, work, fetches)
    _record_failures(connection, phase, failed)
    phase.fail(connection, error)


def _finish(
    connection: Connection, phase: PhaseRun, *, work: _Work, fetches: _Fetches
) -> PhaseOutcome:
    """Write what was fetched, and the receipt.

    Raises:
        _AllFetchesFailed: If every one of several fetches failed.
    """
    due = work.due
    caught_up = catch_up(connection, phase) if work.is_behind else ()
    plan, failed = _write(connection, phase, work, fetches)
    if len(due) == len(failed) >= phase.context.enrichment_policy.min_fetches_to_fail:
        raise _AllFetchesFailed(failed)
    _record_failures(connection, phase, failed)
    enriched = (write.case.case_id for write in plan.writes)
    return phase.finish(
        connection,
        by_date=_counts(due, plan, failed),
        changed_case_ids=tuple(dict.fromkeys((*caught_up, *enriched))),
        implausible_case_ids=tuple(sorted(plan.implausible)),
        oddities=combined(
            odd
            for each in fetches.fetched
            if each.consultation
            for odd in each.consultation.oddities
        ),
    )


def _fail(connection: Connection, phase: PhaseRun, *, failed: Sequence[_Failed]) -> None:
    _record_failures(connection, phase, failed)
    phase.fail(connection, failed[0].error)


def _write(
    connection: Connection, phase: PhaseRun, work: _Work, fetches: _Fetches
) -> tuple[ConsultationPlan, list[_Failed]]:
    """Write what was fetched; also return the failures and the consultations of other patients."""
    plan = _apply(connection, phase, fetches.fetched)
    mismatched = [
        _Failed(case, _mismatch(phase.clinic)) for case in work.due if case.case_id in plan.refused
    ]
    return plan, [*fetches.failed, *mismatched]


def _mismatch(clinic: Clinic) -> PatientMismatch:
    return PatientMismatch(
        f"asked {clinic.provider_type} for an appointment's consultation; the one that came back "
        "is of another patient, so it was not put on the case; correct the appointment or the "
        "consultation at the vendor"
    )


def _fetch_all(
    phase: PhaseRun,
    session: ProviderSession,
    due: Sequence[EnrichableCase],
    workers: int,
    into: _Fetches,
) -> None:
    """Fetch what is due; ``into`` also holds the results so far when this raises."""

    def fetch(case: EnrichableCase) -> FetchedConsultation:
        asked_at = phase.now()
        consultation = session.ask(lambda provider: provider.fetch_consultation(case.appointment))
        return FetchedConsultation(
            case_id=case.case_id,
            asked_at=asked_at,
            consultation=consultation,
            asked_for=case.appointment,
        )

    phase.progress(0, len(due))
    for done, (case, response) in enumerate(ask_concurrently(fetch, due, workers), start=1):
        if isinstance(response, FetchedConsultation):
            into.fetched.append(response)
        else:
            into.failed.append(_Failed(case, response))
        phase.progress(done, len(due))


def _apply(
    connection: Connection, phase: PhaseRun, fetched: Sequence[FetchedConsultation]
) -> ConsultationPlan:
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


def _record_failures(connection: Connection, phase: PhaseRun, failed: Sequence[_Failed]) -> None:
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


def _counts(
    due: Sequence[EnrichableCase], plan: ConsultationPlan, failed: Sequence[_Failed]
) -> dict[date, Counts]:
    enriched = {write.case.case_id for write in plan.writes}
    errored = {each.case.case_id for each in failed}

    def result(case_id: UUID) -> str:
        if case_id in enriched:
            return "enriched"
        if case_id in errored:
            return "errored"
        return "skipped" if case_id in plan.absent else "unchanged"

    return tally((case.appointment.business_date, result(case.case_id)) for case in due)
