"""What the promises share: times and windows, requests by kind, and what a fault led to."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta

from pims_pipeline.conformance.conditions import RequestKind
from pims_pipeline.conformance.connections import (
    listed,
    with_batches,
    with_lookup,
    with_many_lookups,
)
from pims_pipeline.conformance.vendor import PlayedVendor
from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    Snapshot,
)
from pims_pipeline.domain.records.consultations import PimsConsultation
from pims_pipeline.providers.port import PimsProvider

Response = Snapshot | AppointmentLookup | PimsConsultation | None


def at(vendor: PlayedVendor, hour: int, minute: int = 0, *, days: int = 0) -> datetime:
    """A clinic-local time on the vendor's day, or so many days later."""
    return datetime.combine(vendor.day + timedelta(days=days), time(hour, minute))


def the_day(vendor: PlayedVendor, days: int = 0) -> DateRange:
    """The vendor's day, or one so many days later, as a window."""
    day = vendor.day + timedelta(days=days)
    return DateRange(day, day)


def around(vendor: PlayedVendor) -> DateRange:
    """The window of five days around the vendor's day."""
    return DateRange(vendor.day - timedelta(days=2), vendor.day + timedelta(days=2))


def ask(
    vendor: PlayedVendor, provider: PimsProvider, kind: RequestKind, appointment: PimsAppointment
) -> Response:
    """The provider's response to a request of that kind, about ``appointment``."""
    match kind:
        case RequestKind.LISTING:
            return provider.fetch_appointments(the_day(vendor))
        case RequestKind.LOOKUP:
            return with_lookup(provider).lookup_appointment(appointment.appointment_id)
        case _:
            return provider.fetch_consultation(appointment)


def ask_together(
    provider: PimsProvider, kind: RequestKind, appointments: Sequence[PimsAppointment]
) -> Mapping[str, Response]:
    """What the provider's response to one request settles; None is an absence."""
    if kind is RequestKind.LOOKUP:
        names = [each.appointment_id for each in appointments]
        found = with_many_lookups(provider).lookup_appointments(names)
        return {name: each if each.exists else None for name, each in found.items()}
    return with_batches(provider).fetch_consultations(appointments)


def finished(
    vendor: PlayedVendor, provider: PimsProvider, notes: str = "Well again."
) -> PimsAppointment:
    """A finished appointment, as the provider lists it."""
    identity = vendor.book(at(vendor, 9))
    vendor.finish(identity, notes)
    return listed(provider, the_day(vendor))[identity]
