"""The records of a calendar listing as appointments. Pure: no I/O, no clock.

A record whose identity, start or kind cannot be read is quarantined, alone; a description
that cannot be read is left out and counted. The listing's own shape belongs in ``responses``.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange, business_date
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    QuarantinedRecord,
    RecordKind,
)
from pims_pipeline.domain.records.oddities import FieldOddity
from pims_pipeline.domain.records.series import series_of
from pims_pipeline.providers.idexx_neo.parsing.resources import record_resources
from pims_pipeline.providers.parsing.fields import (
    Fields,
    UnreadableField,
    as_end,
    as_flag,
    as_identity,
    as_mapping,
    as_timestamp,
    required,
)
from pims_pipeline.providers.parsing.records import (
    SortedRecords,
    key_of_unidentified,
    sorted_records,
)

_STATUSES = ("current_status", "status", "status_label", "confirmed_status")


def sort_records(
    records: Iterable[object],
    *,
    window: DateRange,
    zone: ZoneInfo,
    changed_by: datetime | None = None,
) -> SortedRecords:
    """Each of a listing's ``records`` in its place; see ``sorted_records``."""
    read = partial(_appointment_or_quarantine, zone)
    return sorted_records(records, read, window=window, zone=zone, changed_by=changed_by)


def _appointment_or_quarantine(
    zone: ZoneInfo, record: object, odd: list[FieldOddity]
) -> PimsAppointment | QuarantinedRecord:
    identity: str | None = None
    start: datetime | None = None
    try:
        fields = Fields(as_mapping(record, "(the whole record)"), "listing", odd)
        identity = _identity_of(fields)
        start = as_timestamp(fields.get("start"), zone, "start")
        return _appointment(fields, required(identity, "id"), required(start, "start"), zone)
    except UnreadableField as error:
        return QuarantinedRecord(
            record_key=identity or key_of_unidentified(record),
            pims_id=identity,
            business_date=business_date(start, zone) if start else None,
            error_class=type(error).__name__,
            error_message=str(error),
        )


def _identity_of(fields: Fields) -> str | None:
    """The record's identity: ``appointment_id``, or ``id`` where that one names nothing."""
    identity = as_identity(fields.get("appointment_id"), "appointment_id") or as_identity(
        fields.get("id"), "id"
    )
    if identity is not None and series_of(identity) is not None:
        # It would be confused with an occurrence of another identity's series.
        raise UnreadableField("id", "ends like the name of an occurrence (…@YYYY-MM-DDTHH:MM)")
    return identity


def _appointment(fields: Fields, identity: str, start: datetime, zone: ZoneInfo) -> PimsAppointment:
    text = fields.text
    kind = kind_of(fields.get("is_block"), fields.get("is_roster"))
    reason = text("reason")
    if reason is None and kind is not RecordKind.APPOINTMENT:
        # A blocked slot has its purpose ("Lunch") in its title alone. An appointment's title
        # repeats names, which have fields of their own.
        reason = text("title")
    room, provider = text("appointment_room_name"), text("provider")
    return PimsAppointment(
        appointment_id=identity,
        consultation_id=fields.identity("consultation_id"),
        scheduled_start=start,
        scheduled_end=_end(fields, start, zone),
        business_date=business_date(start, zone),
        status=next(filter(None, map(text, _STATUSES)), ""),
        appointment_type=text("type_description"),
        patient=Patient(id=fields.identity("patient_id"), name=text("patient_name") or ""),
        client=Client(
            id=fields.identity("client_id"),
            name=" ".join(filter(None, (text("first_name"), text("last_name")))),
            phone=text("phone_number"),
            email=text("email"),
        ),
        provider=provider,
        room=room,
        resources=record_resources(fields, room=room, provider=provider),
        reason=reason,
        kind=kind,
        vendor_updated_at=fields.lenient(
            "last_updated_at", lambda value, name: as_timestamp(value, zone, name)
        ),
    )


def _end(fields: Fields, start: datetime, zone: ZoneInfo) -> datetime:
    """The record's end, or its start and an oddity where no later end can be read.

    An appointment without a readable end still takes place, and its length is not guessed.
    """
    value = fields.get("end")
    try:
        end = as_end(value, zone, "end")
    except UnreadableField:
        end = None
    if end is None or end <= start:
        fields.note("end", value)
        return start
    return end


def kind_of(block: object, roster: object) -> RecordKind:
    """The kind of a record, from its flags ``block`` and ``roster``.

    Raises:
        UnreadableField: If one of them cannot be read.
    """
    is_block, is_roster = as_flag(block, "is_block"), as_flag(roster, "is_roster")
    if is_block:
        return RecordKind.BLOCK
    return RecordKind.ROSTER if is_roster else RecordKind.APPOINTMENT
