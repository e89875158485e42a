"""The comparison finds every planted difference, and none between equal sides."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.adoption.differences import Difference, OurCase, Sides, TheirCase
from pims_pipeline.domain.adoption.kinds import KINDS, DifferenceKind
from pims_pipeline.domain.records.words import DEFAULT_WORDS, CaseStatus
from pims_pipeline_tests.domain.adoption.compared import (
    DATES_ONLY,
    LONG_AGO,
    PLANTS,
    SIDES,
    SYNCED,
    ZONE,
    found,
    our_case,
    our_cases,
    same_there,
    untouched,
)

MANY = 5_000


def only(ours: OurCase | None, theirs: list[TheirCase]) -> Difference:
    (difference,) = found([] if ours is None else [ours], theirs)
    return difference


@given(st.lists(our_cases(), unique_by=lambda case: case.appointment_id, max_size=8))
def test_equal_sides_have_no_difference(cases: list[OurCase]) -> None:
    assert found(cases, [same_there(case) for case in cases]) == []
    theirs = [same_there(case, has_times=False) for case in cases]
    assert found(cases, theirs, DATES_ONLY) == []


def test_every_kind_can_be_planted() -> None:
    assert set(PLANTS) == set(DifferenceKind) == set(KINDS)


@given(
    st.lists(st.sampled_from([*DifferenceKind, None]), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_every_planted_difference_is_found_and_no_other(
    planted: list[DifferenceKind | None], random: Random
) -> None:
    ours, theirs, expected = [], [], Counter[tuple[str, DifferenceKind]]()
    for number, kind in enumerate(planted, start=1):
        case = our_case(number)
        plant = PLANTS[kind] if kind else untouched
        here, there = plant(case, same_there(case), random)
        ours += [] if here is None else [here]
        theirs += there
        expected.update([(case.appointment_id, kind)] if kind else [])
    random.shuffle(theirs)
    differences = found(ours, theirs)
    assert Counter((each.appointment_id, each.kind) for each in differences) == expected


def test_five_thousand_cases_with_a_hundred_differences() -> None:
    random = Random(4)  # noqa: S311 - reproducible
    cases = [our_case(number) for number in range(MANY)]
    picked = dict(zip(random.sample(range(MANY), 100), list(DifferenceKind) * 7, strict=False))
    ours, theirs = [], []
    for number, case in enumerate(cases):
        kind = picked.get(number)
        plant = PLANTS[kind] if kind else untouched
        here, there = plant(case, same_there(case), random)
        ours += [] if here is None else [here]
        theirs += there
    differences = found(ours, theirs)
    assert {int(each.appointment_id): each.kind for each in differences} == picked
    assert len(differences) == len(picked)


@pytest.mark.parametrize(
    ("zone", "hours"), [("UTC", -4), ("America/Los_Angeles", 3), ("Asia/Kolkata", -9.5)]
)
def test_a_shift_names_the_zone_that_explains_it(zone: str, hours: float) -> None:
    ours = our_case()
    wall_clock = ours.scheduled_start.astimezone(ZONE).replace(tzinfo=None)
    at = wall_clock.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    sides = replace(SIDES, suspected_zones=(*SIDES.suspected_zones, ZoneInfo("Asia/Kolkata")))
    (difference,) = found([ours], [replace(same_there(ours), scheduled_at=at)], sides)
    assert (difference.kind, difference.hours) == (DifferenceKind.TIME_SHIFTED, hours)
    assert difference.zone == zone


@given(st.integers(-14, 14).filter(bool), our_cases())
def test_whole_hours_are_a_shift_even_over_midnight(hours: int, ours: OurCase) -> None:
    ours = replace(ours, is_retired=False)
    at = ours.scheduled_start + timedelta(hours=hours)
    difference = only(ours, [replace(same_there(ours), scheduled_at=at)])
    assert (difference.kind, difference.hours) == (DifferenceKind.TIME_SHIFTED, hours)


def test_a_late_time_read_in_another_zone_explains_another_date() -> None:
    ours = our_case(scheduled_start=datetime(2026, 3, 21, 1, tzinfo=UTC))  # 9 p.m. on the 20th
    theirs = replace(same_there(ours, has_times=False), scheduled_date=date(2026, 3, 21))
    (difference,) = found([ours], [theirs], DATES_ONLY)
    assert (difference.kind, difference.ours, difference.theirs, difference.zone) == (
        DifferenceKind.DATE,
        "2026-03-20",
        "2026-03-21",
        "UTC",
    )


@pytest.mark.parametrize("sides", [SIDES, DATES_ONLY])
def test_a_case_without_a_date_there_has_another_date(sides: Sides) -> None:
    theirs = replace(same_there(our_case()), scheduled_at=None)
    (difference,) = found([our_case()], [theirs], sides)
    assert (difference.kind, difference.theirs) == (DifferenceKind.DATE, None)


def test_what_people_set_here_is_their_edit() -> None:
    ours = our_case(status=CaseStatus.ONGOING)
    theirs = replace(same_there(ours), status="draft")
    assert only(ours, [theirs]).kind is DifferenceKind.STATUS_BY_PEOPLE


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        # v4.0 does not know the clinic's word.
        ("ongoing", "draft", DifferenceKind.STATUS),
        ("ongoing", "completed", DifferenceKind.STATUS_BY_PEOPLE),
        ("completed", "draft", DifferenceKind.STATUS_BY_PEOPLE),
    ],
)
def test_a_word_that_means_something_else_here_is_no_edit_of_people(
    here: str, there: str, kind: DifferenceKind
) -> None:
    sides = replace(SIDES, words=DEFAULT_WORDS.adding({"Confirmed": CaseStatus.ONGOING}))
    ours = our_case(status=CaseStatus(here))
    theirs = replace(same_there(ours), status=there)
    (difference,) = found([ours], [theirs], sides)
    assert difference.kind is kind


def test_a_status_differs_by_the_syncs_where_the_word_there_is_lost() -> None:
    theirs = replace(same_there(our_case()), status="completed", status_word=None)
    assert only(our_case(), [theirs]).kind is DifferenceKind.STATUS


def test_a_status_differs_by_the_syncs_where_the_word_is_not_known() -> None:
    ours = our_case(status_word="Strange")
    theirs = replace(same_there(ours), status="ongoing")
    assert only(ours, [theirs]).kind is DifferenceKind.STATUS


def test_a_retirement_that_someone_took_back_is_of_people() -> None:
    ours = our_case(is_retired=True)
    theirs = replace(same_there(ours), status="ongoing")
    assert only(ours, [theirs]).kind is DifferenceKind.STATUS_BY_PEOPLE


def test_what_is_retired_on_its_only_side_is_no_difference() -> None:
    retired = our_case(is_retired=True)
    assert found([retired], []) == []
    assert found([], [same_there(retired)]) == []


def test_what_people_made_there_is_not_compared() -> None:
    theirs = replace(same_there(our_case()), source="manual", status="completed")
    assert found([our_case()], [theirs]) == []
    assert found([], [theirs]) == []


def test_of_several_cases_the_linked_one_is_compared() -> None:
    ours = our_case()
    linked = same_there(ours)
    newer = replace(linked, case_id=UUID(int=99), status="completed", created_at=SYNCED)
    difference = only(ours, [newer, linked])
    assert difference.kind is DifferenceKind.DUPLICATE_THERE
    assert difference.their_case_id == newer.case_id


def test_of_several_cases_that_are_not_linked_the_newest_is_compared() -> None:
    ours = our_case(linked_to=None)
    older = replace(same_there(ours), status="completed", case_id=UUID(int=98))
    newest = replace(same_there(ours), case_id=UUID(int=97), created_at=SYNCED)
    retired = replace(older, case_id=UUID(int=99), status="reviewed", has_mark=True)
    difference = only(ours, [newest, retired, older])
    assert (difference.kind, difference.their_case_id) == (
        DifferenceKind.DUPLICATE_THERE,
        older.case_id,
    )


def test_a_case_that_changed_since_the_last_sync_there_waits_for_the_next() -> None:
    ours = our_case(changed_at=SYNCED + timedelta(minutes=1))
    difference = only(ours, [replace(same_there(ours), scheduled_at=None)])
    assert difference.is_waiting
    assert not difference.counts


@pytest.mark.parametrize(("minutes", "waits"), [(-1, False), (1, True)])
def test_a_case_that_was_made_there_since_our_last_sync_waits_for_it(
    minutes: int,
    waits: bool,  # noqa: FBT001 - a parameter
) -> None:
    theirs = replace(same_there(our_case()), created_at=SYNCED + timedelta(minutes=minutes))
    difference = only(None, [theirs])
    assert (difference.kind, difference.is_waiting) == (DifferenceKind.EXTRA_THERE, waits)


def test_nothing_waits_for_a_side_that_never_synced() -> None:
    sides = replace(SIDES, synced_there={}, synced_here={})
    (difference,) = found([our_case(changed_at=SYNCED)], [], sides)
    assert (difference.kind, difference.is_waiting) == (DifferenceKind.MISSING_THERE, False)
    assert LONG_AGO < SYNCED
