"""The shapes of Vetspire's responses, also of refused ones. Pure.

Aliases are left out: a record is counted under the name of the field that was requested. What
counts as a shape belongs in ``pims_pipeline.domain.records.shapes``.
"""

import re
from collections.abc import Mapping, Sequence

from pims_pipeline.domain.records.shapes import Endpoint, Shapes, shapes_of
from pims_pipeline.providers.port import ContractViolation
from pims_pipeline.providers.vetspire import documents
from pims_pipeline.providers.vetspire.parsing.data import items_of

_ROWS = "appointments"
KNOWN_NAMES = frozenset(
    re.findall(
        r"[A-Za-z]+",
        f"{documents.PAGE} {documents.lookups(1)} {documents.encounters(1)} "
        f"{documents.TYPES} {documents.LOCATIONS}",
    )
)
"""The words of the documents: a response has the fields that its document names."""


def rows_of(data: Mapping[str, object], what: str) -> list[object]:
    """The rows of a page of the calendar.

    Raises:
        ContractViolation: With the shapes of ``data``, if it has no list of them.
    """
    try:
        return items_of(data, _ROWS, what)
    except ContractViolation as error:
        error.shapes = shapes_of(Endpoint.LISTING, data, KNOWN_NAMES)
        raise


def dictionary_shapes(data: Mapping[str, object]) -> Shapes:
    """The shapes of the appointment types or the locations."""
    return shapes_of(Endpoint.DICTIONARY, data, KNOWN_NAMES)


def listing_shapes(rows: Sequence[object]) -> Shapes:
    """The shapes of a calendar's pages, whose rows are counted as those of one."""
    return shapes_of(Endpoint.LISTING, {_ROWS: list(rows)}, KNOWN_NAMES)


def lookup_shapes(row: object) -> Shapes:
    """The shapes of one appointment that was looked up."""
    return shapes_of(Endpoint.LOOKUP, {"appointment": row}, KNOWN_NAMES)


def encounter_shapes(row: object) -> Shapes:
    """The shapes of one consultation."""
    return shapes_of(Endpoint.CONSULTATION, {"encounter": row}, KNOWN_NAMES)
