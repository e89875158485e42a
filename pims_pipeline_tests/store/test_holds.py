"""Holds as rows: opened, superseded, decided once. ``sync`` tests their effects."""

import threading
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic, DateRange
from pims_pipeline.domain.planning.reconciliation import HoldReason, ReconciliationPlan
from pims_pipeline.store.clinics import add_clinic
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.holds import (
    HoldDecided,
    UnknownHold,
    approve,
    close_settled_holds,
    hold_by_id,
    list_holds,
    open_hold,
    open_hold_count,
    reject,
    waiting_hold,
)
from pims_pipeline.store.rejections import end_rejections, rejections, rejections_in_force, reopen

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
CASES = tuple(UUID(int=number) for number in range(1, 4))
WEEK = DateRange(date(2026, 3, 1), date(2026, 3, 7))


def held(*orphans: UUID, reason: HoldReason = HoldReason.TOO_MANY_ORPHANS) -> ReconciliationPlan:
    """A plan that the deletion guard held back."""
    return ReconciliationPlan(
        retire=(),
        follow=(),
        orphans=orphans,
        unconfirmed=(),
        hold=reason,
        active=9,
        by_date={},
    )


def opened(
    engine: Engine,
    clinic: Clinic,
    window: DateRange = WEEK,
    plan: ReconciliationPlan | None = None,
    now: datetime = NOW,
) -> UUID:
    with transaction(engine) as connection:
        return open_hold(connection, clinic, window, plan or held(*CASES), now)


def statuses(engine: Engine) -> dict[UUID, str]:
    with transaction(engine) as connection:
        return {hold.id: hold.status for hold in list_holds(connection, waiting_only=False)}


def test_a_hold_is_read_back_as_it_was_opened(engine: Engine, clinic: Clinic) -> None:
    hold_id = opened(engine, clinic)
    with transaction(engine) as connection:
        hold = hold_by_id(connection, hold_id)
        assert open_hold_count(connection, clinic) == 1
    assert (hold.clinic_slug, hold.window, hold.reason) == (clinic.slug, WEEK, "too_many_orphans")
    assert (hold.cases_active, hold.cases_orphaned) == (9, 3)
    assert hold.case_ids == frozenset(CASES)
    assert (hold.status, hold.decided_by, hold.decided_at) == ("open", None, None)
    assert (hold.retired, hold.kept) == (frozenset(), {})


def test_the_same_plan_keeps_its_hold_in_whatever_order_it_names_its_cases(
    engine: Engine, clinic: Clinic
) -> None:
    first = opened(engine, clinic)
    again = opened(engine, clinic, plan=held(*reversed(CASES)), now=LATER)
    assert again == first
    assert statuses(engine) == {first: "open"}


@pytest.mark.parametrize(
    ("window", "plan"),
    [
        (WEEK, held(*CASES[:2])),
        (WEEK, held(*CASES, reason=HoldReason.EMPTY_LISTING)),
        (DateRange(WEEK.end, WEEK.end + timedelta(days=3)), held(*CASES)),
        (DateRange(WEEK.start, WEEK.start), held(*CASES)),
    ],
    ids=["other cases", "other reason", "overlapping window", "a part of the window"],
)
def test_another_finding_of_an_overlapping_window_supersedes_the_hold(
    engine: Engine, clinic: Clinic, window: DateRange, plan: ReconciliationPlan
) -> None:
    first = opened(engine, clinic)
    second = opened(engine, clinic, window, plan, LATER)
    assert statuses(engine) == {first: "superseded", second: "open"}


def test_holds_of_other_dates_and_clinics_stand_beside_each_other(
    engine: Engine, clinic: Clinic
) -> None:
    with transaction(engine) as connection:
        oak = add_clinic(
            connection,
            slug="oak",
            name="Oak",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
    day_after = WEEK.end + timedelta(days=1)
    first = opened(engine, clinic)
    second = opened(engine, clinic, DateRange(day_after, day_after), now=LATER)
    third = opened(engine, oak, now=LATER + timedelta(hours=1))
    assert statuses(engine) == {first: "open", second: "open", third: "open"}
    with transaction(engine) as connection:
        assert [hold.id for hold in list_holds(connection)] == [third, second, first]
        assert [hold.id for hold in list_holds(connection, clinic=oak)] == [third]


def test_only_a_look_at_the_whole_window_settles_a_hold(engine: Engine, clinic: Clinic) -> None:
    hold_id = opened(engine, clinic)
    part = DateRange(WEEK.start, WEEK.end - timedelta(days=1))
    with transaction(engine) as connection:
        close_settled_holds(connection, clinic, part, LATER)
    assert statuses(engine) == {hold_id: "open"}
    wider = DateRange(WEEK.start - timedelta(days=1), WEEK.end)
    with transaction(engine) as connection:
        close_settled_holds(connection, clinic, wider, LATER)
        assert hold_by_id(connection, hold_id).decided_at == LATER
    assert statuses(engine) == {hold_id: "superseded"}


def test_an_approved_hold_shows_what_became_of_its_cases(engine: Engine, clinic: Clinic) -> None:
    hold_id = opened(engine, clinic)
    kept = {CASES[2]: "its appointment is at the vendor"}
    with transaction(engine) as connection:
        hold = waiting_hold(connection, hold_id)
        approve(connection, hold, decided_by="Sam", retired=CASES[:2], kept=kept, now=LATER)
    with transaction(engine) as connection:
        hold = hold_by_id(connection, hold_id)
        assert list_holds(connection) == []
    assert (hold.status, hold.decided_by, hold.decided_at) == ("approved", "Sam", LATER)
    assert (hold.case_ids, hold.retired, hold.kept) == (
        frozenset(CASES),
        frozenset(CASES[:2]),
        kept,
    )


def test_a_decided_hold_names_who_decided_it(engine: Engine, clinic: Clinic) -> None:
    hold_id = opened(engine, clinic)
    with transaction(engine) as connection:
        reject(connection, waiting_hold(connection, hold_id), decided_by="Sam", now=LATER)
    with (
        pytest.raises(HoldDecided, match=f"hold {hold_id} was rejected by Sam"),
        transaction(engine) as connection,
    ):
        waiting_hold(connection, hold_id)


def test_a_rejection_is_in_force_for_the_cases_that_are_still_missing(
    engine: Engine, clinic: Clinic
) -> None:
    hold_id = opened(engine, clinic)
    with transaction(engine) as connection:
        assert rejections(connection, clinic) == []
        reject(connection, waiting_hold(connection, hold_id), decided_by="Sam", now=LATER)
        [rejection] = rejections(connection, clinic)
        assert (rejection.hold_id, rejection.reason) == (hold_id, "too_many_orphans")
        assert (rejection.case_ids, rejection.decided_at) == (frozenset(CASES), LATER)
        end_rejections(connection, clinic, [CASES[0], UUID(int=99)])
        [rejection] = rejections(connection, clinic)
        assert rejection.case_ids == frozenset(CASES[1:])
        assert [each.id for each in rejections_in_force(connection)] == [hold_id]
        end_rejections(connection, clinic, CASES[1:])
        assert rejections(connection, clinic) == []
        hold = hold_by_id(connection, hold_id)
    assert (hold.status, hold.is_in_force, hold.case_ids) == ("rejected", False, frozenset(CASES))


def test_a_rejection_of_another_clinic_is_not_ended(engine: Engine, clinic: Clinic) -> None:
    with transaction(engine) as connection:
        oak = add_clinic(
            connection,
            slug="oak",
            name="Oak",
            timezone="UTC",
            provider_type="idexx_neo",
            provider_base_url="https://pims.example",
        )
    hold_id = opened(engine, clinic)
    with transaction(engine) as connection:
        reject(connection, waiting_hold(connection, hold_id), decided_by="Sam", now=LATER)
        end_rejections(connection, oak, CASES)
        assert rejections(connection, oak) == []
        assert [each.hold_id for each in rejections(connection, clinic)] == [hold_id]
        reopen(connection, hold_by_id(connection, hold_id))
        assert rejections(connection, clinic) == []


def test_an_unknown_hold_names_the_command_that_lists_holds(engine: Engine) -> None:
    with pytest.raises(UnknownHold, match="pims holds list"), transaction(engine) as connection:
        hold_by_id(connection, uuid4())


def test_of_two_simultaneous_decisions_the_second_fails_with_the_first_ones_name(
    engine: Engine, clinic: Clinic
) -> None:
    hold_id = opened(engine, clinic)
    errors: list[str] = []

    def decide() -> None:
        try:
            with transaction(engine) as connection:
                reject(connection, waiting_hold(connection, hold_id), decided_by="Kim", now=LATER)
        except HoldDecided as error:
            errors.append(str(error))

    second = threading.Thread(target=decide)
    with transaction(engine) as connection:
        hold = waiting_hold(connection, hold_id)
        second.start()
        approve(connection, hold, decided_by="Sam", retired=CASES, kept={}, now=LATER)
    second.join()
    assert ["approved by Sam" in each for each in errors] == [True]
    assert statuses(engine) == {hold_id: "approved"}
