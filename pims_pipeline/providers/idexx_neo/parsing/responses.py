"""The vendor's responses as domain values. Pure: no I/O, no clock.

A response that is not what the vendor promises raises ``ContractViolation``. Messages name fields
and problems, never contents. Bytes belong in ``decoding``, single values in ``fields``, a listing's
records in ``listing``, markup in ``markup``, vital signs in ``vitals``.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange, business_date
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    Patient,
    PimsAppointment,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.consultations import PimsConsultation, split_soap
from pims_pipeline.domain.records.oddities import combined
from pims_pipeline.providers.idexx_neo.parsing.decoding import parse_json, text_of
from pims_pipeline.providers.idexx_neo.parsing.fields import (
    Fields,
    UnreadableField,
    as_end,
    as_flag,
    as_identity,
    as_mapping,
    as_sequence,
    as_text,
    as_timestamp,
    is_none,
    required,
)
from pims_pipeline.providers.idexx_neo.parsing.listing import VENDOR_SKEW, kind_of, sort_records
from pims_pipeline.providers.idexx_neo.parsing.markup import plain_text, was_cut
from pims_pipeline.providers.idexx_neo.parsing.vitals import GROUP, VitalsReading, read_vitals
from pims_pipeline.providers.port import ContractViolation

_LIST_KEYS = ("appointments", "data", "events")
_WORDS_IN_VITALS = "Vital signs noted in words: "


def parse_listing(
    body: bytes | str, *, window: DateRange, zone: ZoneInfo, fetched_at: datetime
) -> Snapshot:
    """The calendar in ``body``, cut to the window's business dates, each identity once.

    Args:
        body: A JSON array, or an object holding one as appointments, data or events.
        window: The requested window; the vendor may return more.
        zone: The zone of the calendar's wall-clock times.
        fetched_at: Aware UTC, from before the request was sent.

    Raises:
        ContractViolation: If ``body`` is anything else. It is never an empty calendar.
    """
    what = f"the calendar of {window}"
    records = _records(_decoded(body, what), what)
    found = sort_records(records, window=window, zone=zone, changed_by=fetched_at + VENDOR_SKEW)
    return Snapshot(
        window=window,
        appointments=found.appointments,
        quarantined=found.quarantined,
        fetched_at=fetched_at,
        elsewhere=tuple((each.vendor_identity, each.scheduled_start) for each in found.elsewhere),
        oddities=found.oddities,
    )


def parse_lookup(
    body: bytes | str, *, appointment_id: str, zone: ZoneInfo, asked_at: datetime
) -> AppointmentLookup:
    """The lookup of one appointment in ``body``; ``appointment: null`` means unknown.

    A record marked as deleted is deleted, whatever else in it cannot be read.

    Args:
        body: The response's.
        appointment_id: The vendor's identity that was looked up.
        zone: The zone of the calendar's wall-clock times.
        asked_at: Aware UTC, from before the request was sent.

    Raises:
        ContractViolation: If ``body`` is not a lookup's response, or is about another appointment.
    """
    what = "one appointment"
    response = _response_object(body, what, "appointment")
    if response["appointment"] is None:
        return AppointmentLookup(appointment_id=appointment_id, asked_at=asked_at, found=False)
    try:
        fields = Fields(as_mapping(response["appointment"], "appointment"), "appointment")
        deleted = as_flag(fields.get("deleted"), "deleted")
        _check_looked_up(fields, appointment_id, deleted=deleted)
        start = _start(fields, zone, deleted=deleted)
        return AppointmentLookup(
            appointment_id=appointment_id,
            asked_at=asked_at,
            found=True,
            deleted=deleted,
            kind=RecordKind.APPOINTMENT if deleted else _looked_up_kind(fields),
            status=fields.text("status"),
            scheduled_start=start,
            scheduled_end=_looked_up_end(fields, start, zone),
            business_date=business_date(start, zone) if start else None,
            oddities=combined(fields.odd),
        )
    except UnreadableField as error:
        raise _violation(what, str(error)) from error


def _check_looked_up(fields: Fields, appointment_id: str, *, deleted: bool) -> None:
    """Refuse another appointment. A deleted one may have lost its identity."""
    identity = fields.get("id")
    if deleted and is_none(identity):
        return
    _check_identity(identity, appointment_id, "appointment.id")


def _looked_up_kind(fields: Fields) -> RecordKind:
    return kind_of(fields.get("block"), fields.get("roster"))


def _start(fields: Fields, zone: ZoneInfo, *, deleted: bool) -> datetime | None:
    """The appointment's start; None when the vendor names no time.

    Raises:
        UnreadableField: If a start cannot be read, unless the appointment is deleted: without
            it nothing can be concluded.
    """
    value = fields.get("startAtLocal")
    if is_none(value):
        return None
    if deleted:
        return fields.lenient("startAtLocal", lambda it, name: as_timestamp(it, zone, name))
    return as_timestamp(value, zone, "startAtLocal")


def _looked_up_end(fields: Fields, start: datetime | None, zone: ZoneInfo) -> datetime | None:
    """The end, where one after the start can be read."""
    end = fields.lenient("endAtLocal", lambda value, name: as_end(value, zone, name))
    if end is not None and start is not None and end <= start:
        fields.note("endAtLocal", fields.get("endAtLocal"))
        return None
    return end


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
    response = _response_object(body, what, "consultation")
    try:
        record = as_mapping(response["consultation"], "consultation")
        _check_identity(record.get("id"), appointment.consultation_id, "consultation.id")
    except UnreadableField as error:
        raise _violation(what, str(error)) from error
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


def _check_identity(value: object, expected: str | None, field: str) -> None:
    """Refuse a response with another identity than requested: it is of another patient."""
    identity = required(as_identity(value, field), field)
    if expected is not None and identity != expected:
        raise UnreadableField(field, "is not the requested one")


def _decoded(body: bytes | str, what: str) -> object:
    try:
        return parse_json(body if isinstance(body, str) else text_of(body))
    except (ValueError, RecursionError):
        # The error's own text would quote the body.
        problem = "something that is not JSON"
    raise _violation(what, problem)


def _response_object(body: bytes | str, what: str, key: str) -> Mapping[str, object]:
    decoded = _decoded(body, what)
    if not isinstance(decoded, Mapping) or key not in decoded:
        raise _violation(what, f"JSON without '{key}'")
    return decoded


def _records(decoded: object, what: str) -> list[object]:
    if isinstance(decoded, list):
        return decoded
    if not isinstance(decoded, Mapping):
        raise _violation(what, "JSON that is neither a list nor an object")
    if not is_none(decoded.get("error")) or not is_none(decoded.get("errors")):
        raise _violation(what, "an error report")
    if decoded.get("success") is not None and is_none(decoded["success"]):
        raise _violation(what, "an error report")
    for key in _LIST_KEYS:
        if isinstance(records := decoded.get(key), list):
            return records
    for listed in (decoded, *map(decoded.get, _LIST_KEYS)):
        try:
            if listed:
                return as_sequence(listed, "appointments")
        except UnreadableField:
            continue
    raise _violation(what, "an object without a list of appointments")


def _violation(what: str, problem: str) -> ContractViolation:
    return ContractViolation(
        f"Cannot read {what} from IDEXX Neo: the response has an unexpected shape: {problem}. "
        "Nothing was concluded from it; if it lasts, the vendor has changed its interface and "
        "the adapter must follow."
    )
