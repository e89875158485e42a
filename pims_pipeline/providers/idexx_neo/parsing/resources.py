"""The room, column and provider of a record. Pure.

A listing may call a provider by name alone; its id then comes from the ``dictionary``.
"""

from collections.abc import Mapping

from pims_pipeline.domain.records.resources import ResourceKind
from pims_pipeline.providers.parsing.fields import (
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
        _resource(fields, ResourceKind.ROOM, "appointment_room_id", room),
        _resource(fields, ResourceKind.COLUMN, "resource_id", None),
        _provider(fields, provider),
    )
    return tuple(filter(None, found))


def lookup_resources(fields: Fields) -> tuple[str, ...]:
    """The resources of a looked-up appointment, which has them as objects."""
    found = (
        _resource(fields, ResourceKind.ROOM, "appointmentRoom", None),
        _resource(fields, ResourceKind.PROVIDER, "provider", None),
    )
    return tuple(filter(None, found))


def _provider(fields: Fields, called: str | None) -> str | None:
    """The provider, by its id, or unreadable where the record has the name alone."""
    kind = ResourceKind.PROVIDER
    if fields.get("provider_id") is not None:
        return _resource(fields, kind, "provider_id", called)
    value = fields.get("provider")
    if isinstance(value, str) and not value.strip().isdecimal():
        return kind.unreadable if called else None
    return _resource(fields, kind, "provider", called)


def _resource(fields: Fields, kind: ResourceKind, name: str, called: str | None) -> str | None:
    """The resource's name in filters; unreadable where the record only says that there is one."""
    value = fields.get(name)
    try:
        identity = as_identity(value.get("id") if isinstance(value, Mapping) else value, name)
    except UnreadableField:
        # An odd provider is counted where its name is read.
        if name != "provider":
            fields.note(name, value)
        return kind.unreadable
    if identity is not None:
        return kind.key(identity)
    return kind.unreadable if called else None
