"""Writing the decisions of a reconciliation to the cases: retired, or moved with a lookup.

Which cases are retired belongs in ``pims_pipeline.domain.planning.reconciliation``.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.planning.case_writes import METADATA, RECONCILIATION, repairs
from pims_pipeline.domain.planning.inbound_comparing import ComparedListing
from pims_pipeline.domain.planning.retirement import Retirement
from pims_pipeline.domain.records.appointments import AppointmentLookup, PimsAppointment, Snapshot
from pims_pipeline.domain.records.cases import Case, CaseEvent, EventKind
from pims_pipeline.domain.records.words import DEFAULT_WORDS, CaseStatus
from pims_pipeline.store.appointments import mark_left_out, mark_removed
from pims_pipeline.store.cases.events import record_events
from pims_pipeline.store.cases.reading import load_cases
from pims_pipeline.store.cases.writing import retire_cases
from pims_pipeline.sync.phases.audited import PhaseRun
from pims_pipeline.sync.phases.inbound import apply_listing
from pims_pipeline.sync.phases.listing import known_of


def retire(
    connection: Connection, phase: PhaseRun, retirements: Sequence[Retirement]
) -> tuple[UUID, ...]:
    """Retire the cases, with an event each; return their ids."""
    clinic = phase.clinic
    now = phase.now()
    pims_ids = [each.case.pims_id for each in retirements]
    gone = {each.case.pims_id: each.gone_at for each in retirements if not each.is_left_out}
    # Locked, so that the event records the status that is overwritten.
    locked = load_cases(connection, clinic, pims_ids, lock=True) if pims_ids else {}
    retire_cases(connection, clinic, retirements, now)
    mark_removed(connection, clinic, gone)
    mark_left_out(connection, clinic, [each for each in pims_ids if each not in gone])
    record_events(
        connection,
        clinic,
        (
            CaseEvent(
                case_id=each.case.id,
                kind=EventKind.SOFT_DELETED,
                business_date=each.case.scheduled_date,
                changes={
                    **_replaced_metadata(locked[each.case.pims_id]),
                    "status": (locked[each.case.pims_id].status.value, CaseStatus.REVIEWED.value),
                    "softDeleted": (False, True),
                    "reason": (None, each.reason.value),
                },
                source_digest=None,
                occurred_at=now,
            )
            for each in retirements
        ),
        audit_id=phase.audit_id,
        run_id=phase.context.run_id,
    )
    return tuple(each.case.id for each in retirements)


def _replaced_metadata(case: Case) -> dict[str, tuple[Any, Any]]:
    """The unreadable metadata that the mark of the retirement replaces."""
    replaced = {METADATA, RECONCILIATION}
    return {place: each for place, each in repairs(case.damage).items() if place in replaced}


def follow(
    connection: Connection,
    phase: PhaseRun,
    appointments: Sequence[PimsAppointment],
    lookups: Mapping[str, AppointmentLookup],
) -> tuple[UUID, ...]:
    """Apply each lookup as a listing of one record; return the ids of the changed cases."""
    changed: list[UUID] = []
    words = phase.words(connection) if appointments else DEFAULT_WORDS
    for appointment in appointments:
        day = appointment.business_date
        seen = Snapshot(
            window=DateRange(day, day),
            appointments=(appointment,),
            fetched_at=lookups[appointment.appointment_id].asked_at,
            proof=None,
        )
        known = known_of(connection, phase.clinic, seen)
        plan = apply_listing(connection, phase, ComparedListing(snapshot=seen, known=known), words)
        changed.extend(write.case_id for write in plan.case_writes)
    return tuple(changed)
