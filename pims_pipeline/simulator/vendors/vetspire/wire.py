"""A clinic's calendar in the vendor's words: appointments, types, locations.

Ids are text, statuses the vendor's words, times UTC or with an offset. Which rows a query gives is
decided in ``queries``; encounters are in ``encounters``.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from zlib import crc32

from pims_pipeline.simulator.practice.calendar import Calendar
from pims_pipeline.simulator.practice.clinics import SimulatedClinic
from pims_pipeline.simulator.practice.entries import Client, Entry, Patient
from pims_pipeline.simulator.practice.vocabulary import TYPES

Row = dict[str, object]

_STATUSES: Mapping[str, tuple[str, ...]] = {
    "not arrived": ("PLANNED",),
    "Confirmed": ("CONFIRMED",),
    "Checked In": ("CHECKED_IN", "Checked-in"),
    "In Progress": ("IN_PROGRESS", "IN_PROGRESS", "In Progress"),
    "Ready to Pay": ("CHECKING_OUT",),
    "Finalized": ("COMPLETED", "CHECKED_OUT"),
    "Cancelled": ("CANCELLED",),
    "No Show": ("NO_SHOW",),
}
"""The vendor's words for a calendar's statuses; of several, a record's id chooses."""
FINISHED = frozenset({"Finalized"})
"""Statuses of appointments that the listing leaves out unless it is asked for them."""
_SURGERIES = frozenset({"Dental - Surgery", "SURGERY (spay)", "Neuter"})
_EXAMS = frozenset({"Exam/vaccines", "Wellness", "Sick pet - exam"})
_DROPOFFS = frozenset({"Diagnostic: bloods & x-ray"})
_BLOCKOFF = "Block Off"
_BLOCKOFF_ID = 90
_FIRST_OTHER_TYPE = 500


def variant_of(entry: Entry, clinic: SimulatedClinic) -> int:
    """A number that stays with the record, so that edits do not change its shapes."""
    return crc32(f"{clinic.company_id}:{entry.id}".encode())


def utc_of(local: datetime, clinic: SimulatedClinic) -> datetime:
    """The time at which the clinic's clocks show ``local``, the first time if they do twice."""
    return local.replace(tzinfo=clinic.zone, fold=0).astimezone(UTC)


def shown(moment: datetime, clinic: SimulatedClinic) -> str:
    """A time as the vendor shows it to that clinic."""
    if clinic.shown_times == "offset":
        return moment.astimezone(clinic.zone).isoformat(timespec="seconds")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def inserted_at(entry: Entry, calendar: Calendar) -> datetime:
    """When the record was booked, in UTC; no edit changes it."""
    days = 1 + variant_of(entry, calendar.clinic) % 30
    made = min(calendar.made_on(entry.id), calendar.today) - timedelta(days=days)
    return utc_of(datetime.combine(made, time(9)), calendar.clinic)


def updated_at(entry: Entry, calendar: Calendar) -> datetime:
    """When the record was last changed, in UTC."""
    if entry.last_updated_at is None:
        return inserted_at(entry, calendar)
    return utc_of(entry.last_updated_at, calendar.clinic)


def changed_between(
    entry: Entry, calendar: Calendar, start: datetime | None, end: datetime | None
) -> bool:
    """Whether the record was last changed from ``start`` on, and before ``end``."""
    changed = updated_at(entry, calendar)
    return (start is None or start <= changed) and (end is None or changed < end)


def appointment_row(entry: Entry, calendar: Calendar) -> Row:
    """One appointment, or a block, without its encounters."""
    clinic, rooms = calendar.clinic, calendar.rooms
    variant = variant_of(entry, clinic)
    return {
        "id": str(entry.id),
        "start": shown(utc_of(entry.start, clinic), clinic),
        "duration": (entry.end - entry.start) // timedelta(minutes=1),
        "status": status_word(entry.status, variant),
        "isConfirmed": entry.status == "Confirmed",
        "bookedOnline": variant % 4 == 0,
        "reason": entry.reason if entry.kind == "appointment" else entry.title,
        "note": entry.booking_notes or None,
        "deleted": entry.deleted,
        "insertedAt": shown(inserted_at(entry, calendar), clinic),
        "updatedAt": shown(updated_at(entry, calendar), clinic),
        "type": type_of(entry),
        "provider": named(rooms.provider_id(entry.provider), rooms.shown(entry.provider)),
        "location": location_row(clinic),
        "patient": patient_row(entry.patient, entry.client),
    }


def words_for(status: str) -> tuple[str, ...]:
    """The vendor's words for a status; a word that the calendar does not know is kept."""
    return _STATUSES.get(status, (status,))


def status_word(status: str, variant: int) -> str:
    """One of the words for a status."""
    words = words_for(status)
    return words[variant % len(words)]


def named(identity: int | None, name: str | None) -> Row | None:
    """Something that has an id and a name."""
    return None if identity is None else {"id": str(identity), "name": name}


def location_row(clinic: SimulatedClinic) -> Row:
    """The clinic, as a location of its organisation."""
    return {"id": clinic.company_id, "name": clinic.name, "timezone": clinic.timezone}


def patient_row(patient: Patient | None, client: Client | None) -> Row | None:
    """The animal with its owner."""
    if patient is None:
        return None
    return {
        "id": str(patient.id),
        "name": patient.name,
        "species": patient.species,
        "breed": patient.breed,
        "client": client_row(client),
    }


def client_row(client: Client | None) -> Row | None:
    """The owner; of two phone numbers the second is the preferred one."""
    if client is None:
        return None
    phones: list[Row] = [{"value": client.phone, "preferred": True}] if client.phone else []
    if phones and client.id % 3 == 0:
        phones.insert(0, {"value": "555-0100", "preferred": False})
    return {
        "id": str(client.id),
        "givenName": client.first_name,
        "familyName": client.last_name,
        "email": client.email,
        "phoneNumbers": phones,
    }


def type_of(entry: Entry) -> Row | None:
    """The record's type; one that the clinic does not list has an id of its own."""
    if entry.kind != "appointment":
        return type_row(_BLOCKOFF_ID, _BLOCKOFF)
    if entry.type is None:
        return None
    names = [name for name, _, _ in TYPES]
    other = _FIRST_OTHER_TYPE + crc32(entry.type.encode()) % 400
    return type_row(names.index(entry.type) + 1 if entry.type in names else other, entry.type)


def type_row(identity: int, name: str) -> Row:
    """One appointment type."""
    return {
        "id": str(identity),
        "name": name,
        "isBlockoff": name == _BLOCKOFF,
        "isSurgery": name in _SURGERIES,
        "isExam": name in _EXAMS,
        "isDropoff": name in _DROPOFFS,
    }


def type_rows() -> Iterable[Row]:
    """The organisation's appointment types."""
    for number, (name, _, _) in enumerate(TYPES, start=1):
        if name is not None:
            yield type_row(number, name)
    yield type_row(_BLOCKOFF_ID, _BLOCKOFF)
