"""What one listing changes, and that planning it again changes nothing."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from pims_pipeline.domain.outcome import Counts
from pims_pipeline.domain.planning.case_writes import case_changes
from pims_pipeline.domain.planning.landed_records import KnownRecord
from pims_pipeline.domain.records.appointments import (
    RecordKind,
)
from pims_pipeline.domain.records.cases import EventKind, draft_of
from pims_pipeline.domain.records.words import CaseStatus, CaseType
from pims_pipeline_tests.domain.memory import MemoryStore, store_after
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


def test_a_new_appointment_is_landed_and_becomes_a_case() -> None:
    store = MemoryStore()
    plan = store.receive(listing(APPOINTMENT))
    assert kinds(plan) == [EventKind.CREATED]
    assert [each.appointment for each in plan.landings] == [APPOINTMENT]
    case = store.cases["a"]
    assert case.id == store.identify("a")
    assert (case.status, case.case_type) == (CaseStatus.DRAFT, CaseType.CHECKUP)
    assert not case_changes(case, draft_of(APPOINTMENT))
    assert plan.by_date == {DAY: Counts(found=1, created=1)}
    assert plan.case_writes[0].changes["patient_name"] == (None, "Mishka")


def test_the_same_listing_again_writes_nothing() -> None:
    store = store_after([listing(APPOINTMENT)])
    again = store.plan(listing(APPOINTMENT, at=5))
    assert again.is_empty
    assert again.sightings == ("a",)
    assert again.by_date == {DAY: Counts(found=1, unchanged=1)}


def test_an_appointment_moved_to_another_day_is_rescheduled() -> None:
    store = store_after([listing(APPOINTMENT)])
    plan = store.receive(listing(moved(APPOINTMENT, timedelta(days=2)), at=5))
    assert kinds(plan) == [EventKind.RESCHEDULED]
    assert plan.case_writes[0].changes["scheduled_date"] == ("2026-03-05", "2026-03-07")
    assert plan.by_date == {DAY + timedelta(days=2): Counts(found=1, updated=1)}
    assert store.cases["a"].scheduled_date == date(2026, 3, 7)
    assert list(store.cases) == ["a"]


def test_an_appointment_moved_within_its_day_is_rescheduled() -> None:
    store = store_after([listing(APPOINTMENT)])
    assert kinds(store.plan(listing(moved(APPOINTMENT, MINUTE)))) == [EventKind.RESCHEDULED]


def test_a_longer_appointment_is_updated_not_rescheduled() -> None:
    store = store_after([listing(APPOINTMENT)])
    longer = replace(APPOINTMENT, scheduled_end=APPOINTMENT.scheduled_end + MINUTE)
    plan = store.receive(listing(longer, at=5))
    assert kinds(plan) == [EventKind.UPDATED]
    assert set(plan.case_writes[0].changes) == {"scheduled_end"}


def test_a_new_status_is_named_as_such() -> None:
    store = store_after([listing(APPOINTMENT)])
    plan = store.receive(listing(replace(APPOINTMENT, status="Checked-In"), at=5))
    assert kinds(plan) == [EventKind.STATUS_CHANGED]
    assert plan.case_writes[0].changes == {
        "status": ("draft", "ongoing"),
        "appointment.status": ("not arrived", "Checked-In"),
    }


def test_a_change_that_no_case_shows_is_landed_and_leaves_the_case_alone() -> None:
    store = store_after([listing(APPOINTMENT)])
    plan = store.receive(listing(replace(APPOINTMENT, notes="bring a towel"), at=5))
    assert plan.case_writes == ()
    assert [each.appointment.notes for each in plan.landings] == ["bring a towel"]
    assert plan.by_date == {DAY: Counts(found=1, unchanged=1)}


@pytest.mark.parametrize("kind", [RecordKind.BLOCK, RecordKind.ROSTER])
def test_blocks_and_rosters_are_landed_but_make_no_case(kind: RecordKind) -> None:
    store = MemoryStore()
    plan = store.receive(listing(replace(APPOINTMENT, kind=kind, status="no such status")))
    assert store.cases == {}
    assert set(store.landed) == {"a"}
    assert plan.by_date == {DAY: Counts(found=1, blocked=1)}
    assert plan.unknown_statuses == ()


def test_a_block_that_becomes_an_appointment_gets_its_case() -> None:
    store = store_after([listing(replace(APPOINTMENT, kind=RecordKind.BLOCK))])
    assert kinds(store.receive(listing(APPOINTMENT, at=5))) == [EventKind.CREATED]


def test_a_landed_appointment_whose_case_was_lost_gets_the_same_case_again() -> None:
    store = store_after([listing(APPOINTMENT)])
    before = store.cases.pop("a")
    plan = store.receive(listing(APPOINTMENT, at=5))
    assert kinds(plan) == [EventKind.CREATED]
    assert store.cases["a"] == before


def test_unknown_statuses_are_drafts_and_are_listed_even_when_nothing_changed() -> None:
    odd = [
        replace(APPOINTMENT, appointment_id=pims_id, status=f"Odd {pims_id}") for pims_id in "ba"
    ]
    store = MemoryStore()
    assert store.receive(listing(*odd, APPOINTMENT)).unknown_statuses == ("Odd a", "Odd b")
    assert {case.status for case in store.cases.values()} == {CaseStatus.DRAFT}
    assert store.plan(listing(*odd, at=5)).unknown_statuses == ("Odd a", "Odd b")


@pytest.mark.parametrize("name", ["last_seen_at", "missing_since", "removed_at"])
def test_a_listing_knows_nothing_of_what_came_after_it(name: str) -> None:
    record = KnownRecord(pims_id="a", **{name: EIGHT})  # type: ignore[arg-type] # one of three times
    assert record.is_newer_than(EIGHT - MINUTE)
    assert not record.is_newer_than(EIGHT)
    assert not KnownRecord(pims_id="a").is_newer_than(EIGHT)


@pytest.mark.parametrize("newer", ["seen", "missing", "removed"])
def test_an_older_snapshot_never_overwrites_a_newer_one(newer: str) -> None:
    store = store_after([listing(APPOINTMENT)])
    if newer == "seen":
        store.receive(listing(replace(APPOINTMENT, status="Finalized"), at=10))
    elif newer == "missing":
        store.receive(listing(at=10))
    else:
        retired(store, "a", at=10)
    before = (dict(store.cases), dict(store.landed))
    plan = store.receive(listing(replace(APPOINTMENT, status="gone fishing"), at=5))
    assert plan.is_empty
    assert plan.sightings == ()
    assert plan.unknown_statuses == ()
    assert plan.by_date == {DAY: Counts(found=1, unchanged=1)}
    assert (store.cases, store.landed) == before


def test_an_old_block_is_counted_as_a_block() -> None:
    store = store_after([listing(replace(APPOINTMENT, kind=RecordKind.BLOCK), at=10)])
    plan = store.plan(listing(replace(APPOINTMENT, kind=RecordKind.BLOCK, room="2")))
    assert plan.is_empty
    assert plan.by_date == {DAY: Counts(found=1, blocked=1)}


@pytest.mark.parametrize(
    ("day", "counted_on"),
    [
        (None, WEEK.start),
        (WEEK.end, WEEK.end),
        (WEEK.start - timedelta(days=1), WEEK.start),
        (WEEK.end + timedelta(days=1), WEEK.start),
    ],
)
def test_an_unreadable_record_is_counted_on_a_day_of_the_window(
    day: date | None, counted_on: date
) -> None:
    plan = MemoryStore().plan(listing(quarantined=(unreadable("a", day),)))
    assert plan.by_date == {counted_on: Counts(found=1, quarantined=1)}
