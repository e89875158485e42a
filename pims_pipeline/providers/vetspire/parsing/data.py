"""The lists in the data of a query, and whose rows they hold. Pure."""

from collections.abc import Mapping

from pims_pipeline.providers.parsing import bodies
from pims_pipeline.providers.parsing.fields import Fields, as_identity, required
from pims_pipeline.providers.port import ContractViolation

VENDOR = "Vetspire"


def items_of(data: Mapping[str, object], name: str, what: str) -> list[object]:
    """The list called ``name``, which must be one: no other value is an empty list.

    Raises:
        ContractViolation: If it is none.
    """
    found = data.get(name)
    if not isinstance(found, list):
        raise violation(what, f"data without a list '{name}'")
    return found


def violation(what: str, problem: str) -> ContractViolation:
    """The error of a response that cannot be read; ``problem`` holds none of its content."""
    return bodies.violation(what, problem, VENDOR)


def identity_inside(fields: Fields, name: str) -> str | None:
    """The identity in the object called ``name``; None when there is none.

    Raises:
        UnreadableField: If it cannot be read.
    """
    value = fields.get(name)
    value = value.get("id") if isinstance(value, Mapping) else value
    return as_identity(value, f"{name}.id")


def location_of(fields: Fields) -> str:
    """The identity of a record's location.

    Raises:
        UnreadableField: If it has none: a key opens several, so it may be any of them.
    """
    return required(identity_inside(fields, "location"), "location.id")
