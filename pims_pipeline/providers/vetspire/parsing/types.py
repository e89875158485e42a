"""The organisation's appointment types, and what they make of an appointment. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from pims_pipeline.domain.records.appointments import RecordKind
from pims_pipeline.domain.records.profiles import AppointmentType
from pims_pipeline.domain.records.shapes import Shapes
from pims_pipeline.domain.records.words import CaseType
from pims_pipeline.providers.parsing.bodies import violations_with
from pims_pipeline.providers.parsing.fields import Fields, UnreadableField, as_identity
from pims_pipeline.providers.vetspire.parsing.data import items_of
from pims_pipeline.providers.vetspire.parsing.shapes import dictionary_shapes


@dataclass(frozen=True, slots=True)
class TypeBook:
    """The appointment types by identity, with the shapes of the response."""

    types: Mapping[str, AppointmentType]
    shapes: Shapes = ()

    def knows(self, identity: str | None) -> bool:
        """Whether the type is one of these; an appointment without a type is no unknown one."""
        return identity is None or identity in self.types

    def kind_of(self, identity: str | None) -> RecordKind:
        """The kind of a record of this type; one of an unknown type is an appointment.

        Raises:
            UnreadableField: If it could not be read whether the type is a block.
        """
        found = self.types.get(identity or "")
        if found is None:
            return RecordKind.APPOINTMENT
        if found.is_block is None:
            raise UnreadableField("appointmentTypes.isBlockoff", "is not a yes-or-no value")
        return RecordKind.BLOCK if found.is_block else RecordKind.APPOINTMENT

    def stated_type_of(self, identity: str | None) -> CaseType | None:
        """What the type itself makes of the case, before any word does."""
        found = self.types.get(identity or "")
        return CaseType.SURGERY if found is not None and found.is_surgery else None


NO_TYPES = TypeBook({})


def parse_types(data: Mapping[str, object]) -> TypeBook:
    """The types in the data of ``documents.TYPES``; one without an identity is left out.

    Raises:
        ContractViolation: If it is no list of types.
    """
    fields = Fields(data, "types")
    found: dict[str, AppointmentType] = {}
    shapes = dictionary_shapes(data)
    with violations_with(shapes):
        items = items_of(data, "appointmentTypes", "the appointment types")
    for item in items:
        inside = fields.of_item(item, "appointmentTypes")
        identity = inside.identity("id") if inside else None
        if inside is not None and identity is not None:
            found[identity] = AppointmentType(
                id=identity,
                name=inside.text("name") or "",
                is_block=_flag(inside, "isBlockoff"),
                is_surgery=_flag(inside, "isSurgery"),
            )
    return TypeBook(found, shapes)


def _flag(fields: Fields, name: str) -> bool | None:
    """Whether the flag is set; None when that cannot be read."""
    value = fields.get(name)
    odd_before = len(fields.odd)
    is_set = fields.flag(name)
    return None if value is not None and len(fields.odd) > odd_before else is_set


def type_identity(fields: Fields) -> str | None:
    """The identity of a record's type; None when it has none.

    Raises:
        UnreadableField: If it cannot be read: a block might become a case.
    """
    value = fields.get("type")
    if isinstance(value, Mapping):
        return as_identity(value.get("id"), "type.id")
    return as_identity(value, "type")
