"""The lookup of one appointment. Pure: no I/O, no clock."""

from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import business_date
from pims_pipeline.domain.records.appointments import AppointmentLookup, RecordKind
from pims_pipeline.domain.records.oddities import combined
from pims_pipeline.providers.parsing.bodies import check_identity, violations_with
from pims_pipeline.providers.parsing.fields import (
    Fields,
    UnreadableField,
    as_flag,
    as_mapping,
    as_timestamp,
    is_none,
)
from pims_pipeline.providers.vetspire.parsing.data import location_of, violation
from pims_pipeline.providers.vetspire.parsing.listing import (
    UTC_ZONE,
    ReadingRules,
    end_of,
    provider_resources,
)
from pims_pipeline.providers.vetspire.parsing.shapes import lookup_shapes
from pims_pipeline.providers.vetspire.parsing.types import type_identity

WHAT = "one appointment"


def unknown(appointment_id: str, asked_at: datetime) -> AppointmentLookup:
    """The lookup of an appointment that the vendor does not know."""
    return AppointmentLookup(appointment_id=appointment_id, asked_at=asked_at, found=False)


def parse_lookup(
    row: object, *, appointment_id: str, rules: ReadingRules, asked_at: datetime
) -> AppointmentLookup:
    """The lookup in ``row``; ``null`` means unknown.

    A deleted appointment is deleted, and one of another location is that, whatever else in the
    row cannot be read.

    Args:
        row: The value of the query's field.
        appointment_id: The identity that was looked up.
        rules: See ``ReadingRules``.
        asked_at: Aware UTC, from before the request was sent.

    Raises:
        ContractViolation: If it is no appointment, another one, or lacks what decides.
    """
    shapes = lookup_shapes(row)
    with violations_with(shapes):
        found = _lookup(row, appointment_id, rules, asked_at)
    return replace(found, shapes=shapes)


def _lookup(
    row: object, appointment_id: str, rules: ReadingRules, asked_at: datetime
) -> AppointmentLookup:
    if row is None:
        return unknown(appointment_id, asked_at)
    try:
        fields = Fields(as_mapping(row, "appointment"), "appointment")
        check_identity(fields.get("id"), appointment_id, "appointment.id")
        deleted = as_flag(fields.get("deleted"), "deleted")
        is_elsewhere = not deleted and location_of(fields) != rules.location_id
        if deleted or is_elsewhere:
            return AppointmentLookup(
                appointment_id=appointment_id,
                asked_at=asked_at,
                found=True,
                deleted=deleted,
                at_another_location=is_elsewhere,
            )
        return _present(fields, appointment_id, rules, asked_at)
    except UnreadableField as error:
        raise violation(WHAT, str(error)) from error


def _present(
    fields: Fields, appointment_id: str, rules: ReadingRules, asked_at: datetime
) -> AppointmentLookup:
    start = _start(fields)
    return AppointmentLookup(
        appointment_id=appointment_id,
        asked_at=asked_at,
        found=True,
        kind=_kind(fields, rules),
        status=fields.text("status"),
        scheduled_start=start,
        scheduled_end=_end(fields, start),
        business_date=_date(start, rules.zone),
        resources=provider_resources(fields),
        oddities=combined(fields.odd),
    )


def _kind(fields: Fields, rules: ReadingRules) -> RecordKind:
    return rules.types.kind_of(type_identity(fields))


def _start(fields: Fields) -> datetime | None:
    """The start; None when the vendor names none.

    Raises:
        UnreadableField: If it cannot be read: without it, nothing can be concluded.
    """
    value = fields.get("start")
    return None if is_none(value) else as_timestamp(value, UTC_ZONE, "start")


def _end(fields: Fields, start: datetime | None) -> datetime | None:
    """The end, where a duration can be read."""
    if start is None:
        return None
    end = end_of(fields, start)
    return end if end > start else None


def _date(start: datetime | None, zone: ZoneInfo) -> date | None:
    return business_date(start, zone) if start else None
