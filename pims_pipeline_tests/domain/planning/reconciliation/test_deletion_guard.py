"""The limits of the deletion guard, and listings that hold nothing."""

import pytest

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.planning.reconciliation import (
    HoldReason,
    must_hold_unseen,
)
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    Snapshot,
)
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.planning.reconciliation.window_cases import (
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
    unreadable,
)
from pims_pipeline_tests.domain.strategies import WEEK


@pytest.mark.parametrize(
    ("orphans", "active", "allowed"),
    [
        (0, 0, True),
        (5, 5, True),
        (6, 6, False),
        (5, 1000, True),
        (6, 19, False),
        (6, 20, True),
        (7, 20, False),
        (30, 100, True),
        (31, 100, False),
    ],
)
def test_five_or_thirty_percent_may_go_at_once(orphans: int, active: int, *, allowed: bool) -> None:
    assert POLICY.allows(orphans, active) is allowed


@pytest.mark.parametrize(("gone", "held"), [(5, False), (6, False), (7, True)])
def test_the_guard_holds_the_whole_window_past_its_limit(gone: int, *, held: bool) -> None:
    appointments = numbered(20)
    store = store_of(*appointments)
    moving = appointments[gone]
    snapshot = listing(*appointments[gone + 1 :])
    lookups = unknown(*(each.appointment_id for each in appointments[:gone]))
    lookups[moving.appointment_id] = lookup(moving.appointment_id, status="Cancelled")
    plan = store.plan_reconciliation(snapshot, POLICY, lookups)
    orphans = [each.appointment_id for each in appointments[:gone]]
    assert plan.orphans == ids(store, *orphans)
    assert plan.hold is (HoldReason.TOO_MANY_ORPHANS if held else None)
    assert set(retired(plan)) == (set() if held else set(orphans))
    assert len(plan.follow) == (0 if held else 1)
    counts = receipt(plan, store.tracked(WEEK))
    assert (counts.held, counts.deleted) == ((gone, 0) if held else (0, gone))
    assert counts.updated == (0 if held else 1)


def test_unconfirmed_absences_do_not_count_towards_the_limit() -> None:
    store = store_of(*numbered(10))
    plan = store.plan_reconciliation(listing(appointment("009", day=2)), POLICY, unknown("000"))
    assert set(retired(plan)) == {"000"}
    assert len(plan.unconfirmed) == 8


@pytest.mark.parametrize("lookups", [None, {}, unknown("a", "b")])
def test_an_empty_listing_causes_a_hold_with_any_lookups(
    lookups: dict[str, AppointmentLookup] | None,
) -> None:
    store = store_of(appointment("a"), appointment("b"))
    plan = store.plan_reconciliation(listing(), POLICY, lookups)
    assert plan.hold is HoldReason.EMPTY_LISTING
    assert plan.is_empty
    assert plan.orphans == ids(store, "a", "b")
    assert receipt(plan, store.tracked(WEEK)) == Counts(found=2, held=2)
    assert must_hold_unseen(store.tracked(WEEK), listing())


def test_an_empty_listing_of_an_empty_window_is_fine() -> None:
    plan = MemoryStore().plan_reconciliation(listing(), POLICY, {})
    assert (plan.hold, plan.active, plan.by_date) == (None, 0, {})


def test_an_old_empty_listing_is_not_suspicious_once_the_appointments_were_seen_later() -> None:
    store = store_of(appointment("a"))
    assert not must_hold_unseen(store.tracked(WEEK), listing(at=-1))
    assert store.plan_reconciliation(listing(at=-1), POLICY, {}).hold is None


@pytest.mark.parametrize(
    "snapshot", [listing(quarantined=(unreadable("z"),)), listing(appointment("z"))]
)
def test_a_listing_that_holds_anything_is_not_empty(snapshot: Snapshot) -> None:
    store = store_of(appointment("a"), appointment("b"))
    assert not must_hold_unseen(store.tracked(WEEK), snapshot)
    assert set(retired(store.plan_reconciliation(snapshot, POLICY, unknown("a")))) == {"a"}
