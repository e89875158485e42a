"""A day of a clinic as the store has it: appointments, their cases, and what happened to these."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    appointment_payload,
)
from pims_pipeline.domain.records.cases import CaseEvent, Changes, EventKind
from pims_pipeline.store.audits import start_audit
from pims_pipeline.store.cases.events import record_events
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.tables.access import credential_access_log
from pims_pipeline.store.tables.cases import cases, pims_appointments

DAY = date(2026, 3, 9)
START = datetime(2026, 3, 9, 14, tzinfo=UTC)
END = START + timedelta(minutes=30)
RUN = "0b6a3a1e-5f0e-4f7e-9f43-0f2f7a3f6f10"


def land_appointment(
    connection: Connection,
    clinic: Clinic,
    audit_id: UUID,
    *,
    pims_id: str = "A-1",
    patient: str = "Rex",
    client: str = "Ann Lee",
    status: str = "Confirmed",
    **columns: Any,
) -> None:
    """Land an appointment."""
    appointment = PimsAppointment(
        appointment_id=pims_id,
        scheduled_start=START,
        scheduled_end=END,
        business_date=DAY,
        status=status,
        patient=Patient(id="P-1", name=patient),
        client=Client(id="C-1", name=client),
        reason="Itching",
    )
    row = {
        "clinic_id": clinic.id,
        "provider_type": clinic.provider_type,
        "pims_id": pims_id,
        "business_date": DAY,
        "scheduled_start": START,
        "payload": appointment_payload(appointment),
        "digest": f"digest-{pims_id}",
        "fetched_at": START,
        "first_seen_at": START,
        "last_seen_at": START,
        "meant_status": "draft",
        "meant_type": "checkup",
        "audit_id": audit_id,
        **columns,
    }
    connection.execute(insert(pims_appointments).values(row))


def add_case(connection: Connection, clinic: Clinic, **columns: Any) -> UUID:
    """Add the case of ``A-1``, or another."""
    row = {
        "id": uuid4(),
        "clinic_id": clinic.id,
        "provider_type": clinic.provider_type,
        "pims_id": "A-1",
        "patient_name": "Rex",
        "client_name": "Ann Lee",
        "scheduled_date": DAY,
        "scheduled_start": START,
        "scheduled_end": END,
        **columns,
    }
    connection.execute(insert(cases).values(row))
    case_id: UUID = row["id"]
    return case_id


def begin_sync(connection: Connection, clinic: Clinic, phase: Phase = Phase.INBOUND) -> UUID:
    """An audit of the day."""
    return start_audit(
        connection,
        clinic=clinic,
        sync_type=phase,
        window=DateRange(DAY, DAY),
        run_id=RUN,
        owner=1,
        now=START,
    )


def record_change(
    connection: Connection,
    clinic: Clinic,
    case_id: UUID,
    audit_id: UUID,
    changes: Changes,
    *,
    kind: EventKind = EventKind.UPDATED,
    times: int = 1,
) -> None:
    """Record a change of the case, a number of times."""
    event = CaseEvent(
        case_id=case_id,
        kind=kind,
        business_date=DAY,
        changes=changes,
        source_digest="digest-A-1",
        occurred_at=START,
    )
    lock_clinic(connection, clinic.id)
    record_events(connection, clinic, [event] * times, audit_id=audit_id, run_id=RUN)


def note_decryption(connection: Connection, clinic: Clinic, purpose: str) -> None:
    """The run decrypted the clinic's login."""
    connection.execute(
        insert(credential_access_log).values(
            clinic_id=clinic.id,
            provider_type=clinic.provider_type,
            purpose=purpose,
            run_id=RUN,
            accessed_at=START,
        )
    )


def add_day(connection: Connection, clinic: Clinic, *, name: str = "Rex") -> UUID:
    """An appointment, its case, a change of it and a decryption; gives the case's id."""
    audit_id = begin_sync(connection, clinic)
    land_appointment(connection, clinic, audit_id, patient=name)
    case_id = add_case(connection, clinic, patient_name=name)
    record_change(
        connection,
        clinic,
        case_id,
        audit_id,
        {"status": (None, "draft"), "patient_name": (None, name)},
        kind=EventKind.CREATED,
    )
    note_decryption(connection, clinic, "login")
    return case_id
