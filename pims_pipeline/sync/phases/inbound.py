"""Phase 1: fetch the calendar, plan, land the records and write the cases in one transaction.

Between two listings, what the vendor changed may do (``changes``). What a listing changes belongs
in ``pims_pipeline.domain.planning.inbound``.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.outcome import PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.catching_up import without_vendor_changes
from pims_pipeline.domain.planning.inbound import InboundPlan, plan_inbound
from pims_pipeline.domain.planning.inbound_comparing import ComparedListing
from pims_pipeline.domain.records.appointments import Snapshot
from pims_pipeline.domain.records.cases import CaseEvent, EventKind
from pims_pipeline.domain.records.series import recognized, unsettled_dates
from pims_pipeline.domain.records.words import Words
from pims_pipeline.store.appointments import (
    forget_checks,
    land,
    mark_missing,
    mark_seen,
    mark_window_seen,
    place,
    remember_meanings,
    stored_snapshot,
)
from pims_pipeline.store.cases.events import record_events
from pims_pipeline.store.cases.reading import load_cases
from pims_pipeline.store.cases.writing import write_cases
from pims_pipeline.store.failures import FailureInput, record_failures, resolve_unseen
from pims_pipeline.sync.context import SyncContext
from pims_pipeline.sync.phases.audited import PhaseRun, audited
from pims_pipeline.sync.phases.changes import changes_since_listing
from pims_pipeline.sync.phases.listing import compared, complete_listing, settled
from pims_pipeline.sync.session import ProviderSession


def sync_appointments(
    context: SyncContext,
    clinic: Clinic,
    window: DateRange,
    session: ProviderSession,
    *,
    audit_id: UUID | None = None,
) -> PhaseOutcome:
    """Update the window's landed records and cases from the vendor's calendar, or its changes.

    Args:
        context: The run's store, vault and rules.
        clinic: The clinic of the calendar.
        window: The business dates.
        session: The session at the vendor.
        audit_id: See ``audited``.

    Raises:
        PimsError: If the calendar could not be listed completely; nothing is written then.
    """
    with audited(context, clinic, Phase.INBOUND, window, audit_id=audit_id) as phase:
        snapshot = changes_since_listing(phase, session)
        if snapshot is None:
            snapshot = complete_listing(clinic, window, session, phase.now)
        outcome = phase.apply(partial(_apply_if_settled, phase=phase, snapshot=snapshot))
        if outcome is None:
            # Rare. Outside a transaction, so that no writer waits for the vendor.
            snapshot = settled(context, clinic, snapshot, session)
            outcome = phase.apply(partial(_apply, phase=phase, snapshot=snapshot))
        return outcome


def _apply_if_settled(
    connection: Connection, phase: PhaseRun, snapshot: Snapshot
) -> PhaseOutcome | None:
    """Write the listing; return None, with nothing written, if further dates must be listed."""
    words = phase.words(connection)
    listing = compared(connection, phase.clinic, snapshot, words)
    if unsettled_dates(listing.snapshot, listing.known):
        return None
    return _write(connection, phase, listing, words)


def _apply(connection: Connection, phase: PhaseRun, snapshot: Snapshot) -> PhaseOutcome:
    words = phase.words(connection)
    return _write(connection, phase, compared(connection, phase.clinic, snapshot, words), words)


def _write(
    connection: Connection, phase: PhaseRun, listing: ComparedListing, words: Words
) -> PhaseOutcome:
    snapshot = listing.snapshot
    plan = apply_listing(connection, phase, listing, words)
    changed = [write.case_id for write in plan.case_writes]
    if snapshot.changed_since is None:
        record_quarantine(connection, phase, snapshot)
    else:
        changed += catch_up(connection, phase)
    return phase.finish(
        connection,
        by_date=plan.by_date,
        fetched_at=snapshot.fetched_at,
        changed_since=snapshot.changed_since,
        changed_case_ids=tuple(dict.fromkeys(changed)),
        unknown_statuses=plan.unknown_statuses,
        oddities=snapshot.oddities,
        shapes=snapshot.shapes,
    )


def apply_listing(
    connection: Connection, phase: PhaseRun, listing: ComparedListing, words: Words
) -> InboundPlan:
    """Plan against what is known, write the plan, and return it."""
    clinic, now = phase.clinic, phase.now()
    snapshot = recognized(listing.snapshot, listing.known, clinic.zone)
    listing = replace(listing, snapshot=snapshot)
    plan = _plan(connection, clinic, listing, now=now, words=words)
    land(
        connection,
        clinic,
        plan.landings,
        fetched_at=snapshot.fetched_at,
        audit_id=phase.audit_id,
    )
    note_seen(connection, clinic, listing, plan)
    mark_missing(connection, clinic, plan.missing, snapshot.fetched_at)
    _write_to_cases(connection, phase, plan, now)
    return plan


def note_seen(
    connection: Connection, clinic: Clinic, listing: ComparedListing, plan: InboundPlan
) -> None:
    """Mark the listing's records that are not landed again as seen."""
    snapshot = listing.snapshot
    landed = {landing.appointment.appointment_id for landing in plan.landings}
    if len(listing.unchanged) > len(listing.known):
        # What is landed in the window is either unchanged or known.
        mark_window_seen(
            connection, clinic, snapshot.window, snapshot.fetched_at, but=listing.known
        )
        landed.update(each.appointment_id for each in listing.unchanged)
    seen = [pims_id for pims_id in plan.sightings if pims_id not in landed]
    mark_seen(connection, clinic, seen, snapshot.fetched_at)


def catch_up(connection: Connection, phase: PhaseRun) -> tuple[UUID, ...]:
    """Update the window's cases from their landed records; return the ids of those changed.

    Covers what changed since they were landed, but not at the vendor: see
    ``without_vendor_changes``. What lists no calendar calls it, because most dates are never
    listed again.
    """
    clinic, now, words = phase.clinic, phase.now(), phase.words(connection)
    snapshot = stored_snapshot(connection, clinic, phase.window)
    listing = compared(connection, clinic, snapshot, words)
    plan = without_vendor_changes(_plan(connection, clinic, listing, now=now, words=words))
    _write_to_cases(connection, phase, plan, now)
    return tuple(write.case_id for write in plan.case_writes)


def _write_to_cases(
    connection: Connection, phase: PhaseRun, plan: InboundPlan, now: datetime
) -> None:
    clinic = phase.clinic
    forget_checks(connection, clinic, plan.recheck)
    if plan.meanings:
        remember_meanings(connection, clinic, plan.meanings)
    if plan.placements:
        place(connection, clinic, plan.placements)
    write_cases(connection, clinic, plan.case_writes, now)
    record_events(
        connection,
        clinic,
        _events(plan, now),
        audit_id=phase.audit_id,
        run_id=phase.context.run_id,
    )


def _plan(
    connection: Connection,
    clinic: Clinic,
    listing: ComparedListing,
    *,
    now: datetime,
    words: Words,
) -> InboundPlan:
    known = listing.known
    plan = partial(
        plan_inbound,
        snapshot=listing.snapshot,
        clinic=clinic,
        now=now,
        words=words,
        unchanged=listing.unchanged,
        prepared=listing.prepared,
    )
    planned = plan(known)
    # A user may edit a case between the read and the write. So the cases to write are locked
    # and, if they changed, planned again. So are those that lose a consultation, because its
    # content goes into the case history.
    detached = {each.pims_id for each in planned.case_writes if each.detaches}
    touched = [each.pims_id for each in planned.case_writes if each.kind is not EventKind.CREATED]
    locked = load_cases(connection, clinic, touched, lock=True) if touched else {}
    stale = {
        pims_id: replace(known[pims_id], case=locked.get(pims_id))
        for pims_id in touched
        if pims_id in detached or locked.get(pims_id) != known[pims_id].case
    }
    return plan({**known, **stale}) if stale else planned


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


def record_quarantine(connection: Connection, phase: PhaseRun, snapshot: Snapshot) -> None:
    """Record unreadable records as failures; resolve the failures of all others."""
    now = phase.now()
    record_failures(
        connection,
        phase.clinic,
        Phase.INBOUND,
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
        Phase.INBOUND,
        snapshot.window,
        {record.record_key for record in snapshot.quarantined},
        now,
    )
