"""Cases of appointments that the clinic leaves out: retired as such, guarded, and kept."""

from dataclasses import replace

import pytest

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.planning.left_out import marked, marked_lookup
from pims_pipeline.domain.planning.reconciliation import (
    HoldReason,
    plan_reconciliation,
    to_look_up,
)
from pims_pipeline.domain.planning.rejections import Rejection
from pims_pipeline.domain.planning.retirement import RetirementReason
from pims_pipeline.domain.records.appointments import PimsAppointment, Snapshot
from pims_pipeline_tests.domain.planning.reconciliation.window_cases import (
    EIGHT,
    MINUTE,
    POLICY,
    appointment,
    ids,
    listing,
    lookup,
    numbered,
    receipt,
    retired,
    store_of,
    unknown,
)
from pims_pipeline_tests.domain.records.test_resources import excluding, including
from pims_pipeline_tests.domain.strategies import WEEK

NO_ROOM_2 = excluding("room:2")


def in_room(number: int, *appointments: PimsAppointment) -> tuple[PimsAppointment, ...]:
    return tuple(replace(each, resources=(f"room:{number}",)) for each in appointments)


def left_out(*appointments: PimsAppointment, at: int = 60) -> Snapshot:
    return marked(listing(*in_room(2, *appointments), at=at), NO_ROOM_2)


def test_a_case_whose_appointment_moved_to_a_room_that_is_not_synced_is_retired_as_left_out() -> (
    None
):
    store = store_of(*in_room(1, appointment("a"), appointment("b")))
    snapshot = marked(
        listing(*in_room(2, appointment("a")), *in_room(1, appointment("b"))), NO_ROOM_2
    )
    assert to_look_up(store.tracked(WEEK), snapshot) == ()
    plan = store.plan_reconciliation(snapshot, POLICY, {})
    assert retired(plan) == {"a": RetirementReason.LEFT_OUT}
    assert receipt(plan, store.tracked(WEEK)) == Counts(found=2, left_out=1, unchanged=1)
    store.apply_reconciliation(plan, WEEK, snapshot.fetched_at)
    assert store.landed["a"].removed_at is None
    assert store.plan(listing(*in_room(1, appointment("a")), at=90)).case_writes != ()


@pytest.mark.parametrize("lookups", [None, {}])
def test_neither_a_lookup_nor_a_second_listing_is_needed(lookups: dict[str, object] | None) -> None:
    store = store_of(appointment("a"), appointment("b"))
    plan = store.plan_reconciliation(
        left_out(appointment("a")), POLICY, None if lookups is None else {}
    )
    assert retired(plan) == {"a": RetirementReason.LEFT_OUT}


def test_an_older_listing_retires_no_case_whose_appointment_was_synced_later() -> None:
    store = store_of(appointment("a"))
    store.receive(listing(*in_room(1, appointment("a")), at=90))
    assert store.plan_reconciliation(left_out(appointment("a")), POLICY, {}).is_empty


def test_a_listing_that_may_be_incomplete_retires_nothing() -> None:
    store = store_of(appointment("a"))
    snapshot = replace(left_out(appointment("a")), proof=None)
    assert store.plan_reconciliation(snapshot, POLICY, {}).is_empty


@pytest.mark.parametrize(("count", "held"), [(5, False), (6, False), (7, True), (20, True)])
def test_the_guard_holds_a_filter_that_leaves_out_more_than_it_allows(
    count: int, *, held: bool
) -> None:
    appointments = numbered(20)
    store = store_of(*appointments)
    out, kept = appointments[:count], appointments[count:]
    snapshot = marked(listing(*in_room(2, *out), *in_room(1, *kept)), NO_ROOM_2)
    plan = store.plan_reconciliation(snapshot, POLICY, {})
    assert plan.hold is (HoldReason.TOO_MANY_LEFT_OUT if held else None)
    assert len(plan.retire) == (0 if held else count)
    assert plan.orphans == ids(store, *(each.appointment_id for each in out))


def test_deletions_and_left_out_cases_count_together_and_the_hold_names_the_cause() -> None:
    appointments = numbered(20)
    store = store_of(*appointments)
    gone = unknown(*(each.appointment_id for each in appointments[:4]))
    both = marked(
        listing(*in_room(2, *appointments[4:8]), *in_room(1, *appointments[8:])), NO_ROOM_2
    )
    assert store.plan_reconciliation(both, POLICY, gone).hold is HoldReason.TOO_MANY_LEFT_OUT
    many = unknown(*(each.appointment_id for each in appointments[:7]))
    both = marked(
        listing(*in_room(2, *appointments[7:8]), *in_room(1, *appointments[8:])), NO_ROOM_2
    )
    assert store.plan_reconciliation(both, POLICY, many).hold is HoldReason.TOO_MANY_ORPHANS


def test_an_approval_retires_the_left_out_cases_that_it_names() -> None:
    appointments = numbered(10)
    store = store_of(*appointments)
    snapshot = left_out(*appointments)
    approved = frozenset(ids(store, "000", "001"))
    plan = plan_reconciliation(store.tracked(WEEK), snapshot, POLICY, lookups={}, approved=approved)
    assert retired(plan) == dict.fromkeys(("000", "001"), RetirementReason.LEFT_OUT)
    assert plan.hold is None


def test_a_rejection_keeps_left_out_cases_although_each_listing_shows_their_appointments() -> None:
    appointments = numbered(10)
    store = store_of(*appointments)
    rejection = Rejection(
        hold_id=store.identify("hold"),
        reason=HoldReason.TOO_MANY_LEFT_OUT,
        case_ids=frozenset(store.identify(each.appointment_id) for each in appointments),
        decided_at=EIGHT + 70 * MINUTE,
    )
    for at in (80, 90):
        snapshot = left_out(*appointments, at=at)
        store.receive(snapshot)
        plan = plan_reconciliation(
            store.tracked(WEEK), snapshot, POLICY, lookups={}, rejections=[rejection]
        )
        assert (plan.hold, plan.retire, plan.ended) == (None, (), ())
        assert set(plan.kept) == rejection.case_ids
    back = listing(*in_room(1, *appointments), at=100)
    store.receive(back)
    plan = plan_reconciliation(
        store.tracked(WEEK), back, POLICY, lookups={}, rejections=[rejection]
    )
    assert set(plan.ended) == rejection.case_ids


def test_an_appointment_that_moved_to_another_date_and_room_is_retired_not_followed() -> None:
    store = store_of(appointment("a"), appointment("b"))
    away = appointment("a", day=9)
    found = lookup(
        "a",
        scheduled_start=away.scheduled_start,
        scheduled_end=away.scheduled_end,
        business_date=away.business_date,
        resources=("room:2",),
    )
    snapshot = listing(appointment("b"))
    lookups = {"a": marked_lookup(found, NO_ROOM_2)}
    plan = store.plan_reconciliation(snapshot, POLICY, lookups)
    assert (retired(plan), plan.follow) == ({"a": RetirementReason.LEFT_OUT}, ())
    followed = {"a": marked_lookup(found, including("room:2"))}
    plan = store.plan_reconciliation(snapshot, POLICY, followed)
    assert (retired(plan), len(plan.follow)) == ({}, 1)


@pytest.mark.parametrize(
    ("resources", "marks"),
    [((), False), (("room:?",), False), (("room:3",), True), (("room:1",), False)],
)
def test_a_lookup_that_names_no_room_proves_nothing(
    resources: tuple[str, ...], *, marks: bool
) -> None:
    found = lookup("a", resources=resources)
    assert marked_lookup(found, including("room:1")).left_out is marks
    gone = lookup("a", found=False, resources=resources)
    assert not marked_lookup(gone, including("room:1")).left_out
