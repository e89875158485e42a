"""Which appointments a clinic leaves out, because it does not sync their room or provider.

Pure. What a filter means belongs in ``records/resources.py``. ``inbound`` makes no case of what is
left out, and ``reconciliation`` retires the cases that there are.
"""

from dataclasses import replace

from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.resources import ResourceFilter


def marked(snapshot: Snapshot, resources: ResourceFilter) -> Snapshot:
    """The listing, with a mark on each appointment that the filter leaves out and on no other."""
    return replace(
        snapshot, appointments=tuple(_marked(each, resources) for each in snapshot.appointments)
    )


def _marked(appointment: PimsAppointment, resources: ResourceFilter) -> PimsAppointment:
    is_appointment = appointment.kind is RecordKind.APPOINTMENT
    left_out = is_appointment and resources.leaves_out(appointment.resources)
    # Most are as they were, and a listing may hold thousands.
    return (
        appointment if appointment.left_out is left_out else replace(appointment, left_out=left_out)
    )


def marked_lookup(lookup: AppointmentLookup, resources: ResourceFilter) -> AppointmentLookup:
    """The lookup, marked if the appointment exists with resources that the filter leaves out.

    A lookup that names none proves nothing: the next listing shows where the appointment is.
    """
    is_left_out = (
        lookup.exists and bool(lookup.resources) and resources.leaves_out(lookup.resources)
    )
    return replace(lookup, left_out=is_left_out)
