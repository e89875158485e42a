"""The clinic's own dictionary of rooms, columns, providers and appointment types. Pure.

A listing may call a provider by name alone, so its id comes from here: see ``with_providers``.
"""

from collections.abc import Mapping
from dataclasses import replace

from pims_pipeline.domain.records.appointments import PimsAppointment, Snapshot
from pims_pipeline.domain.records.profiles import AppointmentType, ClinicProfile
from pims_pipeline.domain.records.resources import (
    Resource,
    ResourceKind,
    ids_by_name,
    with_identity,
)
from pims_pipeline.domain.records.shapes import Endpoint
from pims_pipeline.providers.idexx_neo.parsing.responses import (
    decoded_json,
    json_object,
    violation,
)
from pims_pipeline.providers.idexx_neo.parsing.shapes import neo_shapes
from pims_pipeline.providers.parsing.bodies import violations_with
from pims_pipeline.providers.parsing.fields import Fields

_LISTS: Mapping[ResourceKind, tuple[str, ...]] = {
    ResourceKind.ROOM: ("appointmentRooms", "rooms"),
    ResourceKind.COLUMN: ("resources", "columns"),
    ResourceKind.PROVIDER: ("providers",),
}
"""Where the dictionary may have the resources of each kind."""
_TYPES = "appointmentTypes"


def parse_dictionary(body: bytes | str) -> tuple[Resource, ...]:
    """The clinic's rooms, columns and providers in the response of ``getAppointmentView``.

    An item without an identity is left out.

    Raises:
        ContractViolation: If it is no dictionary.
    """
    return _resources(_dictionary(body))


def parse_profile(body: bytes | str) -> ClinicProfile:
    """The clinic in the response of ``getAppointmentView``, which names no zone and no statuses.

    Raises:
        ContractViolation: If it is no dictionary.
    """
    fields = _dictionary(body)
    shapes = neo_shapes(Endpoint.DICTIONARY, fields.values)
    return ClinicProfile(types=_types(fields), resources=_resources(fields), shapes=shapes)


def _dictionary(body: bytes | str) -> Fields:
    what = "the calendar's rooms and providers"
    decoded = decoded_json(body, what)
    with violations_with(neo_shapes(Endpoint.DICTIONARY, decoded)):
        fields = Fields(json_object(decoded, what), "dictionary")
        if not any(name in fields.values for names in _LISTS.values() for name in names):
            raise violation(what, "JSON without 'appointmentRooms' or 'providers'")
    return fields


def _types(fields: Fields) -> tuple[AppointmentType, ...] | None:
    """The appointment types, each name once; None if the dictionary has no list of them."""
    if _TYPES not in fields.values:
        return None
    found: dict[str, AppointmentType] = {}
    for item in fields.items(_TYPES):
        inside = fields.of_item(item, _TYPES)
        name = inside.text("name") if inside else None
        if inside is not None and name is not None:
            found.setdefault(name, AppointmentType(name=name, id=inside.identity("id") or ""))
    return tuple(found.values())


def _resources(fields: Fields) -> tuple[Resource, ...]:
    found: dict[str, Resource] = {}
    for kind, names in _LISTS.items():
        for name in names:
            for item in fields.items(name):
                resource = _item(fields, kind, name, item)
                if resource is not None:
                    found.setdefault(resource.key, resource)
    return tuple(found.values())


def _item(fields: Fields, kind: ResourceKind, name: str, item: object) -> Resource | None:
    inside = fields.of_item(item, name)
    identity = inside.identity("id") if inside else None
    if inside is None or identity is None:
        return None
    return Resource(kind, identity, inside.text("name") or inside.text("title") or "")


def needs_providers(snapshot: Snapshot) -> bool:
    """Whether an appointment of the listing has a provider of whom only the name is known."""
    unreadable = ResourceKind.PROVIDER.unreadable
    return any(unreadable in (each.resources or ()) for each in snapshot.appointments)


def with_providers(snapshot: Snapshot, dictionary: tuple[Resource, ...]) -> Snapshot:
    """The listing, with the ids of the providers that it only calls by name."""
    ids = ids_by_name(dictionary, ResourceKind.PROVIDER)

    def named(appointment: PimsAppointment) -> PimsAppointment:
        resources = with_identity(
            appointment.resources, ResourceKind.PROVIDER, appointment.provider, ids
        )
        if resources == appointment.resources:
            return appointment
        return replace(appointment, resources=resources)

    return replace(snapshot, appointments=tuple(map(named, snapshot.appointments)))
