"""Builders of appointments, listings and lookups for the tests of reconciliation."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pims_pipeline.domain.outcome import Counts, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.reconciliation import (
    DeletionPolicy,
    ReconciliationPlan,
)
from pims_pipeline.domain.planning.retirement import RetirementReason, TrackedCase
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    Proof,
    QuarantinedRecord,
    Snapshot,
)
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.strategies import WEEK

EIGHT = datetime(2026, 3, 5, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = DeletionPolicy()
NO_WAIT = DeletionPolicy(absence_interval=timedelta(0))


def appointment(pims_id: str, day: int = 0) -> PimsAppointment:
    start = EIGHT + timedelta(days=day, hours=7)
    return PimsAppointment(
        appointment_id=pims_id,
        scheduled_start=start,
        scheduled_end=start + 30 * MINUTE,
        business_date=start.date(),
        status="Confirmed",
    )


def listing(
    *appointments: PimsAppointment,
    at: int = 60,
    quarantined: tuple[QuarantinedRecord, ...] = (),
    complete: bool = True,
) -> Snapshot:
    return Snapshot(
        window=WEEK,
        appointments=appointments,
        fetched_at=EIGHT + at * MINUTE,
        quarantined=quarantined,
        proof=Proof.ONE_RESPONSE if complete else None,
    )


def unreadable(pims_id: str | None) -> QuarantinedRecord:
    return QuarantinedRecord(
        record_key="k", error_class="ContractViolation", error_message="no start", pims_id=pims_id
    )


def lookup(pims_id: str, **fields: Any) -> AppointmentLookup:
    return AppointmentLookup(
        **{
            "appointment_id": pims_id,
            "asked_at": EIGHT + 61 * MINUTE,
            "found": True,
            "status": "Confirmed",
            "scheduled_start": appointment(pims_id).scheduled_start,
            "scheduled_end": appointment(pims_id).scheduled_end,
            "business_date": appointment(pims_id).business_date,
            **fields,
        }
    )


def unknown(*ids: str) -> dict[str, AppointmentLookup]:
    return {pims_id: lookup(pims_id, found=False) for pims_id in ids}


def store_of(*appointments: PimsAppointment) -> MemoryStore:
    store = MemoryStore()
    store.receive(listing(*appointments, at=0))
    return store


def ids(store: MemoryStore, *pims_ids: str) -> tuple[UUID, ...]:
    return tuple(store.identify(pims_id) for pims_id in pims_ids)


def retired(plan: ReconciliationPlan) -> dict[str, RetirementReason]:
    return {each.case.pims_id: each.reason for each in plan.retire}


def numbered(count: int) -> list[PimsAppointment]:
    return [appointment(f"{n:03}", day=n % 7) for n in range(count)]


def receipt(plan: ReconciliationPlan, window_cases: Iterable[TrackedCase]) -> Counts:
    outcome = PhaseOutcome(
        sync_type=Phase.RECONCILIATION,
        window=WEEK,
        audit_id=UUID(int=1),
        by_date=plan.by_date,
        duration_ms=0,
    )
    assert outcome.counts.found == len(list(window_cases)) == plan.active
    return outcome.counts
