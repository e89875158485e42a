"""Phase 3 under a person's approval: exactly the held cases, and only those still missing."""

from collections.abc import Mapping
from uuid import UUID

import pytest

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.planning.reconciliation import ReconciliationPlan, plan_reconciliation
from pims_pipeline.domain.planning.retirement import RetirementReason
from pims_pipeline.domain.records.appointments import AppointmentLookup, Snapshot
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
)
from pims_pipeline_tests.domain.strategies import WEEK


def approved_plan(
    store: MemoryStore,
    snapshot: Snapshot,
    lookups: Mapping[str, AppointmentLookup] | None,
    approved: tuple[UUID, ...],
) -> ReconciliationPlan:
    return plan_reconciliation(
        store.tracked(WEEK), snapshot, POLICY, lookups=lookups, approved=frozenset(approved)
    )


def test_more_than_the_guard_allows_may_be_approved() -> None:
    appointments = numbered(10)
    store = store_of(*appointments)
    names = [each.appointment_id for each in appointments]
    plan = approved_plan(store, listing(), unknown(*names), ids(store, *names))
    assert retired(plan) == dict.fromkeys(names, RetirementReason.UNKNOWN_TO_VENDOR)
    assert plan.hold is None
    assert receipt(plan, store.tracked(WEEK)) == Counts(found=10, deleted=10)


def test_a_missing_case_that_was_not_approved_waits() -> None:
    store = store_of(appointment("a"), appointment("b"), appointment("c"))
    plan = approved_plan(store, listing(appointment("c")), unknown("a", "b"), ids(store, "a"))
    assert retired(plan) == {"a": RetirementReason.UNKNOWN_TO_VENDOR}
    assert plan.unconfirmed == ids(store, "b")
    assert receipt(plan, store.tracked(WEEK)) == Counts(found=3, deleted=1, skipped=1, unchanged=1)


@pytest.mark.parametrize("lookups", [{}, {"a": lookup("a")}])
def test_approval_does_not_outweigh_what_the_vendor_does_not_confirm(
    lookups: Mapping[str, AppointmentLookup],
) -> None:
    store = store_of(appointment("a"), appointment("b"))
    plan = approved_plan(store, listing(appointment("b")), lookups, ids(store, "a"))
    assert plan.is_empty


def test_without_lookup_the_approval_replaces_the_second_listing() -> None:
    store = store_of(appointment("a"), appointment("b"), appointment("c"))
    plan = approved_plan(store, listing(appointment("c")), None, ids(store, "a"))
    assert retired(plan) == {"a": RetirementReason.ABSENT_APPROVED}
    assert [each.gone_at for each in plan.retire] == [listing().fetched_at]
    assert plan.unconfirmed == ids(store, "b")


def test_an_approved_case_that_is_listed_again_stays() -> None:
    store = store_of(appointment("a"), appointment("b"))
    assert approved_plan(store, listing(appointment("a")), None, ids(store, "a")).is_empty


def test_an_approved_case_whose_appointment_moved_is_followed() -> None:
    store = store_of(appointment("a"), appointment("b"))
    elsewhere = appointment("a", day=40)
    moved = lookup(
        "a", scheduled_start=elsewhere.scheduled_start, scheduled_end=elsewhere.scheduled_end,
        business_date=elsewhere.business_date,
    )  # fmt: skip
    plan = approved_plan(store, listing(appointment("b")), {"a": moved}, ids(store, "a"))
    assert retired(plan) == {}
    assert plan.follow == (elsewhere,)
