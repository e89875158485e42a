"""The GraphQL documents that the adapter sends, at most 8 levels deep. Pure.

Selections are written out rather than as fragments: a fragment must name its type, and the vendor
documents fields, not types. What the responses mean belongs in ``parsing``.
"""

from collections.abc import Iterable

MAX_DEPTH = 8
"""The deepest query that the vendor accepts."""

_PAGE = """
query ($loc: ID!, $start: DateTime, $end: DateTime, $limit: Int, $offset: Int) {{
  appointments(
    locationId: $loc, start: $start, end: $end, limit: $limit, offset: $offset,
    includeCompleted: true
  ) {{ {fields} }}
}}
"""
# Without includeCompleted, the vendor leaves out every finished appointment.

_ROW = """
id start duration status reason note deleted updatedAt
type { id name } provider { id name } location { id } encounters { id }
patient { id name species breed
  client { id givenName familyName email phoneNumbers { value preferred } } }
"""

PAGE = _PAGE.format(fields=_ROW)
"""A page of the calendar."""

IDENTITIES = _PAGE.format(fields="id location { id }")
"""A page of the calendar with nothing that a damaged record could make fail."""

_CHANGED = """
query ($loc: ID!, $since: NaiveDateTime, $limit: Int, $offset: Int) {{
  appointments(
    locationId: $loc, updatedAtStart: $since, limit: $limit, offset: $offset,
    includeCompleted: true, onlyDeleted: {deleted}
  ) {{ {fields} }}
}}
"""

CHANGED = _CHANGED.format(deleted="false", fields=_ROW)
"""What was booked or changed since a moment, on any date."""

DELETED = _CHANGED.format(deleted="true", fields="id deleted location { id }")
"""What was deleted since a moment."""

PROVIDERS = _PAGE.format(fields="provider { id name } location { id }")
"""A page of the calendar, of which only the providers are wanted."""

TYPES = "query { appointmentTypes { id name isBlockoff isSurgery } }"
"""The organisation's appointment types."""

LOCATIONS = "query { locations { id name timezone } }"
"""The locations that the key opens."""

_APPOINTMENT = """
appointment(id: $i{n}) {{
  id start duration status deleted type {{ id }} provider {{ id }} location {{ id }}
}}
"""
ASSUMED_FIELDS = ("medications", "treatments")
"""Fields of a consultation that exist, in a shape that is assumed: if it is another one, the vendor
refuses the whole query."""
_ENCOUNTER = """
encounter(id: $i{n}) {{
  id start signed updatedAt appointment {{ id }} patient {{ id }}
  sections {{ name data {{ value label }} }}
  subjective {{ value }} objective {{ value }} assessment {{ value }} plan {{ value }}
  problems {{ id name }}
  vitals {{ datetime temp heartRate respRate weight weightUnit }} {assumed}
}}
"""


def alias(number: int) -> str:
    """The name of the response's field for the identity with this number."""
    return f"r{number}"


def lookups(count: int) -> str:
    """Looks up so many appointments, each under its alias; see ``identities``."""
    return _aliased(_APPOINTMENT, count)


def encounters(count: int, *, with_assumed: bool = True) -> str:
    """Fetches so many consultations, with or without ``ASSUMED_FIELDS``; see ``lookups``."""
    assumed = [f"{name} {{ id name }}" for name in ASSUMED_FIELDS if with_assumed]
    return _aliased(_ENCOUNTER, count, assumed=" ".join(assumed))


def identities(values: Iterable[str]) -> dict[str, object]:
    """The variables of ``lookups`` and ``encounters``."""
    return {f"i{number}": value for number, value in enumerate(values)}


def _aliased(selection: str, count: int, **parts: str) -> str:
    variables = ", ".join(f"$i{number}: ID!" for number in range(count))
    fields = " ".join(
        f"{alias(number)}: {selection.format(n=number, **parts)}" for number in range(count)
    )
    return f"query ({variables}) {{ {fields} }}"
