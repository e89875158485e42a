"""The kinds of differences between a clinic here and in its v4.0 installation. Pure.

Add a kind here; ``differences`` finds it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from pims_pipeline.domain.phases import Phase


class DifferenceKind(StrEnum):
    """The kinds of differences; ``KINDS`` says what each means."""

    MISSING_THERE = "missing_there"
    EXTRA_THERE = "extra_there"
    RETIRED_THERE = "retired_there"
    KEPT_THERE = "kept_there"
    KEPT_HERE = "kept_here"
    DATE = "date"
    TIME_SHIFTED = "time_shifted"
    TIME = "time"
    STATUS = "status"
    TYPE = "type"
    CONSULTATION_MISSING_THERE = "consultation_missing_there"
    CONSULTATION_MISSING_HERE = "consultation_missing_here"
    STATUS_BY_PEOPLE = "status_by_people"
    TYPE_BY_PEOPLE = "type_by_people"
    DUPLICATE_THERE = "duplicate_there"


@dataclass(frozen=True, slots=True)
class KindFacts:
    """What a kind means.

    Attributes:
        meaning: In a few words, for an operator.
        phase: Whose next sync may remove such a difference.
        counts: Whether it keeps a clinic from agreeing.
    """

    meaning: str
    phase: Phase
    counts: bool = True


KINDS: Mapping[DifferenceKind, KindFacts] = MappingProxyType(
    {
        DifferenceKind.MISSING_THERE: KindFacts(
            "v4.0 has no case of the appointment", Phase.INBOUND
        ),
        DifferenceKind.EXTRA_THERE: KindFacts(
            "this pipeline has no case of the appointment", Phase.INBOUND
        ),
        DifferenceKind.RETIRED_THERE: KindFacts(
            "retired in v4.0, although the appointment is in the vendor's calendar",
            Phase.RECONCILIATION,
        ),
        DifferenceKind.KEPT_THERE: KindFacts("retired here, not in v4.0", Phase.RECONCILIATION),
        DifferenceKind.KEPT_HERE: KindFacts(
            "retired in v4.0, and not confirmed as gone here", Phase.RECONCILIATION
        ),
        DifferenceKind.DATE: KindFacts("another date", Phase.INBOUND),
        DifferenceKind.TIME_SHIFTED: KindFacts(
            "the time is shifted, by whole hours or as another time zone would", Phase.INBOUND
        ),
        DifferenceKind.TIME: KindFacts("another time of the same date", Phase.INBOUND),
        DifferenceKind.STATUS: KindFacts("another status", Phase.INBOUND),
        DifferenceKind.TYPE: KindFacts("another type", Phase.INBOUND),
        DifferenceKind.CONSULTATION_MISSING_THERE: KindFacts(
            "v4.0 lacks the consultation, or part of it", Phase.CASES
        ),
        DifferenceKind.CONSULTATION_MISSING_HERE: KindFacts(
            "this pipeline lacks the consultation", Phase.CASES
        ),
        DifferenceKind.STATUS_BY_PEOPLE: KindFacts(
            "people set another status", Phase.INBOUND, counts=False
        ),
        DifferenceKind.TYPE_BY_PEOPLE: KindFacts(
            "people set another type", Phase.INBOUND, counts=False
        ),
        DifferenceKind.DUPLICATE_THERE: KindFacts(
            "a further case of the appointment in v4.0", Phase.INBOUND, counts=False
        ),
    }
)
"""What each kind means. Those that do not count stay: no sync of either side removes them."""
