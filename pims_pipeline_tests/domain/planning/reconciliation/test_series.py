"""The occurrences of a series share the identity that is looked up."""

from dataclasses import replace
from typing import Any

import pytest

from pims_pipeline.domain.planning.reconciliation import (
    ReconciliationPlan,
)
from pims_pipeline.domain.planning.retirement import RetirementReason
from pims_pipeline.domain.records.appointments import (
    PimsAppointment,
)
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.planning.reconciliation.window_cases import (
    POLICY,
    appointment,
    ids,
    listing,
    lookup,
    retired,
    store_of,
    unreadable,
)


def occurrence(day: int) -> PimsAppointment:
    booked = appointment(f"s@{appointment('s', day).scheduled_start:%Y-%m-%dT%H:%M}", day)
    return replace(booked, series_id="s")


def series_plan(
    fields: dict[str, Any], *left: PimsAppointment, gone: PimsAppointment, at: int = 60
) -> tuple[MemoryStore, ReconciliationPlan]:
    """The plan when ``gone`` is missing, and the series was looked up."""
    store = store_of(gone, *left)
    store.receive(listing(*left, at=30))
    lookups = {gone.appointment_id: lookup(gone.appointment_id, **fields)}
    return store, store.plan_reconciliation(listing(*left, at=at), POLICY, lookups)


def fields_of(appointment: PimsAppointment, **more: Any) -> dict[str, Any]:
    return {
        "scheduled_start": appointment.scheduled_start,
        "business_date": appointment.business_date,
        **more,
    }


@pytest.mark.parametrize("deleted", [False, True])
def test_a_lookup_of_another_occurrence_proves_nothing(*, deleted: bool) -> None:
    first, second = occurrence(0), occurrence(1)
    fields = fields_of(first, deleted=deleted)
    store, plan = series_plan(fields, first, gone=second, at=40)
    assert (retired(plan), plan.follow) == ({}, ())
    assert plan.unconfirmed == ids(store, second.appointment_id)
    _, later = series_plan(fields, first, gone=second, at=60)
    assert retired(later) == {second.appointment_id: RetirementReason.ABSENT_TWICE}


def test_a_lookup_with_the_occurrences_start_is_about_it() -> None:
    first, second = occurrence(0), occurrence(1)
    _, unchanged = series_plan(fields_of(second), first, gone=second)
    assert (retired(unchanged), unchanged.unconfirmed) == ({}, ())
    _, plan = series_plan(fields_of(second, deleted=True), first, gone=second, at=31)
    assert retired(plan) == {second.appointment_id: RetirementReason.DELETED_BY_VENDOR}


def test_a_series_that_the_vendor_does_not_know_is_gone_unless_it_is_listed() -> None:
    first, second = occurrence(0), occurrence(1)
    other = appointment("other")
    _, plan = series_plan({"found": False}, other, gone=second, at=31)
    assert retired(plan) == {second.appointment_id: RetirementReason.UNKNOWN_TO_VENDOR}
    _, listed = series_plan({"found": False}, first, gone=second, at=31)
    assert retired(listed) == {}


def test_an_unreadable_record_of_a_series_may_be_any_of_its_occurrences() -> None:
    first, second = occurrence(0), occurrence(1)
    store = store_of(first, second)
    snapshot = listing(first, quarantined=(unreadable("s"),))
    assert store.plan(snapshot).missing == ()
    assert store.plan_reconciliation(snapshot, POLICY, {}).unconfirmed == ()
