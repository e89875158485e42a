"""Counts of vendor fields that could not be read; never their content.

A record is kept when only a descriptive field is unreadable. Such fields are counted by path and
JSON type, so that operators see that the vendor's format has changed. Fields that decide (identity,
start, kind, deletion) are never oddities: without them, the record is quarantined.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class FieldOddity:
    """A field whose value is not what the vendor documents.

    Attributes:
        path: Endpoint and field names, ``[]`` for any place of a list, such as
            ``consultation.consultationLines[].quantity``.
        json_type: ``object``, ``array``, ``string``, ``number``, ``boolean`` or ``null``; also
            ``null`` when a required field is missing.
        count: How often.
    """

    path: str
    json_type: str
    count: int = 1


Oddities = tuple[FieldOddity, ...]
"""Each path and type once, in their order."""


def combined(oddities: Iterable[FieldOddity]) -> Oddities:
    """The oddities, with the counts of equal path and type added up."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in oddities:
        counts[each.path, each.json_type] += each.count
    return tuple(FieldOddity(*key, count) for key, count in sorted(counts.items()))


def oddities_payload(oddities: Iterable[FieldOddity]) -> list[dict[str, Any]]:
    """The oddities as JSON-ready values."""
    return [{"path": each.path, "type": each.json_type, "count": each.count} for each in oddities]


def oddities_from_payload(payload: Iterable[dict[str, Any]]) -> Oddities:
    """The oddities from which ``oddities_payload`` made ``payload``."""
    return tuple(FieldOddity(each["path"], each["type"], each["count"]) for each in payload)
