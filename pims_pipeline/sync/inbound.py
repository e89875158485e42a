"""Phase 1's shell: fetch the diary, plan, land it and upsert cases in one transaction."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.appointments import Snapshot
from pims_pipeline.domain.cases import CaseEvent, EventKind, Words, case_id_of
from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.inbound import InboundPlan, plan_inbound
from pims_pipeline.domain.outcome import PhaseOutcome, SyncType
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.store.appointments import (
    forget_checks,
    known_records,
    land,
    mark_missing,
    mark_seen,
    remember_meanings,
)
from pims_pipeline.store.cases import load_cases, write_cases
from pims_pipeline.store.events import record_events
from pims_pipeline.store.failures import FailureInput, record_failures, resolve_unseen
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phase import Phase, audited
from pims_pipeline.sync.session import ProviderSession


def sync_appointments(
    context: SyncContext, clinic: Clinic, window: DateRange, session: ProviderSession
) -> PhaseOutcome:
    """Bring the window's landed diary and cases in line with the vendor's diary.

    Raises:
        PimsError: If the diary could not be had whole; nothing is written then.
    """
    with audited(context, clinic, SyncType.INBOUND, window) as phase:
        snapshot = whole_listing(clinic, window, session)
        with phase.applying() as connection:
            plan = apply_snapshot(connection, phase, snapshot)
            record_quarantine(connection, phase, snapshot)
            return phase.finish(
                connection,
                by_date=plan.by_date,
                fetched_at=snapshot.fetched_at,
                changed_case_ids=tuple(write.case_id for write in plan.case_writes),
                unknown_statuses=plan.unknown_statuses,
            )


def whole_listing(clinic: Clinic, window: DateRange, session: ProviderSession) -> Snapshot:
    """The vendor's diary of the window.

    Raises:
        ContractViolation: If the listing is not provably complete: an absence in it would
            mean nothing.
    """
    snapshot = session.ask(lambda provider: provider.fetch_appointments(window))
    if not snapshot.complete:
        raise ContractViolation(
            f"asked {clinic.provider_type} for the diary of {clinic.slug}, {window}; the listing "
            "that came back is not complete, so nothing was changed; try again later"
        )
    return snapshot


def apply_snapshot(connection: Connection, phase: Phase, snapshot: Snapshot) -> InboundPlan:
    """Plan against what is stored, write the plan, and give it."""
    clinic = phase.clinic
    plan = _plan(connection, clinic, snapshot, phase.context.words)
    landed = {landing.appointment.appointment_id for landing in plan.landings}
    land(
        connection,
        clinic,
        plan.landings,
        fetched_at=snapshot.fetched_at,
        audit_id=phase.audit_id,
    )
    seen = [pims_id for pims_id in plan.sightings if pims_id not in landed]
    mark_seen(connection, clinic, seen, snapshot.fetched_at)
    mark_missing(connection, clinic, plan.missing, snapshot.fetched_at)
    forget_checks(connection, clinic, plan.recheck)
    if plan.meanings:
        remember_meanings(connection, clinic, plan.meanings)
    now = phase.now()
    write_cases(connection, clinic, plan.case_writes, now)
    record_events(
        connection,
        clinic,
        _events(plan, now),
        audit_id=phase.audit_id,
        run_id=phase.context.run_id,
    )
    return plan


def _plan(connection: Connection, clinic: Clinic, snapshot: Snapshot, words: Words) -> InboundPlan:
    ids = [appointment.appointment_id for appointment in snapshot.appointments]
    known = known_records(connection, clinic, snapshot.window, ids)
    plan = partial(plan_inbound, snapshot=snapshot, identify=case_identity(clinic), words=words)
    planned = plan(known)
    # People may edit a case between our reading and our writing. The cases about to be
    # written are locked and, where they changed meanwhile, planned for as they now stand;
    # so are those that lose a consultation, because its content goes into their story.
    detached = {each.pims_id for each in planned.case_writes if each.detaches}
    touched = [each.pims_id for each in planned.case_writes if each.kind is not EventKind.CREATED]
    locked = load_cases(connection, clinic, touched, lock=True) if touched else {}
    stale = {
        pims_id: replace(known[pims_id], case=locked.get(pims_id))
        for pims_id in touched
        if pims_id in detached or locked.get(pims_id) != known[pims_id].case
    }
    return plan({**known, **stale}) if stale else planned


def case_identity(clinic: Clinic) -> "partial[UUID]":
    """Gives the case identity for a vendor identity of the clinic."""
    return partial(case_id_of, clinic.id, clinic.provider_type)


def _events(plan: InboundPlan, now: datetime) -> Iterable[CaseEvent]:
    return (
        CaseEvent(
            case_id=write.case_id,
            kind=write.kind,
            business_date=write.draft.scheduled_date,
            changes=write.changes,
            source_digest=write.digest,
            occurred_at=now,
        )
        for write in plan.case_writes
    )


def record_quarantine(connection: Connection, phase: Phase, snapshot: Snapshot) -> None:
    """Keep what could not be read as dead letters; close those that are gone or readable."""
    now = phase.now()
    record_failures(
        connection,
        phase.clinic,
        SyncType.INBOUND,
        (
            FailureInput(
                record_key=record.record_key,
                pims_id=record.pims_id,
                business_date=record.business_date,
                window=snapshot.window,
                error_class=record.error_class,
                error_message=record.error_message,
            )
            for record in snapshot.quarantined
        ),
        now,
    )
    resolve_unseen(
        connection,
        phase.clinic,
        SyncType.INBOUND,
        snapshot.window,
        {record.record_key for record in snapshot.quarantined},
        now,
    )
