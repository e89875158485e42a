"""The locations that a key opens. Pure."""

from collections.abc import Mapping

from pims_pipeline.domain.records.profiles import Location
from pims_pipeline.providers.parsing.bodies import violations_with
from pims_pipeline.providers.parsing.fields import Fields
from pims_pipeline.providers.vetspire.parsing.data import items_of
from pims_pipeline.providers.vetspire.parsing.shapes import dictionary_shapes

WHAT = "the locations"


def parse_locations(data: Mapping[str, object]) -> tuple[Location, ...]:
    """The locations in the data of ``documents.LOCATIONS``; one without an identity is left out.

    Raises:
        ContractViolation: If it is no list of locations.
    """
    fields = Fields(data, "locations")
    found: dict[str, Location] = {}
    with violations_with(dictionary_shapes(data)):
        items = items_of(data, "locations", WHAT)
    for item in items:
        inside = fields.of_item(item, "locations")
        identity = inside.identity("id") if inside else None
        if inside is not None and identity is not None:
            found[identity] = Location(
                id=identity,
                name=inside.text("name") or "",
                timezone=inside.text("timezone"),
            )
    return tuple(found.values())
