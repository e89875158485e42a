"""The rows of the calendar as a snapshot. Pure: no I/O, no clock.

A row whose identity, start, kind or location cannot be read is quarantined, alone; a description
that cannot be read is left out and counted. A row of another location is never part of the
snapshot. How the rows were fetched belongs in ``vetspire/listing.py``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange, business_date
from pims_pipeline.domain.records.appointments import (
    Client,
    Patient,
    PimsAppointment,
    QuarantinedRecord,
)
from pims_pipeline.domain.records.oddities import FieldOddity, Oddities, combined
from pims_pipeline.domain.records.resources import ResourceKind
from pims_pipeline.domain.records.series import series_of
from pims_pipeline.providers.parsing.fields import (
    Fields,
    UnreadableField,
    as_flag,
    as_identity,
    as_mapping,
    as_text,
    as_timestamp,
    is_number,
    required,
)
from pims_pipeline.providers.parsing.records import (
    VENDOR_SKEW,
    SortedRecords,
    key_of_unidentified,
    sorted_records,
)
from pims_pipeline.providers.vetspire.parsing.data import location_of, violation
from pims_pipeline.providers.vetspire.parsing.types import TypeBook, type_identity

UTC_ZONE = ZoneInfo("UTC")
"""Times without an offset are UTC."""
_LONGEST_MINUTES = 7 * 24 * 60
_ROW = "listing"


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """What rows are read by.

    Attributes:
        location_id: The clinic's location.
        zone: The clinic's time zone, for business dates.
        types: The organisation's appointment types.
    """

    location_id: str
    zone: ZoneInfo
    types: TypeBook


@dataclass(frozen=True, slots=True)
class ReadRows:
    """The rows of a listing as records.

    Attributes:
        records: In their places.
        oddities: Descriptive fields that could not be read, and rows of other locations.
    """

    records: SortedRecords
    oddities: Oddities


def readable_identity(row: object) -> str | None:
    """The identity of a row; None if it cannot be read."""
    try:
        return as_identity(row.get("id") if isinstance(row, Mapping) else None, "id")
    except UnreadableField:
        return None


def row_identity(row: object) -> str:
    """What identifies a row when passes are compared: its identity, else its content."""
    return readable_identity(row) or key_of_unidentified(row)


def of_location(rows: Iterable[object], location_id: str) -> list[object]:
    """The rows that are provably of the location."""
    return [row for row in rows if _is_of(row, location_id)]


def _is_of(row: object, location_id: str) -> bool:
    try:
        return isinstance(row, Mapping) and location_of(Fields(row, _ROW)) == location_id
    except UnreadableField:
        return False


def type_identities(rows: Iterable[object]) -> set[str]:
    """The identities of the rows' types, as far as they can be read."""
    found: set[str] = set()
    for row in rows:
        if isinstance(row, Mapping):
            try:
                identity = type_identity(Fields(row, _ROW))
            except UnreadableField:
                continue
            found |= {identity} if identity else set()
    return found


def read_rows(
    rows: Sequence[object], rules: ReadingRules, *, window: DateRange, fetched_at: datetime
) -> ReadRows:
    """The rows as appointments, each identity once.

    Args:
        rows: In the order in which they were fetched: of two rows with one identity, the later
            one is the newer.
        rules: See ``ReadingRules``.
        window: The requested window; the vendor may return more.
        fetched_at: Aware UTC, from before the first request was sent.

    Raises:
        ContractViolation: If there are rows, and all are of other locations.
    """
    _check_locations(rows, rules)
    odd: list[FieldOddity] = []
    latest = {row_identity(row): row for row in rows}
    ours = [row for row in latest.values() if _is_present(row, rules, odd)]
    records = sorted_records(
        ours,
        partial(_appointment_or_quarantine, rules),
        window=window,
        zone=rules.zone,
        changed_by=fetched_at + VENDOR_SKEW,
    )
    return ReadRows(records, combined((*records.oddities, *odd)))


def _check_locations(rows: Sequence[object], rules: ReadingRules) -> None:
    """Refuse rows of other locations alone: that is no empty calendar of this one.

    The vendor writes locations in another way then, or ignores which one was requested.
    """
    if rows and all(_is_elsewhere(row, rules.location_id) for row in rows):
        raise violation("the calendar", "no record of the requested location among others")


def _is_elsewhere(row: object, location_id: str) -> bool:
    try:
        return isinstance(row, Mapping) and location_of(Fields(row, _ROW)) != location_id
    except UnreadableField:
        return False


def _is_present(row: object, rules: ReadingRules, odd: list[FieldOddity]) -> bool:
    """Whether the row belongs to the clinic's calendar, as far as that can be read.

    A row of another location does not, and is counted: the vendor should not have sent it. A
    deleted one does not either.
    """
    if not isinstance(row, Mapping):
        return True
    fields = Fields(row, _ROW, odd)
    try:
        if location_of(fields) != rules.location_id:
            fields.note("location.id", "another location's")
            return False
        return not as_flag(fields.get("deleted"), "deleted")
    except UnreadableField:
        # It is quarantined, with the field's name.
        return True


def _appointment_or_quarantine(
    rules: ReadingRules, row: object, odd: list[FieldOddity]
) -> PimsAppointment | QuarantinedRecord:
    identity: str | None = None
    start: datetime | None = None
    try:
        fields = Fields(as_mapping(row, "(the whole record)"), _ROW, odd)
        identity = _identity_of(fields)
        start = as_timestamp(fields.get("start"), UTC_ZONE, "start")
        as_flag(fields.get("deleted"), "deleted")
        location_of(fields)
        return _appointment(fields, required(identity, "id"), required(start, "start"), rules)
    except UnreadableField as error:
        return QuarantinedRecord(
            record_key=identity or key_of_unidentified(row),
            pims_id=identity,
            business_date=business_date(start, rules.zone) if start else None,
            error_class=type(error).__name__,
            error_message=str(error),
        )


def _identity_of(fields: Fields) -> str | None:
    identity = as_identity(fields.get("id"), "id")
    if identity is not None and series_of(identity) is not None:
        # It would be confused with an occurrence of another identity's series.
        raise UnreadableField("id", "ends like the name of an occurrence (…@YYYY-MM-DDTHH:MM)")
    return identity


def _appointment(
    fields: Fields, identity: str, start: datetime, rules: ReadingRules
) -> PimsAppointment:
    type_id = type_identity(fields)
    kind = rules.types.kind_of(type_id)
    if not rules.types.knows(type_id):
        fields.note("type.id", type_id)
    provider = fields.inside("provider")
    return PimsAppointment(
        appointment_id=identity,
        consultation_id=_encounter(fields),
        scheduled_start=start,
        scheduled_end=end_of(fields, start),
        business_date=business_date(start, rules.zone),
        status=fields.text("status") or "",
        appointment_type=fields.inside("type").text("name"),
        stated_type=rules.types.stated_type_of(type_id),
        patient=_patient(fields),
        client=_client(fields.inside("patient")),
        provider=provider.text("name"),
        resources=provider_resources(fields),
        reason=fields.text("reason"),
        notes=fields.text("note"),
        kind=kind,
        vendor_updated_at=fields.lenient(
            "updatedAt", lambda value, name: as_timestamp(value, UTC_ZONE, name)
        ),
    )


def end_of(fields: Fields, start: datetime) -> datetime:
    """The start and the duration, in minutes; the start alone, and an oddity, without a duration.

    An appointment without a readable end still takes place, and its length is not guessed.
    """
    minutes = fields.lenient("duration", _as_minutes)
    if minutes is None:
        fields.note("duration", fields.get("duration"))
        return start
    return start + timedelta(minutes=minutes)


def _as_minutes(value: object, name: str) -> float | None:
    text = as_text(value, name)
    try:
        minutes = None if text is None else float(text)
    except ValueError:
        minutes = None
    if minutes is None or not is_number(minutes) or not 0 < minutes <= _LONGEST_MINUTES:
        return None
    return minutes


def provider_resources(fields: Fields) -> tuple[str, ...]:
    """The provider of a record, as a resource; unreadable where only its being there is known."""
    value = fields.get("provider")
    if value is None:
        return ()
    try:
        identity = as_identity(value.get("id") if isinstance(value, Mapping) else value, "provider")
    except UnreadableField:
        identity = None
    kind = ResourceKind.PROVIDER
    return (kind.key(identity) if identity else kind.unreadable,)


def _encounter(fields: Fields) -> str | None:
    """The identity of the consultation: of several, that of the last one opened."""
    found = [fields.of_item(item, "encounters") for item in fields.items("encounters")]
    identities = [each.identity("id") for each in found if each is not None]
    return next((each for each in reversed(identities) if each is not None), None)


def _patient(fields: Fields) -> Patient:
    patient = fields.inside("patient")
    return Patient(
        id=patient.identity("id"),
        name=patient.text("name") or "",
        species=patient.text("species"),
        breed=patient.text("breed"),
    )


def _client(patient: Fields) -> Client:
    client = patient.inside("client")
    names = (client.text("givenName"), client.text("familyName"))
    return Client(
        id=client.identity("id"),
        name=" ".join(filter(None, names)),
        phone=_phone(client),
        email=client.text("email"),
    )


def _phone(client: Fields) -> str | None:
    """The preferred number, else the first."""
    first: str | None = None
    for item in client.items("phoneNumbers", alone=("value",)):
        phone = client.of_item(item, "phoneNumbers")
        number = phone.text("value") if phone else None
        if phone is None or number is None:
            continue
        if phone.flag("preferred"):
            return number
        first = first or number
    return first
