"""Appointments that leave the calendar and come back."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.records.appointments import (
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.cases import EventKind
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline_tests.domain.memory import store_after
from pims_pipeline_tests.domain.planning.inbound.listings import (
    APPOINTMENT,
    DAY,
    EIGHT,
    MINUTE,
    kinds,
    listing,
    moved,
    retired,
    unreadable,
)
from pims_pipeline_tests.domain.strategies import WEEK


def test_an_appointment_that_reappears_is_restored_with_its_mapped_status() -> None:
    store = store_after([listing(APPOINTMENT), listing(at=5)])
    store.edit("a", case_type=CaseType.EMERGENCY)
    retired(store, "a", at=6)
    plan = store.receive(listing(APPOINTMENT, at=10))
    assert kinds(plan) == [EventKind.RESTORED]
    assert plan.case_writes[0].changes == {
        "status": ("reviewed", "draft"),
        "softDeleted": (True, False),
    }
    assert plan.by_date == {DAY: Counts(found=1, restored=1)}
    case, row = store.cases["a"], store.landed["a"]
    assert (case.soft_deleted, case.status) == (False, CaseStatus.DRAFT)
    assert case.case_type is CaseType.EMERGENCY
    assert (row.missing_since, row.removed_at) == (None, None)
    assert store.plan(listing(APPOINTMENT, at=10)).is_empty


def test_a_restored_appointment_that_also_moved_is_one_write() -> None:
    store = store_after([listing(APPOINTMENT)])
    retired(store, "a", at=1)
    plan = store.receive(listing(moved(APPOINTMENT, timedelta(days=1)), at=5))
    assert kinds(plan) == [EventKind.RESTORED]
    assert store.cases["a"].scheduled_date == date(2026, 3, 6)


def test_an_appointment_absent_from_a_whole_listing_is_marked_missing_once() -> None:
    store = store_after([listing(APPOINTMENT)])
    plan = store.receive(listing(at=5))
    assert plan.missing == ("a",)
    assert not plan.is_empty
    assert store.landed["a"].missing_since == EIGHT + 5 * MINUTE
    assert store.plan(listing(at=5)).is_empty
    assert store.plan(listing(at=10)).is_empty


def test_an_appointment_found_gone_is_not_marked_missing_too() -> None:
    store = store_after([listing(APPOINTMENT)])
    retired(store, "a", at=5)
    assert store.plan(listing(at=10)).missing == ()


@pytest.mark.parametrize(
    "snapshot",
    [
        listing(at=5, complete=False),
        listing(at=5, quarantined=(unreadable("a"),)),
        listing(at=5, quarantined=(unreadable(None),)),
        listing(replace(APPOINTMENT, kind=RecordKind.BLOCK), at=5),
        listing(at=-1),
        replace(listing(at=5), window=replace(WEEK, start=DAY + timedelta(days=1))),
    ],
    ids=[
        "incomplete",
        "the record was there, unreadable",
        "an unreadable record may be it",
        "it became a block",
        "older",
        "about other days",
    ],
)
def test_an_absence_that_proves_nothing_is_not_noted(snapshot: Snapshot) -> None:
    assert store_after([listing(APPOINTMENT)]).plan(snapshot).missing == ()


def test_another_s_unreadable_record_does_not_hide_an_absence() -> None:
    store = store_after([listing(APPOINTMENT)])
    assert store.plan(listing(at=5, quarantined=(unreadable("b"),))).missing == ("a",)
