"""What a listing changes, and that planning it again changes nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pims_pipeline.domain.outcome import Counts, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.case_writes import case_changes
from pims_pipeline.domain.planning.inbound import InboundPlan, KnownRecord
from pims_pipeline.domain.records.appointments import (
    Patient,
    PimsAppointment,
    QuarantinedRecord,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.cases import CaseStatus, CaseType, EventKind, draft_of, status_of
from pims_pipeline_tests.domain.memory import MemoryStore, store_after
from pims_pipeline_tests.domain.strategies import WEEK, snapshots

EIGHT = datetime(2026, 3, 5, 8, tzinfo=UTC)
DAY = EIGHT.date()
MINUTE = timedelta(minutes=1)
APPOINTMENT = PimsAppointment(
    appointment_id="a",
    scheduled_start=EIGHT + timedelta(hours=7),
    scheduled_end=EIGHT + timedelta(hours=8),
    business_date=DAY,
    status="not arrived",
    appointment_type="Exam",
    patient=Patient(name="Mishka"),
)


def listing(
    *appointments: PimsAppointment,
    at: int = 0,
    quarantined: tuple[QuarantinedRecord, ...] = (),
    complete: bool = True,
) -> Snapshot:
    return Snapshot(
        window=WEEK,
        appointments=appointments,
        fetched_at=EIGHT + at * MINUTE,
        quarantined=quarantined,
        complete=complete,
    )


def unreadable(pims_id: str | None, day: date | None = None) -> QuarantinedRecord:
    return QuarantinedRecord(
        record_key=pims_id or "sha256:0",
        error_class="ContractViolation",
        error_message="start: not a time",
        pims_id=pims_id,
        business_date=day,
    )


def moved(appointment: PimsAppointment, by: timedelta) -> PimsAppointment:
    start = appointment.scheduled_start + by
    return replace(
        appointment,
        scheduled_start=start,
        scheduled_end=appointment.scheduled_end + by,
        business_date=start.date(),
    )


def kinds(plan: InboundPlan) -> list[EventKind]:
    return [write.kind for write in plan.case_writes]


def kinds_of_cases(store: MemoryStore) -> dict[str, CaseType]:
    return {pims_id: case.case_type for pims_id, case in store.cases.items()}


def retired(store: MemoryStore, pims_id: str, at: int) -> None:
    """What a reconciliation leaves behind."""
    store.edit(pims_id, status=CaseStatus.REVIEWED, soft_deleted=True)
    store.landed[pims_id] = replace(store.landed[pims_id], removed_at=EIGHT + at * MINUTE)


# One appointment's story


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


# What people decide


def test_a_status_set_by_people_stands_until_the_vendor_s_meaning_changes() -> None:
    store = store_after([listing(APPOINTMENT)])
    store.edit("a", status=CaseStatus.COMPLETED)
    same_meaning = replace(APPOINTMENT, status="Confirmed", room="2")
    plan = store.receive(listing(same_meaning, at=5))
    assert plan.case_writes[0].status is None
    stands = store.cases["a"]
    assert (stands.status, stands.facts["status"]) == (CaseStatus.COMPLETED, "Confirmed")
    store.receive(listing(replace(same_meaning, status="In Progress"), at=10))
    assert store.cases["a"].status is CaseStatus.ONGOING


def test_one_unknown_status_after_another_leaves_people_s_choice() -> None:
    store = store_after([listing(replace(APPOINTMENT, status="gone fishing"))])
    store.edit("a", status=CaseStatus.REVIEWED)
    store.receive(listing(replace(APPOINTMENT, status="still fishing"), at=5))
    assert store.cases["a"].status is CaseStatus.REVIEWED


def test_a_type_set_by_people_stands_until_the_vendor_s_meaning_changes() -> None:
    store = store_after([listing(APPOINTMENT)])
    store.edit("a", case_type=CaseType.EMERGENCY)
    plan = store.receive(listing(replace(APPOINTMENT, appointment_type="Wellness"), at=5))
    assert plan.case_writes[0].case_type is None
    assert kinds_of_cases(store) == {"a": CaseType.EMERGENCY}
    store.receive(listing(replace(APPOINTMENT, appointment_type="Dental"), at=10))
    assert kinds_of_cases(store) == {"a": CaseType.SURGERY}


def test_what_people_correct_stands_while_the_vendor_says_the_same() -> None:
    store = store_after([listing(APPOINTMENT)])
    store.edit("a", patient_name="Mischka")
    assert store.plan(listing(APPOINTMENT, at=5)).is_empty


def test_a_species_learnt_elsewhere_outlives_a_calendar_without_one() -> None:
    store = store_after([listing(APPOINTMENT)])
    store.edit("a", patient_species="Feline")
    plan = store.receive(listing(replace(APPOINTMENT, room="2"), at=5))
    assert set(plan.case_writes[0].changes) == {"appointment.room"}
    assert store.cases["a"].patient_species == "Feline"


def test_moments_read_in_another_zone_are_no_change() -> None:
    store = store_after([listing(APPOINTMENT)])
    elsewhere = timezone(timedelta(hours=-5))
    store.edit(
        "a",
        scheduled_start=APPOINTMENT.scheduled_start.astimezone(elsewhere),
        scheduled_end=APPOINTMENT.scheduled_end.astimezone(elsewhere),
    )
    assert store.plan(listing(replace(APPOINTMENT, notes="x"), at=5)).case_writes == ()


# Going and coming back


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


# Which listing knows more


@pytest.mark.parametrize("name", ["last_seen_at", "missing_since", "removed_at"])
def test_a_listing_knows_nothing_of_what_came_after_it(name: str) -> None:
    record = KnownRecord(pims_id="a", **{name: EIGHT})  # type: ignore[arg-type] # one of three moments
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


# Receipts


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


# Over whole histories


def histories(complete: SearchStrategy[bool] | None = None) -> SearchStrategy[list[Snapshot]]:
    """Listings of the same week and appointments, each fetched at another time, in any order."""

    def timed(listings: list[Snapshot], minutes: list[int]) -> list[Snapshot]:
        return [
            replace(each, fetched_at=EIGHT + minute * MINUTE)
            for each, minute in zip(listings, minutes, strict=False)
        ]

    some = snapshots(complete=complete) if complete is not None else snapshots()
    return st.builds(timed, st.lists(some, min_size=1, max_size=4), st.permutations(range(4)))


@given(histories())
def test_planning_after_applying_is_empty(history: list[Snapshot]) -> None:
    store = MemoryStore()
    for snapshot in history:
        store.receive(snapshot)
        assert store.plan(snapshot).is_empty


@given(histories())
def test_hearing_everything_a_second_time_settles_it(history: list[Snapshot]) -> None:
    # The first time, an absence cannot be noted of an appointment that only a later-applied,
    # older listing tells of.
    store = store_after([*history, *history])
    assert all(store.plan(snapshot).is_empty for snapshot in history)


@given(histories())
def test_every_receipt_balances_within_the_window(history: list[Snapshot]) -> None:
    store = MemoryStore()
    for snapshot in history:
        plan = store.receive(snapshot)
        outcome = PhaseOutcome(
            sync_type=Phase.INBOUND,
            window=snapshot.window,
            audit_id=UUID(int=1),
            by_date=plan.by_date,
            duration_ms=0,
        )
        written = [write.kind for write in plan.case_writes]
        assert outcome.counts.found == len(snapshot.appointments) + len(snapshot.quarantined)
        assert outcome.counts.quarantined == len(snapshot.quarantined)
        assert outcome.counts.created == written.count(EventKind.CREATED)
        assert outcome.counts.restored == written.count(EventKind.RESTORED)
        assert set(plan.by_date) <= set(snapshot.window)


@given(histories())
def test_what_is_known_only_ever_grows_newer(history: list[Snapshot]) -> None:
    store = MemoryStore()
    for snapshot in history:
        before = dict(store.landed)
        store.receive(snapshot)
        for pims_id, row in before.items():
            now = store.landed[pims_id]
            assert now.last_seen_at >= row.last_seen_at
            assert now.fetched_at >= row.fetched_at
            if row.missing_since and now.missing_since is None:
                assert now.last_seen_at >= row.missing_since
            if now.missing_since and row.missing_since is None:
                assert now.missing_since > now.last_seen_at


@given(histories())
def test_a_case_says_what_its_landed_appointment_says(history: list[Snapshot]) -> None:
    store = store_after(history)
    for pims_id, row in store.landed.items():
        if row.appointment.kind is RecordKind.APPOINTMENT:
            case, draft = store.cases[pims_id], draft_of(row.appointment)
            species = draft.patient_species or case.patient_species
            assert not case_changes(case, replace(draft, patient_species=species))
            assert case.id == store.identify(pims_id)
    assert set(store.cases) <= set(store.landed)


@given(histories(complete=st.just(False)))  # noqa: FBT003 - the one value drawn
def test_in_any_order_the_newest_word_on_each_appointment_stands(history: list[Snapshot]) -> None:
    newest: dict[str, tuple[datetime, PimsAppointment]] = {}
    for snapshot in sorted(history, key=lambda each: each.fetched_at):
        newest |= {a.appointment_id: (snapshot.fetched_at, a) for a in snapshot.appointments}
    for order in permutations(history):
        store = store_after(order)
        landed = {
            pims_id: (row.last_seen_at, row.appointment) for pims_id, row in store.landed.items()
        }
        assert landed == newest


@given(histories())
def test_in_any_order_the_newest_listing_stands_whole(history: list[Snapshot]) -> None:
    newest = max(history, key=lambda each: each.fetched_at)
    for order in permutations(history):
        store = store_after(order)
        for appointment in newest.appointments:
            row = store.landed[appointment.appointment_id]
            assert row.appointment == appointment
            assert (row.last_seen_at, row.missing_since) == (newest.fetched_at, None)


@given(histories(), st.data())
def test_people_s_status_survives_every_listing_that_means_the_same(
    history: list[Snapshot], data: st.DataObject
) -> None:
    store = store_after(history[:1])
    assume(store.cases)
    pims_id = data.draw(st.sampled_from(sorted(store.cases)))
    meant = status_of(store.cases[pims_id].facts["status"]) or CaseStatus.DRAFT
    chosen = data.draw(st.sampled_from(CaseStatus))
    store.edit(pims_id, status=chosen)
    for snapshot in history[1:]:
        store.receive(snapshot)
        now = status_of(store.cases[pims_id].facts["status"]) or CaseStatus.DRAFT
        if now is not meant:
            assert store.cases[pims_id].status is now
            return
        assert store.cases[pims_id].status is chosen


@given(snapshots(complete=st.just(True)))  # noqa: FBT003 - the one value drawn
def test_only_identities_proven_absent_are_marked_missing(snapshot: Snapshot) -> None:
    everyone = [replace(APPOINTMENT, appointment_id=pims_id) for pims_id in "abcdef"]
    store = store_after([replace(listing(*everyone), fetched_at=snapshot.fetched_at - MINUTE)])
    plan = store.plan(snapshot)
    there = {each.appointment_id for each in snapshot.appointments}
    there |= {each.pims_id for each in snapshot.quarantined if each.pims_id}
    absent = set() if snapshot.hides_identities else set("abcdef") - there
    assert set(plan.missing) == absent
