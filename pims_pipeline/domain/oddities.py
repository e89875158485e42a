"""Fields of a vendor's records that could not be read, counted; never what they held.

An appointment or consultation is kept when only a description of it is odd. What was left
out is counted here, by the field's path and the kind of JSON value found there, so that
people see that the vendor sends something new. What decides about a record (its identity,
its start, whether it is an appointment, whether it is deleted) is never an oddity: a
record without it is quarantined.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class FieldOddity:
    """A field that held something else than the vendor promises.

    Attributes:
        path: Endpoint and field names, ``[]`` for any place of a list, such as
            ``consultation.consultationLines[].quantity``.
        json_type: ``object``, ``array``, ``string``, ``number``, ``boolean``, or ``null``,
            also where a field that is needed was not sent at all.
        count: How often.
    """

    path: str
    json_type: str
    count: int = 1


Oddities = tuple[FieldOddity, ...]
"""Each path and type once, in their order."""


def combined(oddities: Iterable[FieldOddity]) -> Oddities:
    """The oddities with equal path and type added up."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in oddities:
        counts[each.path, each.json_type] += each.count
    return tuple(FieldOddity(*key, count) for key, count in sorted(counts.items()))


def oddities_payload(oddities: Iterable[FieldOddity]) -> list[dict[str, Any]]:
    """The oddities as JSON-ready values."""
    return [{"path": each.path, "type": each.json_type, "count": each.count} for each in oddities]


def oddities_from_payload(payload: Iterable[dict[str, Any]]) -> Oddities:
    """The oddities that ``oddities_payload`` gave ``payload`` for."""
    return tuple(FieldOddity(each["path"], each["type"], each["count"]) for each in payload)
