"""Where the vendor has no lookup: two listings confirm that an appointment is gone."""

from dataclasses import replace

import pytest

from pims_pipeline.domain.planning.retirement import RetirementReason
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    RecordKind,
)
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.planning.reconciliation.window_cases import (
    EIGHT,
    MINUTE,
    NO_WAIT,
    POLICY,
    appointment,
    ids,
    listing,
    lookup,
    retired,
    store_of,
    unknown,
    unreadable,
)


def absent_since(minute: int) -> MemoryStore:
    store = store_of(appointment("a"), appointment("b"))
    store.receive(listing(appointment("b"), at=minute))
    return store


@pytest.mark.parametrize(
    ("first", "second", "gone"),
    [(10, 10, False), (10, 24, False), (10, 25, True), (10, 300, True)],
)
def test_two_listings_some_time_apart_confirm_an_absence(
    first: int, second: int, *, gone: bool
) -> None:
    store = absent_since(first)
    plan = store.plan_reconciliation(listing(appointment("b"), at=second), POLICY, None)
    assert retired(plan) == ({"a": RetirementReason.ABSENT_TWICE} if gone else {})
    assert plan.unconfirmed == (() if gone else ids(store, "a"))


@pytest.mark.parametrize(("second", "gone"), [(10, False), (11, True)])
def test_without_an_interval_it_still_takes_two_listings(second: int, *, gone: bool) -> None:
    plan = absent_since(10).plan_reconciliation(listing(appointment("b"), at=second), NO_WAIT, None)
    assert set(retired(plan)) == ({"a"} if gone else set())


def test_an_absence_that_no_earlier_listing_noted_is_unconfirmed() -> None:
    store = store_of(appointment("a"), appointment("b"))
    assert store.plan_reconciliation(listing(appointment("b")), NO_WAIT, None).is_empty


def test_being_seen_in_between_restarts_the_count() -> None:
    store = absent_since(10)
    store.receive(listing(appointment("a"), appointment("b"), at=20))
    store.receive(listing(appointment("b"), at=30))
    assert store.plan_reconciliation(listing(appointment("b"), at=44), POLICY, None).is_empty
    plan = store.plan_reconciliation(listing(appointment("b"), at=45), POLICY, None)
    assert set(retired(plan)) == {"a"}
    assert [each.gone_at for each in plan.retire] == [EIGHT + 45 * MINUTE]


def test_an_unreadable_record_that_may_be_the_appointment_confirms_nothing() -> None:
    store = absent_since(10)
    hidden = listing(appointment("b"), quarantined=(unreadable(None),))
    assert store.plan_reconciliation(hidden, POLICY, None).is_empty
    named = listing(appointment("b"), quarantined=(unreadable("z"),))
    assert set(retired(store.plan_reconciliation(named, POLICY, None))) == {"a"}


def test_two_absences_prove_nothing_where_the_vendor_has_lookup() -> None:
    assert absent_since(10).plan_reconciliation(listing(appointment("b")), POLICY, {}).is_empty


def test_an_appointment_that_became_a_block_needs_no_second_listing() -> None:
    store = store_of(appointment("a"), appointment("b"))
    snapshot = listing(replace(appointment("a"), kind=RecordKind.BLOCK), appointment("b"))
    store.receive(snapshot)
    plan = store.plan_reconciliation(snapshot, POLICY, None)
    assert retired(plan) == {"a": RetirementReason.NOT_AN_APPOINTMENT}


def revived() -> MemoryStore:
    """A retired case that a user restored although its appointment was found gone."""
    store = store_of(appointment("a"), appointment("b"))
    store.landed["a"] = replace(store.landed["a"], removed_at=EIGHT + 30 * MINUTE)
    return store


@pytest.mark.parametrize("lookups", [None, {}])
def test_an_appointment_already_found_gone_needs_no_second_proof(
    lookups: dict[str, AppointmentLookup] | None,
) -> None:
    plan = revived().plan_reconciliation(listing(appointment("b")), POLICY, lookups)
    assert retired(plan) == {"a": RetirementReason.UNKNOWN_TO_VENDOR}
    assert [each.gone_at for each in plan.retire] == [EIGHT + 30 * MINUTE]


def test_a_new_finding_is_dated_by_the_latest_lookup() -> None:
    plan = revived().plan_reconciliation(listing(appointment("b")), POLICY, unknown("a"))
    assert [each.gone_at for each in plan.retire] == [EIGHT + 61 * MINUTE]


def test_the_latest_lookup_outweighs_an_earlier_finding() -> None:
    lookups_now = {"a": lookup("a", status="In Progress")}
    plan = revived().plan_reconciliation(listing(appointment("b")), POLICY, lookups_now)
    assert retired(plan) == {}
    assert [each.status for each in plan.follow] == ["In Progress"]
