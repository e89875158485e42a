"""The vendor's answers as domain values. Pure: no I/O, no clock.

A whole answer that is not what the vendor promises raises ``ContractViolation``; a
single unreadable record of a listing is quarantined and the others go on. Messages
name fields and problems, never contents. How single values are read stands in
``fields``, markup in ``markup``, vital signs in ``vitals``.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pims_pipeline.domain.appointments import (
    AppointmentLookup,
    Client,
    Patient,
    PimsAppointment,
    QuarantinedRecord,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.canonical import canonical_json, digest
from pims_pipeline.domain.clinics import DateRange, business_date
from pims_pipeline.domain.consultations import PimsConsultation, split_soap
from pims_pipeline.providers.idexx_neo.fields import (
    UnreadableField,
    as_flag,
    as_identity,
    as_mapping,
    as_moment,
    as_sequence,
    as_text,
    required,
)
from pims_pipeline.providers.idexx_neo.markup import plain_text
from pims_pipeline.providers.idexx_neo.vitals import read_vitals
from pims_pipeline.providers.port import ContractViolation

_LIST_KEYS = ("appointments", "data", "events")
_WORDS_IN_VITALS = "Vital signs noted in words: "


@dataclass(frozen=True, slots=True)
class SortedRecords:
    """Every record of a listing, in exactly one of four places.

    Attributes:
        outside: Positions of records whose business date is not in the window.
        duplicates: Positions of records that say the same, or something older, of an
            identity (or of an unreadable record) that another record speaks for.
    """

    appointments: tuple[PimsAppointment, ...]
    quarantined: tuple[QuarantinedRecord, ...]
    outside: tuple[int, ...]
    duplicates: tuple[int, ...]


def parse_listing(
    body: bytes | str, *, window: DateRange, zone: ZoneInfo, fetched_at: datetime
) -> Snapshot:
    """The diary in ``body``, cut to the window's business dates, each identity once.

    Args:
        body: A JSON array, or an object holding one as appointments, data or events.
        window: What was asked for; the vendor may answer with more.
        zone: The zone of the diary's wall-clock times.
        fetched_at: Aware UTC, from before the request was sent.

    Raises:
        ContractViolation: If ``body`` is anything else. It is never an empty diary.
    """
    asked = f"the diary of {window}"
    records = _records(_decoded(body, asked), asked)
    found = sort_records(records, window=window, zone=zone, changed_by=fetched_at + _VENDOR_SKEW)
    return Snapshot(
        window=window,
        appointments=found.appointments,
        quarantined=found.quarantined,
        fetched_at=fetched_at,
    )


def parse_lookup(
    body: bytes | str, *, appointment_id: str, zone: ZoneInfo, asked_at: datetime
) -> AppointmentLookup:
    """What ``body`` says of one appointment; ``appointment: null`` means unknown.

    Raises:
        ContractViolation: If ``body`` is not a look-up's answer, or speaks of another
            appointment.
    """
    asked = "one appointment"
    answer = _answer_object(body, asked, "appointment")
    if answer["appointment"] is None:
        return AppointmentLookup(appointment_id=appointment_id, asked_at=asked_at, found=False)
    try:
        record = as_mapping(answer["appointment"], "appointment")
        _check_identity(record.get("id"), appointment_id, "appointment.id")
        start = as_moment(record.get("startAtLocal"), zone, "startAtLocal")
        return AppointmentLookup(
            appointment_id=appointment_id,
            asked_at=asked_at,
            found=True,
            deleted=as_flag(record.get("deleted"), "deleted"),
            kind=_kind(record, block="block", roster="roster"),
            status=as_text(record.get("status"), "status"),
            scheduled_start=start,
            scheduled_end=as_moment(record.get("endAtLocal"), zone, "endAtLocal") or start,
            business_date=business_date(start, zone) if start else None,
        )
    except UnreadableField as error:
        raise _violation(asked, str(error)) from error


def parse_consultation(body: bytes | str, *, appointment: PimsAppointment) -> PimsConsultation:
    """The medical record in ``body``, for the appointment it was asked for.

    ``notes`` is whole: the clinical notes, then the visit's own remarks, then a last
    line with the vital signs that were given in words ("weight: too lively to weigh").
    SOAP headings are looked for in the clinical notes alone, so that the additions do
    not end up under the plan.

    Raises:
        ContractViolation: If ``body`` is not a medical record, or another visit's.
    """
    asked = "a consultation"
    answer = _answer_object(body, asked, "consultation")
    try:
        return _consultation(answer, appointment)
    except UnreadableField as error:
        raise _violation(asked, str(error)) from error


_VENDOR_SKEW = timedelta(days=1)
"""How far the clock of a vendor may be ahead of ours."""


def sort_records(
    records: Iterable[object],
    *,
    window: DateRange,
    zone: ZoneInfo,
    changed_by: datetime | None = None,
) -> SortedRecords:
    """Each of a listing's ``records`` in its place.

    When an identity comes twice, the one that the vendor changed last wins; without
    that knowledge, the one that stands last. Only then is the window applied, so that a
    visit moved out of it while the listing ran does not stay in by its older copy.

    No record was changed after ``changed_by`` (aware): one that says so has a wrong moment,
    which decides nothing.
    """
    readable: dict[str, tuple[int, PimsAppointment]] = {}
    quarantined: dict[str, QuarantinedRecord] = {}
    outside: list[int] = []
    duplicates: list[int] = []
    for position, record in enumerate(records):
        parsed = _appointment_or_quarantine(record, zone)
        if isinstance(parsed, QuarantinedRecord):
            if parsed.business_date is not None and parsed.business_date not in window:
                outside.append(position)
            elif parsed.record_key in quarantined:
                duplicates.append(position)
            else:
                quarantined[parsed.record_key] = parsed
            continue
        rival = readable.get(parsed.appointment_id)
        if rival is not None and _is_older(parsed, rival[1], changed_by):
            duplicates.append(position)
            continue
        if rival is not None:
            duplicates.append(rival[0])
        readable[parsed.appointment_id] = (position, parsed)
    inside = {key: entry for key, entry in readable.items() if entry[1].business_date in window}
    outside += [position for key, (position, _) in readable.items() if key not in inside]
    return SortedRecords(
        appointments=tuple(appointment for _, appointment in inside.values()),
        quarantined=tuple(quarantined.values()),
        outside=tuple(outside),
        duplicates=tuple(duplicates),
    )


def _is_older(one: PimsAppointment, other: PimsAppointment, changed_by: datetime | None) -> bool:
    first, second = one.vendor_updated_at, other.vendor_updated_at
    if first is None or second is None:
        return False
    return first < second and (changed_by is None or second <= changed_by)


def _appointment_or_quarantine(
    record: object, zone: ZoneInfo
) -> PimsAppointment | QuarantinedRecord:
    identity: str | None = None
    start: datetime | None = None
    try:
        fields = as_mapping(record, "(the whole record)")
        identity = _identity_of(fields)
        start = as_moment(fields.get("start"), zone, "start")
        return _appointment(fields, required(identity, "id"), required(start, "start"), zone)
    except UnreadableField as error:
        return QuarantinedRecord(
            record_key=identity or f"sha256:{digest(canonical_json({'record': record}))}",
            pims_id=identity,
            business_date=business_date(start, zone) if start else None,
            error_class=type(error).__name__,
            error_message=str(error),
        )


def _identity_of(record: Mapping[str, object]) -> str | None:
    return as_identity(record.get("appointment_id"), "appointment_id") or as_identity(
        record.get("id"), "id"
    )


def _appointment(
    record: Mapping[str, object], identity: str, start: datetime, zone: ZoneInfo
) -> PimsAppointment:
    def text(field: str) -> str | None:
        return as_text(record.get(field), field)

    kind = _kind(record, block="is_block", roster="is_roster")
    reason = text("reason")
    if reason is None and kind is not RecordKind.APPOINTMENT:
        # A blocked slot says what it is for ("Lunch") in its title alone. A visit's
        # title repeats names, which have fields of their own.
        reason = text("title")
    return PimsAppointment(
        appointment_id=identity,
        consultation_id=as_identity(record.get("consultation_id"), "consultation_id"),
        scheduled_start=start,
        scheduled_end=_end(record, start, zone),
        business_date=business_date(start, zone),
        status=text("current_status") or text("status_label") or text("confirmed_status") or "",
        appointment_type=text("type_description"),
        patient=Patient(
            id=as_identity(record.get("patient_id"), "patient_id"), name=text("patient_name") or ""
        ),
        client=Client(
            id=as_identity(record.get("client_id"), "client_id"),
            name=" ".join(filter(None, (text("first_name"), text("last_name")))),
            phone=text("phone_number"),
            email=text("email"),
        ),
        provider=text("provider"),
        room=text("appointment_room_name"),
        reason=reason,
        kind=kind,
        vendor_updated_at=_vendor_updated_at(record, zone),
    )


def _end(record: Mapping[str, object], start: datetime, zone: ZoneInfo) -> datetime:
    """The record's end; its start when the end is missing, unreadable or earlier.

    A visit without a sound end still takes place, so it is kept rather than quarantined.
    """
    try:
        end = as_moment(record.get("end"), zone, "end")
    except UnreadableField:
        return start
    return max(end or start, start)


def _vendor_updated_at(record: Mapping[str, object], zone: ZoneInfo) -> datetime | None:
    """When the vendor changed the record; None when unreadable, for it only breaks ties."""
    try:
        return as_moment(record.get("last_updated_at"), zone, "last_updated_at")
    except UnreadableField:
        return None


def _kind(record: Mapping[str, object], *, block: str, roster: str) -> RecordKind:
    """What the record's flags, called ``block`` and ``roster`` in it, say it stands for."""
    if as_flag(record.get(block), block):
        return RecordKind.BLOCK
    if as_flag(record.get(roster), roster):
        return RecordKind.ROSTER
    return RecordKind.APPOINTMENT


def _consultation(answer: Mapping[str, object], appointment: PimsAppointment) -> PimsConsultation:
    record = as_mapping(answer["consultation"], "consultation")
    identity = as_identity(record.get("id"), "consultation.id")
    _check_identity(identity, appointment.consultation_id, "consultation.id")
    note_sheet = as_mapping(answer.get("consultationNotes"), "consultationNotes")
    clinical = _prose(note_sheet.get("notes"), "consultationNotes.notes")
    remarks = _prose(record.get("notes"), "consultation.notes")
    reading = read_vitals(answer.get("vitalSignGroup"))
    in_words = _WORDS_IN_VITALS + "; ".join(reading.in_words) if reading.in_words else None
    parts = dict.fromkeys(part for part in (clinical, remarks, in_words) if part)
    lines = _lines(answer.get("consultationLines"))
    return PimsConsultation(
        appointment_id=appointment.appointment_id,
        consultation_id=identity or "",
        consultation_date=_day(record.get("date"), appointment.business_date),
        status=as_text(record.get("status"), "consultation.status"),
        soap_notes=split_soap(clinical or remarks or ""),
        notes="\n\n".join(parts) or None,
        vitals=reading.vitals,
        diagnoses=_diagnoses(answer.get("diagnoses")),
        treatments=tuple(name for name, declined in lines if not declined),
        declined_treatments=tuple(name for name, declined in lines if declined),
        discharge_instructions=_prose(record.get("dischargeSummary"), "dischargeSummary"),
        reason=_prose(record.get("reason"), "consultation.reason"),
        patient=_patient(answer.get("patient")),
    )


def _prose(value: object, field: str) -> str | None:
    return plain_text(as_text(value, field) or "")


def _day(value: object, booked_on: date) -> date | None:
    """The date the record carries; the booked date when it is a moment of another zone."""
    text = as_text(value, "consultation.date")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        problem = "is not a date"
    else:
        return moment.date() if moment.tzinfo is None else booked_on
    raise UnreadableField("consultation.date", problem)


def _patient(value: object) -> Patient | None:
    if value is None:
        return None
    record = as_mapping(value, "patient")
    return Patient(
        id=as_identity(record.get("id"), "patient.id"),
        name=as_text(record.get("name"), "patient.name") or "",
        species=as_text(record.get("species"), "patient.species"),
        breed=as_text(record.get("breed"), "patient.breed"),
    )


def _lines(value: object) -> list[tuple[str, bool]]:
    """Products and services with their quantity, and whether the client declined them."""
    lines: list[tuple[str, bool]] = []
    for item in as_sequence(value, "consultationLines"):
        line = as_mapping(item, "consultationLines")
        name = as_text(line.get("productService"), "productService")
        quantity = as_text(line.get("quantity"), "quantity")
        declined = as_flag(line.get("isDeclined"), "isDeclined")
        if name is not None:
            alone = quantity in (None, "1", "1.0", "1.00")
            lines.append((name if alone else f"{name} × {quantity}", declined))
    return lines


def _diagnoses(value: object) -> tuple[str, ...]:
    """Diagnoses by name, with the code in brackets where there is one; each once."""
    found: dict[str, None] = {}
    for item in as_sequence(value, "diagnoses"):
        name = code = None
        if isinstance(item, Mapping):
            name = as_text(item.get("name"), "diagnoses.name")
            code = as_text(item.get("code"), "diagnoses.code")
        else:
            name = as_text(item, "diagnoses")
        if said := f"{name} ({code})" if name and code else name or code:
            found[said] = None
    return tuple(found)


def _check_identity(value: object, expected: str | None, field: str) -> None:
    """Refuse an answer about something else than was asked for: it is another patient's."""
    identity = required(as_identity(value, field), field)
    if expected is not None and identity != expected:
        raise UnreadableField(field, "is not the one that was asked for")


def _decoded(body: bytes | str, asked: str) -> object:
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError):
        # The error's own text would quote the body; what matters is that it is not JSON.
        problem = "something that is not JSON"
    else:
        return decoded
    raise _violation(asked, problem)


def _answer_object(body: bytes | str, asked: str, key: str) -> Mapping[str, object]:
    decoded = _decoded(body, asked)
    if not isinstance(decoded, Mapping) or key not in decoded:
        raise _violation(asked, f"JSON without '{key}'")
    return decoded


def _records(decoded: object, asked: str) -> list[object]:
    if isinstance(decoded, list):
        return decoded
    if not isinstance(decoded, Mapping):
        raise _violation(asked, "JSON that is neither a list nor an object")
    if decoded.get("error") or decoded.get("errors") or decoded.get("success") is False:
        raise _violation(asked, "an error report")
    for key in _LIST_KEYS:
        if isinstance(records := decoded.get(key), list):
            return records
    raise _violation(asked, "an object without a list of appointments")


def _violation(asked: str, problem: str) -> ContractViolation:
    return ContractViolation(
        f"IDEXX Neo was asked for {asked} and answered with an unexpected shape: {problem}. "
        "Nothing was concluded from it; if it lasts, the vendor has changed its interface "
        "and the adapter must follow."
    )
