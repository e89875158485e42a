"""Two equal sides for tests of the comparison, and ways to plant one difference."""

import string
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from pims_pipeline.domain.adoption.differences import (
    Difference,
    OurCase,
    Sides,
    TheirCase,
    differences_of,
    pairs,
)
from pims_pipeline.domain.adoption.kinds import DifferenceKind
from pims_pipeline.domain.clinics import business_date
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.records.words import CaseStatus, CaseType, case_type_of, status_of

ZONE = ZoneInfo("America/New_York")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
SYNCED = datetime(2026, 3, 25, tzinfo=UTC)
STATUS_WORDS = ("Confirmed", "Checked in", "Paid", "No show")
TYPE_WORDS = ("Exam", "Surgery", "URGENT recheck", "Recheck")
Sided = tuple[OurCase | None, list[TheirCase]]

SIDES = Sides(
    zone=ZONE,
    has_times=True,
    suspected_zones=(ZoneInfo("UTC"), ZoneInfo("America/Los_Angeles")),
    synced_here=dict.fromkeys(Phase, SYNCED),
    synced_there=dict.fromkeys(Phase, SYNCED),
)
DATES_ONLY = replace(SIDES, has_times=False)


def our_case(number: int = 1, **changes: Any) -> OurCase:
    """A case at 10 o'clock on 20 March, confirmed, in the calendar."""
    start = datetime(2026, 3, 20, 14, tzinfo=UTC)
    case = OurCase(
        case_id=UUID(int=number),
        appointment_id=str(number),
        scheduled_date=start.date(),
        scheduled_start=start,
        status=CaseStatus.DRAFT,
        case_type=CaseType.CHECKUP,
        is_retired=False,
        is_listed=True,
        has_consultation=False,
        status_word="Confirmed",
        type_word="Exam",
        linked_to=UUID(int=number),
        changed_at=LONG_AGO,
    )
    return replace(case, **changes)


def same_there(ours: OurCase, *, has_times: bool = True) -> TheirCase:
    """The case as v4.0 has it when both sides agree."""
    return TheirCase(
        case_id=ours.linked_to or UUID(int=ours.case_id.int + 10**6),
        appointment_id=ours.appointment_id,
        source="pims:idexx-neo" if has_times else None,
        scheduled_at=ours.scheduled_start if has_times else None,
        scheduled_date=None if has_times else ours.scheduled_date,
        status="reviewed" if ours.is_retired else ours.status.value,
        case_type=ours.case_type.value,
        has_mark=ours.is_retired,
        has_consultation=ours.has_consultation,
        status_word=ours.status_word,
        type_word=ours.type_word,
        created_at=LONG_AGO,
    )


@st.composite
def our_cases(draw: st.DrawFn) -> OurCase:
    """A case with any words, time and state; people may have set its status or type."""
    start = draw(
        st.datetimes(datetime(2025, 12, 1), datetime(2026, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
    ).replace(second=0, microsecond=0)
    status_word = draw(st.sampled_from([*STATUS_WORDS, "Strange", None]))
    type_word = draw(st.sampled_from([*TYPE_WORDS, None]))
    meant = status_of(status_word) or CaseStatus.DRAFT
    return our_case(
        1,
        appointment_id=draw(st.text(string.ascii_letters + string.digits, min_size=1)),
        scheduled_date=business_date(start, ZONE),
        scheduled_start=start,
        status=draw(st.sampled_from([meant, *CaseStatus])),
        case_type=draw(st.sampled_from([case_type_of(type_word), *CaseType])),
        is_retired=draw(st.booleans()),
        is_listed=draw(st.booleans()),
        has_consultation=draw(st.booleans()),
        status_word=status_word,
        type_word=type_word,
        linked_to=draw(st.sampled_from([UUID(int=1), UUID(int=2), None])),
    )


def untouched(ours: OurCase, theirs: TheirCase, _: Random) -> Sided:
    """Plant nothing."""
    return ours, [theirs]


def _later(**shift: int) -> Callable[[OurCase, TheirCase, Random], Sided]:
    def plant(ours: OurCase, theirs: TheirCase, _: Random) -> Sided:
        at = ours.scheduled_start + timedelta(**shift)
        return ours, [replace(theirs, scheduled_at=at)]

    return plant


def _other_status(ours: OurCase, theirs: TheirCase, random: Random) -> Sided:
    # A word that v4.0 has not seen yet, with another meaning.
    word, meant = random.choice(
        [(word, meant) for word in STATUS_WORDS if (meant := status_of(word)) is not ours.status]
    )
    assert meant is not None
    return ours, [replace(theirs, status=meant.value, status_word=word)]


def _other_type(ours: OurCase, theirs: TheirCase, random: Random) -> Sided:
    word = random.choice([word for word in TYPE_WORDS if case_type_of(word) is not ours.case_type])
    return ours, [replace(theirs, case_type=case_type_of(word).value, type_word=word)]


def _edited(field: str) -> Callable[[OurCase, TheirCase, Random], Sided]:
    def plant(ours: OurCase, theirs: TheirCase, random: Random) -> Sided:
        values: list[Any] = list(CaseStatus if field == "status" else CaseType)
        value = random.choice([each for each in values if each is not getattr(ours, field)])
        return ours, [replace(theirs, **{field: value.value})]

    return plant


def _marked(theirs: TheirCase) -> TheirCase:
    return replace(theirs, status="reviewed", has_mark=True)


PLANTS: Mapping[DifferenceKind, Callable[[OurCase, TheirCase, Random], Sided]] = MappingProxyType(
    {
        DifferenceKind.MISSING_THERE: lambda ours, _theirs, _: (ours, []),
        DifferenceKind.EXTRA_THERE: lambda _ours, theirs, _: (None, [theirs]),
        DifferenceKind.RETIRED_THERE: lambda ours, theirs, _: (ours, [_marked(theirs)]),
        DifferenceKind.KEPT_HERE: lambda ours, theirs, _: (
            replace(ours, is_listed=False),
            [_marked(theirs)],
        ),
        DifferenceKind.KEPT_THERE: lambda ours, theirs, _: (
            replace(ours, is_retired=True),
            [theirs],
        ),
        DifferenceKind.DATE: _later(days=3),
        DifferenceKind.TIME_SHIFTED: _later(hours=5),
        DifferenceKind.TIME: _later(minutes=10),
        DifferenceKind.STATUS: _other_status,
        DifferenceKind.TYPE: _other_type,
        DifferenceKind.CONSULTATION_MISSING_THERE: lambda ours, theirs, _: (
            replace(ours, has_consultation=True),
            [theirs],
        ),
        DifferenceKind.CONSULTATION_MISSING_HERE: lambda ours, theirs, _: (
            ours,
            [replace(theirs, has_consultation=True)],
        ),
        DifferenceKind.STATUS_BY_PEOPLE: _edited("status"),
        DifferenceKind.TYPE_BY_PEOPLE: _edited("case_type"),
        DifferenceKind.DUPLICATE_THERE: lambda ours, theirs, _: (
            ours,
            [theirs, replace(theirs, case_id=UUID(int=theirs.case_id.int + 10**9))],
        ),
    }
)
"""How to plant a difference of each kind between a case and its like there."""


def found(ours: list[OurCase], theirs: list[TheirCase], sides: Sides = SIDES) -> list[Difference]:
    """All differences of the two sides."""
    return [each for pair in pairs(ours, theirs) for each in differences_of(pair, sides)]
