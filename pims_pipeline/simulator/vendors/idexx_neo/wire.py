"""The calendar in the vendor's JSON: listing records, one appointment, a consultation's page.

The same record always has the same shape, because its id decides the shape. Requests are read in
``endpoints``; what the calendar holds is decided in ``practice``.
"""

import json
from datetime import date, datetime
from typing import Literal
from zlib import crc32

from pims_pipeline.simulator.practice.calendar import DAYS_KEPT, Calendar
from pims_pipeline.simulator.practice.clinics import ListingShape, SimulatedClinic
from pims_pipeline.simulator.practice.consultations import Consultation, Vitals
from pims_pipeline.simulator.practice.entries import Entry
from pims_pipeline.simulator.practice.rooms import Rooms
from pims_pipeline.simulator.practice.vocabulary import TYPES

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
DeletedLookup = Literal["flag", "not_found", "null", "gone"]
"""How a lookup shows a deleted record: ``deleted: true``, 404, ``appointment: null``, 410."""

AT_FIRST = Rooms()
"""Rooms and providers under the names that they had at the start."""
_TRUE: tuple[Json, ...] = (True, 1, "1")
_FALSE: tuple[Json, ...] = (False, 0, "0")


class Listings:
    """A calendar's listings as JSON text; each day is encoded once until it changes."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._encoded: dict[
            date, tuple[tuple[Entry, ...], tuple[tuple[datetime, str], ...]]
        ] = {}  # fmt: skip

    def between(self, start: datetime, end: datetime) -> list[str]:
        """Records whose start lies from ``start`` to ``end``, both included, each as JSON text."""
        listed: list[str] = []
        for day in range(start.toordinal(), end.toordinal() + 1):
            listed += [text for at, text in self._day(date.fromordinal(day)) if start <= at <= end]
        return listed

    def _day(self, day: date) -> tuple[tuple[datetime, str], ...]:
        entries = self._calendar.day(day)
        known = self._encoded.get(day)
        if known is not None and known[0] is entries:
            return known[1]
        if len(self._encoded) >= DAYS_KEPT:
            self._encoded.clear()
        company_id, rooms = self._calendar.clinic.company_id, self._calendar.rooms
        encoded = tuple(
            (entry.start, json.dumps(listing_record(entry, company_id, rooms), ensure_ascii=False))
            for entry in entries
            if not entry.deleted
        )
        self._encoded[day] = (entries, encoded)
        return encoded


def listing_body(records: list[str], shape: ListingShape) -> str:
    """The listing's whole body: an array, or an object with the array under ``shape``."""
    array = f"[{','.join(records)}]"
    return array if shape == "array" else f'{{"{shape}":{array},"count":{len(records)}}}'


def _variant(entry: Entry, company_id: str) -> int:
    """A number that stays with the record, so that edits do not change its shapes."""
    return crc32(f"{company_id}:{entry.id}".encode())


def _flag(value: bool, variant: int) -> Json:  # noqa: FBT001 - a flag's value is the argument
    return (_TRUE if value else _FALSE)[variant % 3]


def _local(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def _id(number: int | None, *, as_text: bool) -> Json:
    return str(number) if as_text and number is not None else number


def listing_record(entry: Entry, company_id: str, rooms: Rooms = AT_FIRST) -> dict[str, Json]:
    """One record of ``getCalendarEventData``."""
    variant = _variant(entry, company_id)
    as_text = variant % 2 == 0
    record: dict[str, Json] = {
        **_listing_ids(entry, variant, as_text=as_text),
        "consultation_id": _id(entry.consultation_id, as_text=variant % 5 < 2),  # noqa: PLR2004
        "start": _local(entry.start),
        "end": _local(entry.end),
        "arrival_date_time": _local(entry.arrival),
        "last_updated_at": _local(entry.last_updated_at),
        **_listing_people(entry, as_text=as_text),
        **_listing_resources(entry, variant, rooms),
        "title": _title(entry),
        "type_description": entry.type,
        "reason": entry.reason,
        "current_status": entry.status,
        "status_label": entry.status.title(),
        "confirmed_status": "confirmed" if entry.status == "Confirmed" else "unconfirmed",
        "is_block": _flag(entry.kind == "block", variant),
        "is_roster": _flag(entry.kind == "roster", variant // 3),
        "recurring": _flag(entry.recurring, variant // 9),
        "is_unmatched": _flag(entry.walk_in, variant // 27),
        "backgroundColor": "#7fb3d5",
        "editable": True,
    }
    return record


def _listing_ids(entry: Entry, variant: int, *, as_text: bool) -> dict[str, Json]:
    """``appointment_id`` wins where it is: then ``id`` may be the calendar event's own number."""
    shown = entry.series_id or entry.id
    own = _id(shown, as_text=as_text)
    if entry.kind != "appointment":
        return {"id": own, "appointment_id": None}
    if variant % 7 == 0:
        return {"id": own}
    if variant % 7 == 1:
        return {"id": f"event-{entry.id}", "appointment_id": own}
    return {"id": own, "appointment_id": _id(shown, as_text=not as_text)}


def _listing_resources(entry: Entry, variant: int, rooms: Rooms) -> dict[str, Json]:
    """The provider by name alone; the column is the provider's, or 0 for none."""
    room = rooms.room_id(entry.room)
    return {
        "provider": rooms.shown(entry.provider),
        "resourceId": rooms.provider_id(entry.provider) or 0,
        "appointment_room_id": _id(room, as_text=variant % 3 == 0),
        "appointment_room_name": rooms.shown(entry.room),
    }


def _listing_people(entry: Entry, *, as_text: bool) -> dict[str, Json]:
    patient, client = entry.patient, entry.client
    return {
        "patient_id": _id(patient.id, as_text=as_text) if patient else None,
        "patient_name": patient.name if patient else ("Walk-in" if entry.walk_in else ""),
        "client_id": client.id if client else None,
        "first_name": client.first_name if client else None,
        "last_name": client.last_name if client else None,
        "email": client.email if client else None,
        "phone_number": client.phone if client else "",
        "phone_label": client.phone_label if client else None,
    }


def _title(entry: Entry) -> str | None:
    if entry.kind != "appointment":
        return entry.title
    name = entry.patient.name if entry.patient else "Walk-in"
    return f"{name} - {entry.type}" if entry.type else name


def appointment_body(entry: Entry, company_id: str, rooms: Rooms = AT_FIRST) -> dict[str, Json]:
    """The response of ``getAppointment``."""
    variant = _variant(entry, company_id)
    return {
        "appointment": {
            "id": str(entry.id),
            "status": entry.status,
            "startAtLocal": _local(entry.start),
            "endAtLocal": _local(entry.end),
            "notes": entry.booking_notes,
            "deleted": entry.deleted,
            "block": entry.kind == "block",
            "roster": entry.kind == "roster",
            "cancelledReason": entry.cancelled_reason,
            "consultationId": entry.consultation_id,
            "patient": _lookup_patient(entry),
            "appointmentType": {"id": variant % 17 + 1, "name": entry.type} if entry.type else None,
            "appointmentRoom": _named(rooms.room_id(entry.room), rooms.shown(entry.room)),
            "provider": _named(rooms.provider_id(entry.provider), rooms.shown(entry.provider)),
        }
    }


def _named(identity: int | None, name: str | None) -> Json:
    return None if identity is None else {"id": identity, "name": name}


def dictionary_body(rooms: Rooms) -> dict[str, Json]:
    """The response of ``getAppointmentView``; ids of rooms are text, those of providers numbers."""
    providers: list[Json] = [
        {"id": identity, "name": name} for identity, name in rooms.listed_providers()
    ]
    return {
        "slotInterval": 15,
        "businessHours": [
            {"daysOfWeek": [1, 2, 3, 4, 5], "startTime": "08:00", "endTime": "18:00"}
        ],
        "appointmentTypes": [
            {"id": number, "name": name, "duration": minutes, "color": "#7fb3d5"}
            for number, (name, _, minutes) in enumerate(TYPES, start=1)
            if name
        ],
        "appointmentRooms": [
            {"id": str(identity), "name": name} for identity, name in rooms.listed_rooms()
        ],
        "providers": providers,
        "resources": [
            {"id": identity, "title": name} for identity, name in rooms.listed_providers()
        ],
    }


def _lookup_patient(entry: Entry) -> Json:
    patient, client = entry.patient, entry.client
    if patient is None:
        return None
    return {
        "id": patient.id,
        "name": patient.name,
        "breed": {"id": crc32(patient.breed.encode()) % 900, "name": patient.breed},
        "species": {"id": crc32(patient.species.encode()) % 90, "name": patient.species},
        "client": None
        if client is None
        else {
            "id": client.id,
            "firstName": client.first_name,
            "lastName": client.last_name,
            "email": client.email,
            "homePhone": client.phone,
        },
    }


def consultation_body(
    entry: Entry, content: Consultation, clinic: SimulatedClinic
) -> dict[str, Json]:
    """The response of ``page-data``."""
    variant = _variant(entry, clinic.company_id)
    patient, client = entry.patient, entry.client
    consultation: dict[str, Json] = {
        "id": _id(entry.consultation_id, as_text=variant % 2 == 0),
        "reason": entry.reason,
        "notes": entry.booking_notes,
        "date": _local(entry.start),
        "status": entry.status,
    }
    if content.discharge is not None:
        consultation["dischargeSummary"] = content.discharge
    body: dict[str, Json] = {
        "consultation": consultation,
        "patient": {
            "id": patient.id if patient else None,
            "name": patient.name if patient else "Walk-in",
            "species": patient.species if patient else None,
            "breed": patient.breed if patient else None,
        },
        "client": {
            "id": client.id if client else None,
            "firstName": client.first_name if client else None,
            "lastName": client.last_name if client else None,
        },
        "pageData": {
            "providers": (
                [{"id": AT_FIRST.provider_id(entry.provider), "name": entry.provider}]
                if entry.provider
                else []
            )
        },
        "consultationNotes": {"notes": content.notes_html},
        "consultationLines": [
            {
                "id": line.id,
                "productService": line.product,
                "quantity": str(line.quantity) if variant % 3 == 0 else line.quantity,
                "isDeclined": _flag(line.declined, variant // 3),
            }
            for line in content.lines
        ],
        "vitalSignGroup": vitals_body(content, variant),
    }
    if content.diagnoses is not None:
        body["diagnoses"] = [
            _diagnosis(name, code, as_object=content.diagnoses_are_objects)
            for name, code in content.diagnoses
        ]
    return body


def _diagnosis(name: str, code: str | None, *, as_object: bool) -> Json:
    if not as_object:
        return name
    return {"name": name} if code is None else {"name": name, "code": code}


def vitals_body(content: Consultation, variant: int) -> Json:
    """``vitalSignGroup`` in the shape of ``content``: an object, a list, or nothing."""
    if content.vitals is None or content.vitals_shape == "none":
        return None
    if content.vitals_shape == "object":
        return _vitals_object(content.vitals, as_text=variant % 4 == 0)
    return _vitals_list(content.vitals, variant)


def _vitals_object(vitals: Vitals, *, as_text: bool) -> Json:
    return {
        "temperature": str(vitals.temperature) if as_text else vitals.temperature,
        "temperatureUnit": vitals.temperature_unit,
        "pulse": str(vitals.pulse) if as_text else vitals.pulse,
        "respiration": vitals.respiration,
        "weight": str(vitals.weight) if as_text else vitals.weight,
        "weightUnit": vitals.weight_unit,
    }


def _vitals_list(vitals: Vitals, variant: int) -> Json:
    rows: list[Json] = [
        {
            "name": "Temperature",
            "value": str(vitals.temperature),
            "unit": f"°{vitals.temperature_unit}",
        },
        {"name": "Pulse", "value": str(vitals.pulse), "unit": "bpm"},
        {"name": "Respiration", "value": str(vitals.respiration), "unit": "brpm"},
        {"name": "Weight", "value": str(vitals.weight), "unit": vitals.weight_unit},
    ]
    if variant % 6 == 0:
        rows[1] = {"name": "Pulse", "value": "", "unit": None}
    return rows
