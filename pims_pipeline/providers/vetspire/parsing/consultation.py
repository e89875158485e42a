"""An encounter as a consultation. Pure: no I/O, no clock.

Only what decides whose consultation it is must be readable; another field that cannot be read is
left out and counted.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import business_date
from pims_pipeline.domain.records.appointments import Patient, PimsAppointment
from pims_pipeline.domain.records.consultations import PimsConsultation, SoapNotes, split_soap
from pims_pipeline.domain.records.oddities import combined
from pims_pipeline.providers.parsing.bodies import check_identity, violations_with
from pims_pipeline.providers.parsing.fields import (
    Fields,
    UnreadableField,
    as_mapping,
    as_timestamp,
)
from pims_pipeline.providers.parsing.markup import plain_text, was_cut
from pims_pipeline.providers.vetspire.parsing.data import identity_inside, violation
from pims_pipeline.providers.vetspire.parsing.listing import UTC_ZONE
from pims_pipeline.providers.vetspire.parsing.shapes import encounter_shapes
from pims_pipeline.providers.vetspire.parsing.vitals import read_vitals

WHAT = "a consultation"
_SOAP = ("subjective", "objective", "assessment", "plan")
_WORDS_IN_VITALS = "Vital signs noted in words: "


def parse_encounter(
    row: object, *, appointment: PimsAppointment, zone: ZoneInfo
) -> PimsConsultation | None:
    """The consultation in ``row``, of the given appointment; None if there is none.

    ``notes`` holds everything: the four parts of the SOAP note, then the sections that the clinic
    named itself, then a last line with the vital signs that are no numbers. The status is "signed"
    once the notes are finished; they may be corrected after that.

    Args:
        row: The value of the query's field.
        appointment: Whose consultation was requested.
        zone: The clinic's time zone.

    Raises:
        ContractViolation: If it is no consultation, or another appointment's.
    """
    if row is None:
        return None
    shapes = encounter_shapes(row)
    with violations_with(shapes):
        fields = _own_fields(row, appointment)
    return replace(_consultation(fields, appointment, zone), shapes=shapes)


def _own_fields(row: object, appointment: PimsAppointment) -> Fields:
    try:
        fields = Fields(as_mapping(row, "encounter"), "consultation")
        check_identity(fields.get("id"), appointment.consultation_id, "encounter.id")
        _check_appointment(fields, appointment)
    except UnreadableField as error:
        raise violation(WHAT, str(error)) from error
    return fields


def _check_appointment(fields: Fields, appointment: PimsAppointment) -> None:
    """Refuse the consultation of another appointment; one may be of none, as for a walk-in."""
    identity = identity_inside(fields, "appointment")
    if identity is not None and identity != appointment.vendor_identity:
        raise UnreadableField("encounter.appointment.id", "is not the requested one")


def _consultation(fields: Fields, appointment: PimsAppointment, zone: ZoneInfo) -> PimsConsultation:
    soap = {name: _part(fields, name) for name in _SOAP}
    sections = "\n\n".join(_sections(fields))
    reading = read_vitals(fields)
    in_words = _WORDS_IN_VITALS + "; ".join(reading.in_words) if reading.in_words else ""
    parts = [f"{name.capitalize()}:\n{text}" for name, text in soap.items() if text]
    is_signed = fields.flag("signed")
    start = fields.lenient("start", lambda value, name: as_timestamp(value, UTC_ZONE, name))
    treatments = (*_names(fields, "treatments"), *_names(fields, "medications"))
    return PimsConsultation(
        appointment_id=appointment.appointment_id,
        consultation_id=appointment.consultation_id or "",
        consultation_date=_date(start, zone),
        status="signed" if is_signed else "unsigned",
        is_finished=is_signed,
        soap_notes=SoapNotes(**soap) if any(soap.values()) else split_soap(sections),
        notes="\n\n".join(part for part in (*parts, sections, in_words) if part) or None,
        vitals=reading.vitals,
        diagnoses=_names(fields, "problems"),
        treatments=tuple(dict.fromkeys(treatments)),
        patient=_patient(fields),
        oddities=combined(fields.odd),
    )


def _date(start: datetime | None, zone: ZoneInfo) -> date | None:
    return business_date(start, zone) if start else None


def _part(fields: Fields, name: str) -> str:
    """One part of the SOAP note: a list of texts, which may be markup."""
    found: list[str] = []
    for item in fields.items(name, alone=("value",)):
        inside = fields.of_item(item, name)
        text = _prose(inside, "value") if inside else None
        found += [text] if text else []
    return "\n".join(found)


def _sections(fields: Fields) -> Iterator[str]:
    """The sections that the clinic named itself: the name, then a line for each value."""
    for item in fields.items("sections", alone=("name", "data")):
        section = fields.of_item(item, "sections")
        if section is None:
            continue
        lines: list[str] = []
        for entry in section.items("data", alone=("value",)):
            inside = section.of_item(entry, "data")
            text = _prose(inside, "value") if inside else None
            if inside is not None and text:
                label = inside.text("label")
                lines.append(f"{label}: {text}" if label else text)
        name = section.text("name")
        if lines:
            yield "\n".join([f"{name.rstrip(':')}:", *lines] if name else lines)


def _prose(fields: Fields, name: str) -> str | None:
    """The text of a field that may be long markup; a text that is cut off is counted."""
    text = plain_text(fields.words(name) or "")
    if was_cut(text):
        fields.note(name, fields.get(name))
    return text


def _names(fields: Fields, name: str) -> tuple[str, ...]:
    """The names of a list's items, each once; an item may be a name itself."""
    found: dict[str, None] = {}
    for item in fields.items(name, alone=("name",)):
        text = Fields({f"{name}[]": item}, fields.path, fields.odd).text(f"{name}[]")
        if text:
            found[text] = None
    return tuple(found)


def _patient(fields: Fields) -> Patient | None:
    """The animal, of which only the identity is sent."""
    identity = fields.lenient("patient", lambda _value, _name: identity_inside(fields, "patient"))
    return Patient(id=identity) if identity else None
