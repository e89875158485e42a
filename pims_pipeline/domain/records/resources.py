"""Rooms, columns and providers of a vendor's calendar, and which of them a clinic syncs.

A resource is named by its kind and the vendor's id, such as ``room:11``: ids of different kinds may
be equal, and a resource may be renamed. Pure. Add a kind here. What becomes of the appointments
that a clinic leaves out belongs in ``planning``.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

_UNREADABLE = "?"
"""In place of an id: the vendor names a resource of the kind, but not which."""


class ResourceKind(StrEnum):
    """What a resource of a calendar is."""

    ROOM = "room"
    COLUMN = "column"
    PROVIDER = "provider"

    def key(self, identity: str) -> str:
        """The name of the resource of this kind with the vendor's ``identity``."""
        return f"{self.value}:{identity}"

    @property
    def unreadable(self) -> str:
        """The name of a resource of this kind whose id cannot be read."""
        return self.key(_UNREADABLE)


def kind_of_key(key: str) -> str:
    """The kind in a resource's name."""
    return key.partition(":")[0]


def is_readable(key: str) -> bool:
    """Whether the name has an id."""
    return key.partition(":")[2] != _UNREADABLE


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """A resource in the vendor's own dictionary.

    Attributes:
        id: The vendor's, unique within the kind.
        name: What the vendor calls it at present.
    """

    kind: ResourceKind
    id: str
    name: str = ""

    @property
    def key(self) -> str:
        """Its name in filters and landed records, such as ``room:11``."""
        return self.kind.key(self.id)


@dataclass(frozen=True, slots=True)
class ResourceFilter:
    """Which resources a clinic syncs, by their names; all of them by default.

    Attributes:
        included: Only appointments with one of these are synced; None means no such limit.
        excluded: Appointments with one of these are left out.

    Raises:
        ValueError: If both are given, or ``included`` is empty.
    """

    included: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.included is not None and (self.excluded or not self.included):
            raise ValueError("a filter includes some resources or excludes some, not both")

    @property
    def named(self) -> frozenset[str]:
        """Every resource that it names."""
        return self.included or self.excluded

    def names_any(self, kind: ResourceKind) -> bool:
        """Whether it names a resource of this kind."""
        return any(kind_of_key(key) == kind for key in self.named)

    def leaves_out(self, resources: Collection[str] | None) -> bool:
        """Whether an appointment with these resources is left out.

        One without any resource is left out only if the filter includes some. What is not known
        leaves nothing out: all of an appointment's resources (None), or the id of one.
        """
        if resources is None:
            return False
        if self.included is None:
            return not self.excluded.isdisjoint(resources)
        if not self.included.isdisjoint(resources):
            return False
        kinds = {kind_of_key(key) for key in self.included}
        return not any(kind_of_key(key) in kinds for key in resources if not is_readable(key))

    @classmethod
    def of(cls, included: Iterable[str] | None, excluded: Iterable[str] | None) -> "ResourceFilter":
        """The filter with these names, as they are stored."""
        return cls(None if included is None else frozenset(included), frozenset(excluded or ()))


ALL_RESOURCES = ResourceFilter()


def with_identity(
    resources: tuple[str, ...] | None,
    kind: ResourceKind,
    name: str | None,
    ids: Mapping[str, str],
) -> tuple[str, ...] | None:
    """The resources, with the id of one of ``kind`` of which the vendor gave the name alone.

    Args:
        resources: Of an appointment.
        kind: Of the resource.
        name: What the appointment calls it.
        ids: The vendor's ids by name; names that several resources share are left out.
    """
    identity = ids.get(name or "")
    if identity is None or resources is None or kind.unreadable not in resources:
        return resources
    return tuple(kind.key(identity) if key == kind.unreadable else key for key in resources)


def ids_by_name(resources: Iterable[Resource], kind: ResourceKind) -> dict[str, str]:
    """The ids of the resources of a kind by name, without names that several of them share."""
    found: dict[str, set[str]] = {}
    for each in resources:
        if each.kind is kind and each.name:
            found.setdefault(each.name, set()).add(each.id)
    return {name: ids.pop() for name, ids in found.items() if len(ids) == 1}
