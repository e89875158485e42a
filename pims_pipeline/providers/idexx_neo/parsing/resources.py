"""The room, column and provider of a record. Pure.

A listing may call a provider by name alone; its id then comes from the ``dictionary``.
"""

from collections.abc import Mapping

from pims_pipeline.domain.records.resources import ResourceKind
from pims_pipeline.providers.idexx_neo.parsing.fields import (
    Fields,
    UnreadableField,
    as_identity,
)


def record_resources(fields: Fields, *, room: str | None, provider: str | None) -> tuple[str, ...]:
    """The resources of a record of the listing.

    Args:
        fields: The record.
        room: The name of its room, if it has one.
        provider: The name of its provider.
    """
    found = (
        _resource(fields, ResourceKind.ROOM, ("appointment_room_id",), room),
        _resource(fields, ResourceKind.COLUMN, ("resource_id",), None),
        _resource(fields, ResourceKind.PROVIDER, ("provider_id", "provider"), provider),
    )
    return tuple(filter(None, found))


def lookup_resources(fields: Fields) -> tuple[str, ...]:
    """The resources of a looked-up appointment, which has them as objects."""
    found = (
        _resource(fields, ResourceKind.ROOM, ("appointmentRoom",), None),
        _resource(fields, ResourceKind.PROVIDER, ("provider",), None),
    )
    return tuple(filter(None, found))


def _resource(
    fields: Fields, kind: ResourceKind, names: tuple[str, ...], called: str | None
) -> str | None:
    """The resource's name in filters; unreadable where the record only says that there is one."""
    for name in names:
        value = fields.get(name)
        try:
            identity = _identity_in(value, name)
        except UnreadableField:
            # A provider's name is no id, and an odd one is counted with the names.
            if name != "provider":
                fields.note(name, value)
            return kind.unreadable
        if identity is not None:
            return kind.key(identity)
    return kind.unreadable if called else None


def _identity_in(value: object, name: str) -> str | None:
    """The id in ``value``, which may be an object that has it.

    Raises:
        UnreadableField: If there is something else, such as a provider's name.
    """
    if isinstance(value, Mapping) and value:
        value = value.get("id")
    identity = as_identity(value, name)
    if name == "provider" and isinstance(value, str) and identity and not identity.isdecimal():
        raise UnreadableField(name, "is a name, not an identity")
    return identity
