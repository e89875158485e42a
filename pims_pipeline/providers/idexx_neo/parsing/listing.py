"""The records of a calendar listing as appointments. Pure: no I/O, no clock.

A record whose identity, start or kind cannot be read is quarantined, alone; a description
that cannot be read is left out and counted. The listing's own shape belongs in ``responses``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange, business_date
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    QuarantinedRecord,
    RecordKind,
)
from pims_pipeline.domain.records.canonical import canonical_json, digest
from pims_pipeline.domain.records.oddities import FieldOddity, Oddities, combined
from pims_pipeline.domain.records.series import identify_occurrences, series_of
from pims_pipeline.providers.idexx_neo.parsing.fields import (
    Fields,
    UnreadableField,
    as_end,
    as_flag,
    as_identity,
    as_mapping,
    as_timestamp,
    required,
)
from pims_pipeline.providers.idexx_neo.parsing.resources import record_resources

VENDOR_SKEW = timedelta(days=1)
"""How far a vendor's clock may be ahead of ours."""

_STATUSES = ("current_status", "status", "status_label", "confirmed_status")


@dataclass(frozen=True, slots=True)
class SortedRecords:
    """Every record of a listing, in exactly one of four places.

    Attributes:
        appointments: Inside the window, each identity once.
        elsewhere: Readable records whose business date is not in the window.
        outside: The positions of those, and of unreadable ones outside the window.
        duplicates: Positions of records with the identity and start of another record that is as
            new or newer.
        oddities: Descriptive fields that could not be read, of the appointments.
    """

    appointments: tuple[PimsAppointment, ...]
    quarantined: tuple[QuarantinedRecord, ...]
    elsewhere: tuple[PimsAppointment, ...]
    outside: tuple[int, ...]
    duplicates: tuple[int, ...]
    oddities: Oddities = ()


@dataclass(frozen=True, slots=True)
class _Read:
    position: int
    appointment: PimsAppointment
    odd: list[FieldOddity]


@dataclass(slots=True)
class _Sorting:
    """What has been sorted so far; see ``sort_records`` for ``changed_by``."""

    changed_by: datetime | None
    readable: dict[tuple[str, datetime], _Read] = field(default_factory=dict)
    quarantined: list[QuarantinedRecord] = field(default_factory=list)
    outside: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)

    def take(self, read: _Read) -> None:
        """Keep a readable record, unless a newer one has its identity and start."""
        key = (read.appointment.appointment_id, read.appointment.scheduled_start)
        rival = self.readable.get(key)
        if rival is not None and _is_older(read.appointment, rival.appointment, self.changed_by):
            self.duplicates.append(read.position)
            return
        if rival is not None:
            self.duplicates.append(rival.position)
        self.readable[key] = read


def sort_records(
    records: Iterable[object],
    *,
    window: DateRange,
    zone: ZoneInfo,
    changed_by: datetime | None = None,
) -> SortedRecords:
    """Each of a listing's ``records`` in its place.

    When an identity comes twice with one start, the record that the vendor changed last wins; if
    that is unknown, the last in the listing. An identity with several starts is a series: each
    start is an appointment of its own (``domain/records/series.py``). Unreadable records are never
    treated as duplicates.

    A time of change after ``changed_by`` (aware) is wrong and ignored.
    """
    sorting = _Sorting(changed_by)
    for position, record in enumerate(records):
        odd: list[FieldOddity] = []
        parsed = _appointment_or_quarantine(record, zone, odd)
        if isinstance(parsed, PimsAppointment):
            sorting.take(_Read(position, parsed, odd))
        elif parsed.business_date is not None and parsed.business_date not in window:
            sorting.outside.append(position)
        else:
            sorting.quarantined.append(parsed)
    kept = list(sorting.readable.values())
    appointments = identify_occurrences([read.appointment for read in kept], zone)
    inside = [each.business_date in window for each in appointments]
    return SortedRecords(
        appointments=tuple(a for a, is_in in zip(appointments, inside, strict=True) if is_in),
        quarantined=_each_by_its_own_key(sorting.quarantined),
        elsewhere=tuple(a for a, is_in in zip(appointments, inside, strict=True) if not is_in),
        outside=(
            *sorting.outside,
            *(read.position for read, is_in in zip(kept, inside, strict=True) if not is_in),
        ),
        duplicates=tuple(sorting.duplicates),
        oddities=combined(
            each for read, is_in in zip(kept, inside, strict=True) if is_in for each in read.odd
        ),
    )


def _is_older(one: PimsAppointment, other: PimsAppointment, changed_by: datetime | None) -> bool:
    first, second = one.vendor_updated_at, other.vendor_updated_at
    if first is None or second is None:
        return False
    return first < second and (changed_by is None or second <= changed_by)


def _each_by_its_own_key(records: list[QuarantinedRecord]) -> tuple[QuarantinedRecord, ...]:
    """The records, with a number added to a key that an earlier one has."""
    taken: dict[str, int] = {}
    numbered: list[QuarantinedRecord] = []
    for record in records:
        number = taken[record.record_key] = taken.get(record.record_key, 0) + 1
        key = record.record_key if number == 1 else f"{record.record_key}#{number}"
        numbered.append(replace(record, record_key=key))
    return tuple(numbered)


def _appointment_or_quarantine(
    record: object, zone: ZoneInfo, odd: list[FieldOddity]
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
            record_key=identity or _digest_of(record),
            pims_id=identity,
            business_date=business_date(start, zone) if start else None,
            error_class=type(error).__name__,
            error_message=str(error),
        )


def _digest_of(record: object) -> str:
    try:
        return f"sha256:{digest(canonical_json({'record': record}))}"
    except RecursionError:
        return "too deeply nested"


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
