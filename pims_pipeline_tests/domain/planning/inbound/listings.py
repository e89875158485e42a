"""Builders of appointments and listings for the tests of the inbound plan."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from pims_pipeline.domain.planning.inbound import InboundPlan
from pims_pipeline.domain.records.appointments import (
    Patient,
    PimsAppointment,
    Proof,
    QuarantinedRecord,
    Snapshot,
)
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.strategies import WEEK

EIGHT = datetime(2026, 3, 5, 8, tzinfo=UTC)
DAY = EIGHT.date()
MINUTE = timedelta(minutes=1)
APPOINTMENT = PimsAppointment(
    appointment_id="a",
    scheduled_start=EIGHT + timedelta(hours=7),
    scheduled_end=EIGHT + timedelta(hours=8),
    business_date=DAY,
    status="not arrived",
    appointment_type="Exam",
    patient=Patient(name="Mishka"),
)


def listing(
    *appointments: PimsAppointment,
    at: int = 0,
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


def unreadable(pims_id: str | None, day: date | None = None) -> QuarantinedRecord:
    return QuarantinedRecord(
        record_key=pims_id or "sha256:0",
        error_class="ContractViolation",
        error_message="start: not a time",
        pims_id=pims_id,
        business_date=day,
    )


def moved(appointment: PimsAppointment, by: timedelta) -> PimsAppointment:
    start = appointment.scheduled_start + by
    return replace(
        appointment,
        scheduled_start=start,
        scheduled_end=appointment.scheduled_end + by,
        business_date=start.date(),
    )


def kinds(plan: InboundPlan) -> list[EventKind]:
    return [write.kind for write in plan.case_writes]


def kinds_of_cases(store: MemoryStore) -> dict[str, CaseType]:
    return {pims_id: case.case_type for pims_id, case in store.cases.items()}


def retired(store: MemoryStore, pims_id: str, at: int) -> None:
    """What a reconciliation leaves behind."""
    store.edit(pims_id, status=CaseStatus.REVIEWED, soft_deleted=True)
    store.landed[pims_id] = replace(store.landed[pims_id], removed_at=EIGHT + at * MINUTE)
