"""Consultations in the vendor's words: encounters with notes, vitals, problems, products.

An encounter is signed once its appointment is finished. Notes lie in the four lists of a SOAP
note, in sections that a clinic named itself, or, where a person wrote them, in one section.
"""

import html
from collections.abc import Sequence

from pims_pipeline.simulator.practice.calendar import Calendar
from pims_pipeline.simulator.practice.consultations import Consultation, Soap
from pims_pipeline.simulator.practice.entries import Entry
from pims_pipeline.simulator.vendors.vetspire.wire import (
    FINISHED,
    Row,
    appointment_row,
    inserted_at,
    named,
    patient_row,
    shown,
    updated_at,
    utc_of,
    variant_of,
)

_NO_NOTES: Row = {"sections": [], **{part: [] for part in Soap._fields}}
_NO_CONTENT: Row = {
    **_NO_NOTES,
    "problems": [],
    "medications": [],
    "treatments": [],
    "vitals": [],
}


def is_signed(entry: Entry) -> bool:
    """Whether the vet has signed the encounter; it may still be corrected afterwards."""
    return entry.status in FINISHED and entry.notes_written


def appointment_with_encounters(entry: Entry, calendar: Calendar) -> Row:
    """The appointment, with what only some queries ask for."""
    opened = [entry] if entry.consultation_id is not None else []
    return {
        **appointment_row(entry, calendar),
        # Made only when a query asks for it; graphql-core passes the query's details.
        "encounters": lambda _info: [encounter_row(each, calendar) for each in opened],
    }


def encounter_row(entry: Entry, calendar: Calendar) -> Row:
    """The encounter of an appointment that was opened."""
    clinic, rooms = calendar.clinic, calendar.rooms
    signed = is_signed(entry)
    content = calendar.consultation_of(entry)
    patient, client = entry.written_for or (entry.patient, entry.client)
    changed = updated_at(entry, calendar)
    return {
        "id": str(entry.consultation_id),
        "appointment": lambda _info: appointment_with_encounters(entry, calendar),
        "patient": patient_row(patient, client),
        "provider": named(rooms.provider_id(entry.provider), rooms.shown(entry.provider)),
        "start": shown(utc_of(entry.arrival or entry.start, clinic), clinic),
        "title": entry.type or "Encounter",
        "signed": signed,
        "signedDatetime": shown(changed, clinic) if signed else None,
        "insertedAt": shown(inserted_at(entry, calendar), clinic),
        "updatedAt": shown(changed, clinic),
        **(_content(content, entry, calendar) if content else _NO_CONTENT),
    }


def _content(content: Consultation, entry: Entry, calendar: Calendar) -> Row:
    variant = variant_of(entry, calendar.clinic)
    products: list[Row] = [
        {"id": str(line.id), "name": line.product} for line in content.lines if not line.declined
    ]
    measured_at = shown(utc_of(entry.arrival or entry.start, calendar.clinic), calendar.clinic)
    return {
        **_notes(content, variant),
        "problems": _problems(content),
        "medications": [row for row in products if _is_medicine(row)],
        "treatments": [row for row in products if not _is_medicine(row)],
        "vitals": _vitals(content, entry, measured_at),
    }


def _notes(content: Consultation, variant: int) -> Row:
    if content.soap is None:
        return {**_NO_NOTES, "sections": [_section("Notes", content.notes_html)]}
    parts = content.soap._asdict()
    if variant % 3 == 0:
        sections = [
            _section(name.title(), f"<p>{html.escape(text, quote=False)}</p>")
            for name, text in parts.items()
        ]
        return {**_NO_NOTES, "sections": sections}
    return {**_NO_NOTES, **{name: [{"value": text}] for name, text in parts.items()}}


def _section(name: str, text: str) -> Row:
    return {"name": name, "data": [{"value": text, "label": None}]}


def _problems(content: Consultation) -> list[Row]:
    found: Sequence[tuple[str, str | None]] = content.diagnoses or ()
    return [{"id": str(number), "name": name} for number, (name, _) in enumerate(found, start=1)]


def _is_medicine(product: Row) -> bool:
    return any(unit in str(product["name"]) for unit in ("mg/ml", "vaccine", "tablet"))


def _vitals(content: Consultation, entry: Entry, measured_at: str) -> list[Row]:
    """At most one measurement; the unit of its temperature is not given."""
    vitals = content.vitals
    if vitals is None:
        return []
    return [
        {
            "id": str(entry.id * 10 + 1),
            "datetime": measured_at,
            "temp": vitals.temperature,
            "heartRate": vitals.pulse,
            "respRate": vitals.respiration,
            "weight": vitals.weight,
            "weightUnit": "lbs" if vitals.weight_unit == "lb" else vitals.weight_unit,
        }
    ]
