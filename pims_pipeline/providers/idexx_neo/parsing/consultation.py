"""The vendor's page of one consultation as a domain value. Pure: no I/O, no clock.

Markup belongs in ``markup``, vital signs in ``vitals``.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime

from pims_pipeline.domain.records.appointments import (
    Patient,
    PimsAppointment,
)
from pims_pipeline.domain.records.consultations import PimsConsultation, split_soap
from pims_pipeline.domain.records.oddities import combined
from pims_pipeline.domain.records.shapes import Endpoint
from pims_pipeline.providers.idexx_neo.parsing.responses import (
    decoded_json,
    response_object,
    violation,
)
from pims_pipeline.providers.idexx_neo.parsing.shapes import neo_shapes
from pims_pipeline.providers.idexx_neo.parsing.vitals import GROUP, VitalsReading, read_vitals
from pims_pipeline.providers.parsing.bodies import check_identity, violations_with
from pims_pipeline.providers.parsing.fields import (
    Fields,
    UnreadableField,
    as_identity,
    as_mapping,
    as_text,
)
from pims_pipeline.providers.parsing.markup import plain_text, was_cut

_WORDS_IN_VITALS = "Vital signs noted in words: "


def parse_consultation(
    body: bytes | str, *, appointment: PimsAppointment
) -> PimsConsultation | None:
    """The consultation in ``body``, of the given appointment.

    None for one of a series when the consultation is of another date: it then belongs to
    another occurrence, which shares the consultation's identity.

    ``notes`` holds everything: the clinical notes, then the consultation's own remarks, then a last
    line with the vital signs that were given in words ("weight: too lively to weigh"). SOAP
    headings are looked for in the clinical notes alone, so that the additions do not become part
    of the plan.

    Only the identity must be readable. Another field that cannot be read is left out and counted
    in ``oddities``.

    Raises:
        ContractViolation: If ``body`` is not a consultation, or another appointment's.
    """
    what = "a consultation"
    decoded = decoded_json(body, what)
    shapes = neo_shapes(Endpoint.CONSULTATION, decoded)
    with violations_with(shapes):
        response = response_object(decoded, what, "consultation")
        found = _own_consultation(response, appointment)
    return replace(found, shapes=shapes) if found else None


def _own_consultation(
    response: Mapping[str, object], appointment: PimsAppointment
) -> PimsConsultation | None:
    try:
        record = as_mapping(response["consultation"], "consultation")
        check_identity(record.get("id"), appointment.consultation_id, "consultation.id")
    except UnreadableField as error:
        raise violation("a consultation", str(error)) from error
    found = _consultation(Fields(response, "consultation"), record, appointment)
    day = found.consultation_date
    is_anothers = appointment.series_id is not None and day not in {None, appointment.business_date}
    return None if is_anothers else found


def _consultation(
    page: Fields, record: Mapping[str, object], appointment: PimsAppointment
) -> PimsConsultation:
    own = Fields(record, "consultation.consultation", page.odd)
    clinical = _prose(page.inside("consultationNotes"), "notes")
    remarks = _prose(own, "notes")
    reading = _vitals(page)
    in_words = _WORDS_IN_VITALS + "; ".join(reading.in_words) if reading.in_words else None
    parts = dict.fromkeys(part for part in (clinical, remarks, in_words) if part)
    lines = _lines(page)
    consultation_date = own.lenient(
        "date", lambda value, name: _day(value, name, appointment.business_date)
    )
    found = PimsConsultation(
        appointment_id=appointment.appointment_id,
        consultation_id=as_identity(record.get("id"), "id") or "",
        consultation_date=consultation_date,
        status=own.text("status"),
        soap_notes=split_soap(clinical or remarks or ""),
        notes="\n\n".join(parts) or None,
        vitals=reading.vitals,
        diagnoses=_diagnoses(page),
        treatments=tuple(name for name, declined in lines if not declined),
        declined_treatments=tuple(name for name, declined in lines if declined),
        discharge_instructions=_prose(own, "dischargeSummary"),
        reason=_prose(own, "reason"),
        patient=_patient(page),
    )
    return replace(found, oddities=combined(page.odd))


def _prose(fields: Fields, name: str) -> str | None:
    """The text of a field that may be long markup; a text that is cut off is counted."""
    text = plain_text(fields.words(name) or "")
    if was_cut(text):
        fields.note(name, fields.get(name))
    return text


def _day(value: object, name: str, booked_on: date) -> date | None:
    """The record's date; the booked date when it is a time with a zone."""
    text = as_text(value, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        problem = "is not a date"
    else:
        return moment.date() if moment.tzinfo is None else booked_on
    raise UnreadableField(name, problem)


def _patient(page: Fields) -> Patient | None:
    if page.get("patient") is None:
        return None
    record = page.inside("patient")
    if not record.values:
        return None
    return Patient(
        id=record.identity("id"),
        name=record.text("name") or "",
        species=record.text("species"),
        breed=record.text("breed"),
    )


def _lines(page: Fields) -> list[tuple[str, bool]]:
    """Products and services with their quantity, and whether the client declined them."""
    lines: list[tuple[str, bool]] = []
    for item in page.items("consultationLines", alone=("productService",)):
        line = page.of_item(item, "consultationLines")
        if line is None:
            continue
        name = line.text("productService")
        quantity = line.lenient("quantity", as_text)
        declined = line.flag("isDeclined")
        if name is not None:
            alone = quantity in (None, "1", "1.0", "1.00")
            lines.append((name if alone else f"{name} × {quantity}", declined))
    return lines


def _diagnoses(page: Fields) -> tuple[str, ...]:
    """Diagnoses by name, with the code in brackets where there is one; each once."""
    found: dict[str, None] = {}
    for item in page.items("diagnoses", alone=("name", "code")):
        name = code = None
        if isinstance(item, Mapping):
            fields = Fields(item, f"{page.path}.diagnoses[]", page.odd)
            name, code = fields.text("name"), fields.lenient("code", as_text)
        else:
            name = Fields({"diagnoses[]": item}, page.path, page.odd).text("diagnoses[]")
        if text := f"{name} ({code})" if name and code else name or code:
            found[text] = None
    return tuple(found)


def _vitals(page: Fields) -> VitalsReading:
    reading = read_vitals(page.get(GROUP))
    for path, value in reading.oddities:
        page.note(path, value)
    return reading
