"""Which cases may be retired, and the limits of the deletion guard."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pims_pipeline.domain.outcome import Counts, PhaseOutcome
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.reconciliation import (
    DeletionPolicy,
    HoldReason,
    ReconciliationPlan,
    must_hold_unseen,
    orphan_candidates,
    plan_reconciliation,
)
from pims_pipeline.domain.planning.retirement import RetirementReason, TrackedCase
from pims_pipeline.domain.records.appointments import (
    AppointmentLookup,
    PimsAppointment,
    QuarantinedRecord,
    RecordKind,
    Snapshot,
)
from pims_pipeline.domain.records.cases import CaseStatus
from pims_pipeline_tests.domain.memory import MemoryStore
from pims_pipeline_tests.domain.strategies import WEEK, snapshots

EIGHT = datetime(2026, 3, 5, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = DeletionPolicy()
NO_WAIT = DeletionPolicy(absence_interval=timedelta(0))


def appointment(pims_id: str, day: int = 0) -> PimsAppointment:
    start = EIGHT + timedelta(days=day, hours=7)
    return PimsAppointment(
        appointment_id=pims_id,
        scheduled_start=start,
        scheduled_end=start + 30 * MINUTE,
        business_date=start.date(),
        status="Confirmed",
    )


def listing(
    *appointments: PimsAppointment,
    at: int = 60,
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


def unreadable(pims_id: str | None) -> QuarantinedRecord:
    return QuarantinedRecord(
        record_key="k", error_class="ContractViolation", error_message="no start", pims_id=pims_id
    )


def lookup(pims_id: str, **said: Any) -> AppointmentLookup:
    return AppointmentLookup(
        **{
            "appointment_id": pims_id,
            "asked_at": EIGHT + 61 * MINUTE,
            "found": True,
            "status": "Confirmed",
            "scheduled_start": appointment(pims_id).scheduled_start,
            "scheduled_end": appointment(pims_id).scheduled_end,
            "business_date": appointment(pims_id).business_date,
            **said,
        }
    )


def unknown(*ids: str) -> dict[str, AppointmentLookup]:
    return {pims_id: lookup(pims_id, found=False) for pims_id in ids}


def store_of(*appointments: PimsAppointment) -> MemoryStore:
    store = MemoryStore()
    store.receive(listing(*appointments, at=0))
    return store


def ids(store: MemoryStore, *pims_ids: str) -> tuple[UUID, ...]:
    return tuple(store.identify(pims_id) for pims_id in pims_ids)


def retired(plan: ReconciliationPlan) -> dict[str, RetirementReason]:
    return {each.case.pims_id: each.reason for each in plan.retire}


def numbered(count: int) -> list[PimsAppointment]:
    return [appointment(f"{n:03}", day=n % 7) for n in range(count)]


def receipt(plan: ReconciliationPlan, window_cases: Iterable[TrackedCase]) -> Counts:
    outcome = PhaseOutcome(
        sync_type=Phase.RECONCILIATION,
        window=WEEK,
        audit_id=UUID(int=1),
        by_date=plan.by_date,
        duration_ms=0,
    )
    assert outcome.counts.found == len(list(window_cases)) == plan.active
    return outcome.counts


# What the vendor says of an appointment that a listing lacks


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"found": False}, RetirementReason.UNKNOWN_TO_VENDOR),
        ({"deleted": True}, RetirementReason.DELETED_BY_VENDOR),
        ({"kind": RecordKind.BLOCK}, RetirementReason.NOT_AN_APPOINTMENT),
        ({"kind": RecordKind.ROSTER}, RetirementReason.NOT_AN_APPOINTMENT),
    ],
)
def test_a_case_whose_appointment_is_confirmed_gone_is_retired(
    said: dict[str, Any], reason: RetirementReason
) -> None:
    store = store_of(appointment("a"), appointment("b"))
    snapshot = listing(appointment("b"))
    plan = store.plan_reconciliation(snapshot, POLICY, {"a": lookup("a", **said)})
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
    said = lookup(
        "a",
        scheduled_start=later.scheduled_start,
        scheduled_end=later.scheduled_end,
        business_date=later.business_date,
    )
    snapshot = listing(appointment("b"))
    plan = store.plan_reconciliation(snapshot, POLICY, {"a": said})
    assert plan.follow == (later,)
    assert not plan.is_empty
    assert (retired(plan), plan.orphans) == ({}, ())
    assert plan.by_date == {WEEK.start: Counts(found=2, updated=1, unchanged=1)}
    store.apply_reconciliation(plan, WEEK, said.asked_at)
    assert store.cases["a"].scheduled_date == later.business_date
    assert store.plan_reconciliation(snapshot, POLICY, {"a": said}).is_empty


def test_a_new_status_found_by_looking_up_is_followed() -> None:
    store = store_of(appointment("a"), appointment("b"))
    plan = store.plan_reconciliation(
        listing(appointment("b")), POLICY, {"a": lookup("a", status="Cancelled")}
    )
    assert [each.status for each in plan.follow] == ["Cancelled"]


def test_a_look_up_without_end_or_status_keeps_what_it_cannot_say() -> None:
    store = store_of(appointment("a"), appointment("b"))
    later = appointment("a", day=1)
    said = lookup(
        "a",
        status=None,
        scheduled_start=later.scheduled_start,
        scheduled_end=None,
        business_date=later.business_date,
    )
    (followed,) = store.plan_reconciliation(listing(appointment("b")), POLICY, {"a": said}).follow
    assert followed.status == "Confirmed"
    assert followed.scheduled_end >= followed.scheduled_start == later.scheduled_start


@pytest.mark.parametrize(
    "said", [{}, {"scheduled_start": None}, {"business_date": None}, {"status": None}]
)
def test_an_appointment_that_stands_as_landed_changes_nothing(said: dict[str, Any]) -> None:
    store = store_of(appointment("a"), appointment("b"))
    plan = store.plan_reconciliation(listing(appointment("b")), POLICY, {"a": lookup("a", **said)})
    assert plan.is_empty
    assert plan.unconfirmed == ()
    assert plan.by_date == {WEEK.start: Counts(found=2, unchanged=2)}


def test_an_appointment_that_nobody_could_be_asked_about_is_kept() -> None:
    store = store_of(appointment("a"), appointment("b"))
    plan = store.plan_reconciliation(listing(appointment("b")), POLICY, {})
    assert plan.is_empty
    assert plan.unconfirmed == ids(store, "a")
    assert plan.by_date == {WEEK.start: Counts(found=2, skipped=1, unchanged=1)}


def test_a_case_without_a_landed_appointment_is_retired_only_on_the_vendor_s_word() -> None:
    store = store_of(appointment("a"), appointment("b"))
    del store.landed["a"]
    assert store.plan_reconciliation(listing(appointment("b")), POLICY, {"a": lookup("a")}).is_empty
    assert store.plan_reconciliation(listing(appointment("b")), NO_WAIT, None).is_empty
    plan = store.plan_reconciliation(listing(appointment("b")), POLICY, unknown("a"))
    assert retired(plan) == {"a": RetirementReason.UNKNOWN_TO_VENDOR}


# Who is a candidate


def candidates(store: MemoryStore, snapshot: Snapshot) -> set[str]:
    found = orphan_candidates(store.tracked(WEEK), snapshot)
    return {tracked.case.pims_id for tracked in found}


def test_only_appointments_that_the_listing_lacks_are_candidates() -> None:
    store = store_of(appointment("a"), appointment("b"), appointment("c"))
    assert candidates(store, listing(appointment("b"))) == {"a", "c"}


def test_an_unreadable_record_is_there_all_the_same() -> None:
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


# Where the vendor cannot be asked: two listings


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


def test_being_seen_in_between_starts_the_count_anew() -> None:
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


def test_two_absences_prove_nothing_where_the_vendor_can_be_asked() -> None:
    assert absent_since(10).plan_reconciliation(listing(appointment("b")), POLICY, {}).is_empty


def test_an_appointment_that_became_a_block_needs_no_second_listing() -> None:
    store = store_of(appointment("a"), appointment("b"))
    snapshot = listing(replace(appointment("a"), kind=RecordKind.BLOCK), appointment("b"))
    store.receive(snapshot)
    plan = store.plan_reconciliation(snapshot, POLICY, None)
    assert retired(plan) == {"a": RetirementReason.NOT_AN_APPOINTMENT}


def revived() -> MemoryStore:
    """A retired case that people took back although its appointment was found gone."""
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


def test_a_new_finding_is_dated_by_the_question_asked_today() -> None:
    plan = revived().plan_reconciliation(listing(appointment("b")), POLICY, unknown("a"))
    assert [each.gone_at for each in plan.retire] == [EIGHT + 61 * MINUTE]


def test_the_vendor_s_word_of_today_outweighs_an_earlier_finding() -> None:
    said = {"a": lookup("a", status="In Progress")}
    plan = revived().plan_reconciliation(listing(appointment("b")), POLICY, said)
    assert retired(plan) == {}
    assert [each.status for each in plan.follow] == ["In Progress"]


# The deletion guard


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
    said = unknown(*(each.appointment_id for each in appointments[:gone]))
    said[moving.appointment_id] = lookup(moving.appointment_id, status="Cancelled")
    plan = store.plan_reconciliation(snapshot, POLICY, said)
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
def test_an_empty_listing_holds_whatever_the_vendor_says(
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


# Over generated calendars

policies = st.builds(
    DeletionPolicy,
    min_orphans=st.integers(0, 4),
    max_percent=st.floats(0, 100),
    absence_interval=st.sampled_from([timedelta(0), 15 * MINUTE]),
)


@st.composite
def lookups_of(draw: st.DrawFn) -> dict[str, AppointmentLookup] | None:
    """What a vendor may say of some of the appointments a to f, or nothing at all."""
    if draw(st.booleans()):
        return None
    said = st.fixed_dictionaries(
        {},
        optional={
            "found": st.booleans(),
            "deleted": st.booleans(),
            "kind": st.sampled_from(RecordKind),
            "status": st.sampled_from(["Cancelled", "Confirmed", None]),
            "scheduled_start": st.sampled_from([None, EIGHT, EIGHT + timedelta(days=30)]),
        },
    )
    return {
        pims_id: lookup(pims_id, **draw(said))
        for pims_id in draw(st.sets(st.sampled_from("abcdef")))
    }


def generated_stores() -> st.SearchStrategy[tuple[MemoryStore, Snapshot]]:
    """What two listings left, and a third one, each at some time within an hour."""

    def history(listings: list[Snapshot], minutes: list[int]) -> tuple[MemoryStore, Snapshot]:
        timed = [
            replace(each, fetched_at=EIGHT + minute * MINUTE)
            for each, minute in zip(listings, minutes, strict=True)
        ]
        store = MemoryStore()
        for each in timed[:2]:
            store.receive(each)
        return store, timed[2]

    minutes = st.lists(st.integers(0, 60), min_size=3, max_size=3)
    return st.builds(history, st.lists(snapshots(), min_size=3, max_size=3), minutes)


@given(generated_stores(), policies, lookups_of())
def test_what_stands_is_never_retired_and_never_more_than_allowed(
    before: tuple[MemoryStore, Snapshot],
    policy: DeletionPolicy,
    lookups: dict[str, AppointmentLookup] | None,
) -> None:
    store, snapshot = before
    tracked = store.tracked(WEEK)
    plan = plan_reconciliation(tracked, snapshot, policy, lookups=lookups)
    listed = {a.appointment_id for a in snapshot.appointments if a.kind is RecordKind.APPOINTMENT}
    standing = {pims_id for pims_id, said in (lookups or {}).items() if said.exists}
    seen_since = {
        each.case.pims_id
        for each in tracked
        if each.last_seen_at and each.last_seen_at > snapshot.fetched_at
    }
    assert not set(retired(plan)) & (listed | standing | seen_since)
    assert len(plan.retire) <= max(policy.min_orphans, policy.max_percent / 100 * len(tracked))
    if plan.hold or not snapshot.complete:
        assert plan.is_empty
    receipt(plan, tracked)
    assert set(plan.by_date) <= set(WEEK)


@given(generated_stores(), policies, lookups_of())
def test_planning_after_applying_is_empty(
    before: tuple[MemoryStore, Snapshot],
    policy: DeletionPolicy,
    lookups: dict[str, AppointmentLookup] | None,
) -> None:
    store, snapshot = before
    store.receive(snapshot)
    plan = store.plan_reconciliation(snapshot, policy, lookups)
    store.apply_reconciliation(plan, WEEK, EIGHT + 61 * MINUTE)
    assert store.plan_reconciliation(snapshot, policy, lookups).is_empty
    assert store.plan(snapshot).is_empty


# The occurrences of a series share the identity that is looked up


def occurrence(day: int) -> PimsAppointment:
    booked = appointment(f"s@{appointment('s', day).scheduled_start:%Y-%m-%dT%H:%M}", day)
    return replace(booked, series_id="s")


def series_plan(
    lookup_says: dict[str, Any], *left: PimsAppointment, gone: PimsAppointment, at: int = 60
) -> tuple[MemoryStore, ReconciliationPlan]:
    """The plan when ``gone`` is missing, and the series was looked up."""
    store = store_of(gone, *left)
    store.receive(listing(*left, at=30))
    said = {gone.appointment_id: lookup(gone.appointment_id, **lookup_says)}
    return store, store.plan_reconciliation(listing(*left, at=at), POLICY, said)


def said_of(appointment: PimsAppointment, **more: Any) -> dict[str, Any]:
    return {
        "scheduled_start": appointment.scheduled_start,
        "business_date": appointment.business_date,
        **more,
    }


@pytest.mark.parametrize("deleted", [False, True])
def test_a_look_up_that_speaks_of_another_occurrence_is_no_evidence(*, deleted: bool) -> None:
    first, second = occurrence(0), occurrence(1)
    says = said_of(first, deleted=deleted)
    store, plan = series_plan(says, first, gone=second, at=40)
    assert (retired(plan), plan.follow) == ({}, ())
    assert plan.unconfirmed == ids(store, second.appointment_id)
    _, later = series_plan(says, first, gone=second, at=60)
    assert retired(later) == {second.appointment_id: RetirementReason.ABSENT_TWICE}


def test_a_look_up_that_names_the_occurrences_start_is_about_it() -> None:
    first, second = occurrence(0), occurrence(1)
    _, stands = series_plan(said_of(second), first, gone=second)
    assert (retired(stands), stands.unconfirmed) == ({}, ())
    _, plan = series_plan(said_of(second, deleted=True), first, gone=second, at=31)
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


def test_a_looked_up_appointment_without_an_end_keeps_its_length() -> None:
    store = store_of(appointment("a"), appointment("b"))
    moved = lookup("a", scheduled_start=EIGHT, business_date=EIGHT.date(), scheduled_end=None)
    plan = store.plan_reconciliation(listing(appointment("b")), POLICY, {"a": moved})
    assert [each.scheduled_end for each in plan.follow] == [EIGHT + 30 * MINUTE]
