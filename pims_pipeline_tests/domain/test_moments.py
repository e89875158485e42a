"""Plans ignore the times that a wrong clock wrote."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.moments import (
    FUTURE_TOLERANCE,
    MAX_SKEW,
    ClockReading,
    WrongClock,
    age_of,
    discard_future,
    is_in_future,
    no_later_than,
)
from pims_pipeline.domain.planning.enrichment import (
    EnrichableCase,
    EnrichmentPolicy,
    FetchedConsultation,
    FetchFailure,
    plan_consultations,
    plan_enrichment,
)
from pims_pipeline.domain.planning.inbound import plan_inbound
from pims_pipeline.domain.planning.landed_records import KnownRecord
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy, plan_reconciliation
from pims_pipeline.domain.planning.retirement import TrackedCase
from pims_pipeline.domain.records.appointments import AppointmentLookup, Proof, Snapshot
from pims_pipeline_tests.domain.memory import store_after
from pims_pipeline_tests.domain.strategies import CLINIC, appointments, consultations, snapshots

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
AHEAD = st.timedeltas(FUTURE_TOLERANCE + SECOND, timedelta(days=20_000))
FUTURE = AHEAD.map(lambda ahead: NOW + ahead)
PAST = st.timedeltas(timedelta(), timedelta(days=60)).map(lambda ago: NOW - ago)
LISTINGS = snapshots(fetched_at=PAST, proof=st.just(Proof.ONE_RESPONSE))
NAMES = ("last_seen_at", "missing_since", "removed_at")


@pytest.mark.parametrize("skew", [timedelta(), MAX_SKEW, -MAX_SKEW])
@pytest.mark.parametrize("round_trip", [timedelta(), timedelta(minutes=5)])
def test_clocks_that_agree_are_right_however_slow_the_response(
    skew: timedelta, round_trip: timedelta
) -> None:
    reading = ClockReading(before=NOW + skew, database=NOW, after=NOW + skew + round_trip)
    reading.check()
    # The database may have read its clock at any time until the response came.
    ClockReading(before=NOW, database=NOW + round_trip, after=NOW + round_trip).check()


@pytest.mark.parametrize("ahead", [timedelta(seconds=31), timedelta(days=400)])
def test_clocks_too_far_apart_are_refused_with_both_times(ahead: timedelta) -> None:
    fast = ClockReading(before=NOW + ahead, database=NOW, after=NOW + ahead + SECOND)
    with pytest.raises(WrongClock) as refused:
        fast.check()
    assert f"{NOW + ahead:%Y-%m-%d %H:%M:%S} UTC" in str(refused.value)
    assert f"{NOW:%Y-%m-%d %H:%M:%S} UTC" in str(refused.value)
    assert "ahead of" in str(refused.value)
    assert "\n" not in str(refused.value)
    slow = ClockReading(before=NOW - ahead - SECOND, database=NOW, after=NOW - ahead)
    with pytest.raises(WrongClock, match="behind the database's"):
        slow.check()


@given(
    offset=st.timedeltas(-timedelta(days=9), timedelta(days=9)),
    there=st.timedeltas(timedelta(), timedelta(minutes=3)),
    back=st.timedeltas(timedelta(), timedelta(minutes=3)),
)
def test_the_round_trip_never_adds_to_the_difference(
    offset: timedelta, there: timedelta, back: timedelta
) -> None:
    reading = ClockReading(before=NOW + offset - there, database=NOW, after=NOW + offset + back)
    assert abs(reading.ahead) <= abs(offset)
    assert abs(offset) - abs(reading.ahead) <= max(there, back)


def test_a_clock_set_back_during_the_request_gives_no_negative_round_trip() -> None:
    reading = ClockReading(before=NOW, database=NOW + SECOND, after=NOW - timedelta(hours=2))
    assert reading.ahead == -SECOND


@given(moment=st.one_of(FUTURE, PAST))
def test_a_time_is_accepted_unless_it_lies_in_the_future(moment: datetime) -> None:
    wrong = is_in_future(moment, NOW)
    assert wrong == (moment > NOW + FUTURE_TOLERANCE)
    assert discard_future(moment, NOW) == (None if wrong else moment)
    assert no_later_than(moment, NOW) == (NOW if wrong else moment)
    assert age_of(moment, NOW) == (timedelta.max if wrong else NOW - moment)


def test_two_hosts_within_the_permitted_skew_accept_each_other_s_times() -> None:
    fast, slow = NOW + MAX_SKEW, NOW - MAX_SKEW
    assert discard_future(fast, slow) == fast


def _absent(given: Mapping[str, datetime | None]) -> dict[str, Any]:
    return {
        name: None if moment is not None and moment > NOW + FUTURE_TOLERANCE else moment
        for name, moment in given.items()
    }


@given(data=st.data(), before=st.lists(LISTINGS, max_size=2), listing=LISTINGS)
def test_the_inbound_plan_ignores_times_in_the_future(
    data: st.DataObject, before: list[Snapshot], listing: Snapshot
) -> None:
    store = store_after(before)
    known, absent = {}, {}
    for pims_id, record in store.known(listing).items():
        moments: dict[str, Any] = {name: data.draw(st.none() | PAST | FUTURE) for name in NAMES}
        known[pims_id] = replace(record, **moments)
        absent[pims_id] = replace(record, **_absent(moments))
    plans = [plan_inbound(records, listing, clinic=CLINIC, now=NOW) for records in (known, absent)]
    assert plans[0] == plans[1]
    # A time in the past counts.
    assert plans[1] == plan_inbound(absent, listing, clinic=CLINIC)


@given(data=st.data(), before=st.lists(LISTINGS, max_size=2), listing=LISTINGS, asked=st.booleans())
def test_the_reconciliation_plan_ignores_times_in_the_future(
    data: st.DataObject,
    before: list[Snapshot],
    listing: Snapshot,
    asked: bool,  # noqa: FBT001 - drawn
) -> None:
    store = store_after(before)
    tracked: list[TrackedCase] = []
    absent: list[TrackedCase] = []
    for case in store.tracked(listing.window):
        moments: dict[str, Any] = {name: data.draw(st.none() | PAST | FUTURE) for name in NAMES}
        tracked.append(replace(case, **moments))
        absent.append(replace(case, **_absent(moments)))
    lookups = {
        case.case.pims_id: AppointmentLookup(
            appointment_id=case.case.pims_id, asked_at=NOW, found=data.draw(st.booleans())
        )
        for case in tracked
    }
    plans = [
        plan_reconciliation(
            cases, listing, DeletionPolicy(), lookups=lookups if asked else None, now=NOW
        )
        for cases in (tracked, absent)
    ]
    assert plans[0] == plans[1]


@given(
    appointment=appointments(),
    landed=PAST,
    checked=FUTURE,
    attempts=st.integers(1, 7),
    wait=st.timedeltas(timedelta(), timedelta(hours=16)),
)
def test_a_consultation_checked_or_failed_in_the_future_is_due_as_if_never_requested(
    appointment: Any, landed: datetime, checked: datetime, attempts: int, wait: timedelta
) -> None:
    appointment = replace(appointment, scheduled_start=NOW - timedelta(days=1))
    case = EnrichableCase(case_id=UUID(int=1), appointment=appointment, landed_at=landed)
    policy = EnrichmentPolicy()
    never = plan_enrichment([case], NOW, policy)
    wrongly = replace(
        case,
        checked_at=checked,
        failure=FetchFailure(
            attempts=attempts, last_failed_at=checked, next_retry_at=checked + wait
        ),
    )
    found = plan_enrichment([wrongly], NOW, policy)
    assert [(each.case_id, why) for each, why in found.due] == [
        (each.case_id, why) for each, why in never.due
    ]


@given(appointment=appointments(), checked=FUTURE, landed=FUTURE, record=consultations())
def test_a_present_response_counts_against_any_time_of_a_wrong_clock(
    appointment: Any, checked: datetime, landed: datetime, record: Any
) -> None:
    case = EnrichableCase(
        case_id=UUID(int=1), appointment=appointment, landed_at=landed, checked_at=checked
    )
    response = FetchedConsultation(
        case_id=case.case_id,
        asked_at=NOW,
        consultation=replace(record, patient=None),
        asked_for=appointment,
    )
    plan = plan_consultations({case.case_id: case}, [response], now=NOW)
    assert plan.checked == {case.case_id: NOW}
    assert [write.case.case_id for write in plan.writes] == [case.case_id]


def test_a_dead_letter_of_a_wrong_clock_stays_dead_until_its_appointment_changes() -> None:
    failure = FetchFailure(attempts=8, last_failed_at=NOW + timedelta(days=400), next_retry_at=None)
    assert failure.as_of(NOW) == FetchFailure(attempts=8, last_failed_at=NOW, next_retry_at=None)


def test_a_record_known_of_the_past_is_left_as_it_is() -> None:
    record = KnownRecord(pims_id="a", last_seen_at=NOW, missing_since=NOW + FUTURE_TOLERANCE)
    assert record.as_of(NOW) is record
