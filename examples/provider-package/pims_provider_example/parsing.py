"""Paw Planner's JSON as the pipeline's records. Pure: no requests, no clock.

Lenient on what describes (a patient's name), strict on what decides (identity, start, kind,
location): a record without that is set aside, and never guessed. No message holds a value.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import business_date
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    QuarantinedRecord,
    RecordKind,
)
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.port import ContractViolation


class Unreadable(ValueError):
    """A field that decides cannot be read; the message names it."""


def appointment_in(record: Any, zone: ZoneInfo) -> PimsAppointment:
    """The appointment in one record of the calendar.

    Raises:
        Unreadable: If its identity, start or kind cannot be read.
    """
    fields = _object(record)
    start = _start(fields.get("start"))
    minutes = fields.get("minutes")
    length = timedelta(minutes=minutes if type(minutes) is int and minutes > 0 else 0)
    patient, owner = _object(fields.get("patient")), _object(fields.get("owner"))
    return PimsAppointment(
        appointment_id=identity_of(fields),
        scheduled_start=start,
        scheduled_end=start + length,
        business_date=business_date(start, zone),
        kind=_kind(fields.get("kind")),
        status=_text(fields.get("state")) or "",
        reason=_text(fields.get("reason")),
        patient=Patient(id=_text(patient.get("id")), name=_text(patient.get("name")) or ""),
        client=Client(name=_text(owner.get("name")) or "", phone=_text(owner.get("phone"))),
    )


def identity_of(record: Any) -> str:
    """The identity of a record.

    Raises:
        Unreadable: If it has none.
    """
    found = _object(record).get("id")
    if isinstance(found, str) and found:
        return found
    raise Unreadable("id")


def location_of(record: Any) -> str:
    """The location that a record belongs to.

    Raises:
        Unreadable: If it names none.
    """
    found = _object(record).get("location")
    if isinstance(found, str) and found:
        return found
    raise Unreadable("location")


def set_aside(record: Any, problem: Unreadable) -> QuarantinedRecord:
    """A record that cannot be read, by its identity if that can be."""
    try:
        identity = identity_of(record)
    except Unreadable:
        identity = None
    return QuarantinedRecord(
        record_key=identity or f"sha256:{digest(canonical_json({'record': record}))}",
        pims_id=identity,
        error_class=type(problem).__name__,
        error_message=f"the field {problem} cannot be read",
    )


def consultation_in(note: Any, appointment: PimsAppointment) -> PimsConsultation:
    """The consultation in a response to a request for a note.

    Raises:
        ContractViolation: If it is the note of another appointment or patient.
    """
    fields = _object(note)
    patient = _object(fields.get("patient"))
    identity = fields.get("id")
    if not isinstance(identity, str) or fields.get("appointment_id") != appointment.appointment_id:
        raise ContractViolation("Paw Planner sent another note than the requested one.")
    if patient.get("id") != appointment.patient.id:
        raise ContractViolation("Paw Planner's note is of another patient than the appointment.")
    return PimsConsultation(
        appointment_id=appointment.appointment_id,
        consultation_id=identity,
        notes=_text(fields.get("text")),
        patient=Patient(
            id=appointment.patient.id,
            name=_text(patient.get("name")) or "",
            species=_text(patient.get("species")),
        ),
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _start(value: Any) -> datetime:
    try:
        start = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        start = None
    if start is None or start.tzinfo is None:
        raise Unreadable("start")
    return start.astimezone(UTC)


def _kind(value: Any) -> RecordKind:
    if value in ("appointment", "block"):
        return RecordKind(value)
    raise Unreadable("kind")
