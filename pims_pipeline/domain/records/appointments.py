"""What a vendor's calendar holds: appointments, listings of them, and single lookups.

Vendor words are kept unchanged; what they mean for a case belongs in ``cases``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.canonical import json_word
from pims_pipeline.domain.records.oddities import Oddities
from pims_pipeline.domain.records.shapes import Shapes
from pims_pipeline.domain.records.words import CaseType


class RecordKind(StrEnum):
    """What a calendar record represents; only an appointment becomes a case."""

    APPOINTMENT = "appointment"
    BLOCK = "block"
    ROSTER = "roster"


@dataclass(frozen=True, slots=True)
class Patient:
    """The animal. Calendars often carry no species or breed; consultations do."""

    id: str | None = None
    name: str = ""
    species: str | None = None
    breed: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """The animal's owner."""

    id: str | None = None
    name: str = ""
    phone: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PimsAppointment:
    """One calendar record, normalized from a vendor's response.

    Attributes:
        appointment_id: The vendor's identity of the appointment; unique within a clinic.
        consultation_id: The vendor's identity of the consultation, once one is open.
        series_id: The vendor's identity of the series, if the vendor gives several appointments
            one identity and this is one of them; otherwise None.
        scheduled_start: Aware UTC.
        scheduled_end: Aware UTC.
        business_date: The date of ``scheduled_start`` in the clinic's zone.
        status: The vendor's own words.
        appointment_type: The clinic's own words.
        stated_type: What the case is about, where the vendor states it as a fact of its own, such
            as a flag for surgery: it wins over every word. Part of the payload only if given, so
            that the digests of other records do not depend on it.
        vendor_updated_at: When the vendor last changed the record; aware UTC.
        resources: The names of its room, column and provider; see ``resources``. None when they
            are not known. Beside the payload, so that a record's digest does not depend on them.
        left_out: Whether the clinic does not sync its resources: it makes no case.
    """

    appointment_id: str
    scheduled_start: datetime
    scheduled_end: datetime
    business_date: date
    status: str = ""
    consultation_id: str | None = None
    appointment_type: str | None = None
    stated_type: CaseType | None = None
    patient: Patient = Patient()
    client: Client = Client()
    provider: str | None = None
    room: str | None = None
    reason: str | None = None
    notes: str | None = None
    kind: RecordKind = RecordKind.APPOINTMENT
    vendor_updated_at: datetime | None = None
    series_id: str | None = None
    resources: tuple[str, ...] | None = None
    left_out: bool = False

    @property
    def vendor_identity(self) -> str:
        """The vendor's identity of the appointment, or of its series."""
        return self.series_id or self.appointment_id

    @property
    def makes_case(self) -> bool:
        """Whether it becomes a case: a synced appointment does, a block does not."""
        return self.kind is RecordKind.APPOINTMENT and not self.left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRecord:
    """A record of a listing that could not be read, without its content.

    Attributes:
        pims_id: The vendor's identity, if that could be read.
        record_key: Identifies the record across listings: its identity, or ``sha256:`` and a
            digest of the raw record.
        business_date: The date, if the start could be read.
        error_message: What was wrong, without personal data.
    """

    record_key: str
    error_class: str
    error_message: str
    pims_id: str | None = None
    business_date: date | None = None


class Proof(StrEnum):
    """How it is known that a listing holds the whole window."""

    ONE_RESPONSE = "one_response"
    """The vendor sends a window in one response, which arrived whole."""
    PAGES_AGREE = "pages_agree"
    """Two passes over the pages found the same identities, or no page could shift."""
    TOTAL_MATCHED = "total_matched"
    """As many records were listed as the vendor counts."""
    LANDED = "landed"
    """Read again from what was landed of a listing that was whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one listing of a clinic's calendar returned for a window, or what changed in it.

    Attributes:
        appointments: The readable records whose business date lies in the window, each
            identity once.
        elsewhere: Vendor identities and starts of further listed records outside the window;
            they show which identities are a series.
        unreadable_elsewhere: Vendor identities of unreadable records outside the window: they
            exist, but at an unknown time.
        oddities: Descriptive fields that could not be read.
        fetched_at: Aware UTC, taken before the request was sent: the listing shows everything
            that happened at the vendor before this time.
        shapes: What the vendor sent, by path and JSON type; no part of the calendar.
        proof: How it is known that the listing holds the whole window; None if it is not known.
            Then the absence of a record proves nothing.
        changed_since: Aware UTC; if this is no listing, but what the vendor changed since then.
        left: Of such changes, the identities that the vendor itself says are no longer in the
            window: deleted, or moved to a date outside.
    """

    window: DateRange
    appointments: tuple[PimsAppointment, ...]
    fetched_at: datetime
    quarantined: tuple[QuarantinedRecord, ...] = ()
    proof: Proof | None
    elsewhere: tuple[tuple[str, datetime], ...] = ()
    unreadable_elsewhere: tuple[str, ...] = ()
    oddities: Oddities = ()
    shapes: Shapes = field(default=(), compare=False, repr=False)
    changed_since: datetime | None = None
    left: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the listing provably holds the whole window."""
        return self.proof is not None

    @property
    def hides_identities(self) -> bool:
        """Whether an unreadable record may be any of the appointments that seem absent."""
        return any(record.pims_id is None for record in self.quarantined)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentLookup:
    """The vendor's response to a lookup of one appointment by its identity.

    Attributes:
        appointment_id: The identity that was looked up. Appointments of a series share one
            response: ``scheduled_start`` shows which of them it describes.
        found: False when the vendor does not know the identity (any more).
        deleted: True when the vendor reports that the record was deleted.
        at_another_location: True when the appointment is now at another location of the vendor's
            account: this clinic does not have it any more.
        asked_at: Aware UTC, taken before the request was sent.
        resources: As ``PimsAppointment.resources``; empty if the response names none.
        left_out: Whether the clinic does not sync them.
        shapes: What the vendor sent, by path and JSON type.
    """

    appointment_id: str
    asked_at: datetime
    found: bool
    deleted: bool = False
    at_another_location: bool = False
    kind: RecordKind = RecordKind.APPOINTMENT
    status: str | None = None
    scheduled_start: datetime | None = None
    scheduled_end: datetime | None = None
    business_date: date | None = None
    oddities: Oddities = ()
    resources: tuple[str, ...] = ()
    left_out: bool = False
    shapes: Shapes = field(default=(), compare=False, repr=False)

    @property
    def exists(self) -> bool:
        """Whether the clinic still has the appointment."""
        is_gone = self.deleted or self.at_another_location
        return self.found and not is_gone and self.kind is RecordKind.APPOINTMENT


def appointment_payload(appointment: PimsAppointment) -> dict[str, Any]:
    """The appointment as JSON-ready values, keys in camelCase, times in ISO 8601."""
    updated = appointment.vendor_updated_at
    # Both only where they apply, so that every other record keeps its digest.
    series = {"seriesId": appointment.series_id} if appointment.series_id else {}
    stated = {"statedType": appointment.stated_type.value} if appointment.stated_type else {}
    return {
        **series,
        **stated,
        "appointmentId": appointment.appointment_id,
        "consultationId": appointment.consultation_id,
        "scheduledStart": appointment.scheduled_start.isoformat(),
        "scheduledEnd": appointment.scheduled_end.isoformat(),
        "businessDate": appointment.business_date.isoformat(),
        "status": appointment.status,
        "appointmentType": appointment.appointment_type,
        "patient": patient_payload(appointment.patient),
        "client": {
            "id": appointment.client.id,
            "name": appointment.client.name,
            "phone": appointment.client.phone,
            "email": appointment.client.email,
        },
        "provider": appointment.provider,
        "room": appointment.room,
        "reason": appointment.reason,
        "notes": appointment.notes,
        "kind": appointment.kind.value,
        "vendorUpdatedAt": updated.isoformat() if updated else None,
    }


def appointment_json(appointment: PimsAppointment) -> str:
    """The canonical JSON of ``appointment_payload``, byte for byte.

    Written out because it is needed for every record of every listing: this takes no longer than
    the payload alone.
    """
    each, word = appointment, json_word
    patient, client, updated = each.patient, each.client, each.vendor_updated_at
    series = f'"seriesId":{word(each.series_id)},' if each.series_id else ""
    stated = f'"statedType":"{each.stated_type}",' if each.stated_type else ""
    return (
        f'{{"appointmentId":{word(each.appointment_id)},'
        f'"appointmentType":{word(each.appointment_type)},'
        f'"businessDate":"{each.business_date.isoformat()}",'
        f'"client":{{"email":{word(client.email)},"id":{word(client.id)},'
        f'"name":{word(client.name)},"phone":{word(client.phone)}}},'
        f'"consultationId":{word(each.consultation_id)},'
        f'"kind":"{each.kind}","notes":{word(each.notes)},'
        f'"patient":{{"breed":{word(patient.breed)},"id":{word(patient.id)},'
        f'"name":{word(patient.name)},"species":{word(patient.species)}}},'
        f'"provider":{word(each.provider)},"reason":{word(each.reason)},'
        f'"room":{word(each.room)},'
        f'"scheduledEnd":"{each.scheduled_end.isoformat()}",'
        f'"scheduledStart":"{each.scheduled_start.isoformat()}",{series}'
        f'{stated}"status":{word(each.status)},'
        f'"vendorUpdatedAt":{word(updated.isoformat() if updated else None)}}}'
    )


def patient_payload(patient: Patient) -> dict[str, str | None]:
    """The patient as JSON-ready values."""
    return {
        "id": patient.id,
        "name": patient.name,
        "species": patient.species,
        "breed": patient.breed,
    }


def appointment_from_payload(
    payload: Mapping[str, Any],
    *,
    resources: Iterable[str] | None = None,
    left_out: bool = False,
) -> PimsAppointment:
    """The appointment from which ``appointment_payload`` made ``payload``."""
    updated = payload["vendorUpdatedAt"]
    return PimsAppointment(
        appointment_id=payload["appointmentId"],
        consultation_id=payload["consultationId"],
        scheduled_start=datetime.fromisoformat(payload["scheduledStart"]),
        scheduled_end=datetime.fromisoformat(payload["scheduledEnd"]),
        business_date=date.fromisoformat(payload["businessDate"]),
        status=payload["status"],
        appointment_type=payload["appointmentType"],
        patient=Patient(**payload["patient"]),
        client=Client(**payload["client"]),
        provider=payload["provider"],
        room=payload["room"],
        reason=payload["reason"],
        notes=payload["notes"],
        kind=RecordKind(payload["kind"]),
        vendor_updated_at=datetime.fromisoformat(updated) if updated else None,
        series_id=payload.get("seriesId"),
        stated_type=CaseType(payload["statedType"]) if "statedType" in payload else None,
        resources=None if resources is None else tuple(resources),
        left_out=left_out,
    )
