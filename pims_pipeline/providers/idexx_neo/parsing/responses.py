"""The vendor's responses as domain values. Pure: no I/O, no clock.

A response that is not what the vendor promises raises ``ContractViolation``. Messages name fields
and problems, never contents. A listing's records belong in ``listing``, a consultation in
``consultation``, and what vendors share in ``providers/parsing``.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from pims_pipeline.domain.clinics import DateRange, business_date
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    Proof,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.oddities import combined
from pims_pipeline.domain.records.shapes import Endpoint
from pims_pipeline.providers.idexx_neo.parsing.listing import kind_of, sort_records
from pims_pipeline.providers.idexx_neo.parsing.resources import lookup_resources
from pims_pipeline.providers.idexx_neo.parsing.shapes import neo_shapes
from pims_pipeline.providers.parsing import bodies
from pims_pipeline.providers.parsing.bodies import check_identity, violations_with
from pims_pipeline.providers.parsing.fields import (
    Fields,
    UnreadableField,
    as_end,
    as_flag,
    as_mapping,
    as_sequence,
    as_timestamp,
    is_none,
)
from pims_pipeline.providers.parsing.records import VENDOR_SKEW
from pims_pipeline.providers.port import ContractViolation

_VENDOR = "IDEXX Neo"
_LIST_KEYS = ("appointments", "data", "events")


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
    decoded = decoded_json(body, what)
    shapes = neo_shapes(Endpoint.LISTING, decoded)
    with violations_with(shapes):
        records = _records(decoded, what)
    found = sort_records(records, window=window, zone=zone, changed_by=fetched_at + VENDOR_SKEW)
    return Snapshot(
        window=window,
        appointments=found.appointments,
        quarantined=found.quarantined,
        fetched_at=fetched_at,
        proof=Proof.ONE_RESPONSE,
        elsewhere=tuple((each.vendor_identity, each.scheduled_start) for each in found.elsewhere),
        oddities=found.oddities,
        shapes=shapes,
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
    decoded = decoded_json(body, what)
    shapes = neo_shapes(Endpoint.LOOKUP, decoded)
    with violations_with(shapes):
        response = response_object(decoded, what, "appointment")
        found = _lookup(response, appointment_id=appointment_id, zone=zone, asked_at=asked_at)
    return replace(found, shapes=shapes)


def _lookup(
    response: Mapping[str, object], *, appointment_id: str, zone: ZoneInfo, asked_at: datetime
) -> AppointmentLookup:
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
            resources=lookup_resources(fields),
            oddities=combined(fields.odd),
        )
    except UnreadableField as error:
        raise violation("one appointment", str(error)) from error


def _check_looked_up(fields: Fields, appointment_id: str, *, deleted: bool) -> None:
    """Refuse another appointment. A deleted one may have lost its identity."""
    identity = fields.get("id")
    if deleted and is_none(identity):
        return
    check_identity(identity, appointment_id, "appointment.id")


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


def decoded_json(body: bytes | str, what: str) -> object:
    """The JSON in ``body``; see ``providers/parsing/bodies``."""
    return bodies.decoded(body, what, _VENDOR)


def response_object(decoded: object, what: str, key: str) -> Mapping[str, object]:
    """The decoded object, which must have ``key``; ``what`` names it in errors."""
    response = json_object(decoded, what)
    if key not in response:
        raise violation(what, f"JSON without '{key}'")
    return response


def json_object(decoded: object, what: str) -> Mapping[str, object]:
    """The decoded object; ``what`` names it in errors."""
    return bodies.as_object(decoded, what, _VENDOR)


def _records(decoded: object, what: str) -> list[object]:
    if isinstance(decoded, list):
        return decoded
    if not isinstance(decoded, Mapping):
        raise violation(what, "JSON that is neither a list nor an object")
    if not is_none(decoded.get("error")) or not is_none(decoded.get("errors")):
        raise violation(what, "an error report")
    if decoded.get("success") is not None and is_none(decoded["success"]):
        raise violation(what, "an error report")
    for key in _LIST_KEYS:
        if isinstance(records := decoded.get(key), list):
            return records
    for listed in (decoded, *map(decoded.get, _LIST_KEYS)):
        try:
            if listed:
                return as_sequence(listed, "appointments")
        except UnreadableField:
            continue
    raise violation(what, "an object without a list of appointments")


def violation(what: str, problem: str) -> ContractViolation:
    """The error of a response that cannot be read; see ``providers/parsing/bodies``."""
    return bodies.violation(what, problem, _VENDOR)
