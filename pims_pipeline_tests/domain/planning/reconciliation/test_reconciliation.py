"""Which cases are candidates, and what the vendor's lookup of one leads to."""

from dataclasses import replace
from typing import Any

import pytest

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.planning.reconciliation import (
    orphan_candidates,
)
from pims_pipeline.domain.planning.retirement import RetirementReason
from pims_pipeline.domain.records.appointments import (
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.words import CaseStatus
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
    numbered,
    receipt,
    retired,
    store_of,
    unknown,
    unreadable,
)
from pims_pipeline_tests.domain.strategies import WEEK


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"found": False}, RetirementReason.UNKNOWN_TO_VENDOR),
        ({"deleted": True}, RetirementReason.DELETED_BY_VENDOR),
        ({"kind": RecordKind.BLOCK}, RetirementReason.NOT_AN_APPOINTMENT),
        ({"kind": RecordKind.ROSTER}, RetirementReason.NOT_AN_APPOINTMENT),
        ({"at_another_location": True}, RetirementReason.AT_ANOTHER_LOCATION),
    ],
)
def test_a_case_whose_appointment_is_confirmed_gone_is_retired(
    fields: dict[str, Any], reason: RetirementReason
) -> None:
    store = store_of(appointment("a"), appointment("b"))
    snapshot = listing(appointment("b"))
    plan = store.plan_reconciliation(snapshot, POLICY, {"a": lookup("a", **fields)})
    assert retired(plan) == {"a": reason}
    assert not plan.is_empty
    assert plan.orphans == ids(store, "a")
    assert (plan.follow, plan.unconfirmed, plan.hold) == ((), (), None)
    assert plan.by_date == {WEEK.start: Counts(found=2, deleted=1, unchanged=1)}
    assert [each.gone_at for each in plan.retire] == [EIGHT + 61 * MINUTE]
    store.apply_reconciliation(plan, WEEK, EIGHT + 61 * MINUTE)
    assert store.landed["a"].removed_at == EIGHT + 61 * MINUTE
    case = store.cases["a"]
    assert (case.soft_deleted, case.status) == (True, CaseStatus.REVIEWED)
    assert store.plan_reconciliation(snapshot, POLICY, {}).is_empty


@pytest.mark.parametrize("days", [3, 400])
def test_an_appointment_that_moved_is_followed_not_retired(days: int) -> None:
    store = store_of(appointment("a"), appointment("b"))
    later = appointment("a", day=days)
    found = lookup(
        "a",
        scheduled_start=later.scheduled_start,
        scheduled_end=later.scheduled_end,
        business_date=later.business_date,
    )
    snapshot = listing(appointment("b"))
    plan = store.plan_reconciliation(snapshot, POLICY, {"a": found})
    assert plan.follow == (later,)
    assert not plan.is_empty
    assert (retired(plan), plan.orphans) == ({}, ())
    assert plan.by_date == {WEEK.start: Counts(found=2, updated=1, unchanged=1)}
    store.apply_reconciliation(plan, WEEK, found.asked_at)
    assert store.cases["a"].scheduled_date == later.business_date
    assert store.plan_reconciliation(snapshot, POLICY, {"a": found}).is_empty


def test_a_new_status_found_by_looking_up_is_followed() -> None:
    store = store_of(appointment("a"), appointment("b"))
    plan = store.plan_reconciliation(
        listing(appointment("b")), POLICY, {"a": lookup("a", status="Cancelled")}
    )
    assert [each.status for each in plan.follow] == ["Cancelled"]


def test_a_lookup_without_end_or_status_keeps_the_landed_ones() -> None:
    store = store_of(appointment("a"), appointment("b"))
    later = appointment("a", day=1)
    found = lookup(
        "a",
        status=None,
        scheduled_start=later.scheduled_start,
        scheduled_end=None,
        business_date=later.business_date,
    )
    (followed,) = store.plan_reconciliation(listing(appointment("b")), POLICY, {"a": found}).follow
    assert followed.status == "Confirmed"
    assert followed.scheduled_end >= followed.scheduled_start == later.scheduled_start


@pytest.mark.parametrize(
    "fields", [{}, {"scheduled_start": None}, {"business_date": None}, {"status": None}]
)
def test_an_appointment_found_as_landed_changes_nothing(fields: dict[str, Any]) -> None:
    store = store_of(appointment("a"), appointment("b"))
    plan = store.plan_reconciliation(
        listing(appointment("b")), POLICY, {"a": lookup("a", **fields)}
    )
    assert plan.is_empty
    assert plan.unconfirmed == ()
    assert plan.by_date == {WEEK.start: Counts(found=2, unchanged=2)}


def test_an_appointment_without_a_lookup_is_kept() -> None:
    store = store_of(appointment("a"), appointment("b"))
    plan = store.plan_reconciliation(listing(appointment("b")), POLICY, {})
    assert plan.is_empty
    assert plan.unconfirmed == ids(store, "a")
    assert plan.by_date == {WEEK.start: Counts(found=2, skipped=1, unchanged=1)}


def test_a_case_without_a_landed_appointment_is_retired_only_after_a_lookup() -> None:
    store = store_of(appointment("a"), appointment("b"))
    del store.landed["a"]
    assert store.plan_reconciliation(listing(appointment("b")), POLICY, {"a": lookup("a")}).is_empty
    assert store.plan_reconciliation(listing(appointment("b")), NO_WAIT, None).is_empty
    plan = store.plan_reconciliation(listing(appointment("b")), POLICY, unknown("a"))
    assert retired(plan) == {"a": RetirementReason.UNKNOWN_TO_VENDOR}


def candidates(store: MemoryStore, snapshot: Snapshot) -> set[str]:
    found = orphan_candidates(store.tracked(WEEK), snapshot)
    return {tracked.case.pims_id for tracked in found}


def test_only_appointments_that_the_listing_lacks_are_candidates() -> None:
    store = store_of(appointment("a"), appointment("b"), appointment("c"))
    assert candidates(store, listing(appointment("b"))) == {"a", "c"}


def test_an_unreadable_record_counts_as_listed() -> None:
    store = store_of(appointment("a"), appointment("b"))
    assert candidates(store, listing(quarantined=(unreadable("a"),))) == {"b"}


def test_an_appointment_listed_as_a_block_is_a_candidate() -> None:
    store = store_of(appointment("a"))
    assert candidates(store, listing(replace(appointment("a"), kind=RecordKind.BLOCK))) == {"a"}


@pytest.mark.parametrize(("seen", "candidate"), [(59, True), (60, True), (61, False)])
def test_a_case_seen_after_the_listing_was_fetched_is_no_candidate(
    seen: int, *, candidate: bool
) -> None:
    store = store_of(appointment("a"), appointment("b"))
    store.receive(listing(appointment("a"), appointment("b"), at=seen))
    assert candidates(store, listing(appointment("b"))) == ({"a"} if candidate else set())
    plan = store.plan_reconciliation(listing(appointment("b")), POLICY, unknown("a"))
    assert set(retired(plan)) == ({"a"} if candidate else set())


def test_an_incomplete_listing_retires_follows_and_holds_nothing() -> None:
    store = store_of(*numbered(10))
    for snapshot in (listing(complete=False), listing(appointment("000"), complete=False)):
        gone = unknown(*(f"{n:03}" for n in range(10)))
        plan = store.plan_reconciliation(snapshot, POLICY, gone)
        assert (plan.is_empty, plan.orphans, plan.hold) == (True, (), None)
        assert receipt(plan, store.tracked(WEEK)) == Counts(found=10, unchanged=10)


def test_a_looked_up_appointment_without_an_end_keeps_its_length() -> None:
    store = store_of(appointment("a"), appointment("b"))
    moved = lookup("a", scheduled_start=EIGHT, business_date=EIGHT.date(), scheduled_end=None)
    plan = store.plan_reconciliation(listing(appointment("b")), POLICY, {"a": moved})
    assert [each.scheduled_end for each in plan.follow] == [EIGHT + 30 * MINUTE]
