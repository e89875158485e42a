"""Which consultations are due, and when a failed fetch is retried."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.planning.enrichment import (
    FetchFailure,
    FetchReason,
    plan_enrichment,
)
from pims_pipeline_tests.domain.planning.enrichment.consultations import (
    AGES,
    APPOINTMENT,
    DAY,
    MINUTE,
    POLICY,
    SECOND,
    START,
    case,
    enriched,
    why,
)
from pims_pipeline_tests.domain.strategies import moments


def test_a_consultation_is_first_due_when_the_appointment_has_begun() -> None:
    assert why(case(), START - SECOND) is None
    assert why(case(), START) is FetchReason.MISSING


@pytest.mark.parametrize(
    ("landed", "reason"),
    [
        (START + MINUTE - SECOND, None),
        (START + MINUTE, None),
        (START + MINUTE + SECOND, FetchReason.APPOINTMENT_CHANGED),
    ],
)
def test_a_change_landed_after_the_last_request_makes_the_consultation_due(
    landed: datetime, reason: FetchReason | None
) -> None:
    assert why(enriched(landed_at=landed), START + 5 * MINUTE) is reason
    assert why(case(checked_at=START + MINUTE, landed_at=landed), START + 5 * MINUTE) is reason


def test_an_appointment_moved_into_the_future_waits_for_its_day() -> None:
    later = replace(APPOINTMENT, scheduled_start=START + DAY)
    assert why(enriched(appointment=later, landed_at=START + 2 * MINUTE), START + DAY / 2) is None


def test_a_missing_consultation_is_requested_again_after_a_pause() -> None:
    asked = START + MINUTE
    absent = case(checked_at=asked)
    assert why(absent, asked + POLICY.ask_again_after - SECOND) is None
    assert why(absent, asked + POLICY.ask_again_after) is FetchReason.MISSING


def test_an_unfinished_consultation_is_requested_again_after_a_pause_for_two_days() -> None:
    asked = START + MINUTE
    unfinished = enriched(checked_at=asked, consultation={"finished": False})
    assert why(unfinished, asked + POLICY.ask_again_after - SECOND) is None
    assert why(unfinished, asked + POLICY.ask_again_after) is FetchReason.UNFINISHED
    late = replace(unfinished, checked_at=START + POLICY.unfinished_for - MINUTE)
    assert why(late, START + POLICY.unfinished_for + DAY / 2) is None


@pytest.mark.parametrize("age", AGES)
def test_a_consultation_is_fetched_again_at_each_age_and_only_once(age: int) -> None:
    due = START + timedelta(days=age)
    before = enriched(checked_at=due - SECOND)
    assert why(before, due - SECOND / 2) is None
    assert why(before, due) is FetchReason.LATE_EDIT
    assert why(enriched(checked_at=due), due + MINUTE) is None


def test_a_consultation_older_than_the_last_age_is_not_fetched_again() -> None:
    assert POLICY.recheck_ages == tuple(timedelta(days=age) for age in AGES)
    assert why(enriched(checked_at=START + 45 * DAY), START + 400 * DAY) is None
    assert why(enriched(checked_at=START + 31 * DAY), START + 400 * DAY) is FetchReason.LATE_EDIT


@given(st.integers(0, 60 * 24), st.integers(0, 60 * 24))
def test_a_late_edit_is_due_exactly_when_an_age_was_reached_since(
    checked: int, waited: int
) -> None:
    checked_at = START + timedelta(hours=checked)
    now = checked_at + timedelta(hours=waited)
    reached = [age for age in AGES if checked < 24 * age <= checked + waited]
    wanted = FetchReason.LATE_EDIT if reached else None
    assert why(enriched(checked_at=checked_at), now) is wanted


FAILED_AT = START + 10 * MINUTE
RETRY_AT = START + 15 * MINUTE
WAITING = FetchFailure(attempts=1, last_failed_at=FAILED_AT, next_retry_at=RETRY_AT)
DEAD = FetchFailure(attempts=8, last_failed_at=FAILED_AT, next_retry_at=None)


def test_a_failed_fetch_waits_for_its_retry() -> None:
    assert why(case(failure=WAITING), RETRY_AT - SECOND) is None
    assert why(case(failure=WAITING), RETRY_AT) is FetchReason.MISSING


def test_a_dead_letter_waits_for_an_operator() -> None:
    assert why(case(failure=DEAD), START + 400 * DAY) is None
    assert why(enriched(failure=DEAD), START + 400 * DAY) is None


@pytest.mark.parametrize("failure", [WAITING, DEAD])
def test_a_change_at_the_vendor_ends_the_wait(failure: FetchFailure) -> None:
    now = FAILED_AT + 2 * SECOND
    assert why(case(failure=failure, landed_at=FAILED_AT), now) is None
    assert why(case(failure=failure, landed_at=FAILED_AT + SECOND), now) is FetchReason.MISSING


def test_a_failed_late_edit_is_retried_as_one() -> None:
    due = START + DAY
    failure = FetchFailure(attempts=1, last_failed_at=due, next_retry_at=due + MINUTE)
    assert why(enriched(failure=failure), due + MINUTE) is FetchReason.LATE_EDIT


def test_the_earliest_appointment_comes_first() -> None:
    known = [
        case(
            case_id=UUID(int=n),
            appointment=replace(APPOINTMENT, scheduled_start=START - n % 2 * DAY),
        )
        for n in (4, 2, 1, 3)
    ]
    future = case(
        case_id=UUID(int=9), appointment=replace(APPOINTMENT, scheduled_start=START + DAY)
    )
    plan = plan_enrichment([*known, future], START, POLICY)
    assert [each.case_id.int for each, _ in plan.due] == [1, 3, 2, 4]
    assert not plan.is_empty
    assert plan_enrichment([future], START, POLICY).is_empty


@given(moments, st.floats(0, 1))
def test_the_wait_for_a_retry_doubles_and_is_bounded(now: datetime, jitter: float) -> None:
    retries = [POLICY.retry_at(attempts, now, jitter) for attempts in range(1, 8)]
    waits = [retry - now for retry in retries if retry is not None]
    assert len(waits) == 7
    for attempt, wait in enumerate(waits):
        least = POLICY.first_retry_after * 2**attempt
        assert least <= wait <= least * 1.5
    assert waits == sorted(waits)
    # Not even the greatest jitter lets an attempt come before the next one's earliest.
    assert POLICY.first_retry_after * 1.5 < POLICY.first_retry_after * 2


def test_jitter_spreads_over_half_the_wait() -> None:
    assert POLICY.retry_at(1, START, 0.0) == START + 5 * MINUTE
    assert POLICY.retry_at(1, START, 1.0) == START + 7.5 * MINUTE
    assert POLICY.retry_at(7, START, 0.0) == START + 320 * MINUTE


@given(st.integers(8, 10_000), moments, st.floats(0, 1))
def test_after_the_last_attempt_there_is_no_other(
    attempts: int, now: datetime, jitter: float
) -> None:
    assert POLICY.retry_at(attempts, now, jitter) is None
